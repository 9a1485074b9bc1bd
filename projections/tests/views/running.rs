//! The loop: one runner at a time, no event skipped, and everyone learns how far it is.

use std::sync::Arc;
use std::time::Duration;

use domain::{Time, account};
use journal::Position;
use projections::{Batch, Health, ProjectionError, StoreError, Views};

use crate::place::{Place, over_both};
use crate::world::{World, block_on, run_to, stream};

over_both!(
    of_two_runners_the_earlier_stops,
    whoever_was_followed_by_another_writes_nothing,
    whoever_waits_for_a_position_gets_it_or_learns_how_far_it_is,
    views_that_are_ahead_of_a_shorter_log_say_so,
);

pub(crate) async fn register(world: &mut World, region: u64) {
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

fn of_two_runners_the_earlier_stops(place: &Place) {
    block_on(async {
        let mut world = World::new();
        let (first, second) = (place.open().await, place.open().await);
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
            health @ (Health::Idle | Health::Following | Health::Retrying { .. }) => {
                panic!("{health:?}")
            }
        };
        assert!(reason.contains("another runner took over the views"), "{reason}");
    });
}

pub(crate) fn whoever_was_followed_by_another_writes_nothing(place: &Place) {
    block_on(async {
        let store = place.store().await;
        let first = store.claim().await.unwrap();
        let second = store.claim().await.unwrap();
        // From where the views are to there: only the right to write is missing.
        let late = store.apply(first.epoch, Batch::default()).await;
        assert!(matches!(late, Err(StoreError::Fenced)), "{late:?}");
        store.apply(second.epoch, Batch::default()).await.unwrap();
    });
}

/// Longer than any machine needs, shorter than anyone's patience.
pub(crate) const LONG: Duration = Duration::from_secs(90);

pub(crate) async fn following(views: &Views) {
    views.status().wait_for(|status| status.health == Health::Following).await.unwrap();
}

fn whoever_waits_for_a_position_gets_it_or_learns_how_far_it_is(place: &Place) {
    block_on(async {
        let mut world = World::new();
        let views = place.open().await;
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

fn views_that_are_ahead_of_a_shorter_log_say_so(place: &Place) {
    block_on(async {
        let mut world = World::new();
        register(&mut world, 1).await;
        register(&mut world, 2).await;
        let views = place.open().await;
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
