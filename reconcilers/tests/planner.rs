//! Plans, from the log to the log.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::sync::Arc;

use domain::application::{self, Application, Model};
use domain::class::{self, Class};
use domain::commit::{Actor, ActorSort, Context};
use domain::deployment::{self, Deployment, Outcome};
use domain::environment::{self, Environment};
use domain::lifecycle::{self, Lifetime, Resource};
use domain::plan::{self, Plan, Proposal, Purpose, StepAction};
use domain::planning::{Options, RefusalCode};
use domain::{Decider, Name, StreamId, Tenant, Time};
use futures::executor::block_on;
use journal::memory::MemoryJournal;
use journal::testing::{Call, Fault, Faulty};
use journal::{Executor, Journal};
use reconcilers::WallClock;
use reconcilers::planner::{Hints, PlanError, Planned, Planner, Request, WayBack};
use reconcilers::rollouts::RollBack as _;
use serde_json::{Value, json};
use uuid::Uuid;

const NOW: Time = Time::from_micros(1);

/// A log with an environment and classes, and a planner on it.
struct Bench {
    executor: Executor,
    planner: Planner,
    next: std::cell::Cell<u128>,
}

impl Bench {
    fn on(journal: Arc<dyn Journal>) -> Self {
        let executor = Executor::new(journal);
        let planner = Planner::new(executor.clone(), tenant());
        Self { executor, planner, next: std::cell::Cell::new(1) }
    }

    fn new() -> Self {
        let bench = Self::on(Arc::new(MemoryJournal::new()));
        bench.define_environment(json!({}));
        let postgres = json!({
            "type": "postgres", "target": "database",
            "params": {"storage_gib": {"type": "integer", "default": 10}},
            "spec": {"engine": "postgres", "version": "16", "storage_gib": "${params.storage_gib}",
                     "size": "small", "database": "app", "cluster": "${cluster}"}
        });
        bench.define_class(postgres);
        bench
    }

    fn context(&self) -> Context {
        self.next.set(self.next.get() + 1);
        context(self.next.get())
    }

    fn put<D: Decider>(&self, kind: &str, name: &str, command: D::Command) {
        let stream = StreamId::new(tenant(), kind, name.parse().unwrap()).unwrap();
        block_on(self.executor.execute::<D>(&stream, command, self.context())).unwrap();
    }

    fn define_environment(&self, more: Value) {
        let mut definition = json!({
            "name": "dev", "domain": "dev.test",
            "clusters": {"dev-a": {"spec": {"location": "eu", "version": "1.36", "nodes_min": 1, "nodes_max": 3}}}
        });
        let fields = definition.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        let definition = serde_json::from_value(definition).unwrap();
        self.put::<Environment>(
            "environment",
            "dev",
            environment::Command::Define { definition, at: NOW },
        );
    }

    fn define_class(&self, definition: Value) {
        let definition: class::Definition = serde_json::from_value(definition).unwrap();
        let name = definition.name().unwrap();
        self.put::<Class>("class", name.as_str(), class::Command::Define { definition, at: NOW });
    }

    fn apply(&self, image: &str) {
        let model: Model = serde_json::from_value(shop(image)).unwrap();
        let apply =
            application::Command::Apply { model: Box::new(model), sources: Vec::new(), at: NOW };
        self.put::<Application>("application", "shop", apply);
    }

    fn plan(&self, request: &Request) -> Planned {
        block_on(self.planner.plan(request, &self.context()))
            .unwrap_or_else(|error| panic!("{error:?}"))
    }

    fn start(&self, id: Uuid) -> Result<Name, PlanError> {
        block_on(self.planner.start(id, &self.context()))
    }

    /// Does what a plan says, as its rollout would.
    fn carry_out(&self, plan: &Plan) {
        let removed = plan.steps.iter().filter(|step| step.action == StepAction::Delete);
        let removed = removed.map(|step| step.resource.clone()).collect();
        for step in &plan.steps {
            let (kind, name) = (step.resource.kind.as_str(), step.resource.name.as_str());
            let spec = step.spec.clone();
            match &step.action {
                StepAction::Create => {
                    let declare = lifecycle::Command::Declare {
                        uid: Uuid::from_u128(self.next.get()),
                        spec: spec.unwrap(),
                        class: step.class.clone(),
                        lifetime: step.lifetime.clone(),
                        protected: step.protected,
                        at: NOW,
                    };
                    self.put::<Resource>(kind, name, declare);
                }
                StepAction::Change => {
                    let (spec, class) = (spec.unwrap(), step.class.clone());
                    let revise =
                        lifecycle::Command::Revise { spec, class, generation: None, at: NOW };
                    self.put::<Resource>(kind, name, revise);
                }
                StepAction::Delete => self.delete(kind, name),
                StepAction::Replace { why } => panic!("{why}"),
            }
        }
        let deployment = plan.header.deployment.as_str();
        let number = self.state::<Deployment>("deployment", deployment).rollout.unwrap().number;
        let end = deployment::Command::EndRollout {
            number,
            outcome: Outcome::Succeeded,
            removed,
            at: NOW,
        };
        self.put::<Deployment>("deployment", deployment, end);
    }

    fn delete(&self, kind: &str, name: &str) {
        let uid = self.state::<Resource>(kind, name).uid().unwrap();
        let request =
            lifecycle::Command::RequestDeletion { uid: None, replacement: false, at: NOW };
        self.put::<Resource>(kind, name, request);
        self.put::<Resource>(kind, name, lifecycle::Command::ObserveGone { uid, at: NOW });
    }

    fn state<D: Decider>(&self, kind: &str, name: &str) -> D::State {
        let stream = StreamId::new(tenant(), kind, name.parse().unwrap()).unwrap();
        D::State::clone(&block_on(self.executor.load_state::<D>(&stream)).unwrap().state)
    }
}

fn tenant() -> Tenant {
    "acme".parse().unwrap()
}

fn context(number: u128) -> Context {
    Context {
        commit_id: Uuid::from_u128(number),
        time: NOW,
        actor: Actor::new(ActorSort::User, "ann"),
        causation_id: None,
        correlation_id: Uuid::from_u128(number),
        traceparent: None,
    }
}

fn shop(image: &str) -> Value {
    json!({
        "name": "shop",
        "resources": {"db": {"type": "postgres"}},
        "workloads": {"api": {
            "mode": "worker",
            "containers": {"main": {"image": image, "variables": {"HOST": "${resources.db.host}"}}}
        }}
    })
}

fn request(purpose: Purpose) -> Request {
    Request {
        application: "shop".parse().unwrap(),
        environment: "dev".parse().unwrap(),
        revision: None,
        images: Default::default(),
        options: Options { purpose, allow_replace: false, allow_mass_delete: false },
        hints: Hints::default(),
    }
}

fn steps(planned: &Planned) -> Vec<String> {
    let steps = planned.plan.steps.iter();
    steps.map(|step| format!("{:?} {}", step.action, step.resource)).collect()
}

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
            let appends = std::sync::atomic::AtomicUsize::new(0);
            let faulty = Faulty::new(journal, move |call| {
                let is_append = matches!(call, Call::Append(_));
                let count =
                    appends.fetch_add(usize::from(is_append), std::sync::atomic::Ordering::SeqCst);
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
