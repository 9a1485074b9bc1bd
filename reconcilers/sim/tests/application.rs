//! A whole application by the real loop: what wakes whom is enough, for nothing is looked at again for minutes.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test: what cannot be is a failure"
)]

use std::sync::Arc;
use std::time::Duration;

use domain::commit::{ActorSort, Context, Hash};
use domain::deployment::{self, Outcome};
use domain::lifecycle::Lifetime;
use domain::plan::{self, Header, Pins, Proposal, Purpose, Step, StepAction};
use domain::{Actor, Decider, Name, Resource, ResourceId, StreamId, Tenant};
use futures::StreamExt as _;
use journal::memory::MemoryJournal;
use journal::{Executor, Position};
use reconcilers::{Clock as _, Driver, Providers, Settings, WallClock};
use serde_json::{Value, json};
use sim::{Nature, Options, Sim};
use uuid::Uuid;

const DEPLOYMENT: &str = "dev_shop";
const CLUSTER: &str = "cluster/a";
const GATEWAY: &str = "support-service/a_gateway";
const DATABASE: &str = "database/dev_shop_db";
const WEB: &str = "workload/dev_shop_web";
const ROUTE: &str = "route/dev_shop_web";
const RECORD: &str = "dns-record/dev_shop_web";

fn application() -> Vec<(ResourceId, Lifetime, Value)> {
    let owned = Lifetime::Deployment(DEPLOYMENT.parse().unwrap());
    let row = |id: &str, lifetime: &Lifetime, spec| (id.parse().unwrap(), lifetime.clone(), spec);
    let variables = json!({"HOST": format!("${{{DATABASE}.host}}"), "PASSWORD": format!("${{{DATABASE}.password}}")});
    vec![
        row(
            CLUSTER,
            &Lifetime::Kept,
            json!({"location": "eu", "version": "1.36", "nodes_min": 1, "nodes_max": 3}),
        ),
        row(
            GATEWAY,
            &Lifetime::WhileNeeded,
            json!({"capability": "gateway", "version": "1", "cluster": CLUSTER}),
        ),
        row(
            DATABASE,
            &owned,
            json!({"engine": "postgres", "version": "16", "storage_gib": 20,
            "size": "s", "database": "shop", "cluster": CLUSTER}),
        ),
        row(
            WEB,
            &owned,
            json!({"mode": "service", "cluster": CLUSTER, "scale": {"fixed": 3},
            "containers": {"main": {"image": "web:1", "variables": variables}}}),
        ),
        row(
            ROUTE,
            &owned,
            json!({"host": "shop.test", "path": "/", "workload": WEB, "port": 80, "gateway": GATEWAY}),
        ),
        row(
            RECORD,
            &owned,
            json!({"host": "shop.test", "target": format!("${{{GATEWAY}.address}}")}),
        ),
    ]
}

/// One step a resource: made in the order of the list, or deleted in the reverse.
fn steps(purpose: Purpose) -> Vec<Step> {
    let step = |(index, (resource, lifetime, spec)): (usize, (ResourceId, Lifetime, Value))| Step {
        spec: (purpose == Purpose::Deploy).then(|| resource.kind.read_spec(spec).unwrap()),
        action: if purpose == Purpose::Deploy { StepAction::Create } else { StepAction::Delete },
        after: index.checked_sub(1).map(|before| before as u32).into_iter().collect(),
        resource,
        class: None,
        lifetime,
        protected: false,
        why: Vec::new(),
        changes: Vec::new(),
    };
    let rows = application();
    match purpose {
        Purpose::Deploy | Purpose::Rollback | Purpose::Failover => {
            rows.into_iter().enumerate().map(step).collect()
        }
        Purpose::Delete => rows.into_iter().skip(2).rev().enumerate().map(step).collect(),
    }
}

struct Plane {
    executor: Executor,
    tenant: Tenant,
    sim: Arc<Sim>,
}

impl Plane {
    async fn command<D: Decider>(&self, stream: &StreamId, command: D::Command, id: u128)
    where
        D::Command: Clone,
    {
        let context = Context {
            commit_id: Uuid::from_u128(id),
            time: WallClock.now(),
            actor: Actor::new(ActorSort::User, "ada"),
            causation_id: None,
            correlation_id: Uuid::from_u128(id),
            traceparent: None,
        };
        self.executor.execute::<D>(stream, command, context).await.unwrap();
    }

    async fn start(&self, plan: Uuid, purpose: Purpose) {
        let (at, steps) = (WallClock.now(), steps(purpose));
        let header = Header {
            deployment: DEPLOYMENT.parse().unwrap(),
            application: "shop".parse().unwrap(),
            environment: "dev".parse().unwrap(),
            revision: 1,
            purpose,
            pins: Pins::default(),
            placement: None,
            notes: Vec::new(),
        };
        let members: Vec<_> = application().into_iter().skip(2).map(|(id, ..)| id).collect();
        let propose = plan::Command::Propose {
            header: Box::new(header),
            hash: Hash::default(),
            steps_total: steps.len() as u32,
            steps,
            at,
        };
        let name: Name = plan.to_string().parse().unwrap();
        let stream = StreamId::new(self.tenant.clone(), plan::KIND, name).unwrap();
        self.command::<Proposal>(&stream, propose, plan.as_u128() + 100).await;
        let start = deployment::Command::StartRollout {
            application: "shop".parse().unwrap(),
            environment: "dev".parse().unwrap(),
            plan,
            revision: 1,
            purpose,
            members,
            at,
        };
        self.command::<deployment::Deployment>(&self.deployment(), start, plan.as_u128() + 200)
            .await;
    }

    fn deployment(&self) -> StreamId {
        let name = DEPLOYMENT.parse().unwrap();
        StreamId::new(self.tenant.clone(), deployment::KIND, name).unwrap()
    }

    /// Waits until a stream holds so many events of this type.
    async fn until(&self, stream: &StreamId, event: &str, mut count: usize) {
        let mut commits = self.executor.journal().follow(Position::START);
        let seen = async {
            while count > 0 {
                let commit = commits.next().await.unwrap().unwrap().sealed.commit.clone();
                let events = commit.events.iter().filter(|e| e.event_type == event).count();
                count -= if commit.stream == *stream { events.min(count) } else { 0 };
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(120), seen).await;
        assert!(waited.is_ok(), "no {event} of {stream}");
    }

    async fn outcome(&self) -> Option<Outcome> {
        let stream = self.deployment();
        let state = self.executor.load_state::<deployment::Deployment>(&stream).await.unwrap();
        state.state.outcome.clone()
    }

    fn things(&self) -> Vec<String> {
        self.sim.with_world(|world| {
            let mut ids: Vec<_> = world.objects().map(|o| o.target.id.to_string()).collect();
            ids.sort();
            ids
        })
    }
}

#[tokio::test]
async fn an_application_comes_up_in_order_and_goes_in_reverse() {
    let executor = Executor::new(Arc::new(MemoryJournal::new()));
    let nature = Nature { speed: 300, ..Nature::default() };
    let options = Options { nature, ..Options::default() };
    let sim = Arc::new(Sim::open(Arc::new(WallClock), options).unwrap());
    let settings = Settings { session: Uuid::from_u128(9), grace_micros: 100_000 };
    let clock = Arc::new(WallClock);
    let driver = Driver::new(executor.clone(), Providers::all(&sim), clock, settings);
    let (stop, shutdown) = tokio::sync::watch::channel(false);
    let world = Arc::clone(&sim);
    let ticking = tokio::spawn(async move { world.run().await });
    let running = tokio::spawn(reconcilers::run(Arc::new(driver), shutdown));
    let plane = Plane { executor, tenant: "acme".parse().unwrap(), sim };

    plane.start(Uuid::from_u128(1), Purpose::Deploy).await;
    plane.until(&plane.deployment(), "RolloutEnded", 1).await;
    assert_eq!(plane.outcome().await, Some(Outcome::Succeeded));
    assert_eq!(plane.things(), [CLUSTER, DATABASE, RECORD, ROUTE, GATEWAY, WEB]);
    let web = WEB.parse::<ResourceId>().unwrap().stream(&plane.tenant);
    let state = plane.executor.load_state::<Resource>(&web).await.unwrap().state;
    assert!(state.is_ready());
    let spec = plane.sim.with_world(|world| {
        world.find(&plane.tenant, &WEB.parse().unwrap()).unwrap().spec.to_string()
    });
    assert!(spec.contains(".sim.internal") && spec.contains("secretRef"), "{spec}");

    plane.start(Uuid::from_u128(2), Purpose::Delete).await;
    plane.until(&plane.deployment(), "Deleted", 1).await;
    let gateway = GATEWAY.parse::<ResourceId>().unwrap().stream(&plane.tenant);
    plane.until(&gateway, "Deleted", 1).await;
    assert_eq!(plane.things(), [CLUSTER], "what is kept stays, what is unneeded goes");
    stop.send(true).unwrap();
    running.await.unwrap().unwrap();
    ticking.abort();
}
