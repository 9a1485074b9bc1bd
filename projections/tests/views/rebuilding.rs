//! Rebuild equals incremental, row for row, whatever the batches and the crashes.

use std::sync::Arc;

use futures::FutureExt as _;
use journal::Position;
use projections::Views;
use proptest::prelude::*;

use crate::world::{World, block_on, dump, histories, run_to};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn rebuild_equals_incremental(
        history in histories(160),
        cuts in prop::collection::vec(1..40_usize, 1..12),
        drops in prop::collection::vec(0..30_u32, 1..12),
    ) {
        block_on(async {
            let mut world = World::new();
            let folder = tempfile::tempdir().unwrap();
            let mut rest = history.as_slice();
            let mut cuts = cuts.into_iter().cycle();
            let mut drops = drops.into_iter().cycle();
            while !rest.is_empty() {
                let (now, later) = rest.split_at(cuts.next().unwrap().min(rest.len()));
                rest = later;
                world.play(now).await;
                let views = Views::open_sqlite(folder.path()).await.unwrap();
                crash_after_polls(&world, &views, drops.next().unwrap()).await;
            }
            let head = world.journal.head().await.unwrap();
            let views = Views::open_sqlite(folder.path()).await.unwrap();
            run_to(&world, &views, head).await;
            let incremental = dump(folder.path()).await;

            let rebuilt = views.rebuild(&world.journal).await.unwrap();
            assert_eq!(rebuilt.position, head);
            assert_eq!(dump(folder.path()).await, incremental);

            let fresh = tempfile::tempdir().unwrap();
            let views = Views::open_sqlite(fresh.path()).await.unwrap();
            run_to(&world, &views, head).await;
            assert_eq!(dump(fresh.path()).await, incremental);
        });
    }
}

/// Drops a runner half-way, wherever it is.
async fn crash_after_polls(world: &World, views: &Views, polls: u32) {
    let journal = Arc::clone(&world.journal);
    let mut running = Box::pin(projections::run(journal, views.clone(), std::future::pending()));
    for _ in 0..polls {
        if let Some(end) = running.as_mut().now_or_never() {
            panic!("nothing stops a runner, but {end:?} did");
        }
        tokio::task::yield_now().await;
    }
}

#[test]
fn queries_are_answered_from_the_new_views_after_a_rebuild_and_the_runner_goes_on() {
    block_on(async {
        let mut world = World::new();
        let folder = tempfile::tempdir().unwrap();
        let views = Views::open_sqlite(folder.path()).await.unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let journal = Arc::clone(&world.journal);
        let running = tokio::spawn(projections::run(journal, views.clone(), stopped.map(|_| ())));
        let anna = crate::world::stream("account", "anna");
        for number in 0..50_u64 {
            let registration = domain::account::Registration {
                provider: "sim".into(),
                account_id: "1".into(),
                region: format!("r{number}"),
                role: None,
            };
            let at = domain::Time::from_micros(1);
            let register = domain::account::Command::Register { registration, at };
            world.execute::<domain::account::Account>(&anna, register, 0).await;
            if number % 10 == 5 {
                views.rebuild(&world.journal).await.unwrap();
            }
            let wanted = Position::new(number + 1);
            views.at_least(wanted, std::time::Duration::from_secs(20)).await.unwrap();
            let row = views.get(&anna, None).await.unwrap().unwrap();
            assert_eq!(row.position, wanted);
        }
        stop.send(()).unwrap();
        running.await.unwrap().unwrap();
    });
}
