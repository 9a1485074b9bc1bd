//! The loop that keeps the views up with the log: follow, fold, write, say so.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use domain::StreamId;
use futures::future::{Either, select};
use futures::stream::{BoxStream, StreamExt as _};
use futures::{FutureExt as _, pin_mut};
use journal::{Journal, JournalError, Position, Recorded};
use tracing::{error, info, warn};

use crate::batch::{Batch, Held};
use crate::fold::{Folder, Known, clean, signed};
use crate::poison::{chain, unreadable_commit};
use crate::state::State;
use crate::store::{Recalled, StoreError, ViewStore};
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

impl ProjectionError {
    /// Trying again later may help.
    fn is_outage(&self) -> bool {
        match self {
            Self::Journal(error) => matches!(error, JournalError::Unavailable { .. }),
            Self::Store(error) => matches!(error, StoreError::Unavailable { .. }),
            Self::Discontinuous { .. } | Self::Row { .. } => false,
        }
    }

    /// Another process wrote to the store, or put another in its place.
    fn is_replacement(&self) -> bool {
        matches!(self, Self::Store(StoreError::Fenced | StoreError::Replaced))
    }
}

/// Keeps the views up with the log until `shutdown` is ready.
///
/// # Guarantees
/// - Rows and checkpoint move together: a crash at any moment loses and doubles nothing.
/// - A stream whose events are not understood is put into quarantine and shown as it was before; all others go
///   on. Nothing is skipped in silence: see [`Views::quarantine`] and [`crate::redrive`].
///
/// # Errors
/// Why the views stopped. A log or a store that cannot be used for a while is tried again.
pub async fn run(
    journal: Arc<dyn Journal>,
    views: Views,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ProjectionError> {
    pin_mut!(shutdown);
    let mut pause_ms = RETRY_MS_MIN;
    loop {
        let before = views.position();
        let mut claim = None;
        let following = follow(&journal, &views, &mut claim).boxed();
        let error = match select(following, shutdown.as_mut()).await {
            Either::Left((Ok(Exchanged), _)) => continue,
            Either::Left((Err(error), _)) => error,
            Either::Right(((), _)) => {
                views.idle();
                return Ok(());
            }
        };
        if error.is_replacement()
            && let Some((store, _)) = &claim
            && views.succeed(store).await.unwrap_or(false)
        {
            info!("the views were rebuilt by another process; going on with those");
            continue;
        }
        if !error.is_outage() {
            stop(&views, claim, chain(&error)).await;
            return Err(error);
        }
        if views.position() > before {
            pause_ms = RETRY_MS_MIN;
        }
        warn!(%error, pause_ms, "the log or the views cannot be used now; trying again");
        views.retrying(chain(&error));
        let pause = Box::pin(tokio::time::sleep(Duration::from_millis(pause_ms)));
        if let Either::Right(((), _)) = select(pause, shutdown.as_mut()).await {
            views.idle();
            return Ok(());
        }
        pause_ms = (pause_ms * 2).min(RETRY_MS_MAX);
    }
}

/// Says that nothing moves any more, also to the processes that only read.
async fn stop(views: &Views, claim: Option<Claim>, reason: String) {
    if let Some((store, epoch)) = claim
        && let Err(error) = store.stop(epoch, &reason).await
    {
        warn!(%error, "other processes do not learn that the views stopped");
    }
    views.stop(reason);
}

/// A store, and the epoch in which it may be written.
type Claim = (Arc<dyn ViewStore>, i64);

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

async fn follow(
    journal: &Arc<dyn Journal>,
    views: &Views,
    claim: &mut Option<Claim>,
) -> Result<Exchanged, ProjectionError> {
    let (store, mut runner) = {
        let _turn = views.turn().await;
        let store = views.store();
        (Arc::clone(&store), Runner::claim(journal, store).await?)
    };
    *claim = Some((Arc::clone(&store), runner.epoch));
    views.publish(runner.at, Vec::new());
    info!(position = runner.at, "the views follow the log");
    let replay_to = signed(journal.head().await?.get());
    loop {
        let gathered = runner.gather(replay_to).await?;
        let _turn = views.turn().await;
        if !Arc::ptr_eq(&store, &views.store()) {
            return Ok(Exchanged);
        }
        let (streams, outcome) = runner.write(gathered).await?;
        views.publish(runner.at, streams);
        outcome?;
    }
}

/// What came from the log.
enum Gathered {
    Commits(Vec<Recorded>),
    /// The next commit is as it was sealed, yet this program cannot read it.
    Unreadable {
        position: i64,
        stream: StreamId,
        reason: String,
    },
}

/// One runner: a place in the log, a place in the store, and the states between.
struct Runner {
    journal: Arc<dyn Journal>,
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
        let journal = Arc::clone(journal);
        Ok(Self { journal, store, log, folder: Folder::default(), at, epoch })
    }

    async fn batch(&mut self, replay_to: i64) -> Result<(), ProjectionError> {
        let gathered = self.gather(replay_to).await?;
        let (_, outcome) = self.write(gathered).await?;
        outcome
    }

    /// Waits for a commit, then takes whatever else has arrived. Up to `replay_to` there is more to come for
    /// sure, so the batch is filled.
    async fn gather(&mut self, replay_to: i64) -> Result<Gathered, ProjectionError> {
        let mut commits: Vec<Recorded> = Vec::new();
        loop {
            let last = commits.last().map_or(self.at, |recorded| signed(recorded.position.get()));
            let replaying = last < replay_to;
            let max = if replaying { REPLAY_BATCH_MAX } else { LIVE_BATCH_MAX };
            if commits.len() >= max {
                return Ok(Gathered::Commits(commits));
            }
            let next = if commits.is_empty() || replaying {
                self.log.next().await
            } else {
                match self.log.next().now_or_never() {
                    Some(next) => next,
                    None => return Ok(Gathered::Commits(commits)),
                }
            };
            match next.unwrap_or(Err(JournalError::Closed)) {
                Ok(recorded) => commits.push(recorded),
                Err(error) if commits.is_empty() => {
                    let unreadable = unreadable_commit(&error);
                    let (position, stream, reason) = unreadable.ok_or(error)?;
                    return Ok(Gathered::Unreadable { position, stream, reason });
                }
                // What came before the error is shown first; the log ends there, so the next call meets it.
                Err(error) => {
                    self.log = futures::stream::once(async { Err(error) }).boxed();
                    return Ok(Gathered::Commits(commits));
                }
            }
        }
    }

    /// Folds and writes. The second result is why the commits after the written ones cannot be shown.
    async fn write(
        &mut self,
        gathered: Gathered,
    ) -> Result<(Vec<StreamId>, Result<(), ProjectionError>), ProjectionError> {
        let (batch, outcome) = match gathered {
            Gathered::Commits(commits) => {
                self.recall(&commits).await?;
                self.folder.fold(self.at, &commits)
            }
            Gathered::Unreadable { position: at, stream, reason } => {
                // The follower has ended there: it goes on behind.
                self.log = self.journal.follow(position(at));
                self.folder.forget(&stream);
                let (version, time) = (0, 0);
                let reason = clean(&reason).into_owned();
                let held = vec![Held { stream, position: at, version, time, reason, commits: 1 }];
                (Batch { from: self.at, to: at, held, ..Batch::default() }, Ok(()))
            }
        };
        for held in &batch.held {
            error!(stream = %held.stream, position = held.position, reason = held.reason,
                "a stream is in quarantine");
        }
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
        let Recalled { rows, held } = self.store.recall(&missing).await?;
        for row in rows {
            let state = State::from_doc(row.stream.kind(), &row.doc)
                .map_err(|source| ProjectionError::Row { stream: row.stream.clone(), source })?;
            match Known::new(&row.stream, state, row.version, row.from_position) {
                Ok(known) => self.folder.put(row.stream, known),
                Err(_) => self.folder.hold(row.stream),
            }
        }
        held.into_iter().for_each(|stream| self.folder.hold(stream));
        Ok(())
    }
}
