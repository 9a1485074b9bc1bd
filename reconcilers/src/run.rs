//! The loop: whoever is woken takes a step, until nothing is left to be done.
//!
//! Several replicas share the work by leases on its partitions. Every look and every act is under the lease of its
//! stream, and is dropped where it stands when that is lost. What a step has under way in the log then is safe by
//! the log's own optimistic lock; what it has under way in the world, by tags and tokens.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::{StreamId, Time, deployment};
use futures::stream::{SelectAll, StreamExt as _};
use tokio::sync::{Semaphore, watch};
use tracing::{Instrument as _, debug, info, info_span, warn};

use crate::decision::{Next, StepError};
use crate::driver::Driver;
use crate::graph::{Wake, Why};
use crate::index::FollowError;
use crate::leases::{Held, Leases, Partition};
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
    /// Looks or steps that were stopped because their lease was lost.
    pub stopped: AtomicU64,
}

/// A running loop.
#[derive(Clone)]
pub struct Loop {
    driver: Arc<Driver>,
    leases: Leases,
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    turns: Arc<Semaphore>,
}

/// Runs, alone, until `shutdown` says so, or the log cannot be followed any more.
///
/// # Errors
/// [`FollowError`]: stop the process.
pub async fn run(driver: Arc<Driver>, shutdown: watch::Receiver<bool>) -> Result<(), FollowError> {
    Loop::new(driver).run(shutdown).await
}

impl Loop {
    /// Prepares a loop that has all the work.
    #[must_use]
    pub fn new(driver: Arc<Driver>) -> Self {
        let seed = driver.settings.session.as_u64_pair().1;
        Self {
            driver,
            leases: Leases::alone(),
            queue: Arc::new(Queue::new(seed)),
            counters: Arc::default(),
            turns: Arc::new(Semaphore::new(STEPS_MAX)),
        }
    }

    /// Shares the work with others.
    #[must_use]
    pub fn with_leases(self, leases: Leases) -> Self {
        Self { leases, ..self }
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

    /// See [`run`]. What it holds is given up by whoever has the leases, once this has ended.
    ///
    /// # Errors
    /// [`FollowError`]: stop the process.
    pub async fn run(self, shutdown: watch::Receiver<bool>) -> Result<(), FollowError> {
        // Large, for it holds every kind's state.
        Box::pin(self.work(shutdown)).await
    }

    async fn work(self, mut shutdown: watch::Receiver<bool>) -> Result<(), FollowError> {
        self.driver.index.catch_up().await?;
        let streams = self.driver.index.streams();
        info!(resources = streams.len(), "the reconcilers begin");
        for stream in streams.iter().filter(|stream| is_deployment(stream)) {
            self.wake(stream, Why::Intent);
        }
        self.leases.share();
        let outcome = tokio::select! {
            result = self.follow() => result,
            () = self.gain() => Ok(()),
            () = self.listen() => Ok(()),
            () = self.dispatch() => Ok(()),
            () = self.sweep() => Ok(()),
            _ = shutdown.wait_for(|stop| *stop) => Ok(()),
        };
        // Steps under way come to their end; whoever waits for this may then let go of the log.
        let _ended = self.turns.acquire_many(u32::try_from(STEPS_MAX).unwrap_or(u32::MAX)).await;
        outcome
    }

    /// Has something looked at, if it is ours. A deployment is followed by all: they keep what it relies on.
    fn wake(&self, stream: &StreamId, why: Why) {
        let followed = why == Why::Intent && is_deployment(stream);
        if followed || self.leases.is_ours(stream) {
            let group = self.driver.index.deployment(stream);
            self.queue.wake(stream, why, group, self.driver.clock.now());
        }
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

    /// Whenever a part of the work becomes ours, everything in it is looked at: what happened before was another's.
    async fn gain(&self) {
        let mut partitions = self.leases.partitions();
        let mut before = Arc::default();
        loop {
            let now = Arc::clone(&partitions.borrow_and_update());
            let gained = now.iter().filter(|(partition, token)| {
                let before: &crate::leases::Partitions = &before;
                before.get(*partition) != Some(*token)
            });
            let gained: BTreeSet<Partition> = gained.map(|(partition, _)| *partition).collect();
            let streams = if gained.is_empty() { Vec::new() } else { self.driver.index.streams() };
            for stream in streams.iter().filter(|stream| gained.contains(&Partition::of(stream))) {
                self.wake(stream, Why::Intent);
            }
            before = now;
            if partitions.changed().await.is_err() {
                // Whoever keeps the leases has left: there is nothing more to gain.
                return std::future::pending().await;
            }
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
            let loop_ = self.clone();
            let step = async move {
                match loop_.leases.of(&stream) {
                    Some(held) => loop_.take_turn(&stream, &held).await,
                    None => loop_.pass(&stream).await,
                }
                drop(loop_);
                drop(turn);
            };
            tokio::spawn(step.instrument(span));
        }
    }

    /// It is another's. Whatever wakes it from now on is dropped.
    async fn pass(&self, stream: &StreamId) {
        let kept = match is_deployment(stream) {
            true => self.driver.keep_what_it_relies_on(stream).await,
            false => Ok(()),
        };
        let now = self.driver.clock.now();
        match kept {
            Ok(()) => self.queue.forget(stream, now),
            Err(error) => self.fail(stream, &error, now),
        }
    }

    /// One step, then whatever comes next has its turn. A lost lease stops it at once.
    async fn take_turn(&self, stream: &StreamId, held: &Held) {
        self.counters.looks.fetch_add(1, Ordering::Relaxed);
        let outcome = held.during(self.step(stream)).await;
        let now = self.driver.clock.now();
        match outcome {
            None => {
                self.counters.stopped.fetch_add(1, Ordering::Relaxed);
                info!(token = held.token(), "its lease is lost; stopped");
                self.queue.forget(stream, now);
            }
            Some(Ok((Next::Rest, None))) if !self.driver.index.is_present(stream) => {
                self.queue.forget(stream, now);
            }
            Some(Ok((next, again_at))) => self.queue.done(stream, next, again_at, now),
            Some(Err(error)) => self.fail(stream, &error, now),
        }
    }

    fn fail(&self, stream: &StreamId, error: &StepError, now: Time) {
        self.counters.failures.fetch_add(1, Ordering::Relaxed);
        let source = std::error::Error::source(error).map(ToString::to_string);
        warn!(%error, source, "a step failed; it will be tried again");
        self.queue.done(stream, Next::Later(error.class()), None, now);
    }

    async fn step(&self, stream: &StreamId) -> Result<(Next, Option<Time>), StepError> {
        let decision = self.driver.look(stream).await?;
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

    /// Each replica sweeps what is in its own part: so nothing is removed by two, nor while it is another's.
    async fn sweep(&self) {
        let mut pause = SWEEP_SECONDS_FIRST;
        loop {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            pause = SWEEP_SECONDS;
            let decisions =
                match self.driver.sweep_where(|stream| self.leases.is_ours(stream)).await {
                    Ok(decisions) => decisions,
                    Err(error) => {
                        warn!(%error, "the sweep failed; it will be tried again");
                        continue;
                    }
                };
            for decision in decisions {
                let Some(held) = self.leases.of(&decision.stream) else { continue };
                match held.during(self.driver.act(decision)).await {
                    Some(Ok(_)) => {
                        self.counters.swept.fetch_add(1, Ordering::Relaxed);
                    }
                    Some(Err(error)) => warn!(%error, "the sweep failed; it will be tried again"),
                    None => {}
                }
            }
        }
    }
}

fn is_deployment(stream: &StreamId) -> bool {
    stream.kind() == deployment::KIND
}
