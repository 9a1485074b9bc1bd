//! One resource, from declared to ready to gone, by the real loop on a sped-up simulated world.

#![allow(clippy::unwrap_used, reason = "a test: what cannot be is a failure")]

use std::sync::Arc;
use std::time::Duration;

use domain::commit::{ActorSort, Context};
use domain::lifecycle::{Command, Lifetime};
use domain::{Actor, KindName, Resource, StreamId, Time};
use futures::StreamExt as _;
use journal::memory::MemoryJournal;
use journal::{Executor, Position};
use reconcilers::{Clock as _, Driver, Providers, Settings, WallClock};
use sim::{Nature, Options, Sim};
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

#[tokio::test]
async fn a_database_becomes_ready_and_goes() {
    let executor = Executor::new(Arc::new(MemoryJournal::new()));
    let nature = Nature { speed: 600, ..Nature::default() };
    let options = Options { nature, ..Options::default() };
    let sim = Arc::new(Sim::open(Arc::new(WallClock), options).unwrap());
    let settings = Settings { session: Uuid::from_u128(9), grace_micros: 0 };
    let driver = Driver::new(executor.clone(), Providers::all(&sim), Arc::new(WallClock), settings);
    let (stop, shutdown) = tokio::sync::watch::channel(false);
    let world = Arc::clone(&sim);
    let ticking = tokio::spawn(async move { world.run().await });
    let running = tokio::spawn(reconcilers::run(Arc::new(driver), shutdown));

    let stream: StreamId = "ev.acme.database.dev_shop_db".parse().unwrap();
    let spec = serde_json::json!({
        "engine": "postgres", "version": "16", "storage_gib": 20, "size": "s", "database": "shop"
    });
    let declare = Command::Declare {
        uid: Uuid::from_u128(1),
        spec: KindName::Database.read_spec(spec).unwrap(),
        class: None,
        lifetime: Lifetime::Kept,
        protected: false,
        at: Time::default(),
    };
    executor.execute::<Resource>(&stream, declare, context(1)).await.unwrap();
    until(&executor, &stream, "BecameReady").await;
    let state = executor.load_state::<Resource>(&stream).await.unwrap().state;
    assert_eq!(state.body().unwrap().outputs["port"], domain::OutputValue::plain(5432));
    assert_eq!(sim.with_world(|world| world.objects().count()), 1);

    let delete = Command::RequestDeletion { uid: None, replacement: false, at: Time::default() };
    executor.execute::<Resource>(&stream, delete, context(2)).await.unwrap();
    until(&executor, &stream, "Deleted").await;
    assert_eq!(sim.with_world(|world| world.objects().count()), 0);
    stop.send(true).unwrap();
    running.await.unwrap().unwrap();
    ticking.abort();
}
