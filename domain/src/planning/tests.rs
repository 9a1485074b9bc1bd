//! The whole way: application, environment and classes in; plan out.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::decider::Decider as _;
use crate::lifecycle::{Command, Resource};
use crate::plan::{Plan, StepAction};
use crate::time::Time;

const NOW: Time = Time::from_micros(1);

/// What a plan is computed from.
struct World {
    application: Name,
    model: Model,
    environment: Environment,
    classes: BTreeMap<Name, (u64, class::Definition)>,
    live: Resources,
    members: BTreeSet<ResourceId>,
}

impl World {
    fn new(model: Value) -> Self {
        let model: Model = serde_json::from_value(model).unwrap();
        let environment = serde_json::from_value(json!({
            "name": "dev", "domain": "dev.test",
            "clusters": {"dev-a": {"spec": {"location": "eu", "version": "1.36", "nodes_min": 1, "nodes_max": 3}}}
        }));
        Self {
            application: model.name.parse().unwrap(),
            model,
            environment: Environment { version: 1, definition: Some(environment.unwrap()) },
            classes: classes(),
            live: Resources::new(),
            members: BTreeSet::new(),
        }
    }

    fn expand(&self) -> Result<Desired, Vec<Refusal>> {
        let known: Vec<Name> = self.classes.keys().cloned().collect();
        expand(&Context {
            application: &self.application,
            environment: &self.environment,
            model: &self.model,
            revision: 1,
            classes: &self.classes,
            clusters: &self.live,
            known_classes: &known,
            current: None,
            occupied: &BTreeMap::new(),
        })
    }

    fn compare(&self, allow_replace: bool) -> Result<Plan, Vec<Refusal>> {
        let purpose = Purpose::Deploy;
        let options = Options { purpose, allow_replace, allow_mass_delete: false };
        compare(&self.expand()?, &self.live, &self.members, &options)
    }

    fn plan(&self) -> Plan {
        self.compare(false).unwrap_or_else(|refusals| panic!("{refusals:#?}"))
    }

    /// Does what a plan says, in its order.
    fn apply(&mut self, plan: &Plan) {
        for step in &plan.steps {
            let state = self.live.remove(&step.resource).unwrap_or_default();
            let state = match &step.action {
                StepAction::Create => declare(gone(state), step),
                StepAction::Change => {
                    let revise = Command::Revise {
                        generation: None,
                        spec: step.spec.clone().unwrap(),
                        class: step.class.clone(),
                        at: NOW,
                    };
                    let state = put(state, revise);
                    if step.protected {
                        put(state, Command::Protect { on: true, at: NOW })
                    } else {
                        state
                    }
                }
                StepAction::Replace { .. } => declare(gone(state), step),
                StepAction::Delete => gone(state),
            };
            if step.action == StepAction::Delete {
                self.members.remove(&step.resource);
            } else if matches!(step.lifetime, Lifetime::Deployment(_)) {
                self.members.insert(step.resource.clone());
            }
            self.live.insert(step.resource.clone(), state);
        }
    }
}

fn put(state: Resource, command: Command) -> Resource {
    let events = Resource::decide(&state, command).unwrap();
    Resource::fold(state, events)
}

fn gone(state: Resource) -> Resource {
    let Some(uid) = state.uid() else { return state };
    let state = put(state, Command::RequestDeletion { uid: None, replacement: false, at: NOW });
    put(state, Command::ObserveGone { uid, at: NOW })
}

fn declare(state: Resource, step: &crate::plan::Step) -> Resource {
    let declare = Command::Declare {
        uid: Uuid::from_u128(u128::from(step.resource.name.as_str().len() as u64) + 1),
        spec: step.spec.clone().unwrap(),
        class: step.class.clone(),
        lifetime: step.lifetime.clone(),
        protected: step.protected,
        at: NOW,
    };
    put(state, declare)
}

fn classes() -> BTreeMap<Name, (u64, class::Definition)> {
    let postgres = json!({
        "type": "postgres", "target": "database",
        "params": {"version": {"type": "string", "default": "16"}, "storage_gib": {"type": "integer", "default": 10, "max": 100}},
        "spec": {"engine": "postgres", "version": "${params.version}", "storage_gib": "${params.storage_gib}",
                 "size": "small", "database": "app", "cluster": "${cluster}"},
        "aliases": {"name": "database"}
    });
    let dns = json!({"type": "dns", "target": "dns-record"});
    let route = json!({
        "type": "route", "target": "route",
        "params": {"host": {"type": "string", "default": ""}, "port": {"type": "any", "default": ""}},
        "spec": {"host": "${params.host}", "port": "${params.port}"}
    });
    [postgres, dns, route]
        .into_iter()
        .map(|class| {
            let definition: class::Definition = serde_json::from_value(class).unwrap();
            (definition.name().unwrap(), (1, definition))
        })
        .collect()
}

fn shop() -> Value {
    json!({
        "name": "shop",
        "resources": {"db": {"type": "postgres"}},
        "workloads": {
            "web": {
                "mode": "service",
                "containers": {"main": {"image": "shop/web:1", "variables": {
                    "API": "http://${resources.api.hostname}:${resources.api.port}"
                }}},
                "ports": {"http": {"port": 80, "target_port": 8080, "protocol": "TCP"}},
                "resources": {
                    "dns": {"type": "dns"},
                    "route": {"type": "route", "params": {"host": "${resources.dns.host}", "port": 80}},
                    "api": {"type": "service"}
                }
            },
            "api": {
                "mode": "service",
                "containers": {"main": {"image": "shop/api:1", "variables": {
                    "HOST": "${resources.db.host}",
                    "PASSWORD": "${resources.db.password}",
                    "URL": "postgres://${resources.db.username}:${resources.db.password}@${resources.db.host}/${resources.db.name}"
                }}},
                "ports": {"http": {"port": 8080, "target_port": 8080, "protocol": "TCP"}}
            }
        }
    })
}

#[test]
fn a_first_deployment_makes_everything_in_order() {
    let world = World::new(shop());
    let plan = world.plan();
    let made: Vec<String> = plan.steps.iter().map(|step| step.resource.to_string()).collect();
    assert_eq!(made.len(), 10);
    assert_eq!(made.first().map(String::as_str), Some("cluster/dev-a"));
}

#[test]
fn after_a_plan_is_carried_out_the_next_is_empty() {
    let mut world = World::new(shop());
    let plan = world.plan();
    world.apply(&plan);
    assert_eq!(world.plan().steps, []);
}
