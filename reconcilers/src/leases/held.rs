//! What a holder has in hand: a right, its token, and the moment it ends.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::Lease;

/// The time since some moment, by a clock that nobody sets.
#[derive(Clone)]
pub struct Monotonic(Arc<dyn Fn() -> Duration + Send + Sync>);

impl Monotonic {
    /// By the given function.
    pub fn by(now: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time since some moment.
    #[must_use]
    pub fn now(&self) -> Duration {
        (self.0)()
    }
}

impl Default for Monotonic {
    fn default() -> Self {
        let start = Instant::now();
        Self::by(move || start.elapsed())
    }
}

/// For ever.
const ENDLESS: u64 = u64::MAX;
/// Once it is over it stays so, whatever arrives late.
const OVER: u64 = 0;

/// Until when a member lives, by its own clock: shared by all that it holds.
pub(super) struct Life {
    until: AtomicU64,
    clock: Monotonic,
    changed: watch::Sender<()>,
}

impl Life {
    /// Not alive before the first [`Self::extend`].
    pub(super) fn new(until: Duration, clock: Monotonic) -> Self {
        Self { until: AtomicU64::new(micros(until)), clock, changed: watch::Sender::new(()) }
    }

    /// Lives on, unless it is over.
    pub(super) fn extend(&self, until: Duration) -> bool {
        let until = micros(until);
        let alive = self.is_alive()
            && self
                .until
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |old| {
                    (old != OVER).then_some(old.max(until))
                })
                .is_ok();
        self.changed.send_replace(());
        alive
    }

    pub(super) fn end(&self) {
        self.until.store(OVER, Ordering::SeqCst);
        self.changed.send_replace(());
    }

    /// Looks at the clock. Who is told once that it is over is never told otherwise.
    pub(super) fn is_alive(&self) -> bool {
        let now = micros(self.clock.now());
        let ended = self.until.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |until| {
            (until <= now).then_some(OVER)
        });
        ended.is_err()
    }

    fn left(&self) -> Duration {
        let until = Duration::from_micros(self.until.load(Ordering::SeqCst));
        until.saturating_sub(self.clock.now())
    }

    async fn over(&self) {
        let mut changed = self.changed.subscribe();
        while self.is_alive() {
            tokio::select! {
                _ = changed.changed() => {}
                () = tokio::time::sleep(self.left()) => {}
            }
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(ENDLESS)
}

/// A right that was granted.
pub(super) struct Grant {
    pub(super) lease: Lease,
    pub(super) token: u64,
    life: Arc<Life>,
    revoked: watch::Sender<bool>,
    /// Told when nobody has it in hand any more. Bounded by the number of leases: each grant tells once.
    freed: Option<mpsc::UnboundedSender<(Lease, u64)>>,
}

impl Grant {
    pub(super) fn new(
        lease: Lease,
        token: u64,
        life: Arc<Life>,
        freed: mpsc::UnboundedSender<(Lease, u64)>,
    ) -> Self {
        Self { lease, token, life, revoked: watch::Sender::new(false), freed: Some(freed) }
    }

    pub(super) fn revoke(&self) {
        self.revoked.send_replace(true);
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if let Some(freed) = &self.freed {
            // Whoever keeps the leases may have left.
            let _ = freed.send((self.lease, self.token));
        }
    }
}

/// A right in hand. It is given up when the last clone is dropped.
#[derive(Clone)]
pub struct Held(pub(super) Arc<Grant>);

impl Held {
    pub(super) fn for_ever(lease: Lease) -> Self {
        let life = Arc::new(Life::new(Duration::MAX, Monotonic::by(|| Duration::ZERO)));
        let revoked = watch::Sender::new(false);
        Self(Arc::new(Grant { lease, token: 1, life, revoked, freed: None }))
    }

    /// What is held.
    #[must_use]
    pub fn lease(&self) -> Lease {
        self.0.lease
    }

    /// Grows with every change of the holder: a store that keeps the highest it has seen refuses who was before.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.0.token
    }

    /// Whether it is still ours, by our own clock. Once it is not it never is again.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.0.life.is_alive() && !*self.0.revoked.borrow()
    }

    /// Waits until it is not ours any more.
    pub async fn lost(&self) {
        let mut revoked = self.0.revoked.subscribe();
        tokio::select! {
            () = self.0.life.over() => {}
            // The sender lives as long as this.
            _ = revoked.wait_for(|revoked| *revoked) => {}
        }
    }

    /// Does something for as long as it is ours; none if it was lost, and then the rest of it was not done.
    ///
    /// The clock is read before each poll: who wakes from a long sleep stops before doing anything more.
    pub async fn during<F: Future>(&self, work: F) -> Option<F::Output> {
        let mut work = pin!(work);
        let mut lost = pin!(self.lost());
        poll_fn(|context| {
            if !self.is_held() || lost.as_mut().poll(context).is_ready() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(context).map(Some)
        })
        .await
    }
}
