//! Disks of stateful workloads.

use domain::kind::Change;
use domain::kinds::workload::Mode;
use domain::plan::StepAction;
use domain::planning::RefusalCode;
use domain::{ResourceId, Spec};

use crate::rules::{codes, id, spec, world};

const DISK: &str = "volume/dev_shop_db_data";

fn app(kind: &str, replicas: u32) -> String {
    format!(
        "name: shop\nworkloads:\n  db:\n    {kind}\n    image: db:1\n    port: 5432\n    replicas: {replicas}\n    \
         volumes: {{/data: {{source: '${{resources.data}}'}}}}\n    \
         resources: {{data: {{type: volume, params: {{size_gib: 5}}}}}}\n"
    )
}

fn each(spec: &Spec) -> Option<(ResourceId, u32)> {
    let Spec::Volume(volume) = spec else { panic!("{spec:?}") };
    volume.each.as_ref().map(|each| (each.workload.clone(), each.replicas))
}

#[test]
fn each_replica_of_a_stateful_workload_has_a_disk_of_its_own() {
    let db = id("workload/dev_shop_db");
    let mut world = world(&app("kind: stateful", 2));
    let plan = world.plan();
    assert_eq!(each(spec(&plan, DISK)), Some((db.clone(), 2)));
    let Spec::Workload(workload) = spec(&plan, "workload/dev_shop_db") else { panic!() };
    assert_eq!(workload.mode, Mode::Stateful);
    world.carry_out(&plan);
    assert_eq!(world.plan().steps, []);
    for (replicas, disks) in [(3, 3), (1, 1), (0, 1)] {
        world.model = crate::world::read_text(&app("kind: stateful", replicas));
        let plan = world.plan();
        assert!(plan.steps.iter().all(|step| step.action == StepAction::Change), "{plan:?}");
        // It never falls to none: there is always one that tells how it is.
        let disk = plan.steps.iter().find(|step| step.resource == id(DISK));
        if let Some(step) = disk {
            assert_eq!(each(step.spec.as_ref().unwrap()).unwrap().1, disks);
        }
        assert_eq!(disk.is_some(), replicas > 0);
        world.carry_out(&plan);
    }
}

#[test]
fn another_volume_is_another_set_of_replicas_with_the_same_disks() {
    let mut world = world(&app("kind: stateful", 2));
    let plan = world.plan();
    world.carry_out(&plan);
    let more = app("kind: stateful", 2)
        .replace("'}}", "'}, /more: {source: '${resources.more}'}}")
        .replace("size_gib: 5}}", "size_gib: 5}}, more: {type: volume}");
    world.model = crate::world::read_text(&more);
    let plan = world.plan();
    let done: Vec<_> = plan.steps.iter().map(|it| (it.resource.to_string(), &it.action)).collect();
    let [(more, StepAction::Create), (db, StepAction::Replace { .. })] = &done[..] else {
        panic!("{done:?}")
    };
    assert_eq!((more.as_str(), db.as_str()), ("volume/dev_shop_db_more", "workload/dev_shop_db"));
}

#[test]
fn other_disks_than_before_are_a_replacement_that_somebody_must_want() {
    let mut world = world(&app("kind: service", 1));
    let plan = world.plan();
    assert_eq!(each(spec(&plan, DISK)), None);
    let alone = spec(&plan, DISK).clone();
    world.carry_out(&plan);
    world.model = crate::world::read_text(&app("kind: stateful", 1));
    assert!(codes(&world).contains(&RefusalCode::ReplacementNotAllowed));
    world.options.allow_replace = true;
    let many = spec(&world.plan(), DISK).clone();
    assert!(matches!(alone.change(&many), Change::Replace { .. }));
}

#[test]
fn what_cannot_be_stateful_is_refused() {
    let other = "  web: {image: web:1, volumes: {/data: {source: '${resources.data}'}}}\n";
    let shared = "resources: {data: {type: volume}}\n";
    let text = app("kind: stateful", 2);
    let text = text.split("    resources:").next().unwrap().to_owned() + other + shared;
    assert_eq!(codes(&world(&text)), [RefusalCode::InvalidSpec]);
    let scaled = app("kind: stateful", 2).replace("replicas: 2", "scale: {min: 1, max: 3}");
    assert_eq!(codes(&world(&scaled)), [RefusalCode::InvalidSpec]);
    let recreated = app("kind: stateful\n    strategy: recreate", 2);
    assert_eq!(codes(&world(&recreated)), [RefusalCode::InvalidSpec]);
}

#[test]
fn others_find_the_replicas_of_a_stateful_workload_by_the_name_of_their_service() {
    let web = "  web: {image: web:1, variables: {DB: 'db-0.${resources.db.peers}'}, resources: {db: {type: service}}}\n";
    let plan = world(&(app("kind: stateful", 2) + web)).plan();
    let Spec::Workload(workload) = spec(&plan, "workload/dev_shop_web") else { panic!() };
    assert_eq!(workload.containers["main"].variables["DB"].to_string(), "db-0.db-peers");
    assert_eq!(codes(&world(&(app("kind: service", 1) + web))), [RefusalCode::UnknownOutput]);
}

#[test]
fn what_would_have_the_same_name_in_a_cluster_is_refused() {
    let text = "name: shop\nworkloads:\n  api: {image: api:1, migrate: {command: [migrate]}}\n  api-migrate: {image: api:1}\n";
    assert_eq!(codes(&world(text)), [RefusalCode::NameCollision]);
    let beside = "  db-peers: {image: db:1, port: 80}\n";
    assert_eq!(codes(&world(&(app("kind: stateful", 2) + beside))), [RefusalCode::NameCollision]);
    assert!(!world(&(app("kind: service", 1) + beside)).plan().steps.is_empty());
}

#[test]
fn what_is_delivered_is_not_left_to_others() {
    let text = |rest: &str| format!("name: shop\nworkloads:\n  web: {{image: web:1, {rest}}}\n");
    let ours =
        ["spec.template.spec.containers", "spec.selector.matchLabels", "metadata.name", "spec"];
    for path in ours {
        let refused = codes(&world(&text(&format!("delegated: [{path}]"))));
        assert_eq!(refused, [RefusalCode::InvalidSpec], "{path}");
    }
    let plan = world(&text("replicas: 4, delegated: [spec.replicas, spec.paused]")).plan();
    let Spec::Workload(workload) = spec(&plan, "workload/dev_shop_web") else { panic!() };
    assert_eq!(workload.delegated, ["spec.replicas", "spec.paused"]);
    assert_eq!(workload.as_canary(50).delegated, ["spec.paused"], "its size is its share");
}
