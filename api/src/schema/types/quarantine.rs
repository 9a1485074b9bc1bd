//! What the views do not show to its end.

use async_graphql::SimpleObject;

use super::{Position, Timestamp, subject};

/// A thing that is shown as it was before an event that this version does not understand. Everything else goes on.
#[derive(SimpleObject)]
pub(crate) struct Quarantined {
    /// Its stream in the log.
    stream: String,
    /// What it is, as `kind/name`.
    subject: String,
    /// The first commit that is not shown.
    position: Position,
    /// When that was decided.
    time: Timestamp,
    /// Why it cannot be shown.
    reason: String,
    /// How many commits of it are not shown.
    commits: u64,
}

impl Quarantined {
    pub(crate) fn of(row: projections::Quarantined) -> Self {
        Self {
            subject: subject(&row.stream),
            stream: row.stream.to_string(),
            position: Position(row.position),
            time: Timestamp(row.time),
            reason: row.reason,
            commits: row.commits,
        }
    }
}
