//! One resource or two, from declared to ready to gone, by the real loop on a sped-up simulated world.

#![allow(clippy::unwrap_used, reason = "a test: what cannot be is a failure")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use domain::commit::{ActorSort, Context};
use domain::lifecycle::{Command, Lifetime};
use domain::{Actor, KindName, Resource, StreamId, Time};
use futures::StreamExt as _;
use journal::memory::MemoryJournal;
use journal::{Executor, Position};
use reconcilers::index::FollowError;
use reconcilers::{Clock as _, Driver, Providers, Settings, Target, WallClock};
use serde_json::{Value, json};
use sim::{Fault, Nature, Operation, Options, Sim};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

fn context(id: u128) -> Context {
    Context {
        commit_id: Uuid::from_u128(id),
        time: WallClock.now(),
        actor: Actor::new(ActorSort::User, "ada"),
        causation_id: None,
        correlation_id: Uuid::from_u128(id),
        traceparent: None,
    }
}

/// Waits until the stream holds an event of this type.
async fn until(executor: &Executor, stream: &StreamId, event: &str) {
    let mut commits = executor.journal().follow(Position::START);
    let seen = async {
        while let Some(Ok(recorded)) = commits.next().await {
            let commit = &recorded.sealed.commit;
            if commit.stream == *stream && commit.events.iter().any(|e| e.event_type == event) {
                return;
            }
        }
        panic!("the log ended before {event}");
    };
    tokio::time::timeout(Duration::from_secs(90), seen).await.unwrap();
}

/// The loop over a world, and the log of both.
struct Plane {
    executor: Executor,
    sim: Arc<Sim>,
    /// So many looks at databases fail.
    failing: Arc<AtomicU32>,
    stop: watch::Sender<bool>,
    running: JoinHandle<Result<(), FollowError>>,
    ticking: JoinHandle<()>,
    commits: u128,
}

impl Plane {
    fn start() -> Self {
        let executor = Executor::new(Arc::new(MemoryJournal::new()));
        let nature = Nature { speed: 600, ..Nature::default() };
        let failing = Arc::new(AtomicU32::new(0));
        let left = Arc::clone(&failing);
        let script = move |operation: Operation, target: Option<&Target>| {
            let is_one = target.is_some_and(|target| target.id.kind == KindName::Database);
            let less = |left: u32| left.checked_sub(1);
            let fails = operation == Operation::Observe
                && is_one
                && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok();
            fails.then_some(Fault::Error)
        };
        let options = Options { nature, script: Box::new(script), ..Options::default() };
        let sim = Arc::new(Sim::open(Arc::new(WallClock), options).unwrap());
        let settings = Settings { session: Uuid::from_u128(9), grace_micros: 0 };
        let providers = Providers::all(&sim);
        let driver = Driver::new(executor.clone(), providers, Arc::new(WallClock), settings);
        let (stop, shutdown) = watch::channel(false);
        let world = Arc::clone(&sim);
        let ticking = tokio::spawn(async move { world.run().await });
        let running = tokio::spawn(reconcilers::run(Arc::new(driver), shutdown));
        Self { executor, sim, failing, stop, running, ticking, commits: 0 }
    }

    async fn command(&mut self, stream: &StreamId, command: Command) {
        self.commits += 1;
        let context = context(self.commits);
        self.executor.execute::<Resource>(stream, command, context).await.unwrap();
    }

    async fn declare(&mut self, stream: &StreamId, spec: Value) {
        let kind = KindName::parse(stream.kind()).unwrap();
        let command = Command::Declare {
            uid: Uuid::from_u128(self.commits + 100),
            spec: kind.read_spec(spec).unwrap(),
            class: None,
            lifetime: Lifetime::Kept,
            protected: false,
            at: Time::default(),
        };
        self.command(stream, command).await;
    }

    async fn delete(&mut self, stream: &StreamId) {
        let command =
            Command::RequestDeletion { uid: None, replacement: false, at: Time::default() };
        self.command(stream, command).await;
    }

    fn things(&self) -> usize {
        self.sim.with_world(|world| world.objects().count())
    }

    async fn stop(self) {
        self.stop.send(true).unwrap();
        self.running.await.unwrap().unwrap();
        self.ticking.abort();
    }
}

#[tokio::test]
async fn a_database_becomes_ready_and_goes() {
    let mut plane = Plane::start();
    let stream: StreamId = "ev.acme.database.dev_shop_db".parse().unwrap();
    let spec = json!({
        "engine": "postgres", "version": "16", "storage_gib": 20, "size": "s", "database": "shop"
    });
    plane.declare(&stream, spec).await;
    until(&plane.executor, &stream, "BecameReady").await;
    let state = plane.executor.load_state::<Resource>(&stream).await.unwrap().state;
    assert_eq!(state.body().unwrap().outputs["port"], domain::OutputValue::plain(5432));
    assert_eq!(plane.things(), 1);

    plane.delete(&stream).await;
    until(&plane.executor, &stream, "Deleted").await;
    assert_eq!(plane.things(), 0);
    plane.stop().await;
}

#[tokio::test]
async fn what_cannot_be_seen_while_it_is_deleted_does_not_wait_for_what_waits_for_it() {
    let mut plane = Plane::start();
    let cluster: StreamId = "ev.acme.cluster.a".parse().unwrap();
    let database: StreamId = "ev.acme.database.dev_shop_db".parse().unwrap();
    let spec = json!({"location": "eu", "version": "1.36", "nodes_min": 1, "nodes_max": 3});
    plane.declare(&cluster, spec).await;
    let spec = json!({
        "engine": "postgres", "version": "16", "storage_gib": 20, "size": "s", "database": "shop",
        "cluster": "cluster/a"
    });
    plane.declare(&database, spec).await;
    until(&plane.executor, &database, "BecameReady").await;
    assert_eq!(plane.things(), 2);

    plane.delete(&cluster).await;
    until(&plane.executor, &cluster, "Blocked").await;
    assert_eq!(plane.things(), 2, "the database is on it");
    plane.failing.store(2, Ordering::Relaxed);
    plane.delete(&database).await;
    until(&plane.executor, &cluster, "Deleted").await;
    until(&plane.executor, &database, "Deleted").await;
    assert_eq!(plane.things(), 0);
    plane.stop().await;
}
