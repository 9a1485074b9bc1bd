//! Who may work on what: exclusive rights that end by themselves.
//!
//! A process is a *member*: it has one key in a store with compare-and-set, which it writes again each second. A
//! *lease* is a key that names its holder, and is held for as long as that member lives. So one write a second
//! keeps any number of leases, and the members are known without another mechanism. Read in this order: [`store`]
//! (what is asked of it), `member` (the protocol: pure, no clock, no IO), [`held`] (what a holder has in hand),
//! `keeper` (what connects the three), `balance` (who should hold which partition).
//!
//! # Guarantees
//! - A member that could not renew within its term gives up *before* anybody else may take over, by its own
//!   monotonic clock, which is read before every poll of guarded work: also after a SIGSTOP longer than a lease.
//! - The token of a lease grows with every change of its holder.
//! - A member that leaves frees all at once; what a crashed one held is taken within the term and the margin.
//!
//! # Assumptions
//! - Monotonic clocks run at the same rate within [`Timing::drift_max`] of each other. Nobody's time of day counts.
//! - The store does not lose an acknowledged write, and nobody else writes there.
//! - What has left the process when its lease ends cannot be called back: the optimistic lock of the journal, tags
//!   and creation tokens make that harmless (invariants 5, 6 and 8).

mod balance;
pub mod held;
mod keeper;
mod member;
pub mod memory;
pub mod nats;
pub mod store;
mod view;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use domain::StreamId;
use tokio::sync::watch;

pub use held::{Held, Monotonic};
use keeper::{Handle, Keeper};
pub use store::{Store, StoreError};

/// Into how many parts the work is divided: enough for tens of replicas to have about as much each, few enough that
/// a change of hands is a few dozen writes.
pub const PARTITIONS: u8 = 64;

/// A part of the reconcilers' work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(u8);

impl Partition {
    /// Every part.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..PARTITIONS).map(Self)
    }

    /// Which of them it is.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Whose part a stream is in: a function of its name alone.
    ///
    /// Not of its deployment, though that would keep a graph together: which deployment a resource belongs to is
    /// in the log, and two replicas that have come to different positions would disagree. Also a large deployment
    /// is work for all.
    #[must_use]
    pub fn of(stream: &StreamId) -> Self {
        Self(balance::part(&stream.to_string(), PARTITIONS))
    }
}

/// An exclusive right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lease {
    /// To reconcile a part of the work.
    Partition(Partition),
    /// To write the views.
    Projector,
    /// To write the archive.
    Archiver,
}

impl Lease {
    /// Every lease that there is.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Partition::all().map(Self::Partition).chain([Self::Projector, Self::Archiver])
    }
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partition(Partition(number)) => write!(f, "reconciler.{number}"),
            Self::Projector => f.write_str("projector"),
            Self::Archiver => f.write_str("archiver"),
        }
    }
}

/// A name that no lease has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no lease of that name")]
pub struct UnknownLease;

impl FromStr for Lease {
    type Err = UnknownLease;

    fn from_str(text: &str) -> Result<Self, UnknownLease> {
        match text.split_once('.') {
            None if text == "projector" => Ok(Self::Projector),
            None if text == "archiver" => Ok(Self::Archiver),
            Some(("reconciler", number)) => {
                let number = number.parse().ok().filter(|number| *number < PARTITIONS);
                number.map(|number| Self::Partition(Partition(number))).ok_or(UnknownLease)
            }
            Some(_) | None => Err(UnknownLease),
        }
    }
}

/// How long everything takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long a member lives after it sent a renewal that arrived.
    pub term: Duration,
    /// How often it renews: often enough for two to be lost.
    pub renew: Duration,
    /// How much longer than its term a member is given by the others: for clocks that run at different rates.
    pub margin: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self { term: 3 * second, renew: second, margin: second }
    }
}

impl Timing {
    /// How far apart the rates of two clocks may be, as a share: a seventh by default, where a bad quartz has 0.0002.
    #[must_use]
    pub fn drift_max(&self) -> f64 {
        self.margin.as_secs_f64() / (2.0 * self.term.as_secs_f64() + self.margin.as_secs_f64())
    }
}

/// What has happened to leases so far, for metrics.
#[derive(Debug, Default)]
pub struct Counters {
    /// Partitions held now.
    pub partitions: AtomicU64,
    /// Leases that ended though they were not given up.
    pub losses: AtomicU64,
    /// Leases taken from a member that is dead or said nothing for too long.
    pub takeovers: AtomicU64,
}

/// The partitions that are held, each with its token.
pub type Partitions = BTreeMap<Partition, u64>;

/// What a process may work on. Clones share it.
#[derive(Clone)]
pub struct Leases(Kind);

#[derive(Clone)]
enum Kind {
    Alone(Arc<watch::Sender<Arc<Partitions>>>, Arc<Counters>),
    Joined(Handle),
}

impl Leases {
    /// Everything, for ever: of a process that has the log for itself.
    #[must_use]
    pub fn alone() -> Self {
        let all: Partitions = Partition::all().map(|partition| (partition, 1)).collect();
        let counters = Counters { partitions: u64::from(PARTITIONS).into(), ..Counters::default() };
        Self(Kind::Alone(Arc::new(watch::Sender::new(Arc::new(all))), Arc::new(counters)))
    }

    /// Becomes a member, of those that share a store. It works on nothing yet.
    #[must_use]
    pub fn join(store: Arc<dyn Store>, timing: Timing) -> Self {
        Self::join_by(store, timing, Monotonic::default())
    }

    /// The same, by another clock.
    #[must_use]
    pub fn join_by(store: Arc<dyn Store>, timing: Timing, clock: Monotonic) -> Self {
        Self(Kind::Joined(Keeper::start(store, timing, clock)))
    }

    /// Takes its share of the partitions from now on. Those that it has are told by [`Self::partitions`].
    pub fn share(&self) {
        match &self.0 {
            Kind::Alone(..) => {}
            Kind::Joined(handle) => handle.share(),
        }
    }

    /// The partitions that are held, whenever they change.
    #[must_use]
    pub fn partitions(&self) -> watch::Receiver<Arc<Partitions>> {
        match &self.0 {
            Kind::Alone(all, _) => all.subscribe(),
            Kind::Joined(handle) => handle.partitions(),
        }
    }

    /// The right to work on a stream, if it is ours now. It is given up only once nobody has it in hand.
    #[must_use]
    pub fn of(&self, stream: &StreamId) -> Option<Held> {
        let lease = Lease::Partition(Partition::of(stream));
        match &self.0 {
            Kind::Alone(..) => Some(Held::for_ever(lease)),
            Kind::Joined(handle) => handle.held(lease),
        }
    }

    /// Whether a stream is ours to work on now.
    #[must_use]
    pub fn is_ours(&self, stream: &StreamId) -> bool {
        match &self.0 {
            Kind::Alone(..) => true,
            Kind::Joined(_) => self.of(stream).is_some(),
        }
    }

    /// Waits for a right and takes it. Dropping it gives it up; while it is held here, nobody else gets it.
    ///
    /// Does not end where the process has left, as nothing is to be done any more.
    pub async fn hold(&self, lease: Lease) -> Held {
        match &self.0 {
            Kind::Alone(..) => Held::for_ever(lease),
            Kind::Joined(handle) => handle.hold(lease).await,
        }
    }

    /// Gives everything up, once nobody has any of it in hand, and leaves. No more than a term is waited for a store
    /// that does not answer: then the others wait it out.
    pub async fn leave(&self) {
        match &self.0 {
            Kind::Alone(..) => {}
            Kind::Joined(handle) => handle.leave().await,
        }
    }

    /// What has happened, as it goes.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        match &self.0 {
            Kind::Alone(_, counters) => Arc::clone(counters),
            Kind::Joined(handle) => handle.counters(),
        }
    }
}
