//! The embedded log: one SQLite file, one writer with group commit, readers beside it.
//!
//! ```text
//!  append ──▶ queue ──▶ writer thread: BEGIN · insert, insert, … · COMMIT (one fsync)
//!                                        │
//!                                        └──▶ publisher thread: recent commits ──▶ followers · answers
//!  load, find ──▶ at once, on a connection for short reads    follow (older) ──▶ reader threads
//! ```
//! Durability class `power-loss`: WAL with `synchronous=FULL`. One process at a time, held by a lock on a file.

mod open;
mod publish;
mod readers;
mod recent;
mod rows;
mod snapshots;
mod streams;
mod writer;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use domain::StreamId;
use domain::commit::Sealed;
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use futures::stream::BoxStream;
use tokio::sync::watch;
use uuid::Uuid;

use crate::chain::{self, Tip};
use crate::follow::{self, Live, Source};
use crate::{AppendError, Appended, Journal, JournalError, Loaded, Position, Recorded, Token};

pub(crate) use open::FILE;
pub use open::OpenError;
use readers::Readers;
use recent::Recent;
pub use snapshots::SqliteSnapshots;
use writer::Writer;

/// The most commits a follower reads from the disk at once: about 1 MiB, some milliseconds of a reader.
const BATCH_MAX: usize = 512;

/// How a log is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The most 4 KiB pages that the file may have; none: as many as there is room for.
    pub pages_max: Option<u32>,
}

/// A [`Journal`] in a directory. Dropping it closes the log: what was accepted is written, followers end.
pub struct SqliteJournal {
    writer: Writer,
    reading: Reading,
    live: Arc<watch::Sender<Live>>,
    /// Released last.
    _lock: File,
}

/// What followers need, and may keep after the log is closed.
#[derive(Clone)]
struct Reading {
    readers: Readers,
    recent: Arc<Recent>,
}

impl SqliteJournal {
    /// Opens the log in a directory, or makes one.
    ///
    /// # Errors
    /// [`OpenError::InUse`] while another process has it open.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        Self::open_with(directory, Options::default())
    }

    /// Opens the log otherwise than by default.
    ///
    /// # Errors
    /// As [`SqliteJournal::open`].
    pub fn open_with(directory: &Path, options: Options) -> Result<Self, OpenError> {
        let lock = open::lock(directory)?;
        let connection = open::writer(directory, options)?;
        let head = rows::head(&connection)?;
        let live = Arc::new(watch::Sender::new(Live { head, closed: false }));
        let recent = Arc::new(Recent::default());
        let readers = Readers::start(directory)?;
        recent.streams().read(&readers);
        let writer = Writer::start(connection, head, Arc::clone(&recent), Arc::clone(&live))
            .map_err(OpenError::Thread)?;
        Ok(Self { writer, reading: Reading { readers, recent }, live, _lock: lock })
    }
}

impl Drop for SqliteJournal {
    fn drop(&mut self) {
        self.writer.finish();
        self.live.send_modify(|live| live.closed = true);
    }
}

impl Journal for SqliteJournal {
    fn load<'a>(
        &'a self,
        stream: &'a StreamId,
        after_version: u64,
    ) -> BoxFuture<'a, Result<Loaded, JournalError>> {
        async move {
            if let Some(tip) = self.reading.recent.tip(stream)
                && tip.version == after_version
            {
                return Ok(Loaded { commits: Vec::new(), token: tip.token() });
            }
            if !self.reading.recent.streams().may_hold(stream) {
                return Ok(Loaded { commits: Vec::new(), token: Token::EMPTY });
            }
            let name = stream.clone();
            let load = move |c: &_| rows::load(c, &name, after_version);
            let loaded = self.reading.readers.read_few(load).await?;
            let before = (after_version == 0).then(Tip::default);
            chain::check(before, after_version, &loaded.commits)?;
            Ok(loaded)
        }
        .boxed()
    }

    fn append(
        &self,
        expected: Token,
        sealed: Arc<Sealed>,
    ) -> BoxFuture<'_, Result<Appended, AppendError>> {
        self.writer.append(expected, sealed).boxed()
    }

    fn follow(&self, after: Position) -> BoxStream<'static, Result<Recorded, JournalError>> {
        follow::follow(self.reading.clone(), self.live.subscribe(), after)
    }

    fn find<'a>(
        &'a self,
        _: &'a StreamId,
        commit_id: Uuid,
    ) -> BoxFuture<'a, Result<Option<Recorded>, JournalError>> {
        self.reading.readers.read_few(move |c| rows::find(c, commit_id)).boxed()
    }

    fn keeps_the_order_of_appends(&self) -> bool {
        true
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, JournalError>> {
        ready(Ok(self.live.borrow().head)).boxed()
    }

    fn check_token<'a>(
        &'a self,
        stream: &'a StreamId,
    ) -> BoxFuture<'a, Result<Token, JournalError>> {
        async move {
            if let Some(tip) = self.reading.recent.tip(stream) {
                return Ok(tip.token());
            }
            if !self.reading.recent.streams().may_hold(stream) {
                return Ok(Token::EMPTY);
            }
            let name = stream.clone();
            self.reading.readers.read_few(move |c| rows::token(c, &name)).await
        }
        .boxed()
    }
}

impl Source for Reading {
    fn batch(&self, after: Position) -> BoxFuture<'_, Result<Vec<Recorded>, JournalError>> {
        async move {
            match self.recent.after(after, BATCH_MAX) {
                Some(batch) => Ok(batch),
                None => self.readers.read(move |c| rows::after(c, after, BATCH_MAX)).await,
            }
        }
        .boxed()
    }
}
