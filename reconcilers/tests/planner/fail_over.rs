//! The way out of a cluster that is lost: once for each loss, whatever comes between.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::deployment::{self, Deployment, Outcome, RolloutRef};
use domain::lifecycle::{self, Resource};
use domain::plan::Purpose;
use domain::{StreamId, Time};
use futures::executor::block_on;
use journal::testing::{Call, Fault, Faulty};
use journal::{Executor, Journal};
use reconcilers::WallClock;
use reconcilers::planner::WayOut;
use reconcilers::rollouts::failover::{FailOver as _, Loss, Occupied, Way};
use serde_json::json;

use crate::bench::{Bench, NOW, request, tenant};

/// A shop on `dev-a`, which is lost since then.
fn lost(since: Time) -> (Bench, Loss) {
    let bench = Bench::new();
    let spec = json!({"location": "eu", "version": "1.36", "nodes_min": 1, "nodes_max": 3});
    bench.define_environment(json!({
        "clusters": {"dev-a": {"spec": spec}, "dev-b": {"spec": spec}},
        "failover": {"after_seconds": 1, "allow_replace": true}
    }));
    bench.apply("shop/api:1");
    let planned = bench.plan(&request(Purpose::Deploy));
    bench.start(planned.id).unwrap();
    bench.carry_out(&planned.plan);
    let uid = bench.state::<Resource>("cluster", "dev-a").uid().unwrap();
    observe(&bench, true, NOW);
    observe(&bench, false, since);
    (bench, Loss { cluster: "cluster/dev-a".parse().unwrap(), uid, since })
}

fn observe(bench: &Bench, ready: bool, at: Time) {
    let uid = bench.state::<Resource>("cluster", "dev-a").uid().unwrap();
    let command = if ready {
        let outputs = Default::default();
        lifecycle::Command::ObserveReady { uid, generation: 1, external: None, outputs, at }
    } else {
        lifecycle::Command::ObserveUnready { uid, reason: "no route to host".into(), at }
    };
    bench.put::<Resource>("cluster", "dev-a", command);
}

fn shop() -> StreamId {
    StreamId::new(tenant(), "deployment", "dev_shop".parse().unwrap()).unwrap()
}

fn leave(executor: &Executor, loss: &Loss) -> Result<Way, String> {
    let way_out = WayOut::new(executor.clone(), Arc::new(WallClock));
    block_on(way_out.fail_over(&shop(), loss, Occupied::new()))
}

fn last(bench: &Bench) -> RolloutRef {
    bench.state::<Deployment>("deployment", "dev_shop").rollout.unwrap()
}

#[test]
fn a_crash_anywhere_on_the_way_out_is_harmless_and_two_at_once_are_one() {
    for crash_at in 0..8 {
        for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::LoseReply] {
            let (bench, loss) = lost(Time::from_micros(9));
            let journal: Arc<dyn Journal> = Arc::clone(bench.executor.journal());
            let appends = AtomicUsize::new(0);
            let faulty = Faulty::new(journal, move |call| {
                let is_append = matches!(call, Call::Append(_));
                let count = appends.fetch_add(usize::from(is_append), Ordering::SeqCst);
                (is_append && count == crash_at).then_some(fault)
            });
            let shop = shop();
            let weak = WayOut::new(Executor::new(faulty.clone()), Arc::new(WallClock));
            let first = block_on(faulty.run(weak.fail_over(&shop, &loss, Occupied::new())));
            for _ in 0..2 {
                assert_eq!(
                    leave(&bench.executor, &loss),
                    Ok(Way::Begun),
                    "{crash_at} {fault:?} {first:?}"
                );
                assert_eq!((last(&bench).number, last(&bench).purpose), (2, Purpose::Failover));
            }
        }
    }
}

#[test]
fn a_cluster_that_was_ready_in_between_is_another_loss() {
    let (bench, loss) = lost(Time::from_micros(9));
    observe(&bench, true, Time::from_micros(10));
    assert_eq!(leave(&bench.executor, &loss), Ok(Way::None), "it is back");
    observe(&bench, false, Time::from_micros(11));
    assert_eq!(leave(&bench.executor, &loss), Ok(Way::None), "it is lost since another moment");
    assert_eq!(last(&bench).number, 1);
    let again = Loss { since: Time::from_micros(11), ..loss };
    assert_eq!(leave(&bench.executor, &again), Ok(Way::Begun));
}

#[test]
fn what_failed_on_its_way_out_is_a_persons_matter() {
    let (bench, loss) = lost(Time::from_micros(9));
    assert_eq!(leave(&bench.executor, &loss), Ok(Way::Begun));
    let outcome = Outcome::Failed { reason: "no such image".into() };
    let end = deployment::Command::EndRollout { number: 2, outcome, removed: vec![], at: NOW };
    bench.put::<Deployment>("deployment", "dev_shop", end);
    assert_eq!(leave(&bench.executor, &loss), Ok(Way::None));
    assert_eq!(last(&bench).number, 2);
}

#[test]
fn where_there_is_no_other_cluster_it_waits_and_says_why() {
    let (bench, loss) = lost(Time::from_micros(9));
    let spec = json!({"location": "eu", "version": "1.36", "nodes_min": 1, "nodes_max": 3});
    bench.define_environment(json!({
        "clusters": {"dev-a": {"spec": spec}},
        "failover": {"after_seconds": 1, "allow_replace": true}
    }));
    let Way::Shut(why) = leave(&bench.executor, &loss).unwrap() else { panic!("it cannot leave") };
    assert!(why.contains("cluster/dev-a has not been ready since"), "{why}");
    bench.define_environment(json!({}));
    assert_eq!(leave(&bench.executor, &loss), Ok(Way::None), "nobody says that it is to leave");
}
