//! When a deployment leaves its cluster and when what nobody needs goes, by a clock that is told: neither sooner nor later.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test: what cannot be is a failure"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use domain::application::{self, Application};
use domain::commit::{ActorSort, Context};
use domain::deployment::{self, Deployment};
use domain::environment::{self, Environment};
use domain::lifecycle::{Command, Lifetime};
use domain::plan::Purpose;
use domain::planning::Options;
use domain::{Actor, Decider, KindName, Resource, ResourceId, StreamId, Tenant, Time};
use futures::executor::block_on;
use journal::Executor;
use journal::memory::MemoryJournal;
use reconcilers::decision::Next;
use reconcilers::planner::{Hints, Request};
use reconcilers::{Clock, Driver, Planner, Providers, Settings, WayOut};
use serde_json::json;
use sim::{Happening, Sim};
use uuid::Uuid;

const SECOND: i64 = 1_000_000;
const GRACE: i64 = 15 * SECOND;
const AFTER: i64 = 600 * SECOND;
const DEPLOYMENT: &str = "deployment";

struct Virtual(AtomicI64);

impl Clock for Virtual {
    fn now(&self) -> Time {
        Time::from_micros(self.0.load(Ordering::Relaxed))
    }
}

struct Plane {
    executor: Executor,
    driver: Driver,
    sim: Arc<Sim>,
    clock: Arc<Virtual>,
    ids: AtomicU64,
}

fn tenant() -> Tenant {
    "acme".parse().unwrap()
}

fn stream(kind: &str, name: &str) -> StreamId {
    StreamId::new(tenant(), kind, name.parse().unwrap()).unwrap()
}

impl Plane {
    /// An application that runs on the first of two clusters.
    fn new() -> Self {
        let clock = Arc::new(Virtual(AtomicI64::new(SECOND)));
        let executor = Executor::new(Arc::new(MemoryJournal::new()));
        let sim = Arc::new(Sim::open(Arc::clone(&clock) as _, sim::Options::default()).unwrap());
        let settings = Settings { session: Uuid::from_u128(9), grace_micros: GRACE };
        let as_clock = || Arc::clone(&clock) as Arc<dyn Clock>;
        let driver = Driver::new(executor.clone(), Providers::all(&sim), as_clock(), settings)
            .with_fail_over(Arc::new(WayOut::new(executor.clone(), as_clock())));
        let plane = Self { executor, driver, sim, clock, ids: AtomicU64::new(0) };
        let spec = json!({"location": "eu", "version": "1.36", "nodes_min": 1, "nodes_max": 3});
        let definition = json!({"name": "dev", "domain": "dev.test", "failover": {"after_seconds": 600},
            "clusters": {"a": {"spec": spec}, "b": {"spec": spec}}});
        let definition = serde_json::from_value(definition).unwrap();
        let at = plane.clock.now();
        plane.put::<Environment>(
            "environment",
            "dev",
            environment::Command::Define { definition, at },
        );
        let model = json!({"name": "shop", "resources": {}, "workloads": {"web": {"mode": "worker",
            "containers": {"main": {"image": "web:1"}}}}});
        let model = Box::new(serde_json::from_value(model).unwrap());
        let apply = application::Command::Apply { model, sources: Vec::new(), at };
        plane.put::<Application>("application", "shop", apply);
        plane.deploy();
        for _ in 0..20 {
            plane.advance(60 * SECOND);
        }
        assert_eq!(plane.last(), (1, Purpose::Deploy, true));
        plane
    }

    fn context(&self) -> Context {
        let id = Uuid::from_u128(u128::from(self.ids.fetch_add(1, Ordering::Relaxed)) + 100);
        Context {
            commit_id: id,
            time: self.clock.now(),
            actor: Actor::new(ActorSort::User, "ada"),
            causation_id: None,
            correlation_id: id,
            traceparent: None,
        }
    }

    fn put<D: Decider>(&self, kind: &str, name: &str, command: D::Command) {
        block_on(self.executor.execute::<D>(&stream(kind, name), command, self.context())).unwrap();
    }

    fn deploy(&self) {
        let request = Request {
            application: "shop".parse().unwrap(),
            environment: "dev".parse().unwrap(),
            revision: None,
            images: Default::default(),
            cluster: None,
            options: Options {
                purpose: Purpose::Deploy,
                allow_replace: false,
                allow_delete: false,
                allow_mass_delete: false,
            },
            hints: Hints::default(),
        };
        let planner = Planner::new(self.executor.clone(), tenant());
        let planned = block_on(planner.plan(&request, &self.context())).unwrap();
        block_on(planner.start(planned.id, &self.context())).unwrap();
    }

    /// Time goes by, and then everything has its turn until nothing more is to be done.
    fn advance(&self, micros: i64) {
        self.clock.0.fetch_add(micros, Ordering::Relaxed);
        for _ in 0..100 {
            block_on(self.driver.index().catch_up()).unwrap();
            let mut acted = false;
            for stream in self.driver.index().streams() {
                let decision = block_on(self.driver.look(&stream)).unwrap();
                acted |= block_on(self.driver.act(decision)).unwrap() == Next::Again;
            }
            if !acted {
                return;
            }
        }
    }

    fn happen(&self, what: Happening) {
        let cluster: ResourceId = "cluster/a".parse().unwrap();
        self.sim.happen(&tenant(), &cluster, what).unwrap();
        self.advance(0);
    }

    fn lose(&self) {
        let message = "no route to host".to_owned();
        self.happen(Happening::Break { message, for_good: false });
    }

    /// A support service of the first cluster.
    fn serve(&self, capability: &str) {
        let spec = json!({"capability": capability, "version": "1", "cluster": "cluster/a"});
        self.declare("support-service", &format!("a_{capability}"), spec, Lifetime::WhileNeeded);
    }

    fn declare(&self, kind: &str, name: &str, spec: serde_json::Value, lifetime: Lifetime) {
        let at = self.clock.now();
        let uid = self.context().commit_id;
        let spec = KindName::parse(kind).unwrap().read_spec(spec).unwrap();
        let class = None;
        let declare = Command::Declare { uid, spec, class, lifetime, protected: false, at };
        self.put::<Resource>(kind, name, declare);
    }

    fn is_live(&self, kind: &str, name: &str) -> bool {
        let state = block_on(self.executor.load_state::<Resource>(&stream(kind, name))).unwrap();
        matches!(*state.state, Resource::Live(_))
    }

    /// When the deployment is looked at again though nothing happens.
    fn again_in(&self) -> Option<i64> {
        let looked = block_on(self.driver.look(&stream(DEPLOYMENT, "dev_shop"))).unwrap();
        looked.again_at.map(|at| at.micros_since(self.clock.now()))
    }

    /// The last rollout: its number, what it is for, and whether it is over.
    fn last(&self) -> (u64, Purpose, bool) {
        let stream = stream(deployment::KIND, "dev_shop");
        let state = block_on(self.executor.load_state::<Deployment>(&stream)).unwrap().state;
        let rollout = state.rollout.as_ref().unwrap();
        (rollout.number, rollout.purpose, state.outcome.is_some())
    }
}

#[test]
fn a_cluster_is_left_when_its_time_is_over_and_one_timer_waits_for_that() {
    let plane = Plane::new();
    assert_eq!(plane.again_in(), None, "a settled deployment has no timer");
    plane.lose();
    assert_eq!(plane.again_in(), Some(AFTER));
    plane.advance(AFTER - 1);
    assert_eq!((plane.last().0, plane.again_in()), (1, Some(1)));
    plane.advance(1);
    assert_eq!((plane.last().0, plane.last().1), (2, Purpose::Failover));
    for _ in 0..20 {
        plane.advance(60 * SECOND);
    }
    assert_eq!(plane.last(), (2, Purpose::Failover, true), "once");
}

#[test]
fn a_cluster_that_flaps_begins_anew_each_time() {
    let plane = Plane::new();
    for _ in 0..3 {
        plane.lose();
        plane.advance(AFTER - SECOND);
        plane.happen(Happening::Heal);
        assert_eq!(plane.again_in(), None);
        plane.advance(SECOND);
    }
    plane.advance(AFTER);
    assert_eq!(plane.last(), (1, Purpose::Deploy, true));
}

#[test]
fn what_nobody_needs_goes_when_its_grace_is_over_and_what_somebody_needs_stays() {
    let plane = Plane::new();
    plane.serve("gateway");
    plane.serve("dns");
    let needs = json!({"mode": "worker", "cluster": "cluster/a", "scale": {"fixed": 1},
        "containers": {"main": {"image": "web:1"}}, "after": ["support-service/a_dns"]});
    plane.declare("workload", "needy", needs, Lifetime::Kept);
    plane.advance(GRACE - 1);
    assert!(plane.is_live("support-service", "a_gateway"), "it may be needed again");
    plane.advance(1);
    assert!(!plane.is_live("support-service", "a_gateway"), "its time is over");
    assert!(plane.is_live("support-service", "a_dns"), "it is needed");
    // Its own time begins when the last need ends.
    let delete = Command::RequestDeletion { uid: None, replacement: false, at: plane.clock.now() };
    plane.put::<Resource>("workload", "needy", delete);
    plane.advance(GRACE - 1);
    assert!(plane.is_live("support-service", "a_dns"), "it was needed just now");
    plane.advance(2 * GRACE);
    assert!(!plane.is_live("support-service", "a_dns"));
}
