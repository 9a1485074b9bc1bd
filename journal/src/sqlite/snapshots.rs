//! Snapshots in a file of their own, which may be deleted at any time.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use domain::StreamId;
use domain::commit::Hash;
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use rusqlite::{Connection, OptionalExtension as _, Row};
use tokio::sync::oneshot;
use tracing::{debug, warn};

use super::{OpenError, rows};
use crate::Position;
use crate::snapshots::{Snapshot, Snapshots};

/// The file in the data directory.
const FILE: &str = "snapshots.sqlite";
/// The most jobs that wait. More are dropped: each is only a saving.
const WAITING_MAX: usize = 64;

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS snapshots (
        stream TEXT PRIMARY KEY, schema TEXT NOT NULL, version INTEGER NOT NULL, position INTEGER NOT NULL,
        hash TEXT NOT NULL, digest TEXT NOT NULL, state BLOB NOT NULL
    ) STRICT;
";

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// [`Snapshots`] in a SQLite file, kept by one thread.
///
/// Dropping it writes what waits.
pub struct SqliteSnapshots {
    queue: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    known: Known,
}

/// Hashes of the streams that may have a snapshot: few are so long, and the others need not ask the thread.
struct Known(Mutex<HashSet<u64>>);

impl Known {
    fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut names = connection.prepare("SELECT stream FROM snapshots")?;
        let names = names.query_map((), |row| row.get::<_, String>(0))?;
        let hashes = names.map(|name| name.map(|name| Self::hash(&name)));
        hashes.collect::<rusqlite::Result<_>>().map(Mutex::new).map(Self)
    }

    fn hash(name: &str) -> u64 {
        BuildHasherDefault::<DefaultHasher>::default().hash_one(name)
    }

    fn add(&self, stream: &StreamId) {
        self.hashes().insert(Self::hash(&stream.to_string()));
    }

    fn has(&self, stream: &StreamId) -> bool {
        self.hashes().contains(&Self::hash(&stream.to_string()))
    }

    fn hashes(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SqliteSnapshots {
    /// Opens the snapshots in a directory that this process holds by its log. A file that is damaged is
    /// replaced by an empty one.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        let (connection, known) = open(directory).or_else(|error| {
            warn!(%error, "the snapshots are damaged and begin anew");
            for suffix in ["", "-wal", "-shm"] {
                // What is not there need not be removed; what cannot be removed fails again below.
                let _ = std::fs::remove_file(directory.join(format!("{FILE}{suffix}")));
            }
            open(directory)
        })?;
        let (queue, jobs) = sync_channel(WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("journal-snapshots".into())
            .spawn(move || work(&connection, &jobs))
            .map_err(OpenError::Thread)?;
        Ok(Self { queue: Some(queue), thread: Some(thread), known })
    }

    /// True if the job will be done.
    fn send(&self, job: Job) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.try_send(job).is_ok())
    }
}

impl Drop for SqliteSnapshots {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            warn!(?panic, "the thread of the snapshots panicked");
        }
    }
}

fn open(directory: &Path) -> rusqlite::Result<(Connection, Known)> {
    let connection = Connection::open(directory.join(FILE))?;
    connection.execute_batch(SCHEMA)?;
    let known = Known::read(&connection)?;
    Ok((connection, known))
}

fn work(connection: &Connection, jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        job(connection);
    }
}

impl Snapshots for SqliteSnapshots {
    fn get<'a>(&'a self, stream: &'a StreamId) -> BoxFuture<'a, Option<Snapshot>> {
        if !self.known.has(stream) {
            return ready(None).boxed();
        }
        let (answer, answered) = oneshot::channel();
        let wanted = stream.clone();
        let job: Job = Box::new(move |connection| {
            let found = select(connection, wanted).unwrap_or_else(|error| {
                debug!(%error, "a snapshot cannot be read");
                None
            });
            // Whoever asked may be gone.
            let _ = answer.send(found);
        });
        let sent = self.send(job);
        async move { if sent { answered.await.ok().flatten() } else { None } }.boxed()
    }

    fn put(&self, snapshot: Snapshot) {
        self.known.add(&snapshot.stream);
        let job: Job = Box::new(move |connection| {
            if let Err(error) = insert(connection, &snapshot) {
                debug!(%error, "a snapshot cannot be written");
            }
        });
        if !self.send(job) {
            debug!("a snapshot is dropped: too many wait");
        }
    }
}

fn insert(connection: &Connection, snapshot: &Snapshot) -> rusqlite::Result<()> {
    let Snapshot { stream, schema, version, position, hash, digest, state } = snapshot;
    connection
        .prepare_cached("INSERT OR REPLACE INTO snapshots VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute((
            stream.to_string(),
            schema,
            rows::signed(*version),
            rows::signed(position.get()),
            hash.to_hex(),
            digest.to_hex(),
            state,
        ))
        .map(drop)
}

fn select(connection: &Connection, stream: StreamId) -> rusqlite::Result<Option<Snapshot>> {
    let hash = |row: &Row<'_>, column: usize| {
        row.get::<_, String>(column).map(|text| Hash::from_hex(&text).unwrap_or_default())
    };
    let name = stream.to_string();
    connection
        .prepare_cached(
            "SELECT schema, version, position, hash, digest, state FROM snapshots WHERE stream = ?1",
        )?
        .query_row([name], |row| {
            Ok(Snapshot {
                stream,
                schema: row.get(0)?,
                version: row.get::<_, i64>(1)?.unsigned_abs(),
                position: Position::new(row.get::<_, i64>(2)?.unsigned_abs()),
                hash: hash(row, 3)?,
                digest: hash(row, 4)?,
                state: row.get(5)?,
            })
        })
        .optional()
}
