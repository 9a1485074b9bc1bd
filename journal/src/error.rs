//! What can go wrong, and what to do about it.

use domain::StreamId;
use domain::commit::{BrokenCommit, Hash, SealError, UnreadableEvent};
use uuid::Uuid;

use crate::{Position, Token};

/// How the stored log differs from a log that Cairn wrote.
#[derive(Debug, thiserror::Error)]
pub enum Breakage {
    /// The bytes are not what was sealed.
    #[error("the seal is broken")]
    Seal(#[from] BrokenCommit),
    /// A commit before it in the stream was replaced or is missing.
    #[error("its previous commit's hash is {actual}, not {stated} as it states")]
    Chain {
        /// What the commit says.
        stated: Hash,
        /// What is there.
        actual: Hash,
    },
    /// Events of the stream are missing or doubled.
    #[error("it begins at version {found} of its stream, not at {expected}")]
    Version {
        /// What the stream needs next.
        expected: u64,
        /// What the commit says.
        found: u64,
    },
    /// Commits of the log are missing or doubled.
    #[error("position {expected} is missing")]
    Gap {
        /// The first missing position.
        expected: Position,
    },
    /// An index leads to a commit of another stream or id.
    #[error("the index says `{stated}` but the commit says `{actual}`")]
    Index {
        /// What the index says.
        stated: String,
        /// What the commit says.
        actual: String,
    },
}

/// The log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Try again later: the disk, the network or the server is in trouble.
    #[error("the log cannot be read now: {reason}")]
    Unavailable {
        /// In the store's words.
        reason: String,
    },
    /// Stop, and restore the log from its archive: it is damaged or was tampered with.
    #[error("the log is damaged at position {position}{}", .stream.as_ref().map(|s| format!(" ({s})")).unwrap_or_default())]
    Damaged {
        /// Where.
        position: Position,
        /// In which stream, as far as that can be told.
        stream: Option<StreamId>,
        /// How.
        #[source]
        breakage: Box<Breakage>,
    },
    /// Stop: whoever asks has seen commits that the log no longer holds. It lost them, or an old copy was restored.
    #[error("the log ends at {head}, before position {after} that was read from it earlier")]
    Behind {
        /// Where the log ends.
        head: Position,
        /// What was asked for.
        after: Position,
    },
    /// The journal was closed in this process. Open it again.
    #[error("the log is closed")]
    Closed,
}

/// The commit was not added. Only after [`AppendError::Unknown`] may it be in the log nevertheless.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Someone else appended first. Load again and judge again.
    #[error("the stream ends at {actual}, not at {expected}")]
    Conflict {
        /// What the append was based on.
        expected: Token,
        /// Where the stream ends now.
        actual: Token,
    },
    /// The answer was lost: it may be in the log. Find it by its id, or append the same commit again.
    #[error("whether the commit was stored is not known: {reason}")]
    Unknown {
        /// In the store's words.
        reason: String,
    },
    /// Nothing was stored. Try again later.
    #[error("the log cannot be written now: {reason}")]
    Unavailable {
        /// In the store's words.
        reason: String,
    },
    /// Nothing was stored. Make room, then try again.
    #[error("there is no room left for the log: {reason}")]
    Full {
        /// In the store's words.
        reason: String,
    },
    /// A mistake of the caller's: the commit does not continue its stream. Trying again does not help.
    #[error("the commit does not continue its stream")]
    Discontinuous(#[source] Breakage),
    /// The stream's end cannot be read. Nothing was stored.
    #[error("the log is damaged where the commit would go")]
    Damaged(#[source] Box<JournalError>),
}

impl AppendError {
    /// The stream could not be read before anything was sent.
    pub(crate) fn unread(error: JournalError) -> Self {
        match error {
            JournalError::Unavailable { reason } => Self::Unavailable { reason },
            JournalError::Closed => Self::Unavailable { reason: error.to_string() },
            JournalError::Damaged { .. } | JournalError::Behind { .. } => {
                Self::Damaged(Box::new(error))
            }
        }
    }
}

/// The state of an aggregate cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// See there.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Stop, and start a newer Cairn: the log holds an event that this one does not know.
    #[error("the log cannot be understood at position {position} ({stream})")]
    Unreadable {
        /// Where.
        position: Position,
        /// In which stream.
        stream: StreamId,
        /// What.
        #[source]
        source: UnreadableEvent,
    },
}

/// The command was not carried out. Only after [`ExecuteError::OutcomeUnknown`] may it have been nevertheless.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<R> {
    /// The domain says no, in the user's words.
    #[error("{0}")]
    Rejected(R),
    /// The idempotency key belongs to another command. Choose a new one.
    #[error("the id {commit_id} was used for another command, at position {position}")]
    KeyReused {
        /// The id.
        commit_id: Uuid,
        /// Where the other command's commit is.
        position: Position,
    },
    /// Others keep changing the same thing. Try again with the same id.
    #[error("the stream changed under each of {tries} tries")]
    Contended {
        /// How often it was tried.
        tries: u32,
    },
    /// The command may have been carried out. Repeat it with the same id to learn it.
    #[error("whether the command was carried out is not known; repeat it with the id {commit_id}")]
    OutcomeUnknown {
        /// The id.
        commit_id: Uuid,
    },
    /// Nothing was stored. Try again later with the same id.
    #[error("the log is not available: {reason}")]
    Unavailable {
        /// In the store's words.
        reason: String,
    },
    /// Nothing was stored. Make room, then try again with the same id.
    #[error("there is no room left for the log: {reason}")]
    Full {
        /// In the store's words.
        reason: String,
    },
    /// The command leads to more than a commit can hold. Split it.
    #[error("the command's events cannot be stored")]
    Seal(#[from] SealError),
    /// Stop: the log is damaged, or newer than this program.
    #[error("the log cannot be used")]
    Log(#[source] LoadError),
    /// A mistake in the program: the commit it made does not continue its stream.
    #[error("the commit does not continue its stream")]
    Discontinuous(#[source] Breakage),
}

impl<R> From<LoadError> for ExecuteError<R> {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Journal(JournalError::Unavailable { reason }) => {
                Self::Unavailable { reason }
            }
            LoadError::Journal(JournalError::Closed) => {
                Self::Unavailable { reason: JournalError::Closed.to_string() }
            }
            LoadError::Journal(JournalError::Damaged { .. } | JournalError::Behind { .. })
            | LoadError::Unreadable { .. } => Self::Log(error),
        }
    }
}

impl<R> From<JournalError> for ExecuteError<R> {
    fn from(error: JournalError) -> Self {
        LoadError::Journal(error).into()
    }
}
