//! The names of the log's streams, in memory: a command about a new one need not ask the disk whether it is there.
//!
//! They are read in the background after the log is opened. Until then, and in a log of more streams than are kept,
//! every stream may be there, and the disk is asked.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use domain::StreamId;
use rusqlite::{Connection, OptionalExtension as _};
use tracing::debug;

use super::readers::Readers;

/// The most streams whose names are kept, at some 16 bytes each.
const STREAMS_MAX: usize = 1_000_000;
/// Names read at once: some milliseconds of a reader.
const BATCH_MAX: usize = 1_000;

/// Which streams there may be.
pub(super) struct Streams {
    known: Mutex<Known>,
    max: usize,
}

/// Hashes of names. Two streams with the same one cost a read.
enum Known {
    /// Some of them: the rest is being read.
    Some(HashSet<u64>),
    /// All of them.
    All(HashSet<u64>),
    /// Too many to be kept.
    TooMany,
}

impl Default for Streams {
    fn default() -> Self {
        Self { known: Mutex::new(Known::Some(HashSet::new())), max: STREAMS_MAX }
    }
}

impl Streams {
    /// False when the log certainly holds no commit of a stream.
    pub(super) fn may_hold(&self, stream: &StreamId) -> bool {
        match &*self.known() {
            Known::All(hashes) => hashes.contains(&hash(&stream.to_string())),
            Known::Some(_) | Known::TooMany => true,
        }
    }

    /// Notes a stream. To be done before anybody is told of its first commit.
    pub(super) fn add(&self, stream: &StreamId) {
        self.insert(&mut self.known(), &stream.to_string());
    }

    fn insert(&self, known: &mut Known, name: &str) {
        let (Known::Some(hashes) | Known::All(hashes)) = known else { return };
        hashes.insert(hash(name));
        if hashes.len() > self.max {
            *known = Known::TooMany;
        }
    }

    /// Has the names read that are in the log already.
    pub(super) fn read(self: &Arc<Self>, readers: &Readers) {
        read_on(Arc::downgrade(self), readers.clone(), String::new());
    }

    /// Reads the names after one; none after the last, or when there is no use in more.
    fn batch(&self, connection: &Connection, after: String) -> rusqlite::Result<Option<String>> {
        // One step of the index for each stream, however many commits it has.
        let mut next = connection.prepare_cached(
            "SELECT stream FROM commits WHERE stream > ?1 ORDER BY stream LIMIT 1",
        )?;
        let mut names = vec![after];
        while let Some(last) = names.last().filter(|_| names.len() <= BATCH_MAX) {
            match next.query_row([last], |row| row.get(0)).optional()? {
                Some(name) => names.push(name),
                None => break,
            }
        }
        let mut known = self.known();
        names.iter().skip(1).for_each(|name| self.insert(&mut known, name));
        let Known::Some(hashes) = &mut *known else { return Ok(None) };
        if names.len() > BATCH_MAX {
            return Ok(names.pop());
        }
        *known = Known::All(std::mem::take(hashes));
        Ok(None)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One batch at a time, so that other reads come in between. Ends with the log.
fn read_on(streams: Weak<Streams>, readers: Readers, after: String) {
    let again = readers.clone();
    readers.begin(move |connection| {
        let Some(known) = streams.upgrade() else { return };
        match known.batch(connection, after) {
            Ok(Some(at)) => read_on(streams, again, at),
            Ok(None) => {}
            Err(error) => {
                debug!(%error, "the names of the streams cannot be read: the disk is asked")
            }
        }
    });
}

fn hash(name: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(number: usize) -> StreamId {
        format!("ev.acme.bucket.b{number}").parse().unwrap()
    }

    fn log(streams: usize) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE commits (stream TEXT, version INTEGER, UNIQUE (stream, version))",
            )
            .unwrap();
        let mut insert = connection.prepare("INSERT INTO commits VALUES (?1, ?2)").unwrap();
        for number in 0..streams {
            for version in 0..3 {
                insert.execute((stream(number).to_string(), version)).unwrap();
            }
        }
        drop(insert);
        connection
    }

    /// Reads to the end, and tells in how many batches.
    fn read(streams: &Streams, log: &Connection) -> usize {
        let (mut after, mut batches) = (String::new(), 1);
        while let Some(at) = streams.batch(log, after).unwrap() {
            (after, batches) = (at, batches + 1);
        }
        batches
    }

    #[test]
    fn until_all_are_read_every_stream_may_be_there() {
        let (streams, log) = (Streams::default(), log(BATCH_MAX + 1));
        assert!(streams.may_hold(&stream(9_999)));
        let after = streams.batch(&log, String::new()).unwrap().unwrap();
        assert!(streams.may_hold(&stream(9_999)));
        streams.add(&stream(5_000));
        assert_eq!(streams.batch(&log, after).unwrap(), None);
        assert!(!streams.may_hold(&stream(9_999)));
        assert!((0..=BATCH_MAX).chain([5_000]).all(|number| streams.may_hold(&stream(number))));
        streams.add(&stream(9_999));
        assert!(streams.may_hold(&stream(9_999)));
    }

    #[test]
    fn an_empty_log_and_a_full_batch_are_read_to_their_end() {
        for (count, batches) in [(0, 1), (1, 1), (BATCH_MAX, 2), (2 * BATCH_MAX + 1, 3)] {
            let streams = Streams::default();
            assert_eq!(read(&streams, &log(count)), batches, "{count}");
            assert!(!streams.may_hold(&stream(count)), "{count}");
        }
    }

    #[test]
    fn of_too_many_none_is_kept() {
        let few = || Streams { max: 10, ..Streams::default() };
        let read_too_many = few();
        read(&read_too_many, &log(11));
        assert!(read_too_many.may_hold(&stream(99)));
        let added_too_many = few();
        read(&added_too_many, &log(10));
        assert!(!added_too_many.may_hold(&stream(99)));
        added_too_many.add(&stream(10));
        assert!(added_too_many.may_hold(&stream(99)));
        added_too_many.add(&stream(11));
    }
}
