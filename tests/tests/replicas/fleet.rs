//! Replicas that start, die and leave.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::lifecycle::{Command, Lifetime};
use domain::{KindName, Resource, ResourceId};
use futures::StreamExt as _;
use journal::memory::MemoryJournal;
use journal::{Executor, Journal as _, Position};
use reconcilers::leases::nats::NatsStore;
use reconcilers::leases::{Counters, Timing};
use reconcilers::run::Loop;
use reconcilers::{Driver, Leases, Providers, Settings, WallClock};
use serde_json::json;
use servers::nats::{Nats, Options};
use sim::{Nature, Sim};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::hands::{Hands, Reached};

/// How long anything may take. Far beyond what it takes: a test that hangs ends.
const PATIENCE: Duration = Duration::from_secs(240);

/// A replica, in a runtime of its own: so that all of it can die at once.
struct Replica {
    runtime: Runtime,
    leases: Leases,
    stop: watch::Sender<bool>,
    runs: JoinHandle<()>,
}

pub struct Fleet {
    pub nats: Nats,
    pub hands: Hands,
    journal: Arc<MemoryJournal>,
    users: Executor,
    world: Arc<Sim>,
    lives: JoinHandle<()>,
    replicas: BTreeMap<u32, Replica>,
    /// What the crashed were asked by. Dropped, it would tell a runtime's last turns that they shall leave in order.
    crashed: Vec<(Leases, watch::Sender<bool>)>,
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(done) => done,
        Err(_) => panic!("waited too long for {what}"),
    }
}

fn id(number: usize) -> ResourceId {
    format!("bucket/b{number}").parse().unwrap()
}

impl Fleet {
    pub async fn start() -> Self {
        let nats = Nats::start(&Options::default());
        let journal = Arc::new(MemoryJournal::new());
        let options = sim::Options {
            nature: Nature { seed: 1, speed: 20_000, remembers: true },
            ..sim::Options::default()
        };
        let world = Arc::new(Sim::open(Arc::new(WallClock), options).unwrap());
        let runs = Arc::clone(&world);
        let lives = tokio::spawn(async move { runs.run().await });
        let users = Executor::new(Arc::clone(&journal) as _);
        Self {
            nats,
            hands: Hands::default(),
            journal,
            users,
            world,
            lives,
            replicas: BTreeMap::new(),
            crashed: Vec::new(),
        }
    }

    /// A replica starts.
    pub async fn join(&mut self, replica: u32) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (url, journal) = (self.nats.url(), Arc::clone(&self.journal));
        let (world, hands) = (Arc::clone(&self.world), self.hands.clone());
        let stop = watch::Sender::new(false);
        let stopped = stop.subscribe();
        let started = runtime.spawn(async move {
            let client = async_nats::connect(url).await.unwrap();
            let context = async_nats::jetstream::new(client);
            let store = NatsStore::open(&context, 1).await.unwrap();
            let leases = Leases::join(Arc::new(store), Timing::default());
            let providers = Providers::all(&Arc::new(Reached { world, replica, hands }));
            let settings = Settings { session: Uuid::new_v4(), grace_micros: 50_000 };
            let driver =
                Driver::new(Executor::new(journal), providers, Arc::new(WallClock), settings);
            let loop_ = Loop::new(Arc::new(driver)).with_leases(leases.clone());
            let runs = tokio::spawn(async move { loop_.run(stopped).await.unwrap() });
            (leases, runs)
        });
        let (leases, runs) = within("a replica to start", started).await.unwrap();
        self.replicas.insert(replica, Replica { runtime, leases, stop, runs });
    }

    /// All of it is gone at once: nothing is released, no task goes on.
    pub fn crash(&mut self, replica: u32) {
        let Replica { runtime, leases, stop, runs: _ } = self.replicas.remove(&replica).unwrap();
        runtime.shutdown_background();
        self.crashed.push((leases, stop));
    }

    /// It ends as it should.
    pub async fn leave(&mut self, replica: u32) {
        let Replica { runtime, leases, stop, runs } = self.replicas.remove(&replica).unwrap();
        stop.send_replace(true);
        within("the loop to end", runs).await.unwrap();
        within("the replica to leave", leases.leave()).await;
        runtime.shutdown_background();
    }

    pub fn held(&self, replica: u32) -> u64 {
        self.replicas[&replica].leases.partitions().borrow().len() as u64
    }

    pub fn highest_token(&self, replica: u32) -> u64 {
        let partitions = self.replicas[&replica].leases.partitions();
        let highest = partitions.borrow().values().copied().max();
        highest.unwrap_or_default()
    }

    /// Waits until a replica holds so many partitions.
    pub async fn holds(&self, replica: u32, count: usize) {
        let mut partitions = self.replicas[&replica].leases.partitions();
        let holds = partitions.wait_for(|held| held.len() == count);
        within(&format!("{replica} to hold {count}"), holds).await.unwrap();
    }

    /// Waits until every partition is held, and every replica has some.
    pub async fn balanced(&self) {
        let mut all: Vec<_> =
            self.replicas.values().map(|replica| replica.leases.partitions()).collect();
        let balanced = async {
            loop {
                let counts: Vec<usize> =
                    all.iter_mut().map(|held| held.borrow_and_update().len()).collect();
                if counts.iter().sum::<usize>() == 64 && !counts.contains(&0) {
                    return;
                }
                let changes = all.iter_mut().map(|held| Box::pin(held.changed()));
                futures::future::select_all(changes).await.0.unwrap();
            }
        };
        within("the work to be shared", balanced).await;
    }

    pub fn counted(&self, replica: u32, which: impl Fn(&Counters) -> &AtomicU64) -> u64 {
        which(&self.replicas[&replica].leases.counters()).load(Ordering::Relaxed)
    }

    /// Somebody wants buckets.
    pub async fn declare(&self, numbers: Range<usize>) {
        for number in numbers {
            let spec = KindName::Bucket.read_spec(json!({"region": "eu", "expire_days": 1}));
            let command = Command::Declare {
                uid: Uuid::now_v7(),
                spec: spec.unwrap(),
                class: None,
                lifetime: Lifetime::Kept,
                protected: false,
                at: tests::now(),
            };
            let stream = id(number).stream(&"acme".parse().unwrap());
            self.users.execute::<Resource>(&stream, command, tests::context()).await.unwrap();
        }
    }

    async fn is_ready(&self, number: usize) -> bool {
        let stream = id(number).stream(&"acme".parse().unwrap());
        let state = self.users.load_state::<Resource>(&stream).await.unwrap().state;
        matches!(&*state, Resource::Live(body) if body.is_ready())
    }

    /// Waits until they are ready; looks again whenever the log grows.
    pub async fn ready(&self, numbers: Range<usize>) {
        let mut log = self.journal.follow(Position::START);
        let ready = async {
            for number in numbers {
                while !self.is_ready(number).await {
                    log.next().await.unwrap().unwrap();
                }
            }
        };
        within("buckets to be ready", ready).await;
    }

    /// Waits until a replica that holds everything would have acted: until the loops have followed the log to its end
    /// and other tasks had a thousand turns.
    pub async fn seen(&self, numbers: Range<usize>) {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        for number in numbers {
            assert!(!self.is_ready(number).await);
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.lives.abort();
        for (_, replica) in std::mem::take(&mut self.replicas) {
            replica.runtime.shutdown_background();
        }
    }
}
