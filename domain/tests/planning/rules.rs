//! One rule each: sharing, placement, protection, ownership, pins.

use std::collections::BTreeMap;

use domain::kinds::workload::Scale;
use domain::kinds::{KindName, TypedSpec as _, Workload};
use domain::lifecycle::{Command, Lifetime, Resource};
use domain::plan::{Plan, StepAction};
use domain::planning::{Current, RefusalCode, pins_moved, render};
use domain::{ResourceId, Spec, Time};

use crate::world::{World, put, read, read_text, root};

const NOW: Time = Time::from_micros(1);

pub(crate) fn id(text: &str) -> ResourceId {
    text.parse().unwrap()
}

pub(crate) fn world(text: &str) -> World {
    World::new(read_text(text), "dev")
}

pub(crate) fn ids(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| step.resource.to_string()).collect()
}

pub(crate) fn spec<'p>(plan: &'p Plan, resource: &str) -> &'p Spec {
    let step = plan.steps.iter().find(|step| step.resource == id(resource));
    step.unwrap_or_else(|| panic!("no {resource} in {:?}", ids(plan))).spec.as_ref().unwrap()
}

pub(crate) fn codes(world: &World) -> Vec<RefusalCode> {
    world.try_plan().unwrap_err().iter().map(|refusal| refusal.code).collect()
}

#[test]
fn the_same_type_class_and_id_are_one_resource() {
    let plan = world(
        "name: shop
workloads:
  api: {image: a:1, resources: {queue: {type: amqp, id: orders}}}
  bot: {image: b:1, resources: {queue: {type: amqp, id: orders, params: {memory_mib: 512}}}}
  cron: {image: c:1, resources: {queue: {type: amqp, id: orders, params: {memory_mib: 1024}}}}
  desk: {image: d:1, resources: {queue: amqp}}
",
    )
    .plan();
    let queues: Vec<String> =
        ids(&plan).into_iter().filter(|id| id.starts_with("queue/")).collect();
    assert_eq!(queues, ["queue/dev_shop_desk_queue", "queue/dev_shop_orders"]);
    let Spec::Queue(orders) = spec(&plan, "queue/dev_shop_orders") else { panic!("no queue") };
    assert_eq!(orders.memory_mib, 512);
    assert_eq!(
        plan.header.notes,
        [
            "queue/dev_shop_orders is shared: the params of resource queue of workload bot count, those of resource queue of workload cron do not"
        ]
    );
}

#[test]
fn two_workloads_may_refer_to_each_other() {
    let plan = world(
        "name: shop
workloads:
  aa: {image: a:1, port: 80, variables: {B: \"${resources.bb.name}:${resources.bb.port}\"}, resources: {bb: service}}
  bb: {image: b:1, port: 90, variables: {A: \"${resources.aa.hostname}\"}, resources: {aa: service}}
",
    )
    .plan();
    let text = serde_json::to_string(&plan).unwrap();
    assert!(text.contains("\"B\":\"bb:90\"") && text.contains("\"A\":\"aa\""), "{text}");
}

#[test]
fn a_lone_secret_stays_a_reference_and_a_mixed_one_becomes_a_secret() {
    let plan = world(
        "name: shop
image: a:1
variables: {ONE: \"${resources.db.password}\", MIXED: \"x${resources.db.password}\", PLAIN: \"${resources.db.host}:1\"}
resources: {db: postgres}
",
    )
    .plan();
    let Spec::Workload(workload) = spec(&plan, "workload/dev_shop_shop") else {
        panic!("no workload")
    };
    let text = |name: &str| workload.containers["main"].variables[name].to_string();
    assert_eq!(text("ONE"), "${database/dev_shop_db.password}");
    assert_eq!(text("MIXED"), "${secret/dev_shop_shop_main-mixed.value}");
    assert_eq!(text("PLAIN"), "${database/dev_shop_db.host}:1");
    let Spec::Secret(secret) = spec(&plan, "secret/dev_shop_shop_main-mixed") else {
        panic!("no secret")
    };
    assert_eq!(secret.template.as_ref().unwrap().to_string(), "x${database/dev_shop_db.password}");
}

#[test]
fn a_migration_runs_before_its_workload() {
    let plan = World::new(read(&[root().join("samples/shop/app.yaml")], None), "dev").plan();
    let (Spec::Workload(api), Spec::Workload(job)) =
        (spec(&plan, "workload/dev_shop_api"), spec(&plan, "workload/dev_shop_api_migrate"))
    else {
        panic!("no workloads")
    };
    assert!(api.after.contains(&id("workload/dev_shop_api_migrate")));
    assert_eq!(api.containers["main"].variables, job.containers["main"].variables);
    assert_eq!(api.grants, [id("bucket/dev_shop_photos")]);
}

pub(crate) const ROUTED: &str = "name: shop
workloads:
  web:
    image: a:1
    port: 80
    resources:
      dns: dns
      route: {type: route, params: {host: \"${resources.dns.host}\"}}
      api: {type: route, params: {host: \"${resources.dns.host}\", path: /api}}
";

#[test]
fn routes_of_one_host_share_a_certificate_where_the_environment_wants_tls() {
    let plan = World::new(read_text(ROUTED), "prod").plan();
    let certificates = plan.steps.iter().filter(|step| step.resource.kind == KindName::Certificate);
    assert_eq!(certificates.count(), 1);
    let Spec::DnsRecord(record) = spec(&plan, "dns-record/prod_shop_web_dns") else { panic!() };
    assert_eq!(record.host, "web-shop-prod.cairn.test");
    assert!(ids(&plan).contains(&"support-service/prod-a_certificates".to_owned()));
}

#[test]
fn data_is_replaced_only_with_permission() {
    let mut world = world(
        "name: shop\nimage: a:1\nresources: {db: {type: postgres, params: {storage_gib: 20}}}\n",
    );
    world.deploy();
    world.model.resources.get_mut("db").unwrap().params.insert("storage_gib".into(), 10.into());
    assert_eq!(codes(&world), [RefusalCode::ReplacementNotAllowed]);
    world.options.allow_replace = true;
    let plan = world.plan();
    assert!(matches!(plan.steps[0].action, StepAction::Replace { .. }));
    world.model.resources.get_mut("db").unwrap().params.insert("storage_gib".into(), 40.into());
    assert_eq!(world.plan().steps[0].action, StepAction::Change);
    world.model.resources.get_mut("db").unwrap().params.insert("version".into(), "15".into());
    assert_eq!(codes(&world), [RefusalCode::ChangeRefused]);
}

#[test]
fn what_is_protected_is_neither_deleted_nor_replaced() {
    let mut world =
        world("name: shop\nimage: a:1\nresources: {db: {type: postgres, delete: protect}}\n");
    world.deploy();
    world.options.allow_replace = true;
    let mut gone = world.clone();
    gone.model.resources.clear();
    assert_eq!(codes(&gone), [RefusalCode::DeletionProtected]);
    world.model.resources.get_mut("db").unwrap().params.insert("storage_gib".into(), 1.into());
    assert_eq!(codes(&world), [RefusalCode::DeletionProtected]);
    // The file may add a protection; only a person takes it off.
    world.model.resources.get_mut("db").unwrap().params.clear();
    world.model.resources.get_mut("db").unwrap().delete = None;
    let plan = world.plan();
    assert_eq!(plan.steps, []);
    assert_eq!(plan.header.notes.len(), 1);
    world.unprotect();
    world.model.resources.get_mut("db").unwrap().delete =
        Some(domain::application::OnDelete::Protect);
    let plan = world.deploy();
    assert_eq!((plan.steps.len(), &plan.steps[0].action), (1, &StepAction::Change));
    assert_eq!(world.plan().steps, []);
}

#[test]
fn what_holds_data_is_deleted_only_with_permission() {
    let mut world = world("name: shop\nimage: a:1\nresources: {files: s3}\n");
    world.deploy();
    world.model.resources.clear();
    assert_eq!(codes(&world), [RefusalCode::DeletionNotAllowed]);
    world.options.allow_delete = true;
    assert_eq!(world.plan().steps[0].action, StepAction::Delete);
}

#[test]
fn many_deletions_at_once_need_permission() {
    let mut world = world("name: shop\nimage: a:1\nresources: {aa: s3, bb: s3, cc: s3}\n");
    world.deploy();
    world.rules().guardrails.deletions_max = Some(2);
    world.options.allow_delete = true;
    world.model.resources.clear();
    assert_eq!(codes(&world), [RefusalCode::MassDeletion]);
    world.options.allow_mass_delete = true;
    assert_eq!(world.plan().steps.iter().filter(|it| it.action == StepAction::Delete).count(), 3);
}

#[test]
fn what_belongs_to_somebody_else_is_left_alone() {
    let mut world = world("name: shop\nimage: a:1\nresources: {files: s3}\n");
    let plan = world.plan();
    let files = id("bucket/dev_shop_files");
    let declare = |lifetime| Command::Declare {
        uid: uuid::Uuid::from_u128(7),
        spec: spec(&plan, "bucket/dev_shop_files").clone(),
        class: None,
        lifetime,
        protected: false,
        at: NOW,
    };
    let other = Lifetime::Deployment("dev_other".parse().unwrap());
    world.live.insert(files.clone(), put(Resource::Absent, declare(other)));
    assert_eq!(codes(&world), [RefusalCode::NameTaken]);
    world.model.resources.clear();
    world.members.insert(files);
    assert!(world.plan().steps.iter().all(|step| step.action != StepAction::Delete));
}

#[test]
fn what_is_going_away_is_made_anew() {
    let mut world = world("name: shop\nimage: a:1\nresources: {files: s3}\n");
    world.deploy();
    let files = id("bucket/dev_shop_files");
    let state = world.live.remove(&files).unwrap();
    let delete = Command::RequestDeletion { uid: None, replacement: false, at: NOW };
    world.live.insert(files, put(state, delete));
    let plan = world.plan();
    assert_eq!(
        (ids(&plan), &plan.steps[0].action),
        (vec!["bucket/dev_shop_files".into()], &StepAction::Create)
    );
}

#[test]
fn a_plan_says_what_has_moved_since() {
    let mut world = world("name: shop\nimage: a:1\nresources: {db: postgres, files: s3}\n");
    let first = world.deploy();
    let classes: BTreeMap<_, _> = first.header.pins.classes.clone();
    let moved = |plan: &Plan, world: &World, environment, classes: &BTreeMap<_, _>| {
        pins_moved(&plan.header.pins, &Current { environment, classes, resources: &world.live })
    };
    assert_eq!(moved(&first, &world, 1, &classes).len(), 3);
    let second = world.plan();
    assert_eq!(moved(&second, &world, 1, &classes), [""; 0]);
    let newer = BTreeMap::from([
        ("postgres_default".parse().unwrap(), 2),
        ("s3_default".parse().unwrap(), 1),
    ]);
    assert_eq!(
        moved(&second, &world, 2, &newer),
        [
            "the environment went from version 1 to 2",
            "class postgres_default went from version 1 to 2"
        ]
    );
    world.model.resources.get_mut("db").unwrap().params.insert("storage_gib".into(), 11.into());
    world.deploy();
    assert_eq!(
        moved(&second, &world, 1, &classes),
        ["database/dev_shop_db was revised, from generation 1 to 2"]
    );
    world.live.remove(&id("bucket/dev_shop_files"));
    assert_eq!(moved(&second, &world, 1, &classes)[0], "bucket/dev_shop_files is no longer there");
}

#[test]
fn what_looks_like_a_secret_is_not_shown() {
    let plan = world(
        "name: shop
image: a:1
variables: {API_TOKEN: abcdef, URL: \"https://user:hunter2@example.com/\", FINE: shown}
",
    )
    .plan();
    let text = render(&plan);
    assert!(!text.contains("abcdef") && !text.contains("hunter2"), "{text}");
    assert!(text.contains("shown"));
}

#[test]
fn an_environment_binds_a_type_to_a_class_and_a_file_may_say_otherwise() {
    let world = World::new(
        read_text(
            "name: shop\nimage: a:1\nresources: {aa: postgres, bb: {type: postgres, class: small}}\n",
        ),
        "prod",
    );
    let plan = world.plan();
    let class = |name: &str| {
        let step = plan.steps.iter().find(|step| step.resource == id(name)).unwrap();
        step.class.as_ref().unwrap().name.to_string()
    };
    assert_eq!(class("database/prod_shop_aa"), "postgres_large");
    assert_eq!(class("database/prod_shop_bb"), "postgres_small");
}

#[test]
fn every_public_score_document_becomes_a_plan() {
    let score = root().join("../shared/data/score");
    let mut groups: BTreeMap<String, Vec<std::path::PathBuf>> = BTreeMap::new();
    let mut folders = vec![score.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "yaml") {
                let alone = folder == score || folder.ends_with("specification--files");
                let key = if alone { &path } else { &folder };
                groups.entry(key.to_str().unwrap().to_owned()).or_default().push(path);
            }
        }
    }
    // What is a folder below an application belongs to it.
    let with_ai = groups.keys().find(|key| key.ends_with("with-ai")).cloned();
    if let Some(more) = with_ai.and_then(|key| groups.remove(&key)) {
        let store = groups.iter_mut().find(|(key, _)| key.ends_with("aks-store-demo")).unwrap().1;
        store.retain(|path| !path.ends_with("product.score.yaml"));
        store.extend(more);
    }
    for (name, mut paths) in groups {
        paths.sort();
        let mut model = read(&paths, Some("app"));
        for workload in model.workloads.values_mut() {
            let containers = workload.containers.values_mut();
            containers.filter(|it| it.image == ".").for_each(|it| it.image = "supplied:1".into());
        }
        let workloads = model.workloads.len();
        let mut world = World::new(model, "dev");
        let plan = world.try_plan().unwrap_or_else(|refusals| panic!("{name}: {refusals:#?}"));
        let planned = plan.steps.iter().filter_map(|it| Workload::of(it.spec.as_ref()?)).count();
        assert_eq!(planned, workloads, "{name}");
        world.carry_out(&plan);
        assert_eq!(world.plan().steps, [], "{name}");
    }
}

#[test]
fn a_canary_needs_traffic_and_is_measured_where_the_environment_allows_it() {
    let canary = |checks: &str, route: &str| {
        format!(
            "name: shop\nworkloads:\n  web:\n    image: a:1\n    port: 80\n    \
             strategy: {{canary: {{steps: [{{weight: 10, pause: 5m}}], checks: [{checks}]}}}}\n{route}"
        )
    };
    let route = "    resources: {all: {type: route, params: {host: a.test}}}\n";
    assert_eq!(codes(&world(&canary("", ""))), [RefusalCode::InvalidSpec]);
    let query = "{name: errors, query: errors, max: 0.01}";
    let smoke = "{name: smoke, url: 'https://smoke.test/a'}";
    let mut measured = world(&canary(&format!("{query}, {smoke}"), route));
    let refused = [RefusalCode::GuardrailViolated, RefusalCode::GuardrailViolated];
    assert_eq!(codes(&measured), refused);
    measured.rules().analysis.prometheus = Some("http://prometheus.test:9090".into());
    measured.rules().analysis.urls.push("https://smoke.test".into());
    let plan = measured.plan();
    let Spec::Workload(web) = spec(&plan, "workload/dev_shop_web") else { panic!() };
    let canary = web.canary().unwrap();
    assert_eq!(canary.steps[0].pause_seconds, 300);
    assert_eq!(canary.checks[0].url, "http://prometheus.test:9090");
    assert_eq!(web.as_canary(10).scale, Scale::Fixed(1));
}
