//! Showing a stream again that was in quarantine, once it can be understood.

use std::sync::Arc;

use domain::StreamId;
use journal::{Journal, JournalError, Position};
use tracing::info;

use crate::batch::{Batch, EdgeChange};
use crate::fold::{Folder, signed};
use crate::queries::QueryError;
use crate::run::ProjectionError;
use crate::store::StoreError;
use crate::views::{Views, position};

/// How often the views may move on, under a runner in another process, before it is given up.
const TRIES_MAX: u32 = 20;

/// A stream is shown again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redriven {
    /// The commits that were added to the views.
    pub commits: u64,
    /// The last of them.
    pub position: Position,
}

/// The stream stays in quarantine.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// There is nothing to do.
    #[error("{0} is not in quarantine")]
    NotQuarantined(StreamId),
    /// Start a Cairn that can, then try again.
    #[error("{stream} still cannot be shown, at position {position}: {reason}")]
    StillPoisoned {
        /// Which.
        stream: StreamId,
        /// The first commit that cannot be folded.
        position: Position,
        /// Why.
        reason: String,
    },
    /// Rebuild the views: they do not show what the log holds.
    #[error("the stream cannot be projected")]
    Projection(#[source] ProjectionError),
    /// Try again.
    #[error("the views moved on under each of {TRIES_MAX} tries")]
    Contended,
    /// See there.
    #[error("the log cannot be read")]
    Journal(#[from] JournalError),
    /// See there.
    #[error("the views cannot be read")]
    Query(#[from] QueryError),
    /// See there.
    #[error("the views cannot be written")]
    Store(#[from] StoreError),
}

/// Folds a stream anew and, if that succeeds now, shows it and takes it out of the quarantine. Works beside a
/// runner, in this process or another.
///
/// # Guarantees
/// Afterwards the views are as if the stream had been understood at once; if it fails they are as before.
///
/// # Errors
/// See [`RedriveError`].
pub async fn redrive(
    journal: &Arc<dyn Journal>,
    views: &Views,
    stream: &StreamId,
) -> Result<Redriven, RedriveError> {
    for _ in 0..TRIES_MAX {
        // A runner of this process waits meanwhile; one in another may win the race for the checkpoint.
        let _turn = views.turn().await;
        let missing = || RedriveError::NotQuarantined(stream.clone());
        let held = views.quarantined(stream).await?.ok_or_else(missing)?;
        let store = views.store();
        let checkpoint = store.checkpoint().await?;
        let (batch, redriven) =
            refolded(journal, stream, signed(held.position.get()), checkpoint.position).await?;
        match store.apply(checkpoint.epoch, batch).await {
            Ok(()) => {
                info!(%stream, commits = redriven.commits, "the stream is out of quarantine");
                views.tell(position(checkpoint.position), vec![stream.clone()]);
                return Ok(redriven);
            }
            Err(StoreError::Fenced) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(RedriveError::Contended)
}

/// The rows from position `from` up to the checkpoint `at`, and the end of the row before.
async fn refolded(
    journal: &Arc<dyn Journal>,
    stream: &StreamId,
    from: i64,
    at: i64,
) -> Result<(Batch, Redriven), RedriveError> {
    let mut commits = journal.load(stream, 0).await?.commits;
    commits.retain(|recorded| signed(recorded.position.get()) <= at);
    let (mut batch, outcome) = Folder::default().fold(0, &commits);
    outcome.map_err(RedriveError::Projection)?;
    if let Some(held) = batch.held.pop() {
        let (stream, position) = (held.stream, position(held.position));
        return Err(RedriveError::StillPoisoned { stream, position, reason: held.reason });
    }
    // What came before the quarantine is there already, and so is the activity.
    batch.activity.clear();
    let mut shown = batch.versions.iter().filter(|row| row.from_position < from);
    let last_shown = shown.next_back().map(|row| (row.from_position, row.to_position));
    batch.closed.extend(last_shown);
    batch.versions.retain(|row| row.from_position >= from);
    batch.edges.retain(|change| match change {
        EdgeChange::Opened { at, .. } | EdgeChange::Closed { at, .. } => *at >= from,
    });
    batch.handles.retain(|handle| handle.since >= from);
    batch.revisions.retain(|revision| revision.position >= from);
    (batch.from, batch.to, batch.released) = (at, at, Some(stream.clone()));
    let last = batch.versions.last().map_or(at, |row| row.from_position);
    let redriven = Redriven { commits: batch.versions.len() as u64, position: position(last) };
    Ok((batch, redriven))
}
