//! Rebuild equals incremental, row for row, whatever the batches and the crashes.

use std::sync::Arc;

use futures::FutureExt as _;
use journal::Position;
use projections::Views;
use proptest::prelude::*;

use crate::place::{Place, over_both};
use crate::world::{Move, World, block_on, histories, run_to};

over_both!(
    rebuild_equals_incremental,
    queries_are_answered_from_the_new_views_after_a_rebuild_and_the_runner_goes_on,
);

pub(crate) fn rebuild_equals_incremental(place: &Place) {
    let cuts = prop::collection::vec(1..40_usize, 1..12);
    let drops = prop::collection::vec(0..30_u32, 1..12);
    proptest!(place.cases(), |(history in histories(160), cuts in cuts, drops in drops)| {
        block_on(rebuilt_as_grown(&place.another(), &history, &cuts, &drops));
    });
}

async fn rebuilt_as_grown(place: &Place, history: &[Move], cuts: &[usize], drops: &[u32]) {
    let mut world = World::new();
    let mut rest = history;
    let mut cuts = cuts.iter().cycle();
    let mut drops = drops.iter().cycle();
    while !rest.is_empty() {
        let (now, later) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
        rest = later;
        world.play(now).await;
        let views = place.open().await;
        crash_after_polls(&world, &views, *drops.next().unwrap()).await;
    }
    let head = world.journal.head().await.unwrap();
    let views = place.open().await;
    run_to(&world, &views, head).await;
    let incremental = place.dump().await;

    let rebuilt = views.rebuild(&world.journal).await.unwrap();
    assert_eq!(rebuilt.position, head);
    assert_eq!(place.dump().await, incremental);

    let fresh = place.another();
    run_to(&world, &fresh.open().await, head).await;
    assert_eq!(fresh.dump().await, incremental);
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

pub(crate) fn queries_are_answered_from_the_new_views_after_a_rebuild_and_the_runner_goes_on(
    place: &Place,
) {
    block_on(async {
        let mut world = World::new();
        let views = place.open().await;
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
            views.at_least(wanted, std::time::Duration::from_secs(90)).await.unwrap();
            let row = views.get(&anna, None).await.unwrap().unwrap();
            assert_eq!(row.position, wanted);
        }
        stop.send(()).unwrap();
        running.await.unwrap().unwrap();
    });
}
