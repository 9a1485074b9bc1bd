//! A log with an environment and classes, and a planner on it.

use std::cell::Cell;
use std::sync::Arc;

use domain::application::{self, Application, Model};
use domain::class::{self, Class};
use domain::commit::{Actor, ActorSort, Context};
use domain::deployment::{self, Deployment, Outcome};
use domain::environment::{self, Environment};
use domain::lifecycle::{self, Resource};
use domain::plan::{Plan, Purpose, StepAction};
use domain::planning::Options;
use domain::{Decider, Name, StreamId, Tenant, Time};
use futures::executor::block_on;
use journal::memory::MemoryJournal;
use journal::{Executor, Journal};
use reconcilers::planner::{Hints, PlanError, Planned, Planner, Request};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) const NOW: Time = Time::from_micros(1);

/// The log and the planner.
pub(crate) struct Bench {
    pub(crate) executor: Executor,
    pub(crate) planner: Planner,
    next: Cell<u128>,
}

impl Bench {
    pub(crate) fn on(journal: Arc<dyn Journal>) -> Self {
        let executor = Executor::new(journal);
        let planner = Planner::new(executor.clone(), tenant());
        Self { executor, planner, next: Cell::new(1) }
    }

    pub(crate) fn new() -> Self {
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

    pub(crate) fn context(&self) -> Context {
        self.next.set(self.next.get() + 1);
        context(self.next.get())
    }

    pub(crate) fn put<D: Decider>(&self, kind: &str, name: &str, command: D::Command) {
        let stream = StreamId::new(tenant(), kind, name.parse().unwrap()).unwrap();
        block_on(self.executor.execute::<D>(&stream, command, self.context())).unwrap();
    }

    pub(crate) fn define_environment(&self, more: Value) {
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

    pub(crate) fn define_class(&self, definition: Value) {
        let definition: class::Definition = serde_json::from_value(definition).unwrap();
        let name = definition.name().unwrap();
        self.put::<Class>("class", name.as_str(), class::Command::Define { definition, at: NOW });
    }

    pub(crate) fn apply(&self, image: &str) {
        let model: Model = serde_json::from_value(shop(image)).unwrap();
        let apply =
            application::Command::Apply { model: Box::new(model), sources: Vec::new(), at: NOW };
        self.put::<Application>("application", "shop", apply);
    }

    pub(crate) fn plan(&self, request: &Request) -> Planned {
        block_on(self.planner.plan(request, &self.context()))
            .unwrap_or_else(|error| panic!("{error:?}"))
    }

    pub(crate) fn start(&self, id: Uuid) -> Result<Name, PlanError> {
        block_on(self.planner.start(id, &self.context()))
    }

    /// Does what a plan says, as its rollout would.
    pub(crate) fn carry_out(&self, plan: &Plan) {
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
                action @ (StepAction::Replace { .. }
                | StepAction::Relocate { .. }
                | StepAction::Leave { .. }
                | StepAction::CleanUp { .. }) => panic!("{action:?}"),
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

    pub(crate) fn delete(&self, kind: &str, name: &str) {
        let uid = self.state::<Resource>(kind, name).uid().unwrap();
        let request =
            lifecycle::Command::RequestDeletion { uid: None, replacement: false, at: NOW };
        self.put::<Resource>(kind, name, request);
        self.put::<Resource>(kind, name, lifecycle::Command::ObserveGone { uid, at: NOW });
    }

    pub(crate) fn state<D: Decider>(&self, kind: &str, name: &str) -> D::State {
        let stream = StreamId::new(tenant(), kind, name.parse().unwrap()).unwrap();
        D::State::clone(&block_on(self.executor.load_state::<D>(&stream)).unwrap().state)
    }
}

pub(crate) fn tenant() -> Tenant {
    "acme".parse().unwrap()
}

pub(crate) fn context(number: u128) -> Context {
    Context {
        commit_id: Uuid::from_u128(number),
        time: NOW,
        actor: Actor::new(ActorSort::User, "ann"),
        causation_id: None,
        correlation_id: Uuid::from_u128(number),
        traceparent: None,
    }
}

pub(crate) fn shop(image: &str) -> Value {
    json!({
        "name": "shop",
        "resources": {"db": {"type": "postgres"}},
        "workloads": {"api": {
            "mode": "worker",
            "containers": {"main": {"image": image, "variables": {"HOST": "${resources.db.host}"}}}
        }}
    })
}

pub(crate) fn request(purpose: Purpose) -> Request {
    Request {
        application: "shop".parse().unwrap(),
        environment: "dev".parse().unwrap(),
        revision: None,
        cluster: None,
        images: Default::default(),
        options: Options {
            purpose,
            allow_replace: false,
            allow_delete: true,
            allow_mass_delete: false,
        },
        hints: Hints::default(),
    }
}

pub(crate) fn steps(planned: &Planned) -> Vec<String> {
    let steps = planned.plan.steps.iter();
    steps.map(|step| format!("{:?} {}", step.action, step.resource)).collect()
}
