//! The loop that keeps the views up with the log: follow, fold, write, say so.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use domain::StreamId;
use domain::commit::UnreadableEvent;
use futures::future::{Either, select};
use futures::stream::{BoxStream, StreamExt as _};
use futures::{FutureExt as _, pin_mut};
use journal::{Journal, JournalError, Position, Recorded};
use tracing::{info, warn};

use crate::fold::{Folder, Known, signed};
use crate::queries;
use crate::state::State;
use crate::store::{StoreError, ViewStore};
use crate::views::{Views, position};

/// The most commits in a batch while the log is being caught up with: fewer, larger transactions.
const REPLAY_BATCH_MAX: usize = 2_000;
/// The most commits in a batch that somebody waits for: some 10 ms of writing.
const LIVE_BATCH_MAX: usize = 500;
/// The pause before the log is tried again when it cannot be read, doubled each time.
const RETRY_MS_MIN: u64 = 50;
/// The longest such pause.
const RETRY_MS_MAX: u64 = 5_000;

/// The views cannot follow the log any further.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// Start a newer Cairn: the log holds an event that this one does not know. Nothing was skipped.
    #[error("the views stop before position {position} ({stream})")]
    Unreadable {
        /// Where.
        position: Position,
        /// In which stream.
        stream: StreamId,
        /// What.
        #[source]
        source: UnreadableEvent,
    },
    /// Start a newer Cairn: the log holds an aggregate that this one does not know.
    #[error("the views stop before position {position}: `{}` of {stream} is no known kind", .stream.kind())]
    UnknownKind {
        /// Where.
        position: Position,
        /// In which stream.
        stream: StreamId,
    },
    /// A mistake in the program: a state that is no JSON.
    #[error("the state of {stream} at position {position} cannot be written")]
    Unwritable {
        /// Where.
        position: Position,
        /// In which stream.
        stream: StreamId,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Rebuild the views: they are of another log, or rows were changed by hand.
    #[error(
        "the views expect version {expected} of {stream}, position {position} holds {found}: rebuild them"
    )]
    Discontinuous {
        /// Where.
        position: Position,
        /// In which stream.
        stream: StreamId,
        /// What the views need next.
        expected: u64,
        /// What the log holds.
        found: u64,
    },
    /// Rebuild the views: a row is not what this program writes.
    #[error("the row of {stream} cannot be read: rebuild the views")]
    Row {
        /// Which stream.
        stream: StreamId,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The log cannot be read any further.
    #[error("the views cannot follow the log")]
    Journal(#[from] JournalError),
    /// The views cannot be written, or another runner writes them now.
    #[error("the views cannot be written")]
    Store(#[from] StoreError),
}

/// Keeps the views up with the log until `shutdown` is ready.
///
/// # Guarantees
/// - Rows and checkpoint move together: a crash at any moment loses and doubles nothing.
/// - An event that is not understood is not skipped: everything before it is shown, then this stops and
///   [`Views::status`] says why.
///
/// # Errors
/// Why the views stopped. A log that cannot be read for a while is tried again.
pub async fn run(
    journal: Arc<dyn Journal>,
    views: Views,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ProjectionError> {
    pin_mut!(shutdown);
    let mut pause_ms = RETRY_MS_MIN;
    loop {
        let before = views.position();
        let following = follow(&journal, &views).boxed();
        let error = match select(following, shutdown.as_mut()).await {
            Either::Left((Ok(Exchanged), _)) => continue,
            Either::Left((Err(error), _)) => error,
            Either::Right(((), _)) => {
                views.idle();
                return Ok(());
            }
        };
        if !matches!(error, ProjectionError::Journal(JournalError::Unavailable { .. })) {
            views.stop(chain(&error));
            return Err(error);
        }
        if views.position() > before {
            pause_ms = RETRY_MS_MIN;
        }
        warn!(%error, pause_ms, "the log cannot be read now; trying again");
        let pause = Box::pin(tokio::time::sleep(Duration::from_millis(pause_ms)));
        if let Either::Right(((), _)) = select(pause, shutdown.as_mut()).await {
            views.idle();
            return Ok(());
        }
        pause_ms = (pause_ms * 2).min(RETRY_MS_MAX);
    }
}

/// Follows the log into a store until it holds everything that the log holds now.
pub(crate) async fn catch_up(
    journal: &Arc<dyn Journal>,
    store: &Arc<dyn ViewStore>,
) -> Result<i64, ProjectionError> {
    let head = signed(journal.head().await?.get());
    let mut runner = Runner::claim(journal, Arc::clone(store)).await?;
    while runner.at < head {
        runner.batch(head).await?;
    }
    Ok(runner.at)
}

/// A rebuild has put another store in place.
struct Exchanged;

async fn follow(journal: &Arc<dyn Journal>, views: &Views) -> Result<Exchanged, ProjectionError> {
    let (store, mut runner) = {
        let _turn = views.turn().await;
        let store = views.store();
        (Arc::clone(&store), Runner::claim(journal, store).await?)
    };
    views.publish(runner.at, Vec::new());
    info!(position = runner.at, "the views follow the log");
    let replay_to = signed(journal.head().await?.get());
    loop {
        let commits = runner.gather(replay_to).await?;
        let _turn = views.turn().await;
        if !Arc::ptr_eq(&store, &views.store()) {
            return Ok(Exchanged);
        }
        let (streams, outcome) = runner.write(&commits).await?;
        views.publish(runner.at, streams);
        outcome?;
    }
}

/// One runner: a place in the log, a place in the store, and the states between.
struct Runner {
    store: Arc<dyn ViewStore>,
    log: BoxStream<'static, Result<Recorded, JournalError>>,
    folder: Folder,
    at: i64,
    epoch: i64,
}

impl Runner {
    async fn claim(
        journal: &Arc<dyn Journal>,
        store: Arc<dyn ViewStore>,
    ) -> Result<Self, ProjectionError> {
        let checkpoint = store.claim().await?;
        let (at, epoch) = (checkpoint.position, checkpoint.epoch);
        let log = journal.follow(position(at));
        Ok(Self { store, log, folder: Folder::default(), at, epoch })
    }

    async fn batch(&mut self, replay_to: i64) -> Result<(), ProjectionError> {
        let commits = self.gather(replay_to).await?;
        let (_, outcome) = self.write(&commits).await?;
        outcome
    }

    /// Waits for a commit, then takes whatever else has arrived. Up to `replay_to` there is more to come for
    /// sure, so the batch is filled.
    async fn gather(&mut self, replay_to: i64) -> Result<Vec<Recorded>, ProjectionError> {
        let mut commits: Vec<Recorded> = Vec::new();
        loop {
            let last = commits.last().map_or(self.at, |recorded| signed(recorded.position.get()));
            let replaying = last < replay_to;
            let max = if replaying { REPLAY_BATCH_MAX } else { LIVE_BATCH_MAX };
            if commits.len() >= max {
                return Ok(commits);
            }
            let next = if commits.is_empty() || replaying {
                self.log.next().await
            } else {
                match self.log.next().now_or_never() {
                    Some(next) => next,
                    None => return Ok(commits),
                }
            };
            match next.unwrap_or(Err(JournalError::Closed)) {
                Ok(recorded) => commits.push(recorded),
                Err(error) if commits.is_empty() => return Err(error.into()),
                // What came before the error is shown first; the log ends there, so the next call meets it.
                Err(error) => {
                    self.log = futures::stream::once(async { Err(error) }).boxed();
                    return Ok(commits);
                }
            }
        }
    }

    /// Folds and writes. The second result is why the commits after the written ones cannot be shown.
    async fn write(
        &mut self,
        commits: &[Recorded],
    ) -> Result<(Vec<StreamId>, Result<(), ProjectionError>), ProjectionError> {
        self.recall(commits).await?;
        let (batch, outcome) = self.folder.fold(self.at, commits);
        let (streams, to) = (batch.streams(), batch.to);
        if !batch.is_empty() {
            self.store.apply(self.epoch, batch).await?;
        }
        self.at = to;
        Ok((streams, outcome))
    }

    /// Reads back the states of streams that did not move lately.
    async fn recall(&mut self, commits: &[Recorded]) -> Result<(), ProjectionError> {
        let missing: Vec<StreamId> = self.folder.missing(commits).into_iter().cloned().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let statements: Vec<_> = missing.iter().map(queries::current_doc).collect();
        let answers = self.store.select(&statements).await?;
        for (stream, rows) in missing.into_iter().zip(answers) {
            let Some(mut row) = rows.into_iter().next() else { continue };
            let (from_position, version, doc) = (row.int()?, row.int()?, row.text()?);
            let state = State::from_doc(stream.kind(), &doc)
                .map_err(|source| ProjectionError::Row { stream: stream.clone(), source })?;
            let version = u64::try_from(version).unwrap_or_default();
            let known = Known::new(&stream, state, version, from_position);
            self.folder.put(stream, known);
        }
        Ok(())
    }
}

/// An error and its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
