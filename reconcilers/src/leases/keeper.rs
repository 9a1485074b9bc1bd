//! The task of a member: it reads the clock, the watch and the replies, asks the protocol, and does what that says.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::held::{Grant, Held, Life, Monotonic};
use super::member::{Input, Member, Outcome, Output};
use super::store::{Change, Changes, Store, StoreError, WriteError};
use super::view::Key;
use super::{Counters, Lease, Partitions, Timing};

/// What is asked of a member. Each caller asks a few things in its life, and waits for what it holds.
enum Request {
    Share,
    Hold(Lease, oneshot::Sender<Held>),
    Leave(oneshot::Sender<()>),
}

/// What the member and those who ask it share.
struct Shared {
    partitions: Mutex<BTreeMap<Lease, Arc<Grant>>>,
    told: watch::Sender<Arc<Partitions>>,
    counters: Arc<Counters>,
}

impl Shared {
    fn partitions(&self) -> MutexGuard<'_, BTreeMap<Lease, Arc<Grant>>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever waits for news finds what they tell of.
    fn tell(&self) {
        let held: Partitions = self
            .partitions()
            .iter()
            .filter_map(|(lease, grant)| match lease {
                Lease::Partition(partition) => Some((*partition, grant.token)),
                Lease::Projector | Lease::Archiver => None,
            })
            .collect();
        let count = u64::try_from(held.len()).unwrap_or(u64::MAX);
        self.counters.partitions.store(count, Ordering::Relaxed);
        self.told.send_if_modified(|told| {
            let news = **told != held;
            if news {
                info!(partitions = held.len(), "holds");
            }
            *told = Arc::new(held);
            news
        });
    }
}

/// How to ask a member.
#[derive(Clone)]
pub(super) struct Handle {
    requests: mpsc::UnboundedSender<Request>,
    shared: Arc<Shared>,
    patience: Duration,
}

impl Handle {
    pub(super) fn share(&self) {
        let _ = self.requests.send(Request::Share);
    }

    pub(super) fn partitions(&self) -> watch::Receiver<Arc<Partitions>> {
        self.shared.told.subscribe()
    }

    pub(super) fn held(&self, lease: Lease) -> Option<Held> {
        let grant = self.shared.partitions().get(&lease).map(Arc::clone);
        grant.map(Held).filter(Held::is_held)
    }

    pub(super) async fn hold(&self, lease: Lease) -> Held {
        let (sender, receiver) = oneshot::channel();
        let _ = self.requests.send(Request::Hold(lease, sender));
        match receiver.await {
            Ok(held) => held,
            Err(_) => std::future::pending().await,
        }
    }

    pub(super) async fn leave(&self) {
        let (sender, receiver) = oneshot::channel();
        if self.requests.send(Request::Leave(sender)).is_ok() {
            // What is in somebody's hand for longer ends with this process.
            let _ = tokio::time::timeout(self.patience, receiver).await;
        }
    }

    pub(super) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.shared.counters)
    }
}

type Written = (u64, Outcome);

pub(super) struct Keeper {
    store: Arc<dyn Store>,
    timing: Timing,
    clock: Monotonic,
    member: Member,
    id: Uuid,
    life: Option<Arc<Life>>,
    shared: Arc<Shared>,
    grants: BTreeMap<Lease, Weak<Grant>>,
    waiting: BTreeMap<Lease, VecDeque<oneshot::Sender<Held>>>,
    freed: mpsc::UnboundedSender<(Lease, u64)>,
    writes: FuturesUnordered<BoxFuture<'static, Written>>,
    left: Vec<oneshot::Sender<()>>,
    over: bool,
    /// When the watch last told something.
    heard_at: Duration,
}

impl Keeper {
    pub(super) fn start(store: Arc<dyn Store>, timing: Timing, clock: Monotonic) -> Handle {
        let (requests, asked) = mpsc::unbounded_channel();
        let (freed, freed_receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            partitions: Mutex::default(),
            told: watch::Sender::default(),
            counters: Arc::default(),
        });
        let id = Uuid::new_v4();
        let keeper = Self {
            heard_at: clock.now(),
            store,
            timing,
            clock,
            member: Member::new(id, timing),
            id,
            life: None,
            shared: Arc::clone(&shared),
            grants: BTreeMap::new(),
            waiting: BTreeMap::new(),
            freed,
            writes: FuturesUnordered::new(),
            left: Vec::new(),
            over: false,
        };
        tokio::spawn(keeper.run(asked, freed_receiver));
        Handle { requests, shared, patience: timing.term }
    }

    async fn run(
        mut self,
        mut asked: mpsc::UnboundedReceiver<Request>,
        mut freed: mpsc::UnboundedReceiver<(Lease, u64)>,
    ) {
        info!(member = %self.id, "a member of those that share the work");
        let mut changes = watched(&self.store);
        // Nobody can ask any more.
        let mut deserted = false;
        loop {
            let now = self.clock.now();
            let tick = self.member.next_tick(now).saturating_sub(now);
            let input = tokio::select! {
                change = changes.next() => match change {
                    Some(Ok(change)) => self.heard(change),
                    Some(Err(error)) => {
                        warn!(%error, source = ?std::error::Error::source(&error), "watched again");
                        changes = self.watch_again();
                        Input::Replayed
                    }
                    None => {
                        changes = self.watch_again();
                        Input::Replayed
                    }
                },
                Some((ticket, outcome)) = self.writes.next() => {
                    Input::Wrote { ticket, outcome }
                }
                Some((lease, token)) = freed.recv() => self.freed(lease, token),
                request = asked.recv(), if !deserted => match request {
                    Some(request) => self.asked(request),
                    None => {
                        deserted = true;
                        Input::Leave
                    }
                },
                () = tokio::time::sleep(tick) => Input::Tick,
            };
            if self.member.is_unseen() && self.clock.now() > self.heard_at + self.timing.term {
                warn!("the watch tells nothing; watched again");
                changes = self.watch_again();
                self.step(Input::Replayed);
            }
            self.step(input);
            if self.over {
                break;
            }
        }
        info!(member = %self.id, "left");
        self.revoke_all();
        for left in self.left {
            let _ = left.send(());
        }
    }

    fn watch_again(&mut self) -> Changes {
        self.heard_at = self.clock.now();
        let (store, pause) = (Arc::clone(&self.store), self.timing.renew);
        futures::stream::once(async move {
            tokio::time::sleep(pause).await;
            watched(&store)
        })
        .flatten()
        .boxed()
    }

    fn heard(&mut self, change: Change) -> Input {
        self.heard_at = self.clock.now();
        Input::Changed(change)
    }

    fn asked(&mut self, request: Request) -> Input {
        match request {
            Request::Share => Input::Share,
            Request::Hold(lease, sender) => {
                self.waiting.entry(lease).or_default().push_back(sender);
                Input::Want(lease, true)
            }
            Request::Leave(sender) => {
                self.left.push(sender);
                Input::Leave
            }
        }
    }

    /// Nobody has a lease in hand any more. A right that somebody waited for is wanted again only if others wait.
    fn freed(&mut self, lease: Lease, token: u64) -> Input {
        let others = self.waiting.get(&lease).is_some_and(|waiting| !waiting.is_empty());
        let current = self.grants.get(&lease).is_some_and(|grant| grant.strong_count() == 0);
        if current && !others && !matches!(lease, Lease::Partition(_)) {
            self.step(Input::Want(lease, false));
        }
        Input::Freed(lease, token)
    }

    /// Asks the protocol and does what it says.
    fn step(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for output in self.member.step(self.clock.now(), input) {
                match output {
                    Output::Write { ticket, key, expected, value } => {
                        self.write(ticket, key, expected, value);
                    }
                    Output::Alive(until) => {
                        if !self.live(until) {
                            inputs.push_back(Input::Expired);
                        }
                    }
                    Output::Granted { lease, token, takeover } => {
                        self.grant(lease, token, takeover);
                    }
                    Output::Withdraw(lease) => {
                        self.shared.partitions().remove(&lease);
                    }
                    Output::Revoked(lease) => self.revoke(lease),
                    Output::Over => {
                        self.begin_again();
                        inputs.push_back(Input::Tick);
                    }
                    Output::Left => self.over = true,
                    Output::Forget(key) => {
                        let store = Arc::clone(&self.store);
                        tokio::spawn(async move { store.forget(&key.to_string()).await });
                    }
                }
            }
        }
        self.shared.tell();
    }

    fn write(&mut self, ticket: u64, key: Key, expected: u64, value: Vec<u8>) {
        let (store, patience) = (Arc::clone(&self.store), self.timing.renew);
        self.writes.push(Box::pin(async move {
            let key = key.to_string();
            let written = tokio::time::timeout(patience, store.write(&key, expected, value)).await;
            let outcome = match written {
                Ok(Ok(revision)) => Outcome::Written(revision),
                Ok(Err(WriteError::Conflict)) => Outcome::Refused,
                Ok(Err(error @ WriteError::Unknown(_))) => {
                    debug!(key, %error, "a write to the leases");
                    Outcome::Unknown
                }
                Err(_) => Outcome::Unknown,
            };
            (ticket, outcome)
        }));
    }

    fn live(&mut self, until: Duration) -> bool {
        match &self.life {
            Some(life) => life.extend(until),
            None => {
                let life = Life::new(until, self.clock.clone());
                self.life.insert(Arc::new(life)).is_alive()
            }
        }
    }

    fn grant(&mut self, lease: Lease, token: u64, takeover: bool) {
        let Some(life) = &self.life else { return };
        let grant = Arc::new(Grant::new(lease, token, Arc::clone(life), self.freed.clone()));
        if takeover {
            self.shared.counters.takeovers.fetch_add(1, Ordering::Relaxed);
        }
        debug!(%lease, token, takeover, "holds a lease");
        self.grants.insert(lease, Arc::downgrade(&grant));
        match lease {
            Lease::Partition(_) => {
                self.shared.partitions().insert(lease, grant);
            }
            Lease::Projector | Lease::Archiver => {
                let waiting = self.waiting.get_mut(&lease);
                // Who gave up waiting drops it, and with it gives it up.
                let mut held = Some(Held(grant));
                for sender in waiting.into_iter().flat_map(|waiting| waiting.pop_front()) {
                    held = held.and_then(|held| sender.send(held).err());
                }
            }
        }
    }

    /// The last to have it in hand is told, and stops.
    fn revoke(&mut self, lease: Lease) {
        // Let go of only once it is told: whoever has it in hand, and the counter.
        let _idle = self.shared.partitions().remove(&lease);
        if let Some(grant) = self.grants.remove(&lease).and_then(|grant| grant.upgrade()) {
            debug!(%lease, token = grant.token, "a lease is lost");
            self.shared.counters.losses.fetch_add(1, Ordering::Relaxed);
            grant.revoke();
        }
    }

    fn revoke_all(&mut self) {
        if let Some(life) = self.life.take() {
            life.end();
        }
        let leases: Vec<Lease> = self.grants.keys().copied().collect();
        for lease in leases {
            self.revoke(lease);
        }
        self.shared.tell();
    }

    fn begin_again(&mut self) {
        self.revoke_all();
        self.id = Uuid::new_v4();
        self.member.begin_again(self.id);
        warn!(member = %self.id, "begins again: it could not renew in time, or was taken for dead");
    }
}

/// Watches; a failure to begin is told like a later one.
fn watched(store: &Arc<dyn Store>) -> Changes {
    let store = Arc::clone(store);
    futures::stream::once(async move {
        match store.watch().await {
            Ok(changes) => changes,
            Err(error) => futures::stream::iter([Err::<Change, StoreError>(error)]).boxed(),
        }
    })
    .flatten()
    .boxed()
}
