//! The main job on real input: brought up, changed, broken, looked at as it was, taken down.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "most of what happens is not what a test asks about"
)]

use domain::class::{self, Class};
use domain::plan::{Purpose, StepAction};
use domain::{KindName, OutputValue, Resource, catalogue};
use sim::{Entry, Happening};
use tests::samples::{applications, root, unprotected_shop};
use tests::{Plane, now};

#[tokio::test(flavor = "multi_thread")]
async fn every_public_score_document_is_delivered_to_ready() {
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start(directory.path()).await;
    let applications = applications();
    assert!(!applications.is_empty());
    for sample in &applications {
        plane.deliver_sample(sample).await;
    }
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_values_reach_the_workload_and_secret_ones_only_as_references() {
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start(directory.path()).await;
    plane.apply("shop", &[&root().join("samples/shop/app.yaml")], &[]).await;
    plane.deliver("shop").await;
    let Resource::Live(database) = plane.resource("database/dev_shop_db").await else {
        panic!("no database")
    };
    let OutputValue::Plain(host) = &database.outputs["host"] else {
        panic!("the host is no secret")
    };
    let OutputValue::Secret(password) = &database.outputs["password"] else {
        panic!("the password is a secret")
    };
    let api = plane.world_spec("workload/dev_shop_api");
    let variables = &api.pointer("/containers/main/variables").unwrap();
    assert!(variables["REDIS_HOST"].as_str().is_some_and(|host| !host.is_empty()));
    // The URL mixes the password into a longer text: a secret that the store puts together.
    assert!(variables["DATABASE_URL"].get("secretRef").is_some(), "{variables}");
    let secrets: Vec<_> = plane.world.with_world(|world| {
        let objects = world.objects().filter(|object| object.target.id.kind == KindName::Secret);
        objects.map(|object| object.spec.to_string()).collect()
    });
    assert!(
        secrets.iter().any(|spec| spec.contains(host) && spec.contains(&password.path)),
        "{secrets:?}"
    );
    plane.stop().await;
}

/// How often each name was created, updated and deleted.
fn effects(plane: &Plane, from: usize) -> Vec<String> {
    plane.world.with_world(|world| {
        let names: std::collections::BTreeMap<_, _> = world
            .ledger()
            .iter()
            .filter_map(|entry| match entry {
                Entry::Created { uid, id, .. } => Some((*uid, id.to_string())),
                _ => None,
            })
            .collect();
        let told = |entry: &Entry| {
            let verb = match entry {
                Entry::Created { .. } => "create",
                Entry::Updated { .. } => "update",
                Entry::DeletionStarted { .. } => "delete",
                _ => return None,
            };
            Some(format!("{verb} {}", names[&entry.uid()]))
        };
        world.ledger().iter().skip(from).filter_map(told).collect()
    })
}

fn ledger_length(plane: &Plane) -> usize {
    plane.world.with_world(|world| world.ledger().len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_image_rolls_one_workload_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start(directory.path()).await;
    let file = root().join("samples/shop/app.yaml");
    plane.apply("shop", &[&file], &[]).await;
    plane.deliver("shop").await;
    let before = (ledger_length(&plane), plane.caught_up().await);
    plane.apply("shop", &[&file], &[("web", "registry.example/shop/web:1.5")]).await;
    let planned = plane.deliver("shop").await;
    let steps: Vec<_> =
        planned.plan.steps.iter().map(|step| (step.resource.to_string(), &step.action)).collect();
    assert_eq!(steps, [("workload/dev_shop_web".to_owned(), &StepAction::Change)]);
    assert_eq!(effects(&plane, before.0), ["update workload/dev_shop_web"]);

    // As of before the change, everything is as it was; and why names the person and the command.
    let image = |resource: Resource| match resource.body().unwrap().spec.clone() {
        domain::Spec::Workload(spec) => spec.containers["main"].image.clone(),
        other => panic!("{other:?}"),
    };
    let then = plane.resource_at("workload/dev_shop_web", before.1).await.unwrap();
    assert_eq!(image(then), "registry.example/shop/web:1.4");
    assert_eq!(
        image(plane.resource("workload/dev_shop_web").await),
        "registry.example/shop/web:1.5"
    );
    let external =
        plane.resource("workload/dev_shop_web").await.body().unwrap().external.clone().unwrap();
    let why = plane.views.why(plane.tenant(), &external).await.unwrap().unwrap();
    assert_eq!(why.row.stream.name().as_str(), "dev_shop_web");
    assert_eq!(why.chain.last().unwrap().actor, "user:ada", "{:?}", why.chain);
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_database_is_named_as_the_blocker_until_it_heals() {
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start(directory.path()).await;
    plane.apply("shop", &[&root().join("samples/shop/app.yaml")], &[]).await;
    plane.deliver("shop").await;
    let database = "database/dev_shop_db".parse().unwrap();
    let breaks = Happening::Break { message: "the disk is full".into(), for_good: false };
    plane.world.happen(plane.tenant(), &database, breaks).unwrap();
    plane
        .until("the database to be unready", async || {
            let Resource::Live(body) = plane.resource("database/dev_shop_db").await else {
                return false;
            };
            body.readiness.reason.as_ref().is_some_and(|reason| reason.contains("the disk is full"))
        })
        .await;
    plane.world.happen(plane.tenant(), &database, Happening::Heal).unwrap();
    plane.ready("shop").await;
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_leaves_nothing_and_goes_from_what_needs_to_what_is_needed() {
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start(directory.path()).await;
    plane.apply("shop", &[&unprotected_shop(directory.path())], &[]).await;
    plane.deliver("shop").await;
    let before = ledger_length(&plane);
    plane.delete("shop").await;
    let order = effects(&plane, before);
    let place = |what: &str| {
        order
            .iter()
            .position(|effect| effect == what)
            .unwrap_or_else(|| panic!("{what}: {order:?}"))
    };
    assert!(place("delete route/dev_shop_web_route") < place("delete workload/dev_shop_web"));
    assert!(place("delete workload/dev_shop_api") < place("delete database/dev_shop_db"));
    // Support services go when nothing has needed them for a while; the cluster stays until somebody deletes it.
    plane
        .until("the support services to go", async || {
            plane.caught_up().await;
            plane.world.with_world(|world| {
                world.objects().all(|object| object.target.id.kind == KindName::Cluster)
            })
        })
        .await;
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_database_stops_the_deletion_before_anything_happens() {
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start(directory.path()).await;
    plane.apply("shop", &[&root().join("samples/shop/app.yaml")], &[]).await;
    plane.deliver("shop").await;
    let before = ledger_length(&plane);
    let refused = plane.plan("shop", Purpose::Delete, None).await.unwrap_err();
    assert!(format!("{refused:?}").contains("dev_shop_db"), "{refused:?}");
    assert_eq!(effects(&plane, before), Vec::<String>::new());
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_plane_goes_on_and_doubles_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start(directory.path()).await;
    plane.apply("shop", &[&root().join("samples/shop/app.yaml")], &[]).await;
    let planned = plane.plan("shop", Purpose::Deploy, None).await.unwrap();
    plane.planner.start(planned.id, &tests::context()).await.unwrap();
    plane.stop().await;
    let plane = Plane::start(directory.path()).await;
    plane.ready("shop").await;
    let creations: Vec<_> =
        effects(&plane, 0).into_iter().filter(|effect| effect.starts_with("create")).collect();
    let once: std::collections::BTreeSet<_> = creations.iter().collect();
    assert_eq!(creations.len(), once.len(), "{creations:?}");
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_of_a_stateful_workload_have_names_and_disks() {
    let folder = tempfile::tempdir().unwrap();
    let plane = Plane::start(folder.path()).await;
    let file = folder.path().join("app.yaml");
    let text = "name: db\nkind: stateful\nimage: db:1\nport: 5432\nreplicas: 2\n\
                volumes: {/data: {source: '${resources.data}'}}\nresources: {data: {type: volume}}\n";
    std::fs::write(&file, text).unwrap();
    plane.apply("db", &[&file], &[]).await;
    plane.deliver("db").await;
    let db = plane.resource("workload/dev_db_db").await;
    let peers = db.body().unwrap().outputs["peers"].to_string();
    assert!(peers.starts_with("peers."), "{peers}");
    assert_eq!(plane.world_spec("volume/dev_db_data")["each"]["replicas"], 2);
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changes_stays_where_the_class_says_so_until_something_else_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let plane = Plane::start(folder.path()).await;
    let shipped = catalogue::shipped().unwrap().classes;
    let bucket = shipped.into_iter().find(|class| class.resource_type == "s3").unwrap();
    let name = bucket.name().unwrap();
    let definition = class::Definition { drift: class::Drift::Accept, ..bucket };
    plane.put::<Class>(class::KIND, &name, class::Command::Define { definition, at: now() }).await;
    let file = folder.path().join("app.yaml");
    let text = "name: shop\nimage: web:1\nresources: {photos: {type: s3}}\n";
    std::fs::write(&file, text).unwrap();
    plane.apply("shop", &[&file], &[]).await;
    plane.deliver("shop").await;
    let id = "bucket/dev_shop_photos";
    let detail = "versioning: true -> false".to_owned();
    let drift = Happening::Drift { detail, by: Some("ada".into()) };
    plane.world.happen(plane.tenant(), &id.parse().unwrap(), drift).unwrap();
    let accepted =
        async || plane.resource(id).await.body().is_some_and(|body| body.accepted.is_some());
    plane.until("it to be accepted", accepted).await;
    assert!(plane.noted(id, "DriftDetected").await.contains("ada"));
    plane.ready("shop").await;
    assert!(plane.resource(id).await.is_ready());
    plane.stop().await;
}
