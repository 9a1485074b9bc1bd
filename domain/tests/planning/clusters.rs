//! Several clusters: which is chosen, what becomes of those that are lost.

use std::collections::BTreeMap;

use domain::Time;
use domain::environment::{Placement, Strategy};
use domain::kinds::KindName;
use domain::kinds::cluster::{CAPACITY, Capacity};
use domain::plan::{Plan, Purpose, StepAction};
use domain::planning::{RefusalCode, render};
use domain::{OutputValue, Resource};

use crate::rules::{codes, id};
use crate::world::{World, read_text};

const LOST_AT: Time = Time::from_micros(1_000_000);
const WORDS: &str = "has not been ready since 1970-01-01T00:00:01.000000Z: no route to host";

fn shop() -> World {
    World::new(read_text("name: shop\nimage: a:1\n"), "prod")
}

fn placed(plan: &Plan) -> String {
    plan.header.placement.as_ref().unwrap().cluster.to_string()
}

fn actions(plan: &Plan) -> Vec<String> {
    let word = |action: &StepAction| match action {
        StepAction::Create => "create",
        StepAction::Change => "change",
        StepAction::Replace { .. } => "replace",
        StepAction::Delete => "delete",
        StepAction::Relocate { .. } => "relocate",
        StepAction::Leave { .. } => "leave",
        StepAction::CleanUp { .. } => "clean up",
    };
    plan.steps.iter().map(|step| format!("{} {}", word(&step.action), step.resource)).collect()
}

#[test]
fn nothing_new_goes_to_a_cluster_that_is_lost() {
    let mut world = shop();
    world.connect();
    assert_eq!(placed(&world.plan()), "cluster/prod-a");
    world.lose("cluster/prod-a", LOST_AT);
    let plan = world.plan();
    assert_eq!(placed(&plan), "cluster/prod-b");
    let scores = &plan.header.placement.as_ref().unwrap().scores;
    assert_eq!((scores[1].total, scores[1].reasons.join("")), (None, WORDS.to_owned()));
    world.find("cluster/prod-a");
    assert_eq!(placed(&world.plan()), "cluster/prod-a");
}

#[test]
fn what_is_lost_is_better_than_nothing_and_the_plan_says_so() {
    let mut world = shop();
    world.connect();
    world.lose("cluster/prod-a", LOST_AT);
    let full = BTreeMap::from([(id("cluster/prod-b"), 1_500)]);
    let desired = world.expand_with(&full).unwrap();
    assert_eq!(desired.placement.cluster, id("cluster/prod-a"));
    let waits = format!("cluster/prod-a {WORDS}; what is wanted there waits for it");
    assert_eq!(desired.notes.join(""), waits);
    world.asked = Some("prod-a".parse().unwrap());
    assert_eq!(world.plan().header.notes, [waits]);
}

#[test]
fn a_cluster_that_never_was_ready_is_still_to_be_made() {
    let mut world = shop();
    world.connect();
    world.live.remove(&id("cluster/prod-a"));
    world.rules().clusters.remove("prod-b");
    world.live.clear();
    let plan = world.plan();
    assert_eq!((placed(&plan).as_str(), plan.header.notes), ("cluster/prod-a", vec![]));
}

#[test]
fn what_runs_in_a_cluster_that_is_lost_stays_until_somebody_moves_it() {
    let mut world = shop();
    world.connect();
    world.deploy();
    world.lose("cluster/prod-a", LOST_AT);
    let plan = world.plan();
    assert_eq!(plan.steps, []);
    assert!(plan.header.notes[0].starts_with("cluster/prod-a has not been ready since"));

    world.asked = Some("prod-b".parse().unwrap());
    let plan = world.plan();
    assert_eq!(actions(&plan), ["relocate workload/prod_shop_shop"], "nobody can remove it there");
    let text = render(&plan);
    assert!(text.contains("what is in cluster/prod-a is left behind"), "{text}");
}

#[test]
fn a_failover_leaves_behind_what_cannot_be_reached_and_the_next_plan_removes_it() {
    let mut world = shop();
    world.connect();
    world.deploy();
    world.lose("cluster/prod-a", LOST_AT);
    world.options.purpose = Purpose::Failover;
    let plan = world.plan();
    assert_eq!(placed(&plan), "cluster/prod-b");
    assert_eq!(actions(&plan), ["relocate workload/prod_shop_shop"]);
    world.carry_out(&plan);

    world.options.purpose = Purpose::Deploy;
    let plan = world.plan();
    assert_eq!(actions(&plan), [""; 0], "what cannot be reached is not removed");
    assert_eq!(
        plan.header.notes,
        ["1 thing left behind in cluster/prod-a is there until a plan finds it ready"]
    );
    world.find("cluster/prod-a");
    let plan = world.plan();
    assert_eq!(placed(&plan), "cluster/prod-b", "it does not move back by itself");
    assert_eq!(actions(&plan), ["clean up workload/prod_shop_shop"]);
    world.carry_out(&plan);
    assert_eq!(actions(&world.plan()), [""; 0]);
}

#[test]
fn who_moves_back_removes_what_is_in_the_way_first() {
    let mut world = shop();
    world.connect();
    world.deploy();
    world.lose("cluster/prod-a", LOST_AT);
    world.options.purpose = Purpose::Failover;
    world.deploy();
    world.find("cluster/prod-a");
    world.lose("cluster/prod-b", LOST_AT);
    let plan = world.plan();
    assert_eq!(placed(&plan), "cluster/prod-a");
    let steps = ["clean up workload/prod_shop_shop", "relocate workload/prod_shop_shop"];
    assert_eq!(actions(&plan), steps);
}

#[test]
fn who_fails_over_goes_nowhere_rather_than_to_another_lost_cluster() {
    let mut world = shop();
    world.connect();
    world.deploy();
    world.lose("cluster/prod-a", LOST_AT);
    world.lose("cluster/prod-b", LOST_AT);
    world.options.purpose = Purpose::Failover;
    assert_eq!(codes(&world), [RefusalCode::NoClusterFits]);
}

#[test]
fn what_holds_data_in_the_cluster_begins_empty_elsewhere_only_if_that_is_allowed() {
    let text = "name: shop\nworkloads:\n  web:\n    image: a:1\n    resources: {data: volume}\n    \
                volumes: {/data: {source: '${resources.data}'}}\n";
    let mut world = World::new(read_text(text), "prod");
    world.connect();
    world.deploy();
    world.lose("cluster/prod-a", LOST_AT);
    world.options.purpose = Purpose::Failover;
    assert_eq!(codes(&world), [RefusalCode::ReplacementNotAllowed]);
    world.options.allow_replace = true;
    world.deploy();
    world.options.purpose = Purpose::Deploy;
    world.find("cluster/prod-a");
    let plan = world.plan();
    assert!(actions(&plan).iter().all(|action| !action.contains("volume")), "{plan:?}");
    assert!(plan.header.notes.iter().any(|note| note.contains("--allow-delete")));
    world.options.allow_delete = true;
    let volumes = |action: &&String| action.starts_with("clean up volume/");
    assert_eq!(actions(&world.plan()).iter().filter(volumes).count(), 1);
}

/// Places so many applications of one workload, and gives how many each cluster has.
fn place(world: &mut World, applications: u32) -> BTreeMap<String, u32> {
    let mut occupied = BTreeMap::new();
    for number in 0..applications {
        world.model.name = format!("app{number}");
        let cluster = world.expand_with(&occupied).unwrap().placement.cluster;
        *occupied.entry(cluster).or_default() += 1;
    }
    occupied.into_iter().map(|(cluster, count)| (cluster.to_string(), count)).collect()
}

fn fleet(clusters: u32) -> World {
    let mut world = shop();
    let offer = world.rules().clusters["prod-a"].clone();
    let offers = (0..clusters).map(|number| (format!("prod-{number:02}"), offer.clone()));
    world.rules().clusters = offers.collect();
    world
}

#[test]
fn a_spread_environment_fills_fifty_clusters_evenly_and_always_alike() {
    let mut world = fleet(50);
    assert!(place(&mut world, 120)["cluster/prod-00"] > 50, "by points, the first has most");
    world.rules().placement = Placement { strategy: Strategy::Spread };
    let spread = place(&mut world, 120);
    assert_eq!(spread.len(), 50);
    assert!(spread.values().all(|count| (2..=3).contains(count)), "{spread:?}");
    assert_eq!(place(&mut world, 120), spread);
    world.connect();
    world.lose("cluster/prod-07", LOST_AT);
    assert!(!place(&mut world, 120).contains_key("cluster/prod-07"));
}

#[test]
fn a_spread_goes_by_share_within_the_location_and_moves_nothing() {
    let mut world = fleet(3);
    world.rules().placement = Placement { strategy: Strategy::Spread };
    world.rules().clusters.get_mut("prod-00").unwrap().spec.location = "eu-central".into();
    world.rules().clusters.get_mut("prod-01").unwrap().workloads_max = Some(10);
    world.rules().clusters.get_mut("prod-02").unwrap().workloads_max = Some(30);
    let expected = [("cluster/prod-01".to_owned(), 5), ("cluster/prod-02".to_owned(), 15)];
    assert_eq!(place(&mut world, 20), BTreeMap::from(expected));
    let plan = world.deploy();
    let occupied = BTreeMap::from([(plan.header.placement.unwrap().cluster, 9)]);
    let workload = |world: &World| {
        let states = world.live.iter().find(|(id, _)| id.kind == KindName::Workload);
        states.unwrap().1.body().unwrap().spec.cluster()
    };
    let again = world.expand_with(&occupied).unwrap().placement.cluster;
    assert_eq!(Some(again), workload(&world), "what runs stays where it runs");
}

#[test]
fn a_cluster_takes_no_more_than_its_nodes_unless_the_environment_says_so() {
    let mut world = shop();
    world.connect();
    world.rules().clusters.values_mut().for_each(|offer| offer.workloads_max = None);
    let Some(Resource::Live(body)) = world.live.get_mut(&id("cluster/prod-a")) else { panic!() };
    let capacity = Capacity { nodes: 1, pods: 2, ..Capacity::default() }.to_string();
    body.outputs.insert(CAPACITY.into(), OutputValue::plain(capacity));
    world.asked = Some("prod-a".parse().unwrap());
    let occupied = |count: u32| BTreeMap::from([(id("cluster/prod-a"), count)]);
    assert!(world.expand_with(&occupied(1)).is_ok());
    let refused = world.expand_with(&occupied(2)).unwrap_err();
    assert_eq!(refused.iter().map(|it| it.code).collect::<Vec<_>>(), [RefusalCode::NoClusterFits]);
    world.rules().clusters.values_mut().for_each(|offer| offer.workloads_max = Some(10));
    assert!(world.expand_with(&occupied(2)).is_ok(), "nodes may come when they are needed");
}

#[test]
fn what_runs_in_a_cluster_stays_while_its_nodes_are_away() {
    let mut world = shop();
    world.connect();
    world.rules().clusters.values_mut().for_each(|offer| offer.workloads_max = None);
    world.asked = Some("prod-a".parse().unwrap());
    world.deploy();
    world.asked = None;
    let Some(Resource::Live(body)) = world.live.get_mut(&id("cluster/prod-a")) else { panic!() };
    let none = Capacity::default().to_string();
    body.outputs.insert(CAPACITY.into(), OutputValue::plain(none));
    let again = world.expand_with(&BTreeMap::new()).unwrap().placement.cluster;
    assert_eq!(again, id("cluster/prod-a"));
}
