//! The one thread that writes: whatever waits becomes one transaction, one fsync, many answers.
//!
//! It never waits for a group to grow: while one group is being synced, the next one gathers by itself.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use domain::StreamId;
use domain::commit::Sealed;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tracing::error;

use super::publish::{Publisher, Told, UNTOLD_MAX};
use super::recent::Recent;
use super::rows;
use crate::chain::Tip;
use crate::follow::Live;
use crate::{AppendError, Appended, JournalError, Position, Recorded, Token};

/// The most appends that wait: at 256 KiB each at most, 256 MiB at the very worst.
const WAITING_MAX: usize = 1_024;
/// The most appends in one transaction: more would make the first wait long for the last.
const GROUP_MAX: usize = 256;

/// How an append ended.
pub(super) type Answer = Result<Appended, AppendError>;

/// An append on its way.
struct Append {
    expected: Token,
    /// The stream's name, made where there is time for it.
    stream: String,
    sealed: Arc<Sealed>,
    answer: oneshot::Sender<Answer>,
    _place: OwnedSemaphorePermit,
}

/// The writing thread, from outside.
pub(super) struct Writer {
    queue: Option<Sender<Append>>,
    room: Arc<Semaphore>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        head: Position,
        recent: Arc<Recent>,
        live: Arc<watch::Sender<Live>>,
    ) -> std::io::Result<Self> {
        let (queue, appends) = channel();
        let publisher = Publisher::start(Arc::clone(&recent), live)?;
        let untold = VecDeque::with_capacity(UNTOLD_MAX);
        let mut work = Work { connection, appends, head, recent, untold, publisher };
        let thread =
            std::thread::Builder::new().name("journal-writer".into()).spawn(move || work.run())?;
        let room = Arc::new(Semaphore::new(WAITING_MAX));
        Ok(Self { queue: Some(queue), room, thread: Some(thread) })
    }

    pub(super) async fn append(&self, expected: Token, sealed: Arc<Sealed>) -> Answer {
        let closed = || AppendError::Unavailable { reason: JournalError::Closed.to_string() };
        let place = Arc::clone(&self.room).acquire_owned().await.map_err(|_| closed())?;
        let (answer, answered) = oneshot::channel();
        let stream = sealed.commit.stream.to_string();
        let append = Append { expected, stream, sealed, answer, _place: place };
        let queue = self.queue.as_ref().ok_or_else(closed)?;
        queue.send(append).map_err(|_| closed())?;
        answered.await.unwrap_or_else(|_| {
            Err(AppendError::Unknown { reason: "the writer ended before it answered".into() })
        })
    }

    /// Writes what waits, and ends.
    pub(super) fn finish(&mut self) {
        self.queue = None;
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            error!(?panic, "the log's writer panicked");
        }
    }
}

/// The writing thread, from inside.
struct Work {
    connection: Connection,
    appends: Receiver<Append>,
    head: Position,
    recent: Arc<Recent>,
    /// Where streams end after the last groups, which `recent` may not know yet.
    untold: VecDeque<HashMap<StreamId, Tip>>,
    publisher: Publisher,
}

/// What one transaction holds so far. Nothing of it is told to anybody before the COMMIT.
#[derive(Default)]
struct Group {
    tips: HashMap<StreamId, Tip>,
    written: Vec<Recorded>,
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
}

impl Work {
    fn run(&mut self) {
        while let Ok(first) = self.appends.recv() {
            self.write_group(first);
        }
    }

    fn write_group(&mut self, first: Append) {
        let mut group = Group::default();
        let begun = self.statement("BEGIN IMMEDIATE");
        let mut failure = begun.err().map(|error| Failure::before_commit(&error));
        let mut next = Some(first);
        while let Some(append) = next {
            let answer = match &failure {
                Some(failure) => failure.answer(),
                None => match self.write(&mut group, &append) {
                    Ok(answer) => answer,
                    Err(error) => failure.insert(Failure::before_commit(&error)).answer(),
                },
            };
            group.answers.push((append.answer, answer));
            let full = group.answers.len() >= GROUP_MAX;
            next = if full { None } else { self.appends.try_recv().ok() };
        }
        self.end(group, failure);
    }

    /// Judges one append, and inserts it. An error of SQLite's ends the whole group.
    fn write(&self, group: &mut Group, append: &Append) -> rusqlite::Result<Answer> {
        let Append { expected, sealed, .. } = append;
        let (expected, commit) = (*expected, &sealed.commit);
        let tip = match self.tip(group, &commit.stream, expected) {
            Ok(tip) => tip,
            Err(error) => return Ok(Err(AppendError::Damaged(Box::new(error)))),
        };
        let refusal = if tip.token() != expected {
            Some(AppendError::Conflict { expected, actual: tip.token() })
        } else {
            tip.continued_by(commit).err().map(AppendError::Discontinuous)
        };
        let known = || rows::find_position(&self.connection, commit.commit_id);
        let repeated = |position| Ok(Appended { position, repeated: true });
        if let Some(refusal) = refusal {
            return Ok(known()?.map_or(Err(refusal), repeated));
        }
        let position = group.written.last().map_or(self.head, |last| last.position).next();
        match self.insert(position, append) {
            Ok(()) => {}
            // The id is known, or the stream that was taken to be new is not.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                if let Some(position) = known()? {
                    return Ok(repeated(position));
                }
                let actual = rows::token(&self.connection, &commit.stream);
                let actual = actual.ok().filter(|actual| *actual != expected).ok_or(error)?;
                return Ok(Err(AppendError::Conflict { expected, actual }));
            }
            Err(error) => return Err(error),
        }
        let recorded = Recorded { position, sealed: Arc::clone(sealed) };
        group.tips.insert(commit.stream.clone(), Tip::of(&recorded));
        group.written.push(recorded);
        Ok(Ok(Appended { position, repeated: false }))
    }

    /// Where a stream ends. One that is expected to be new is taken to be: the index on its first version tells.
    fn tip(&self, group: &Group, stream: &StreamId, expected: Token) -> Result<Tip, JournalError> {
        let untold = || self.untold.iter().find_map(|tips| tips.get(stream)).copied();
        let known = group.tips.get(stream).copied().or_else(untold);
        match known.or_else(|| self.recent.tip(stream)) {
            Some(tip) => Ok(tip),
            None if expected == Token::EMPTY => Ok(Tip::default()),
            None => rows::tip(&self.connection, stream),
        }
    }

    fn insert(&self, position: Position, append: &Append) -> rusqlite::Result<()> {
        let Append { stream, sealed, .. } = append;
        let commit = &sealed.commit;
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO commits (position, stream, first_version, commit_id, bytes) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        statement.execute((
            rows::signed(position.get()),
            stream,
            rows::signed(commit.first_version),
            commit.commit_id.as_bytes(),
            &*sealed.bytes,
        ))?;
        Ok(())
    }

    /// Commits, and has it told.
    fn end(&mut self, group: Group, failure: Option<Failure>) {
        let Group { tips, mut written, mut answers } = group;
        let failure = failure.or_else(|| {
            let end = if written.is_empty() { "ROLLBACK" } else { "COMMIT" };
            self.statement(end).err().map(|error| Failure::of_commit(&error))
        });
        if let Some(failure) = failure {
            error!(reason = failure.reason, appends = answers.len(), "a group of appends failed");
            if !self.connection.is_autocommit() {
                // Should this fail too, the next BEGIN does, and its appends are answered accordingly.
                let _ = self.statement("ROLLBACK");
            }
            written.clear();
            for (_, answer) in &mut answers {
                *answer = failure.answer();
            }
        } else if let Some(last) = written.last() {
            self.head = last.position;
            self.untold.truncate(UNTOLD_MAX - 1);
            self.untold.push_front(tips);
        }
        self.publisher.tell(Told { written, answers });
    }

    fn statement(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute(()).map(drop)
    }
}

/// Why none of a group was acknowledged.
struct Failure {
    severity: Severity,
    reason: String,
}

enum Severity {
    /// Not stored: no room.
    Full,
    /// Not stored.
    Unavailable,
    /// It may be stored.
    Unknown,
}

impl Failure {
    /// Before the COMMIT: the transaction is rolled back, certainly.
    fn before_commit(error: &rusqlite::Error) -> Self {
        let severity = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Severity::Full,
            _ => Severity::Unavailable,
        };
        Self { severity, reason: error.to_string() }
    }

    /// Of the COMMIT. A full disk cannot have taken the frame that ends the transaction; after any other error
    /// that frame may be on the disk, and count after a crash.
    fn of_commit(error: &rusqlite::Error) -> Self {
        let severity = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Severity::Full,
            _ => Severity::Unknown,
        };
        Self { severity, reason: error.to_string() }
    }

    fn answer(&self) -> Answer {
        let reason = self.reason.clone();
        Err(match self.severity {
            Severity::Full => AppendError::Full { reason },
            Severity::Unavailable => AppendError::Unavailable { reason },
            Severity::Unknown => AppendError::Unknown { reason },
        })
    }
}
