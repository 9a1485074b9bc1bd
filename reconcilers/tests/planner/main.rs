//! Plans, from the log to the log.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "these are tests")]

mod bench;
mod fail_over;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::application::{self, Application};
use domain::commit::{Actor, ActorSort};
use domain::deployment::{self, Deployment, Outcome};
use domain::lifecycle::{self, Lifetime, Resource};
use domain::plan::{self, Proposal, Purpose};
use domain::planning::RefusalCode;
use domain::{Name, StreamId};
use futures::executor::block_on;
use journal::Executor;
use journal::testing::{Call, Fault, Faulty};
use reconcilers::WallClock;
use reconcilers::planner::{PlanError, Planner, Request, WayBack};
use reconcilers::rollouts::RollBack as _;
use serde_json::json;
use uuid::Uuid;

use bench::{Bench, NOW, context, request, steps, tenant};

#[test]
fn a_plan_is_recorded_before_it_is_started() {
    let bench = Bench::new();
    bench.apply("shop/api:1");
    let planned = bench.plan(&request(Purpose::Deploy));
    assert_eq!(
        steps(&planned),
        ["Create cluster/dev-a", "Create database/dev_shop_db", "Create workload/dev_shop_api"]
    );
    let Proposal::Proposed(recorded) = bench.state::<Proposal>("plan", &planned.id.to_string())
    else {
        panic!("the plan is not recorded");
    };
    assert_eq!((recorded.hash, &recorded.plan), (planned.hash, &planned.plan));
    assert_eq!(bench.start(planned.id).unwrap().as_str(), "dev_shop_1");
    let deployment = bench.state::<Deployment>("deployment", "dev_shop");
    let members: Vec<String> = deployment.members.iter().map(ToString::to_string).collect();
    assert_eq!(members, ["database/dev_shop_db", "workload/dev_shop_api"]);
}

#[test]
fn a_deployment_lives_from_the_first_plan_to_the_last() {
    let bench = Bench::new();
    bench.apply("shop/api:1");
    let first = bench.plan(&request(Purpose::Deploy));
    bench.start(first.id).unwrap();
    bench.carry_out(&first.plan);
    assert_eq!(steps(&bench.plan(&request(Purpose::Deploy))), [""; 0]);

    bench.apply("shop/api:2");
    let second = bench.plan(&request(Purpose::Deploy));
    assert_eq!(steps(&second), ["Change workload/dev_shop_api"]);
    assert_eq!(bench.start(second.id).unwrap().as_str(), "dev_shop_2");
    bench.carry_out(&second.plan);

    let back = Request { revision: Some(1), ..request(Purpose::Rollback) };
    let back = bench.plan(&back);
    assert_eq!(
        (back.plan.header.revision, steps(&back)),
        (1, vec!["Change workload/dev_shop_api".into()])
    );

    let last = bench.plan(&request(Purpose::Delete));
    assert_eq!(steps(&last), ["Delete workload/dev_shop_api", "Delete database/dev_shop_db"]);
    bench.start(last.id).unwrap();
    bench.carry_out(&last.plan);
    assert!(bench.state::<Deployment>("deployment", "dev_shop").deleted);
    let again = block_on(bench.planner.plan(&request(Purpose::Delete), &bench.context()));
    assert!(matches!(again, Err(PlanError::NoDeployment(_))));
}

#[test]
fn an_image_given_with_the_request_counts() {
    let bench = Bench::new();
    bench.apply(".");
    let refused = block_on(bench.planner.plan(&request(Purpose::Deploy), &bench.context()));
    let Err(PlanError::Refused(refusals)) = refused else { panic!("{refused:?}") };
    assert_eq!(refusals.iter().map(|it| it.code).collect::<Vec<_>>(), [RefusalCode::ImageMissing]);
    let images = [("api".to_owned(), "shop/api:3".to_owned())].into();
    let planned = bench.plan(&Request { images, ..request(Purpose::Deploy) });
    assert!(serde_json::to_string(&planned.plan).unwrap().contains("shop/api:3"));
    let build = application::Command::ReportBuild {
        workload: "api".into(),
        container: "main".into(),
        image: "shop/api@sha256:0123456789012345678901234567890123456789012345678901234567890123"
            .into(),
        origin: None,
        at: NOW,
    };
    bench.put::<Application>("application", "shop", build);
    let planned = bench.plan(&request(Purpose::Deploy));
    assert!(serde_json::to_string(&planned.plan).unwrap().contains("shop/api@sha256:0123"));
}

#[test]
fn starting_twice_is_starting_once() {
    let bench = Bench::new();
    bench.apply("shop/api:1");
    let planned = bench.plan(&request(Purpose::Deploy));
    let first = bench.start(planned.id).unwrap();
    assert_eq!(bench.start(planned.id).unwrap(), first);
    bench.carry_out(&planned.plan);
    assert_eq!(bench.start(planned.id).unwrap(), first);
    bench.apply("shop/api:2");
    let newer = bench.plan(&request(Purpose::Deploy));
    bench.start(newer.id).unwrap();
    let refused = bench.start(planned.id).unwrap_err();
    assert_eq!(refused.code(), "PLAN_ALREADY_EXECUTED");
}

#[test]
fn a_plan_whose_inputs_have_moved_does_not_start() {
    let bench = Bench::new();
    bench.apply("shop/api:1");
    let planned = bench.plan(&request(Purpose::Deploy));
    bench.define_environment(json!({"domain": "other.test"}));
    let cluster = planned.plan.steps.first().and_then(|step| step.spec.clone()).unwrap();
    let declare = |lifetime| lifecycle::Command::Declare {
        uid: Uuid::from_u128(99),
        spec: cluster.clone(),
        class: None,
        lifetime,
        protected: false,
        at: NOW,
    };
    // What is shared may be made by somebody else in between.
    bench.put::<Resource>("cluster", "dev-a", declare(Lifetime::Kept));
    let Err(PlanError::Moved(moved)) = bench.start(planned.id) else { panic!("it started") };
    assert_eq!(moved, ["the environment went from version 1 to 2"]);
    assert!(bench.state::<Deployment>("deployment", "dev_shop").rollout.is_none());
}

#[test]
fn a_plan_waits_for_approval_where_the_environment_wants_it() {
    let bench = Bench::new();
    bench.define_environment(json!({"approval": true}));
    bench.apply("shop/api:1");
    let planned = bench.plan(&request(Purpose::Deploy));
    assert_eq!(bench.start(planned.id).unwrap_err().code(), "NOT_APPROVED");
    let approve = plan::Command::Approve {
        hash: planned.hash,
        by: Actor::new(ActorSort::User, "bob"),
        at: NOW,
    };
    bench.put::<Proposal>("plan", &planned.id.to_string(), approve);
    assert_eq!(bench.start(planned.id).unwrap().as_str(), "dev_shop_1");
}

#[test]
fn a_failed_rollout_is_taken_back_once() {
    let bench = Bench::new();
    bench.apply("shop/api:1");
    let good = bench.plan(&request(Purpose::Deploy));
    bench.start(good.id).unwrap();
    bench.carry_out(&good.plan);
    bench.apply("shop/api:2");
    let bad = bench.plan(&request(Purpose::Deploy));
    bench.start(bad.id).unwrap();
    let revise = lifecycle::Command::Revise {
        spec: bad.plan.steps[0].spec.clone().unwrap(),
        class: None,
        generation: None,
        at: NOW,
    };
    bench.put::<Resource>("workload", "dev_shop_api", revise);
    let outcome = Outcome::Failed { reason: "it does not start".into() };
    let end = deployment::Command::EndRollout { number: 2, outcome, removed: vec![], at: NOW };
    bench.put::<Deployment>("deployment", "dev_shop", end);
    let failed = bench.state::<Deployment>("deployment", "dev_shop").rollout.unwrap();
    let way_back = WayBack::new(bench.executor.clone(), Arc::new(WallClock));
    let stream = StreamId::new(tenant(), "deployment", "dev_shop".parse().unwrap()).unwrap();
    for _ in 0..2 {
        block_on(way_back.roll_back(&stream, &failed)).unwrap();
        let now = bench.state::<Deployment>("deployment", "dev_shop").rollout.unwrap();
        assert_eq!((now.number, now.revision, now.purpose), (3, 1, Purpose::Rollback));
    }
}

#[test]
fn what_is_not_there_is_named() {
    let bench = Bench::new();
    let plan = |request: &Request| {
        block_on(bench.planner.plan(request, &bench.context())).unwrap_err().to_string()
    };
    assert_eq!(plan(&request(Purpose::Deploy)), "there is no application `shop`");
    bench.apply("shop/api:1");
    let nowhere = Request { environment: "prod".parse().unwrap(), ..request(Purpose::Deploy) };
    assert_eq!(plan(&nowhere), "there is no environment `prod`");
    let never = Request { revision: Some(7), ..request(Purpose::Deploy) };
    assert_eq!(plan(&never), "application `shop` has no revision 7");
    assert_eq!(plan(&request(Purpose::Delete)), "there is no deployment `dev_shop`");
    let id = Uuid::from_u128(5);
    assert_eq!(bench.start(id).unwrap_err().to_string(), format!("there is no plan {id}"));
}

#[test]
fn the_same_request_gives_the_same_plan_for_ever() {
    let bench = Bench::new();
    bench.apply("shop/api:1");
    let first = block_on(bench.planner.plan(&request(Purpose::Deploy), &context(1_000))).unwrap();
    bench.apply("shop/api:2");
    let again = block_on(bench.planner.plan(&request(Purpose::Deploy), &context(1_000))).unwrap();
    assert_eq!(first, again);
}

/// Plans and starts, under the same two ids each time.
async fn way(planner: &Planner) -> Result<Name, PlanError> {
    let planned = planner.plan(&request(Purpose::Deploy), &context(1_000)).await?;
    planner.start(planned.id, &context(1_001)).await
}

#[test]
fn a_crash_anywhere_between_plan_and_rollout_is_harmless() {
    for crash_at in 0..8 {
        for fault in [Fault::CrashBefore, Fault::CrashAfter, Fault::LoseReply] {
            let bench = Bench::new();
            bench.apply("shop/api:1");
            let journal = Arc::clone(bench.executor.journal());
            let appends = AtomicUsize::new(0);
            let faulty = Faulty::new(journal, move |call| {
                let is_append = matches!(call, Call::Append(_));
                let count = appends.fetch_add(usize::from(is_append), Ordering::SeqCst);
                (is_append && count == crash_at).then_some(fault)
            });
            let weak = Planner::new(Executor::new(faulty.clone()), tenant());
            let first = block_on(faulty.run(way(&weak)));
            let again = block_on(way(&bench.planner)).unwrap();
            assert_eq!(again.as_str(), "dev_shop_1", "{crash_at} {fault:?} {first:?}");
            let plan = bench.state::<Deployment>("deployment", "dev_shop").rollout.unwrap().plan;
            let Proposal::Proposed(recorded) = bench.state::<Proposal>("plan", &plan.to_string())
            else {
                panic!("the plan is not recorded");
            };
            assert_eq!(recorded.rollout, Some(again));
        }
    }
}
