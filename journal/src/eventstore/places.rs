//! Where every commit of the log is: counted in the order of `$all`, by id, and by stream.
//!
//! EventStoreDB gives an event a number within its stream and an offset among all events of the server. A position
//! counts the log's own commits in the order of those offsets, so every process that counts comes to the same.
//! It is all in memory, some hundred bytes for a commit.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::StreamId;
use domain::commit::{BrokenCommit, Hash, Sealed};
use eventstore::{Position as Offset, RecordedEvent};
use uuid::Uuid;

use crate::chain::{self, Tip};
use crate::{Breakage, JournalError, Position, Recorded, Token};

/// The log's commits as counted so far.
#[derive(Default)]
pub(super) struct Places(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    places: Vec<Place>,
    ids: HashMap<Uuid, Position>,
    streams: HashMap<StreamId, Known>,
}

/// Where a commit is on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) position: Position,
    pub(super) offset: Offset,
    pub(super) id: Uuid,
    /// None where the stream's name is not one of ours.
    pub(super) stream: Option<StreamId>,
    /// Its number in its stream.
    pub(super) revision: u64,
    /// None if the commit is not what was written.
    pub(super) hash: Option<Hash>,
}

#[derive(Default)]
struct Known {
    tip: Tip,
    /// For each commit its position and its first version.
    commits: Vec<(Position, u64)>,
    /// A commit of it is not what was written, or is missing.
    broken: bool,
}

/// What is known of an append before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expectation {
    /// The stream ended at the token, after so many commits, and the id is new.
    New { tip: Tip, commits: u64 },
    /// The id is at this position.
    Held(Position),
    /// The stream goes on beyond the token.
    Moved(Token),
    /// The token is not known here yet.
    Unknown,
    /// The stream is damaged.
    Broken,
}

impl Known {
    /// Adds a commit; one that is not what was written makes the stream a broken one.
    fn add(
        &mut self,
        position: Position,
        opened: Result<Recorded, JournalError>,
        revision: u64,
    ) -> Result<Recorded, JournalError> {
        let opened = opened.and_then(|recorded| self.continued_by(recorded, revision));
        let (first_version, tip) = match &opened {
            Ok(recorded) => (recorded.sealed.commit.first_version, Tip::of(recorded)),
            Err(_) => (self.tip.version + 1, Tip { position, ..self.tip }),
        };
        self.broken |= opened.is_err();
        self.commits.push((position, first_version));
        self.tip = tip;
        opened
    }

    /// Checks that a commit is the next of its stream, also by the server's number.
    fn continued_by(&self, recorded: Recorded, revision: u64) -> Result<Recorded, JournalError> {
        let commit = &recorded.sealed.commit;
        if self.commits.len() as u64 != revision {
            let (expected, found) = (self.tip.version + 1, commit.first_version);
            return Err(chain::damaged(&recorded, Breakage::Version { expected, found }));
        }
        match self.tip.continued_by(commit) {
            Ok(()) => Ok(recorded),
            Err(breakage) => Err(chain::damaged(&recorded, breakage)),
        }
    }
}

impl Places {
    /// Counts an event of the log. Each is counted once, in the order of `$all`.
    ///
    /// # Errors
    /// When the commit is not what was written. It is counted nevertheless, and its stream is known as broken.
    pub(super) fn count(
        &self,
        stream: &str,
        event: &RecordedEvent,
    ) -> Result<Position, JournalError> {
        let position = self.head().next();
        let opened = open(stream, position, event);
        let named: Option<StreamId> = stream.parse().ok();
        let mut counted = self.lock();
        let opened = match named.clone() {
            Some(named) => {
                let known = counted.streams.entry(named).or_default();
                known.add(position, opened, event.revision)
            }
            None => opened,
        };
        let hash = opened.map(|recorded| recorded.sealed.hash);
        let (offset, id, revision) = (event.position, event.id, event.revision);
        let whole = hash.as_ref().ok().copied();
        counted.places.push(Place { position, offset, id, stream: named, revision, hash: whole });
        counted.ids.entry(id).or_insert(position);
        hash.map(|_| position)
    }

    /// The last position.
    pub(super) fn head(&self) -> Position {
        Position::new(self.lock().places.len() as u64)
    }

    /// Where the commit of a position is.
    pub(super) fn at(&self, position: Position) -> Option<Place> {
        let index = usize::try_from(position.get().checked_sub(1)?).ok()?;
        self.lock().places.get(index).cloned()
    }

    /// Where the commit of an id is.
    pub(super) fn of(&self, id: Uuid) -> Option<Place> {
        let position = self.lock().ids.get(&id).copied()?;
        self.at(position)
    }

    /// The position of the commit with a number in its stream.
    pub(super) fn of_revision(&self, stream: &StreamId, revision: u64) -> Option<Position> {
        let index = usize::try_from(revision).ok()?;
        let counted = self.lock();
        counted.streams.get(stream)?.commits.get(index).map(|(position, _)| *position)
    }

    /// Where a stream ended when it was last counted, and how many commits it has.
    pub(super) fn end(&self, stream: &StreamId) -> (Token, u64) {
        let counted = self.lock();
        let known = counted.streams.get(stream);
        known.map_or((Token::EMPTY, 0), |known| (known.tip.token(), known.commits.len() as u64))
    }

    /// Whether a commit of a stream is not what was written, or is missing.
    pub(super) fn is_broken(&self, stream: &StreamId) -> bool {
        self.lock().streams.get(stream).is_some_and(|known| known.broken)
    }

    /// The number of a stream's first commit that begins after a version.
    pub(super) fn revision_after(&self, stream: &StreamId, version: u64) -> u64 {
        let counted = self.lock();
        let commits = counted.streams.get(stream).map(|known| known.commits.as_slice());
        commits.map_or(0, |all| all.partition_point(|(_, first)| *first <= version) as u64)
    }

    /// What is known of a commit with this id for a stream that ends at `expected`.
    pub(super) fn expect(&self, stream: &StreamId, expected: Token, id: Uuid) -> Expectation {
        let counted = self.lock();
        if let Some(&position) = counted.ids.get(&id) {
            return Expectation::Held(position);
        }
        let (tip, commits) = match counted.streams.get(stream) {
            Some(known) if known.broken => return Expectation::Broken,
            Some(known) => (known.tip, known.commits.len() as u64),
            None => (Tip::default(), 0),
        };
        match expected.cmp(&tip.token()) {
            std::cmp::Ordering::Equal => Expectation::New { tip, commits },
            std::cmp::Ordering::Less => Expectation::Moved(tip.token()),
            std::cmp::Ordering::Greater => Expectation::Unknown,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads an event as the commit of a position: its seal, its id, and that it is of the stream it was found in.
pub(super) fn open(
    stream: &str,
    position: Position,
    event: &RecordedEvent,
) -> Result<Recorded, JournalError> {
    let named: Option<StreamId> = stream.parse().ok();
    let damaged = |breakage| JournalError::Damaged {
        position,
        stream: named.clone(),
        breakage: Box::new(breakage),
    };
    let sealed = Sealed::open(Vec::from(event.data.clone()).into())
        .map_err(|broken| damaged(BrokenCommit::into(broken)))?;
    let (actual, id) = (sealed.commit.stream.to_string(), sealed.commit.commit_id);
    if actual != stream {
        return Err(damaged(Breakage::Index { stated: stream.to_owned(), actual }));
    }
    if id != event.id {
        let (stated, actual) = (event.id.to_string(), id.to_string());
        return Err(damaged(Breakage::Index { stated, actual }));
    }
    Ok(Recorded { position, sealed: sealed.into() })
}
