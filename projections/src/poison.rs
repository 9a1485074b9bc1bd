//! What cannot be folded is set aside, stream by stream; everything else goes on.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use domain::commit::{BrokenCommit, UnreadableEvent};
use domain::{StreamId, Time};
use journal::{Breakage, JournalError, Position};

use crate::fold::signed;

/// The longest reason that is kept, in bytes.
const REASON_BYTES_MAX: usize = 1_000;

/// Why a commit cannot be folded. Its stream is in quarantine from there on.
#[derive(Debug, thiserror::Error)]
pub enum Poison {
    /// Start a newer Cairn, then drive the stream again: the log holds an event that this one does not know.
    #[error(transparent)]
    Unreadable(#[from] UnreadableEvent),
    /// Start a newer Cairn, then drive the stream again: the log holds an aggregate that this one does not know.
    #[error("`{0}` is no known kind")]
    UnknownKind(String),
    /// A mistake in the program: a state that is no JSON.
    #[error("the state cannot be written")]
    Unwritable(#[source] serde_json::Error),
    /// A mistake in the program.
    #[error("the fold panicked: {0}")]
    Panicked(String),
}

/// A stream that is not shown any further than it was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Which.
    pub stream: StreamId,
    /// The first commit that is not shown.
    pub position: Position,
    /// The version of its first event.
    pub version: u64,
    /// When it was decided.
    pub time: Time,
    /// Why it cannot be shown.
    pub reason: String,
    /// How many commits of the stream are not shown.
    pub commits: u64,
}

impl Poison {
    /// The error and its causes in one line, short enough to keep.
    pub(crate) fn reason(&self) -> String {
        cut(&chain(self), REASON_BYTES_MAX).to_owned()
    }
}

/// Does what may panic, because of what the log says.
pub(crate) fn caught<T>(work: impl FnOnce() -> Result<T, Poison>) -> Result<T, Poison> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(panic) => Err(Poison::Panicked(message(&*panic))),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// The commit that is as it was sealed, yet is no commit to this program: where, of which stream, why.
pub(crate) fn unreadable_commit(error: &JournalError) -> Option<(i64, StreamId, String)> {
    let JournalError::Damaged { position, stream: Some(stream), breakage } = error else {
        return None;
    };
    let Breakage::Seal(broken @ BrokenCommit::Unreadable(_)) = &**breakage else { return None };
    let reason = cut(&chain(broken), REASON_BYTES_MAX).to_owned();
    Some((signed(position.get()), stream.clone(), reason))
}

/// An error and its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let mut text = error.to_string();
    for cause in causes.map(ToString::to_string) {
        // A transparent error says what its cause says.
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// As much of a text as fits.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
