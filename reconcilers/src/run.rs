//! The loop: whoever is woken takes a step, until nothing is left to be done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::StreamId;
use futures::stream::{SelectAll, StreamExt as _};
use tokio::sync::{Semaphore, watch};
use tracing::{Instrument as _, debug, info, info_span, warn};

use crate::decision::{Decision, Next, StepError};
use crate::driver::Driver;
use crate::graph::{Wake, Why};
use crate::index::FollowError;
use crate::queue::Queue;

/// The most steps under way at once: providers answer slowly, but a hundred connections are enough for one process.
pub const STEPS_MAX: usize = 64;
/// How often the world is swept for what nobody wants any more.
pub const SWEEP_SECONDS: u64 = 300;
/// The first sweep comes soon: a crash just before the start may have left something.
const SWEEP_SECONDS_FIRST: u64 = 20;

/// What the loop has done so far, for metrics.
#[derive(Debug, Default)]
pub struct Counters {
    /// Looks at a resource or deployment.
    pub looks: AtomicU64,
    /// Steps taken.
    pub steps: AtomicU64,
    /// Looks or steps that failed and will be tried again.
    pub failures: AtomicU64,
    /// Things removed or deleted because nobody wants them any more.
    pub swept: AtomicU64,
}

/// A running loop.
pub struct Loop {
    driver: Arc<Driver>,
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    turns: Arc<Semaphore>,
}

/// Runs until `shutdown` says so, or the log cannot be followed any more.
///
/// # Errors
/// [`FollowError`]: stop the process.
pub async fn run(driver: Arc<Driver>, shutdown: watch::Receiver<bool>) -> Result<(), FollowError> {
    Loop::new(driver).run(shutdown).await
}

impl Loop {
    /// Prepares a loop.
    #[must_use]
    pub fn new(driver: Arc<Driver>) -> Self {
        let seed = driver.settings.session.as_u64_pair().1;
        Self {
            driver,
            queue: Arc::new(Queue::new(seed)),
            counters: Arc::default(),
            turns: Arc::new(Semaphore::new(STEPS_MAX)),
        }
    }

    /// What it does, as it goes.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// What it has yet to look at.
    #[must_use]
    pub fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.queue)
    }

    /// See [`run`].
    ///
    /// # Errors
    /// [`FollowError`]: stop the process.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) -> Result<(), FollowError> {
        self.driver.index.catch_up().await?;
        let streams = self.driver.index.streams();
        info!(resources = streams.len(), "the reconcilers begin");
        for stream in &streams {
            self.wake(stream, Why::Intent);
        }
        let outcome = tokio::select! {
            result = self.follow() => result,
            () = self.listen() => Ok(()),
            () = self.dispatch() => Ok(()),
            () = self.sweep() => Ok(()),
            _ = shutdown.wait_for(|stop| *stop) => Ok(()),
        };
        // Steps under way come to their end; whoever waits for this may then let go of the log.
        let _ended = self.turns.acquire_many(u32::try_from(STEPS_MAX).unwrap_or(u32::MAX)).await;
        outcome
    }

    fn wake(&self, stream: &StreamId, why: Why) {
        let group = self.driver.index.deployment(stream);
        self.queue.wake(stream, why, group, self.driver.clock.now());
    }

    fn wake_all(&self, wakes: &[Wake]) {
        for wake in wakes {
            self.wake(&wake.stream, wake.why);
        }
    }

    async fn follow(&self) -> Result<(), FollowError> {
        loop {
            let wakes = self.driver.index.advance().await?;
            self.wake_all(&wakes);
        }
    }

    /// Listens to the world. Whoever says nothing any more is looked at by resync.
    async fn listen(&self) {
        let mut changes: SelectAll<_> =
            self.driver.providers.each().map(|(_, provider)| provider.changes()).collect();
        while let Some(stream) = changes.next().await {
            if self.driver.index.is_present(&stream) {
                self.wake(&stream, Why::Signal);
            }
        }
        std::future::pending().await
    }

    async fn dispatch(&self) {
        loop {
            let Ok(turn) = Arc::clone(&self.turns).acquire_owned().await else { return };
            let stream = self.queue.next(&*self.driver.clock).await;
            let span = info_span!("reconcile", %stream);
            let loop_ = Self {
                driver: Arc::clone(&self.driver),
                queue: Arc::clone(&self.queue),
                counters: Arc::clone(&self.counters),
                turns: Arc::clone(&self.turns),
            };
            let step = async move {
                loop_.take_turn(&stream).await;
                drop(loop_);
                drop(turn);
            };
            tokio::spawn(step.instrument(span));
        }
    }

    /// One step, then whatever comes next has its turn.
    async fn take_turn(&self, stream: &StreamId) {
        self.counters.looks.fetch_add(1, Ordering::Relaxed);
        let outcome = match self.driver.look(stream).await {
            Ok((decision, wakes)) => {
                self.wake_all(&wakes);
                self.act(decision).await
            }
            Err(error) => Err(error),
        };
        let now = self.driver.clock.now();
        match outcome {
            Ok((Next::Rest, None)) if !self.driver.index.is_present(stream) => {
                self.queue.forget(stream, now);
            }
            Ok((next, again_at)) => self.queue.done(stream, next, again_at, now),
            Err(error) => {
                self.counters.failures.fetch_add(1, Ordering::Relaxed);
                let source = std::error::Error::source(&error).map(ToString::to_string);
                warn!(%error, source, "a step failed; it will be tried again");
                self.queue.done(stream, Next::Later(error.class()), None, now);
            }
        }
    }

    async fn act(&self, decision: Decision) -> Result<(Next, Option<domain::Time>), StepError> {
        let again_at = decision.again_at;
        let next = self.driver.act(decision).await?;
        match next {
            Next::Rest => {}
            Next::Again | Next::Called | Next::Later(_) => {
                self.counters.steps.fetch_add(1, Ordering::Relaxed);
                debug!(?next, "took a step");
            }
        }
        Ok((next, again_at))
    }

    async fn sweep(&self) {
        let mut pause = SWEEP_SECONDS_FIRST;
        loop {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            pause = SWEEP_SECONDS;
            let decisions = match self.driver.sweep().await {
                Ok(decisions) => decisions,
                Err(error) => {
                    warn!(%error, "the sweep failed; it will be tried again");
                    continue;
                }
            };
            for decision in decisions {
                match self.driver.act(decision).await {
                    Ok(_) => {
                        self.counters.swept.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) => warn!(%error, "the sweep failed; it will be tried again"),
                }
            }
        }
    }
}
