//! What is shared: where an application is placed, and what is installed there for it.

use std::collections::BTreeMap;

use domain::kinds::KindName;
use domain::lifecycle::Lifetime;
use domain::plan::StepAction;
use domain::planning::RefusalCode;
use domain::text::OutputValue;
use domain::{Resource, Spec};

use crate::rules::{ROUTED, codes, id, ids, spec, world};
use crate::world::{World, read_text};

#[test]
fn what_the_cluster_brings_along_is_not_installed() {
    let mut world = world(ROUTED);
    let offer = world.rules().clusters.get_mut("dev-a").unwrap();
    offer.spec.capabilities = vec!["gateway".into(), "dns".into()];
    let plan = world.plan();
    assert!(ids(&plan).iter().all(|id| !id.starts_with("support-service/")), "{:?}", ids(&plan));
    let Spec::Route(route) = spec(&plan, "route/dev_shop_web_route") else { panic!() };
    assert_eq!(route.gateway, None);
}

#[test]
fn a_host_name_needs_an_address_to_lead_to() {
    let mut world = world(ROUTED);
    let offer = world.rules().clusters.get_mut("dev-a").unwrap();
    offer.spec.capabilities = vec!["gateway".into()];
    (offer.spec.version, offer.spec.nodes_min, offer.spec.nodes_max) = (String::new(), 0, 0);
    offer.spec.existing =
        serde_json::from_str(r#"{"store": "file", "path": "clusters/a"}"#).unwrap();
    assert_eq!(codes(&world), [RefusalCode::InvalidSpec]);
    let Some(refusal) = world.try_plan().unwrap_err().pop() else { panic!() };
    assert!(refusal.message.contains("its address is not known"), "{}", refusal.message);
}

const INSTALLING: &str = r#"{"gateway": {"classes": ["envoy"]}, "monitoring": {"classes": ["kube-prometheus-stack"], "always": true}}"#;

#[test]
fn what_the_cluster_lacks_is_installed_as_the_environment_says() {
    let mut world = world(ROUTED);
    world.rules().support = serde_json::from_str(INSTALLING).unwrap();
    let plan = world.plan();
    let chart = "helm/dev-a_gateway_envoy";
    let Spec::SupportService(gateway) = spec(&plan, "support-service/dev-a_gateway") else {
        panic!()
    };
    assert_eq!(gateway.charts, [id(chart)]);
    let Spec::Helm(envoy) = spec(&plan, chart) else { panic!() };
    assert_eq!(Some(&gateway.version), envoy.chart.version.as_ref());
    let step = plan.steps.iter().find(|step| step.resource == id(chart)).unwrap();
    assert_eq!(step.lifetime, Lifetime::WhileNeeded);
    assert_eq!(plan.header.pins.classes[&"support-gateway_envoy".parse().unwrap()], 1);
    let always = "helm/dev-a_monitoring_kube-prometheus-stack".to_owned();
    assert!(ids(&plan).contains(&always), "nothing needs it, and it is wanted always");
}

#[test]
fn what_the_cluster_is_known_to_bring_along_is_not_installed() {
    let mut world = world(ROUTED);
    world.rules().support = serde_json::from_str(INSTALLING).unwrap();
    world.deploy();
    let charts = |world: &World| {
        let plan = world.plan();
        let charts = plan.steps.iter().filter(|step| step.resource.kind == KindName::Helm);
        charts.count()
    };
    let brings = |world: &mut World, text: &str| {
        let Some(Resource::Live(body)) = world.live.get_mut(&id("cluster/dev-a")) else { panic!() };
        body.outputs.insert("brings".into(), OutputValue::plain(text));
    };
    brings(&mut world, "own:gateway/cairn");
    assert_eq!(charts(&world), 0, "it is there already, and ours");
    world.live.retain(|id, _| id.kind == KindName::Cluster);
    world.members.clear();
    assert_eq!(charts(&world), 2);
    brings(&mut world, "gateway/istio monitoring/monitoring.coreos.com");
    assert_eq!(charts(&world), 0);
}

#[test]
fn a_support_service_is_not_for_developers_and_its_class_must_be_there() {
    let asking = world(
        "name: shop\nimage: a:1\nresources: {entry: {type: support-gateway, class: envoy}}\n",
    );
    assert_eq!(codes(&asking), [RefusalCode::ClassNotAllowed]);
    let mut world = world(ROUTED);
    world.rules().support = serde_json::from_str(r#"{"gateway": {"classes": ["envoi"]}}"#).unwrap();
    assert_eq!(codes(&world), [RefusalCode::ClassNotFound]);
}

#[test]
fn an_application_stays_where_it_runs() {
    let mut world = World::new(read_text("name: shop\nimage: a:1\n"), "prod");
    let placed = |world: &World| world.plan().header.placement.unwrap().cluster.to_string();
    assert_eq!(placed(&world), "cluster/prod-a");
    world.deploy();
    world.rules().location = Some("eu-central".into());
    assert_eq!(placed(&world), "cluster/prod-a");
    world.live.clear();
    world.members.clear();
    assert_eq!(placed(&world), "cluster/prod-b");
}

#[test]
fn an_application_moves_when_somebody_asks() {
    let mut world = World::new(read_text("name: shop\nimage: a:1\n"), "prod");
    world.deploy();
    world.asked = Some("prod-b".parse().unwrap());
    let plan = world.plan();
    let placement = plan.header.placement.as_ref().unwrap();
    assert_eq!(placement.cluster, id("cluster/prod-b"));
    assert_eq!(placement.scores[1].reasons, ["is not cluster/prod-b, which was asked for"]);
    let workload = plan.steps.iter().find(|step| step.resource.kind == KindName::Workload).unwrap();
    assert!(matches!(workload.action, StepAction::Replace { .. }), "{:?}", workload.action);
    world.carry_out(&plan);
    world.asked = None;
    assert!(world.plan().steps.is_empty(), "it stays where it was moved to");
    world.asked = Some("prod-c".parse().unwrap());
    let refusals = world.try_plan().unwrap_err();
    assert_eq!(refusals[0].code, RefusalCode::NoClusterFits);
    assert_eq!(refusals[0].message, "environment prod offers no cluster `prod-c`");
}

#[test]
fn a_full_cluster_is_ruled_out_and_the_table_says_so() {
    let mut world = World::new(read_text("name: shop\nimage: a:1\n"), "prod");
    let mut occupied = BTreeMap::from([(id("cluster/prod-a"), 1_500)]);
    let desired = world.expand_with(&occupied).unwrap();
    assert_eq!(desired.placement.cluster, id("cluster/prod-b"));
    assert_eq!(
        desired.placement.scores[1].reasons,
        ["has room for 0 more workloads of 1500, not for 1"]
    );
    occupied.insert(id("cluster/prod-b"), 1_500);
    let refusals = world.expand_with(&occupied).unwrap_err();
    assert_eq!(refusals[0].code, RefusalCode::NoClusterFits);
    assert!(refusals[0].message.contains("cluster/prod-a has room for 0 more"), "{}", refusals[0]);
    world.rules().tier = domain::environment::Tier::Dev;
    assert!(world.expand().unwrap_err()[0].message.contains("is for prod, not for dev"));
}

#[test]
fn a_shared_cluster_is_not_changed_on_behalf_of_one_application() {
    let mut world = world("name: shop\nimage: a:1\n");
    world.deploy();
    world.rules().clusters.get_mut("dev-a").unwrap().spec.nodes_max = 9;
    let plan = world.plan();
    assert_eq!(plan.steps, []);
    assert!(plan.header.notes[0].contains("is not as environment dev offers it"));
}

#[test]
fn autoscaling_needs_metrics() {
    let plan = world("name: shop\nimage: a:1\nscale: {min: 1, max: 3, cpu: 70}\n").plan();
    let Spec::Workload(workload) = spec(&plan, "workload/dev_shop_shop") else { panic!() };
    assert_eq!(workload.after, [id("support-service/dev-a_metrics")]);
}

#[test]
fn what_is_shared_is_upgraded_by_its_class_and_left_alone_by_who_names_none() {
    let mut world = world(ROUTED);
    world.rules().support = serde_json::from_str(INSTALLING).unwrap();
    world.deploy();
    let class = "support-gateway_envoy".parse().unwrap();
    let (version, definition) = world.classes.get_mut(&class).unwrap();
    *version = 2;
    definition.spec["chart"]["version"] = "1.99.0".into();
    let plan = world.plan();
    let changed = ["helm/dev-a_gateway_envoy", "support-service/dev-a_gateway"];
    assert_eq!(ids(&plan), changed);
    assert!(plan.steps.iter().all(|step| step.action == StepAction::Change));
    world.carry_out(&plan);
    assert_eq!(world.plan().steps, []);

    let chart = &mut world.classes.get_mut(&class).unwrap().1.spec;
    chart["release"] = "another".into();
    let plan = world.plan();
    assert_eq!(plan.steps, [], "others may need it");
    assert!(plan.header.notes.iter().any(|note| note.contains("others may need it")));

    world.rules().support.clear();
    let plan = world.plan();
    assert_eq!((plan.steps, plan.header.notes), (vec![], vec![]), "another environment's");
}
