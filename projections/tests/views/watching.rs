//! Processes that run no projector follow what one elsewhere writes.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream;
use journal::Position;
use projections::{Health, NotThere, Views};
use tokio::sync::oneshot;

use crate::place::{Place, over_both};
use crate::running::{LONG, following, register};
use crate::world::{World, block_on, run_to, stream as stream_of};

over_both!(
    a_replica_sees_the_position_the_changes_and_the_health_of_a_runner_elsewhere,
    a_replica_looks_when_it_is_woken,
);

/// Follows until it is dropped.
struct Replica {
    views: Views,
    _end: oneshot::Sender<()>,
}

impl Replica {
    async fn of(place: &Place) -> Self {
        let views = place.open().await;
        let (end, ended) = oneshot::channel::<()>();
        let shutdown = async {
            let _ = ended.await;
        };
        tokio::spawn(projections::watch(views.clone(), stream::pending().boxed(), shutdown));
        Self { views, _end: end }
    }
}

pub(crate) fn a_replica_sees_the_position_the_changes_and_the_health_of_a_runner_elsewhere(
    place: &Place,
) {
    block_on(async {
        let mut world = World::new();
        let replica = Replica::of(place).await;
        let mut changes = replica.views.changes();
        let runner = place.open().await;
        let running = tokio::spawn(projections::run(
            Arc::clone(&world.journal),
            runner.clone(),
            std::future::pending(),
        ));
        following(&replica.views).await;
        register(&mut world, 1).await;
        replica.views.at_least(Position::new(1), LONG).await.unwrap();
        let account = stream_of(domain::account::KIND, "a");
        assert_eq!(changes.recv().await.unwrap().streams, std::slice::from_ref(&account));
        assert!(replica.views.get(&account, None).await.unwrap().is_some());
        running.abort();

        // A log that lost what the views have seen stops them, and the replica learns why.
        let shorter = World::new();
        let end = projections::run(shorter.journal, runner, std::future::pending()).await;
        end.unwrap_err();
        let stopped = |health: &Health| matches!(health, Health::Stopped { .. });
        replica.views.status().wait_for(|status| stopped(&status.health)).await.unwrap();
        let not_there = replica.views.at_least(Position::new(9), LONG).await.unwrap_err();
        assert!(
            matches!(&not_there, NotThere::Stopped { reason, .. }
            if reason.contains("the log ends at 0")),
            "{not_there}"
        );
    });
}

fn a_replica_looks_when_it_is_woken(place: &Place) {
    block_on(async {
        let mut world = World::new();
        register(&mut world, 1).await;
        let views = place.open().await;
        run_to(&world, &place.open().await, Position::new(1)).await;
        // One look at the beginning, one for a wake-up of another channel.
        let (wake, woken) = futures::channel::mpsc::unbounded::<()>();
        let (end, ended) = oneshot::channel::<()>();
        let watching = tokio::spawn(projections::watch(views.clone(), woken.boxed(), async {
            let _ = ended.await;
        }));
        views.at_least(Position::new(1), LONG).await.unwrap();
        register(&mut world, 2).await;
        run_to(&world, &place.open().await, Position::new(2)).await;
        wake.unbounded_send(()).unwrap();
        views.at_least(Position::new(2), LONG).await.unwrap();
        end.send(()).unwrap();
        watching.await.unwrap();
    });
}

// SQLite belongs to one process: there the rebuild is its own.
#[test]
fn a_rebuild_elsewhere_is_noticed_and_no_question_fails() {
    let place = &Place::postgres();
    block_on(async {
        let mut world = World::new();
        let replica = Replica::of(place).await;
        let runner = place.open().await;
        let (stop, stopped) = oneshot::channel::<()>();
        let running =
            tokio::spawn(projections::run(Arc::clone(&world.journal), runner.clone(), async {
                let _ = stopped.await;
            }));
        let account = stream_of(domain::account::KIND, "a");
        let rebuilder = place.open().await;
        for number in 1..=30_u64 {
            register(&mut world, number).await;
            let wanted = Position::new(number);
            replica.views.at_least(wanted, LONG).await.unwrap();
            let asking = async {
                for _ in 0..50 {
                    let row = replica.views.get(&account, None).await.unwrap().unwrap();
                    assert!(row.position <= wanted);
                    replica.views.edges_of(&account, None).await.unwrap();
                }
            };
            if number % 10 == 5 {
                let rebuilding = async {
                    rebuilder.rebuild(&world.journal).await.unwrap();
                };
                futures::join!(rebuilding, asking);
            } else {
                asking.await;
            }
        }
        stop.send(()).unwrap();
        running.await.unwrap().unwrap();
        let fresh = place.another();
        run_to(&world, &fresh.open().await, Position::new(30)).await;
        assert_eq!(place.dump().await, fresh.dump().await);
    });
}
