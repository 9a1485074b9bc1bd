//! A whole control plane in one process: the SQLite log and views, the planner, the reconcilers' loop and a
//! simulated world whose clock runs fast. What a user does by the CLI, tests do here by calls.
#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests build on this"
)]

mod files;
pub mod history;
pub mod rng;
pub mod samples;
mod waiting;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use charts::fetch::{Fetcher, Mirrors, Reach};
use domain::application::{self, Application, Model, Parsed};
use domain::class::Class;
use domain::commit::{Actor, ActorSort, Context};
use domain::environment::Environment;
use domain::plan::Purpose;
use domain::planning::Options;
use domain::{
    Decider, Name, Resource, ResourceId, StreamId, Tenant, Time, catalogue, class, environment,
};
use journal::sqlite::SqliteJournal;
use journal::{Executor, Journal, Position};
use kubernetes::{Beside, Charts, Clusters, Kubernetes};
use projections::{State, Views};
use reconcilers::contents::keep;
use reconcilers::planner::{Hints, PlanError, Planned, Planner, Request, WayBack, WayOut};
use reconcilers::secrets::Stores;
use reconcilers::{Clock as _, Driver, Logs, Providers, Settings, WallClock};
use sim::{Nature, Sim};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

pub use files::{read, read_whole};

/// How long anything may take. Far beyond what it takes: a test that hangs ends.
const PATIENCE: Duration = Duration::from_secs(300);
/// How much faster than life the world is.
const SPEED: u32 = 20_000;
/// Whose everything is.
const TENANT: &str = "acme";
/// How long something may be unneeded before it goes.
const GRACE_MICROS: i64 = 50_000;

/// Everything, running. Dropping it stops it.
pub struct Plane {
    /// The one write path.
    pub executor: Executor,
    /// What can be shown.
    pub views: Views,
    /// From an application to a plan.
    pub planner: Planner,
    /// What workloads write.
    pub logs: Logs,
    /// The simulated cloud.
    pub world: Arc<Sim>,
    tenant: Tenant,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Plane {
    /// Starts everything on a directory, with the shipped classes and the environment `dev`.
    pub async fn start(directory: &Path) -> Self {
        Self::start_beside(directory, None).await
    }

    /// The same on a real cluster, which this kubeconfig leads to: `dev` has no other. Everything but the cluster, its
    /// workloads and its volumes is simulated.
    pub async fn start_on(directory: &Path, kubeconfig: &str) -> Self {
        Self::start_with(directory, kubeconfig, charts_by(Mirrors::new())).await
    }

    /// The same, with charts from elsewhere.
    pub async fn start_with(directory: &Path, kubeconfig: &str, charts: Charts) -> Self {
        let secrets = directory.join("secrets");
        std::fs::create_dir_all(&secrets).unwrap();
        std::fs::write(secrets.join("real"), kubeconfig).unwrap();
        let clusters = Clusters::new(Arc::new(Stores::new(secrets)), Arc::new(WallClock));
        let existing = serde_json::json!({ "store": "file", "path": "real" });
        Self::start_by(directory, clusters, charts, &existing).await
    }

    /// The same on one of these clusters: `existing` says where its credentials are.
    pub async fn start_by(
        directory: &Path,
        clusters: Clusters,
        charts: Charts,
        existing: &serde_json::Value,
    ) -> Self {
        let plane = Self::start_beside(directory, Some((clusters, charts))).await;
        let spec = serde_json::json!({ "location": "here", "existing": existing });
        let clusters = serde_json::json!({ "real": { "spec": spec, "workloads_max": 1_000 } });
        let definition =
            serde_json::json!({ "name": "dev", "domain": "dev.test", "clusters": clusters });
        let definition = serde_json::from_value(definition).unwrap();
        let command = environment::Command::Define { definition, at: now() };
        plane.put::<Environment>(environment::KIND, &"dev".parse().unwrap(), command).await;
        plane
    }

    async fn start_beside(directory: &Path, real: Option<(Clusters, Charts)>) -> Self {
        let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::open(directory).unwrap());
        let executor = Executor::new(Arc::clone(&journal));
        let views = Views::open_sqlite(&directory.join("views")).await.unwrap();
        let tenant: Tenant = TENANT.parse().unwrap();
        let planner = Planner::new(executor.clone(), tenant.clone());
        let options = sim::Options {
            nature: Nature { seed: 1, speed: SPEED, remembers: true },
            path: Some(directory.join("world.jsonl")),
            ..sim::Options::default()
        };
        let world = Arc::new(Sim::open(Arc::new(WallClock), options).unwrap());
        let settings = Settings { session: Uuid::now_v7(), grace_micros: GRACE_MICROS };
        let real = real.map(|(clusters, charts)| {
            let kubernetes = Kubernetes::new(clusters);
            let kubernetes = kubernetes.with_contents(Arc::new(executor.clone()));
            Arc::new(kubernetes.with_charts(charts))
        });
        let providers = || match &real {
            None => Providers::all(&world),
            Some(real) => Beside::providers(&world, real),
        };
        let logs = Logs::new(executor.clone(), providers());
        let driver = Driver::new(executor.clone(), providers(), Arc::new(WallClock), settings)
            .with_roll_back(Arc::new(WayBack::new(executor.clone(), Arc::new(WallClock))))
            .with_fail_over(Arc::new(WayOut::new(executor.clone(), Arc::new(WallClock))));
        let stop = watch::Sender::new(false);
        let mut stopped = stop.subscribe();
        let shown = projections::run(journal, views.clone(), async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        });
        let worked = reconcilers::run(Arc::new(driver), stop.subscribe());
        let lives = Arc::clone(&world);
        let tasks = vec![
            tokio::spawn(async { shown.await.expect("the views follow") }),
            tokio::spawn(async { worked.await.expect("the reconcilers follow") }),
            tokio::spawn(async move { lives.run().await }),
        ];
        let plane = Self { executor, views, planner, logs, world, tenant, stop, tasks };
        let shipped = catalogue::shipped().unwrap();
        for definition in shipped.classes {
            let name = definition.name().unwrap();
            let command = class::Command::Define { definition, at: now() };
            plane.put::<Class>(class::KIND, &name, command).await;
        }
        for definition in shipped.environments {
            let name = definition.name.parse().unwrap();
            let command = environment::Command::Define { definition, at: now() };
            plane.put::<Environment>(environment::KIND, &name, command).await;
        }
        plane
    }

    /// Stops everything and lets go of the files.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        for (index, task) in std::mem::take(&mut self.tasks).into_iter().enumerate() {
            if index == 2 {
                task.abort();
            }
            let _ = task.await;
        }
    }

    /// Carries out a command about an aggregate that is no resource.
    pub async fn put<D: Decider>(&self, kind: &str, name: &Name, command: D::Command) -> Position {
        let stream = StreamId::new(self.tenant.clone(), kind, name.clone()).unwrap();
        self.executor.execute::<D>(&stream, command, context()).await.unwrap().position
    }

    /// Records a revision of an application from files on the disk.
    pub async fn apply(
        &self,
        application: &str,
        files: &[&Path],
        images: &[(&str, &str)],
    ) -> Model {
        let Parsed { model, contents, .. } = read_whole(application, files, images);
        for bytes in contents.values() {
            let kept = keep(&self.executor, &self.tenant, bytes, context).await;
            kept.expect("the objects are kept");
        }
        let name: Name = application.parse().unwrap();
        let command = application::Command::Apply {
            model: Box::new(model.clone()),
            sources: Vec::new(),
            at: now(),
        };
        self.put::<Application>(application::KIND, &name, command).await;
        model
    }

    /// Makes a plan.
    ///
    /// # Errors
    /// As the planner's.
    pub async fn plan(
        &self,
        application: &str,
        purpose: Purpose,
        revision: Option<u64>,
    ) -> Result<Planned, PlanError> {
        let request = Request {
            cluster: None,
            application: application.parse().unwrap(),
            environment: "dev".parse().unwrap(),
            revision,
            images: BTreeMap::new(),
            options: Options {
                purpose,
                allow_replace: false,
                allow_delete: true,
                allow_mass_delete: false,
            },
            hints: Hints::default(),
        };
        self.planner.plan(&request, &context()).await
    }

    /// Plans and runs, and waits until the rollout ended and everything is ready; gives the plan.
    pub async fn deliver(&self, application: &str) -> Planned {
        let planned = self.begin(application, Purpose::Deploy).await;
        self.ready(application).await;
        planned
    }

    /// Plans, and begins to run that; gives the plan.
    pub async fn begin(&self, application: &str, purpose: Purpose) -> Planned {
        let planned = self.plan(application, purpose, None).await;
        let planned = planned.unwrap_or_else(|error| panic!("{application}: {error:?}"));
        self.planner.start(planned.id, &context()).await.unwrap();
        planned
    }

    /// Delivers an application whole; nothing is left to be planned then.
    pub async fn deliver_sample(&self, sample: &samples::Sample) {
        let name = &sample.name;
        self.apply(name, &samples::paths(&sample.files), sample.images()).await;
        self.deliver(name).await;
        let again = self.plan(name, Purpose::Deploy, None).await.unwrap();
        let steps = again.plan.steps;
        assert!(steps.is_empty(), "{name}: a second plan must be empty: {steps:?}");
    }

    /// Takes a deployment down, and waits until nothing is left of it.
    pub async fn delete(&self, application: &str) {
        self.begin(application, Purpose::Delete).await;
        self.until(&format!("{application} to be deleted"), async || {
            self.tree(application).await.deployment.is_some_and(|row| row.phase == "deleted")
        })
        .await;
    }

    /// A deployment's tree, as far as the log is now.
    pub async fn tree(&self, application: &str) -> projections::queries::Tree {
        self.caught_up().await;
        let name = domain::deployment::name_of("dev", application).unwrap();
        self.views.tree(&self.tenant, &name, None).await.unwrap()
    }

    /// A resource now.
    pub async fn resource(&self, id: &str) -> Resource {
        let id: ResourceId = id.parse().unwrap();
        (*self.executor.load_state::<Resource>(&id.stream(&self.tenant)).await.unwrap().state)
            .clone()
    }

    /// What a resource waits for, in words; nothing where it waits for nothing.
    pub async fn blocker(&self, id: &str) -> String {
        match self.resource(id).await {
            Resource::Live(body) | Resource::Deleting(body, _) => {
                let unready = body.readiness.reason.filter(|_| !body.readiness.ready);
                body.blocker.map(|blocker| blocker.reason).or(unready).unwrap_or_default()
            }
            Resource::Gone(_) | Resource::Absent => String::new(),
        }
    }

    /// What the last event of a type says about a resource, as JSON; ends the test where there is none.
    pub async fn noted(&self, id: &str, event: &str) -> String {
        let id: ResourceId = id.parse().unwrap();
        let journal = self.executor.journal();
        let loaded = journal.load(&id.stream(&self.tenant), 0).await.unwrap();
        let events = loaded.commits.iter().flat_map(|recorded| &recorded.sealed.commit.events);
        let last = events.rev().find(|one| one.event_type == event);
        last.unwrap_or_else(|| panic!("{id}: no {event}")).data.to_string()
    }

    /// A resource as the views showed it at a position; none where it was not there.
    pub async fn resource_at(&self, id: &str, position: Position) -> Option<Resource> {
        let id: ResourceId = id.parse().unwrap();
        let as_of = Some(projections::AsOf::Position(position));
        let row = self.views.get(&id.stream(&self.tenant), as_of).await.unwrap()?;
        let State::Resource(resource) = row.state().unwrap() else { return None };
        Some(*resource)
    }

    /// The log's last position, shown by the views.
    pub async fn caught_up(&self) -> Position {
        let head = self.executor.journal().head().await.unwrap();
        self.views.at_least(head, PATIENCE).await.unwrap();
        head
    }

    /// What the simulated world holds under a name, as JSON.
    #[must_use]
    pub fn world_spec(&self, id: &str) -> serde_json::Value {
        let id: ResourceId = id.parse().unwrap();
        self.world.with_world(|world| {
            serde_json::from_str(&world.find(&self.tenant, &id).unwrap().spec).unwrap()
        })
    }

    /// Whose it all is.
    #[must_use]
    pub const fn tenant(&self) -> &Tenant {
        &self.tenant
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// The namespace of an application's deployment in `dev`, on a real cluster.
#[must_use]
pub fn namespace(application: &str) -> String {
    let id = format!("workload/dev_{application}_any").parse().unwrap();
    let tenant = TENANT.parse().unwrap();
    kubernetes::labels::namespace(&reconcilers::Target { tenant, id, uid: Uuid::nil() })
}

/// What makes objects of charts: the pinned helm, which may ask this machine for them.
#[must_use]
pub fn charts_by(mirrors: Mirrors) -> Charts {
    let fetcher = Fetcher::new(Reach::Private, mirrors).unwrap();
    Charts {
        fetcher,
        program: charts::render::Helm::new(Some(samples::root().join("target/servers/helm"))),
    }
}

/// The machine's time.
#[must_use]
pub fn now() -> Time {
    WallClock.now()
}

/// A person's command.
#[must_use]
pub fn context() -> Context {
    let commit_id = Uuid::now_v7();
    Context {
        commit_id,
        time: now(),
        actor: Actor::new(ActorSort::User, "ada"),
        causation_id: None,
        correlation_id: commit_id,
        traceparent: None,
    }
}
