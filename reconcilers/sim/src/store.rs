//! The world on disk: a line per effect, appended as it happens, so that it outlives a killed server.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::object::Entry;
use crate::world::World;

/// A file longer than this is written anew when it is opened, if most of it is about what is no more.
const COMPACT_BYTES_MIN: u64 = 16 * 1024 * 1024;
/// Most of it: so many effects for each that would do.
const COMPACT_FACTOR: u64 = 4;

/// The world cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Look at the directory and the disk.
    #[error("{} cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Remove the file: the simulated world begins anew.
    #[error("{}:{line}: not an effect", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// A file of effects.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    file: File,
    /// Where the last whole line ends.
    length: u64,
}

impl Store {
    /// Opens a file, and applies what is in it to a world. A last line that was cut off by a crash is dropped:
    /// its effect was not acknowledged.
    pub(crate) fn open(path: &Path, world: &mut World) -> Result<Self, StoreError> {
        let failed = |source| StoreError::File { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        let mut reader = BufReader::new(&file);
        let (mut good, mut number, mut line) = (0_u64, 0, String::new());
        loop {
            line.clear();
            let length = reader.read_line(&mut line).map_err(failed)?;
            number += 1;
            if length == 0 || !line.ends_with('\n') {
                break;
            }
            let entry: Entry = serde_json::from_str(&line).map_err(|source| {
                StoreError::Damaged { path: path.to_owned(), line: number, source }
            })?;
            world.apply(entry);
            good += length as u64;
        }
        file.set_len(good).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        let store = Self { path: path.to_owned(), file, length: good };
        let entries = world.entries();
        let worth_it = world.effects() / COMPACT_FACTOR > entries.len() as u64;
        if good > COMPACT_BYTES_MIN && worth_it { store.compacted(&entries) } else { Ok(store) }
    }

    /// Writes only what leads to the world as it is, beside the file, and puts it in its place.
    fn compacted(self, entries: &[Entry]) -> Result<Self, StoreError> {
        let beside = self.path.with_extension("new");
        let failed = |source| StoreError::File { path: beside.clone(), source };
        let file = File::create(&beside).map_err(failed)?;
        let mut new = Self { path: beside.clone(), file, length: 0 };
        for entry in entries {
            new.append(entry)?;
        }
        new.file.sync_all().map_err(failed)?;
        std::fs::rename(&beside, &self.path).map_err(failed)?;
        Ok(Self { path: self.path, ..new })
    }

    /// Adds an effect. Once this returns, the effect survives the process, though not the machine.
    pub(crate) fn append(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let failed = |source| StoreError::File { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(entry).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        // A full disk takes a part of a line: what there is of it goes before the next one.
        if self.file.stream_position().map_err(failed)? != self.length {
            self.file.set_len(self.length).map_err(failed)?;
            self.file.seek(SeekFrom::Start(self.length)).map_err(failed)?;
        }
        self.file.write_all(&line).map_err(failed)?;
        self.length += line.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use domain::Time;
    use domain::commit::Hash;
    use uuid::Uuid;

    use super::*;
    use crate::world::Nature;

    fn made(uid: Uuid) -> Entry {
        let (at, ready_at) = (Time::from_micros(1), Time::from_micros(2));
        Entry::Created {
            at,
            tenant: "acme".parse().unwrap(),
            id: "bucket/a".parse().unwrap(),
            uid,
            token: uid,
            digest: Hash::of(b"1"),
            spec: "{}".into(),
            ready_at,
        }
    }

    #[test]
    fn what_is_left_of_a_line_that_did_not_fit_goes_before_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("world.jsonl");
        let mut world = World::new(Nature::default());
        let mut store = Store::open(&path, &mut world).unwrap();
        store.append(&made(Uuid::from_u128(1))).unwrap();
        store.file.write_all(b"{\"Created\": {\"at\"").unwrap();
        store.append(&made(Uuid::from_u128(2))).unwrap();
        Store::open(&path, &mut world).unwrap();
        assert_eq!(world.objects().count(), 2);
    }

    #[test]
    fn a_compacted_world_is_the_same_world() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("world.jsonl");
        let (uid, other, at) = (Uuid::from_u128(1), Uuid::from_u128(2), Time::from_micros(3));
        let mut world = World::new(Nature::default());
        let mut store = Store::open(&path, &mut world).unwrap();
        let broke = Entry::Broke { at, uid, message: "full".into(), for_good: false };
        let drifted = Entry::Drifted { at, uid, detail: "bigger".into(), by: None };
        let leaving = Entry::DeletionStarted { at, uid, gone_at: Time::from_micros(9) };
        let removed = Entry::Removed { at, uid: other, by: None };
        for entry in [made(uid), made(other), broke, drifted, removed, leaving] {
            store.append(&entry).unwrap();
            world.apply(entry);
        }
        store.compacted(&world.entries()).unwrap();
        let mut again = World::new(Nature::default());
        Store::open(&path, &mut again).unwrap();
        let objects = |world: &World| world.objects().cloned().collect::<Vec<_>>();
        assert_eq!(objects(&again), objects(&world));
        assert_eq!((again.effects(), world.effects()), (4, 6));
    }
}
