//! What *happened*: the log, and the one way to write to it.
//!
//! [`Journal`] is the log as its adapters provide it: [`memory`] for tests, [`sqlite`] as the embedded default,
//! [`jetstream`] for more than one machine, [`eventstore`] for those who run EventStoreDB.
//! [`Executor`] is the one write path: load, fold, decide, append. Everything that changes anything passes
//! through it. [`verify()`] reads a whole log and says whether it is what was written.
//!
//! The contract that every adapter holds is executable: [`conformance!`].

mod cache;
mod chain;
pub mod codec;
pub mod conformance;
mod durability;
mod error;
pub mod eventstore;
pub mod execute;
mod follow;
mod health;
pub mod jetstream;
pub mod memory;
pub mod snapshots;
pub mod sqlite;
mod state;
pub mod testing;
mod verify;
mod within;

use std::fmt;
use std::sync::Arc;

use domain::StreamId;
use domain::commit::Sealed;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use codec::Upcast;
pub use durability::{Durability, UnknownDurability};
pub use error::{AppendError, Breakage, ExecuteError, JournalError, LoadError};
pub use execute::{Executed, Executor, Settings};
pub use state::Folded;
pub use verify::{Verified, verify};

/// A commit's place in the total order of the log. Later is greater; nothing else may be read into the number.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(u64);

impl Position {
    /// Before the first commit.
    pub const START: Self = Self(0);

    /// Reads back what [`Position::get`] gave, for a store that keeps checkpoints.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number to keep in a checkpoint or to show.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a stream ended when it was read: an append is accepted only if it still ends there.
///
/// It is the position of the stream's last commit, which is what SQLite can index and what JetStream calls the
/// last subject sequence. Tokens of one stream only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(Position);

impl Token {
    /// The stream holds nothing yet.
    pub const EMPTY: Self = Self(Position::START);

    /// The token of a stream whose last commit is at `position`.
    #[must_use]
    pub const fn at(position: Position) -> Self {
        Self(position)
    }

    /// The position of the stream's last commit; [`Position::START`] if there is none.
    #[must_use]
    pub const fn position(self) -> Position {
        self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A commit in its place.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Where.
    pub position: Position,
    /// What, with the bytes as stored; its seal has been checked.
    pub sealed: Arc<Sealed>,
}

impl Recorded {
    /// The version of the last event, within its stream.
    #[must_use]
    pub fn last_version(&self) -> u64 {
        chain::last_version(&self.sealed.commit)
    }
}

/// What a stream held when it was read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// In order, without a gap, their chain checked.
    pub commits: Vec<Recorded>,
    /// Where the stream ended.
    pub token: Token,
}

/// An append that is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Where it is; for a repeated one, where the first is.
    pub position: Position,
    /// The log held a commit of this id already and nothing was added. Its content may be another: whoever
    /// gets this looks at what is stored.
    pub repeated: bool,
}

/// The log: commits in one total order, each continuing its stream.
///
/// # Guarantees
/// - An acknowledged append survives what the adapter's durability class names, and is never repeated.
/// - The same commit id for the same stream always gives the same position, for ever, whatever was appended since.
///   An id belongs to one stream: whoever makes ids makes them so. Used for another, an adapter that can tell
///   answers with the first, and one that cannot (ADR 9) stores it.
/// - Positions and versions have no gaps; what is read has its seal checked.
///
/// The futures and streams may be polled by any executor. An adapter that needs a runtime of its own keeps to the
/// one it was opened in, which must outlive it.
pub trait Journal: Send + Sync + 'static {
    /// Reads the commits of a stream that begin after `after_version` (0: all), and where it ends.
    ///
    /// The chain is checked from the first commit read; with `after_version` > 0 the caller, who knows the
    /// hash of the commit before, compares it with the first one's `prev_hash`.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] names the first commit that is not what was written.
    fn load<'a>(
        &'a self,
        stream: &'a StreamId,
        after_version: u64,
    ) -> BoxFuture<'a, Result<Loaded, JournalError>>;

    /// Reads as [`Journal::load`] does, for a caller who knows the position of the commit that ends at
    /// `after_version`: an adapter that has no index of versions begins to read there.
    ///
    /// # Errors
    /// As [`Journal::load`].
    fn load_after<'a>(
        &'a self,
        stream: &'a StreamId,
        after_version: u64,
        _position: Position,
    ) -> BoxFuture<'a, Result<Loaded, JournalError>> {
        self.load(stream, after_version)
    }

    /// Adds a commit if its stream still ends at `expected`, or if the log holds its id already.
    ///
    /// # Errors
    /// Every variant of [`AppendError`] but `Unknown` promises that nothing was stored.
    fn append(
        &self,
        expected: Token,
        sealed: Arc<Sealed>,
    ) -> BoxFuture<'_, Result<Appended, AppendError>>;

    /// Gives every commit after `after`, then every new one as it comes; never ends without an error.
    ///
    /// # Errors
    /// A gap or a broken seal is the last thing given.
    fn follow(&self, after: Position) -> BoxStream<'static, Result<Recorded, JournalError>>;

    /// Finds a commit by its id, in the stream it belongs to; in another, if the adapter knows of it there.
    ///
    /// # Errors
    /// When the log cannot be read or is damaged there.
    fn find<'a>(
        &'a self,
        stream: &'a StreamId,
        commit_id: Uuid,
    ) -> BoxFuture<'a, Result<Option<Recorded>, JournalError>>;

    /// Whether appends take their places in the order in which their futures are first polled, so that one may be
    /// begun with the token that the one before it will leave. Otherwise each waits for the answer to the last.
    fn keeps_the_order_of_appends(&self) -> bool {
        false
    }

    /// The position of the last commit.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn head(&self) -> BoxFuture<'_, Result<Position, JournalError>>;

    /// Where a stream ends now, by the word of whoever accepts appends. Asked before an answer that appends
    /// nothing: a stale read must not become a refusal.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn check_token<'a>(
        &'a self,
        stream: &'a StreamId,
    ) -> BoxFuture<'a, Result<Token, JournalError>>;
}
