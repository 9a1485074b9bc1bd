//! What can go wrong, and what to do about it.

use std::fmt;

use domain::StreamId;
use domain::commit::{BrokenCommit, Hash};
use journal::{AppendError, Breakage, JournalError, Position};

use crate::key::KeyError;
use crate::target::Unavailable;

/// The archive, or the log beside it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Try again later: the disk, the network or the store is in trouble.
    #[error("the archive cannot be used now")]
    Unavailable(#[from] Unavailable),
    /// See there.
    #[error("the log cannot be used")]
    Journal(#[from] JournalError),
    /// Stop, and find out who changed it: it is not what was written.
    #[error("{place} is not what was written")]
    Damaged {
        /// Where.
        place: Place,
        /// How it differs.
        #[source]
        finding: Box<Finding>,
    },
    /// Name the right archive, or an empty place: this one is of another log, or of an older copy of this one.
    #[error("the archive is of another log: they differ at position {position}")]
    Foreign {
        /// The last position that the archive holds.
        position: Position,
    },
    /// Append nothing else, and start again: it goes on where it was.
    #[error("the commit of position {position} cannot be added to the new log")]
    Append {
        /// Where it is in the old log.
        position: Position,
        /// Why.
        #[source]
        source: Box<AppendError>,
    },
    /// Use an empty log: this one holds something else.
    #[error("the new log holds something else at position {position}")]
    Occupied {
        /// Where they differ.
        position: Position,
    },
    /// Ask for a range that is covered, or wait for the next anchor.
    #[error("position {asked} is not covered: the anchors reach position {anchored}")]
    NotCovered {
        /// What was asked for.
        asked: Position,
        /// How far the anchors reach.
        anchored: Position,
    },
    /// Ask for another range: the stream has no commit in this one.
    #[error("{stream} has no commit between positions {from} and {to}")]
    Nothing {
        /// The stream.
        stream: StreamId,
        /// The first position.
        from: Position,
        /// The last position.
        to: Position,
    },
    /// Ask for less at once.
    #[error("a bundle holds at most {max} bytes of commits; these are more")]
    TooLarge {
        /// The most.
        max: usize,
    },
    /// See there.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A mistake of the program's, or no memory.
    #[error("the work ended before it was done: {reason}")]
    Ended {
        /// Why.
        reason: String,
    },
}

impl ArchiveError {
    pub(crate) fn damaged(place: Place, finding: Finding) -> Self {
        Self::Damaged { place, finding: Box::new(finding) }
    }

    /// Whether trying again may help.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Journal(JournalError::Unavailable { .. }))
    }
}

impl From<tokio::task::JoinError> for ArchiveError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Ended { reason: error.to_string() }
    }
}

/// Where something is that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The log.
    Log,
    /// A commit of the log.
    InLog(Position, Option<StreamId>),
    /// A commit of the archive.
    InArchive(Position, Option<StreamId>),
    /// Something in the archive, by its name.
    Object(String),
    /// The archive as a whole.
    Archive,
    /// A bundle as a whole.
    Bundle,
    /// A commit of a bundle.
    InBundle(Position),
    /// An anchor, by its number.
    Anchor(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stream = |stream: &Option<StreamId>| {
            stream.as_ref().map(|stream| format!(" ({stream})")).unwrap_or_default()
        };
        match self {
            Self::Log => f.write_str("the log"),
            Self::InLog(position, of) => write!(f, "the log at position {position}{}", stream(of)),
            Self::InArchive(position, of) => {
                write!(f, "the archive at position {position}{}", stream(of))
            }
            Self::Object(name) => write!(f, "{name} of the archive"),
            Self::Archive => f.write_str("the archive"),
            Self::Bundle => f.write_str("the bundle"),
            Self::InBundle(position) => write!(f, "the bundle at position {position}"),
            Self::Anchor(number) => write!(f, "anchor {number}"),
        }
    }
}

/// How something differs from what was written.
#[derive(Debug, thiserror::Error)]
pub enum Finding {
    /// A commit is not what was sealed, or does not continue its stream: as in a log.
    #[error(transparent)]
    Commit(#[from] Breakage),
    /// Commits are missing, doubled or in another order.
    #[error("position {found} is where {expected} should be")]
    Order {
        /// What should be there.
        expected: Position,
        /// What is there.
        found: Position,
    },
    /// Something was put in its place, seals and all.
    #[error("the log and the archive hold different commits there")]
    Differs,
    /// The log lost commits, or an old copy of it was restored.
    #[error("the log ends at {head}, and the archive holds commits up to {archived}")]
    LogShort {
        /// Where the log ends.
        head: Position,
        /// Where the archive ends.
        archived: Position,
    },
    /// Something was taken away.
    #[error("it is missing")]
    Missing,
    /// It cannot be read: half of it, or of a newer Cairn.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// What is stated is not what is there.
    #[error("it states {what} {stated}, but it is {actual}")]
    Stated {
        /// Of what.
        what: &'static str,
        /// What it says.
        stated: String,
        /// What is there.
        actual: String,
    },
    /// What is before it was replaced, or something in between is missing.
    #[error("it continues {stated}, but what is before it is {actual}")]
    Previous {
        /// What it says.
        stated: Hash,
        /// What is there.
        actual: Hash,
    },
    /// It was changed, or signed by another key.
    #[error("the signature is not by the key {key}")]
    Signature {
        /// The key's id.
        key: String,
    },
    /// The commits were changed after the anchor was signed, or the anchor was.
    #[error("the anchor has the root {stated} for {size} commits, but theirs is {actual}")]
    Root {
        /// The size of the tree.
        size: u64,
        /// What the anchor says.
        stated: Hash,
        /// What the commits lead to.
        actual: Hash,
    },
    /// A proof does not lead from the commits to an anchor.
    #[error("the proof does not lead to anchor {number}")]
    Proof {
        /// The anchor's number.
        number: u64,
    },
    /// The end of the archive was cut off, or an old copy of it was put in its place.
    #[error("anchor {number} covers commits up to {size}, but the archive ends at {archived}")]
    CutOff {
        /// The anchor's number.
        number: u64,
        /// What it covers.
        size: Position,
        /// Where the archive ends.
        archived: Position,
    },
    /// An anchor that somebody kept is not in the archive: an old copy was put in its place, or a second history.
    #[error("it does not hold the anchor that was kept: number {number}, {size} commits")]
    Forgotten {
        /// The anchor's number.
        number: u64,
        /// What it covers.
        size: u64,
    },
    /// A commit of another stream.
    #[error("it is of another stream than {0}")]
    Stream(StreamId),
}

impl From<BrokenCommit> for Finding {
    fn from(broken: BrokenCommit) -> Self {
        Self::Commit(broken.into())
    }
}
