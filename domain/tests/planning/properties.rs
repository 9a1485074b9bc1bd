//! What holds of every plan.

use std::collections::BTreeMap;

use domain::ResourceId;
use domain::application::Model;
use domain::plan::{Plan, StepAction};
use domain::planning::render;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::World;

/// Resource types with an output each, and whether it is secret.
const TYPES: [(&str, &str); 10] = [
    ("postgres", "host"),
    ("postgres", "password"),
    ("redis", "port"),
    ("redis", "password"),
    ("amqp", "username"),
    ("s3", "secret_key"),
    ("mongodb", "connection"),
    ("dns", "host"),
    ("volume", "source"),
    ("secret", "value"),
];

/// A workload: its own resources, and the resources it refers to, by index.
#[derive(Clone, Debug)]
struct Shape {
    own: Vec<usize>,
    shared_id: bool,
    refers: Vec<(usize, bool)>,
    after: Vec<usize>,
    image: u8,
}

fn shape() -> impl Strategy<Value = Shape> {
    let own = prop::collection::vec(0..TYPES.len(), 0..4);
    let refers = prop::collection::vec((0..6_usize, any::<bool>()), 0..4);
    let after = prop::collection::vec(0..4_usize, 0..2);
    (own, any::<bool>(), refers, after, 0..3_u8).prop_map(
        |(own, shared_id, refers, after, image)| Shape { own, shared_id, refers, after, image },
    )
}

fn application() -> impl Strategy<Value = Model> {
    let shapes = prop::collection::vec(shape(), 1..5);
    let shared = prop::collection::vec(0..TYPES.len(), 0..4);
    (shapes, shared).prop_map(|(shapes, shared)| model(&shapes, &shared))
}

/// An application without mistakes.
fn model(shapes: &[Shape], shared: &[usize]) -> Model {
    let type_of = |at: usize| TYPES[at % TYPES.len()];
    let request = |at: usize| json!({"type": type_of(at).0});
    let resources: BTreeMap<String, Value> =
        shared.iter().enumerate().map(|(n, at)| (format!("shared{n}"), request(*at))).collect();
    let mut workloads = BTreeMap::new();
    for (number, shape) in shapes.iter().enumerate() {
        let mut own = serde_json::Map::new();
        let mut visible: Vec<(String, usize)> =
            shared.iter().enumerate().map(|(n, at)| (format!("shared{n}"), *at)).collect();
        for (n, at) in shape.own.iter().enumerate() {
            let mut request = request(*at);
            if shape.shared_id && n == 0 {
                request["id"] = format!("common-{}", type_of(*at).0).into();
            }
            own.insert(format!("own{n}"), request);
            visible.push((format!("own{n}"), *at));
        }
        let mut variables = BTreeMap::new();
        for (n, (to, mixed)) in shape.refers.iter().enumerate() {
            let Some((name, at)) = visible.get(to % visible.len().max(1)) else { continue };
            let reference = format!("${{resources.{name}.{}}}", type_of(*at).1);
            let text = if *mixed { format!("x={reference};y={reference}") } else { reference };
            variables.insert(format!("VARIABLE_{n}"), text);
        }
        let after: Vec<String> =
            shape.after.iter().filter(|at| **at < number).map(|at| format!("w{at}")).collect();
        let workload = json!({
            "mode": "worker", "resources": own, "after": after, "metadata": {"name": format!("w{number}")},
            "containers": {"main": {"image": format!("app:{}", shape.image), "variables": variables}}
        });
        workloads.insert(format!("w{number}"), workload);
    }
    let model = json!({"name": "app", "workloads": workloads, "resources": resources});
    serde_json::from_value(model).unwrap()
}

/// Every step comes after those it waits for, and after what it needs.
fn check_order(plan: &Plan, world: &World) {
    let at: BTreeMap<&ResourceId, usize> =
        plan.steps.iter().map(|step| &step.resource).zip(0..).collect();
    assert_eq!(at.len(), plan.steps.len(), "a resource has two steps");
    for (index, step) in plan.steps.iter().enumerate() {
        assert!(step.after.iter().all(|first| (*first as usize) < index));
        for need in step.spec.iter().flat_map(|spec| spec.needs()) {
            let first = at.get(&need.resource);
            let made = first.filter(|first| plan.steps[**first].action != StepAction::Delete);
            if let Some(made) = made {
                assert!(
                    step.after.contains(&(*made as u32)),
                    "{} not after {}",
                    step.resource,
                    need.resource
                );
            } else {
                let live = world.live.get(&need.resource).and_then(|state| state.body());
                assert!(
                    live.is_some(),
                    "{} needs {}, which is not there",
                    step.resource,
                    need.resource
                );
                assert!(first.is_none(), "{} needs {}, which goes", step.resource, need.resource);
            }
        }
        let used = world.live.get(&step.resource).and_then(|state| state.body());
        for need in used.iter().flat_map(|body| body.spec.needs()) {
            if let Some(other) = at.get(&need.resource)
                && plan.steps[*other].action == StepAction::Delete
            {
                assert!(index < *other, "{} goes before {}", need.resource, step.resource);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_plan_that_was_carried_out_leaves_nothing_to_plan(first in application(), second in application()) {
        let mut world = World::new(first, "dev");
        world.options.allow_replace = true;
    world.options.allow_delete = true;
        check_order(&world.plan(), &world);
        world.deploy();
        prop_assert_eq!(world.plan().steps, vec![]);
        world.model = second;
        let plan = world.plan();
        check_order(&plan, &world);
        world.carry_out(&plan);
        prop_assert_eq!(world.plan().steps, vec![]);
        prop_assert_eq!(world.plan().hash(), world.plan().hash());
    }

    #[test]
    fn no_text_makes_planning_panic(text in "\\PC{0,40}", placeholder in "\\$\\{(resources|metadata)(\\.[a-z0-9]{1,4}){0,3}\\}?") {
        for raw in [text.clone(), placeholder.clone(), format!("{text}{placeholder}")] {
            let model = json!({
                "name": "app",
                "resources": {"db": {"type": "postgres", "params": {"version": raw}}, "r": {"type": "route", "params": {"host": raw, "path": raw, "port": raw}}},
                "workloads": {"w": {
                    "mode": "service", "metadata": {"name": "w"},
                    "resources": {"db": {"type": raw, "class": raw, "id": raw}, "m": {"type": "llm-model", "params": {"model": raw}}},
                    "ports": {"p": {"port": 1, "target_port": 1, "protocol": "TCP"}},
                    "containers": {"main": {
                        "image": raw, "variables": {"A": raw},
                        "files": {"/a": {"content": {"text": raw}}}, "volumes": {"/b": {"source": raw}}
                    }}
                }}
            });
            let world = World::new(serde_json::from_value(model).unwrap(), "prod");
            if let Ok(plan) = world.try_plan() {
                assert!(!render(&plan).is_empty());
            }
        }
    }
}

/// The goal is one second in release mode for as many resources as an application may have.
#[test]
#[allow(clippy::disallowed_methods, clippy::print_stdout, reason = "it measures, and says what")]
fn the_largest_application_is_planned() {
    let mut workloads = serde_json::Map::new();
    for number in 0..740 {
        let workload = json!({
            "mode": "worker", "metadata": {"name": format!("w{number}")}, "after": if number > 0 { vec![format!("w{}", number - 1)] } else { vec![] },
            "resources": {"db": {"type": "postgres"}, "cache": {"type": "redis"}},
            "containers": {"main": {"image": "app:1", "variables": {
                "HOST": "${resources.db.host}", "URL": "redis://:${resources.cache.password}@${resources.cache.host}"
            }}}
        });
        workloads.insert(format!("w{number}"), workload);
    }
    let model = json!({"name": "app", "workloads": workloads});
    let mut world = World::new(serde_json::from_value(model).unwrap(), "dev");
    world.rules().clusters.values_mut().for_each(|offer| offer.spec.nodes_max = 100);
    let began = std::time::Instant::now();
    let plan = world.plan();
    println!("{} resources planned in {:?}", plan.steps.len(), began.elapsed());
    assert!((2_960..=3_000).contains(&plan.steps.len()), "{}", plan.steps.len());
    world.carry_out(&plan);
    for workload in world.model.workloads.values_mut() {
        workload.containers.values_mut().for_each(|container| container.image = "app:2".into());
    }
    let began = std::time::Instant::now();
    let plan = world.plan();
    println!("{} of them changed in {:?}", plan.steps.len(), began.elapsed());
    assert_eq!(plan.steps.len(), 740);
}
