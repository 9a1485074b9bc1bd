//! The loop: one runner at a time, no event skipped, and everyone learns how far it is.

use std::sync::Arc;
use std::time::Duration;

use domain::commit::{ActorSort, Commit, EventRecord, Hash};
use domain::{Actor, StreamId, Time, account};
use journal::memory::MemoryJournal;
use journal::{Journal, Position};
use projections::{Health, NotThere, ProjectionError, SqliteViews, StoreError, Views};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::world::{World, block_on, run_to, stream};

/// Longer than any machine needs, shorter than anyone's patience.
const LONG: Duration = Duration::from_secs(20);

async fn register(world: &mut World, region: u64) {
    let registration = account::Registration {
        provider: "sim".into(),
        account_id: "1".into(),
        region: format!("r{region}"),
        role: None,
    };
    let at = Time::from_micros(1);
    let register = account::Command::Register { registration, at };
    world.execute::<account::Account>(&stream(account::KIND, "a"), register, 0).await;
}

/// A commit that this program would not write.
async fn append_foreign(journal: &dyn Journal, stream: &StreamId, event_type: &str) {
    let loaded = journal.load(stream, 0).await.unwrap();
    let last = loaded.commits.last();
    let id = Uuid::from_u128(99);
    let commit = Commit {
        commit_id: id,
        stream: stream.clone(),
        first_version: last.map_or(0, journal::Recorded::last_version) + 1,
        time: Time::from_micros(1),
        actor: Actor::new(ActorSort::System, "later"),
        command: "Enchant".into(),
        command_hash: Hash::default(),
        causation_id: None,
        correlation_id: id,
        traceparent: None,
        prev_hash: last.map(|recorded| recorded.sealed.hash).unwrap_or_default(),
        events: vec![EventRecord {
            event_type: event_type.into(),
            schema: 1,
            data: RawValue::from_string("{}".into()).unwrap(),
        }],
    };
    journal.append(loaded.token, Arc::new(commit.seal().unwrap())).await.unwrap();
}

#[test]
fn an_unknown_event_stops_the_views_and_is_named() {
    block_on(async {
        let mut world = World::new();
        register(&mut world, 1).await;
        let a = stream(account::KIND, "a");
        append_foreign(&*world.journal, &a, "Enchanted").await;
        let folder = tempfile::tempdir().unwrap();
        let views = Views::open_sqlite(folder.path()).await.unwrap();
        let journal = Arc::clone(&world.journal);
        let ended = projections::run(journal, views.clone(), std::future::pending()).await;
        let error = ended.unwrap_err();
        assert!(matches!(&error, ProjectionError::Unreadable { position, stream, .. }
            if position.get() == 2 && *stream == a));

        assert_eq!(views.position(), Position::new(1), "what came before is shown");
        assert!(views.get(&a, None).await.unwrap().is_some());
        let not_there = views.at_least(Position::new(2), LONG).await.unwrap_err();
        assert!(matches!(&not_there, NotThere::Stopped { at, reason }
            if at.get() == 1 && reason.contains("Enchanted") && reason.contains("ev.acme.account.a")));
    });
}

#[test]
fn an_unknown_kind_of_aggregate_stops_the_views() {
    block_on(async {
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
        append_foreign(&*journal, &stream("spell", "a"), "Cast").await;
        let folder = tempfile::tempdir().unwrap();
        let views = Views::open_sqlite(folder.path()).await.unwrap();
        let ended = projections::run(journal, views.clone(), std::future::pending()).await;
        assert_eq!(
            ended.unwrap_err().to_string(),
            "the views stop before position 1: `spell` of ev.acme.spell.a is no known kind"
        );
        assert!(matches!(views.status().borrow().health, Health::Stopped { .. }));
    });
}

#[test]
fn of_two_runners_the_earlier_stops() {
    block_on(async {
        let mut world = World::new();
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteViews::open(folder.path()).unwrap());
        let (first, second) =
            (Views::open(store.clone()).await.unwrap(), Views::open(store).await.unwrap());
        let run = |views: &Views| {
            let journal = Arc::clone(&world.journal);
            tokio::spawn(projections::run(journal, views.clone(), std::future::pending()))
        };
        let earlier = run(&first);
        following(&first).await;
        let _later = run(&second);
        following(&second).await;

        register(&mut world, 1).await;
        second.at_least(Position::new(1), LONG).await.unwrap();
        let stopped = earlier.await.unwrap().unwrap_err();
        assert!(matches!(stopped, ProjectionError::Store(StoreError::Fenced)));
        let reason = match first.status().borrow().health.clone() {
            Health::Stopped { reason } => reason,
            health @ (Health::Idle | Health::Following) => panic!("{health:?}"),
        };
        assert!(reason.contains("another runner took over the views"), "{reason}");
    });
}

async fn following(views: &Views) {
    views.status().wait_for(|status| status.health == Health::Following).await.unwrap();
}

#[test]
fn whoever_waits_for_a_position_gets_it_or_learns_how_far_it_is() {
    block_on(async {
        let mut world = World::new();
        let folder = tempfile::tempdir().unwrap();
        let views = Views::open_sqlite(folder.path()).await.unwrap();
        let behind = views.at_least(Position::new(3), Duration::ZERO).await.unwrap_err();
        assert_eq!(behind.to_string(), "the views are at position 0, 3 before 3");

        let waiting = {
            let views = views.clone();
            tokio::spawn(async move { views.at_least(Position::new(2), LONG).await })
        };
        let mut changes = views.changes();
        register(&mut world, 1).await;
        register(&mut world, 2).await;
        run_to(&world, &views, Position::new(2)).await;
        waiting.await.unwrap().unwrap();
        let changes = changes.recv().await.unwrap();
        assert_eq!(changes.position, Position::new(2));
        assert_eq!(changes.streams, [stream(account::KIND, "a")]);
    });
}

#[test]
fn views_that_are_ahead_of_a_shorter_log_say_so() {
    block_on(async {
        let mut world = World::new();
        register(&mut world, 1).await;
        register(&mut world, 2).await;
        let folder = tempfile::tempdir().unwrap();
        let views = Views::open_sqlite(folder.path()).await.unwrap();
        run_to(&world, &views, Position::new(2)).await;

        let restored = World::new();
        let ended = projections::run(Arc::clone(&restored.journal), views, std::future::pending());
        assert!(matches!(ended.await.unwrap_err(), ProjectionError::Journal(_)));
    });
}

#[test]
fn views_of_another_schema_are_begun_anew() {
    block_on(async {
        let mut world = World::new();
        register(&mut world, 1).await;
        let folder = tempfile::tempdir().unwrap();
        let views = Views::open_sqlite(folder.path()).await.unwrap();
        run_to(&world, &views, Position::new(1)).await;
        drop(views);
        let file = rusqlite::Connection::open(folder.path().join("views-1.db")).unwrap();
        file.pragma_update(None, "user_version", 999).unwrap();
        drop(file);

        let views = Views::open_sqlite(folder.path()).await.unwrap();
        assert_eq!(views.position(), Position::START);
        run_to(&world, &views, Position::new(1)).await;
        let reopened = Views::open_sqlite(folder.path()).await.unwrap();
        assert_eq!(reopened.position(), Position::new(1));
        assert!(!folder.path().join("views-1.db").exists());
    });
}
