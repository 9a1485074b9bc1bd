//! The world on disk: a line per effect, appended as it happens, so that it outlives a killed server.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::object::Entry;
use crate::world::World;

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
        Ok(Self { path: path.to_owned(), file })
    }

    /// Adds an effect. Once this returns, the effect survives the process, though not the machine.
    pub(crate) fn append(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let failed = |source| StoreError::File { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(entry).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(failed)
    }
}
