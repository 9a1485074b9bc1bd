//! A cluster is lost, what ran there runs elsewhere, and the cluster comes back.

use std::sync::Arc;

use domain::deployment::{self, Deployment};
use domain::environment::Environment;
use domain::plan::{self, Proposal, Purpose, StepAction};
use domain::planning::Options;
use domain::{ResourceId, StreamId, environment};
use futures::StreamExt as _;
use reconcilers::planner::{Hints, Planned, Request};
use reconcilers::{Driver, Providers, Settings, WallClock};
use serde_json::{Value, json};
use sim::Happening;
use tempfile::TempDir;
use tests::{Plane, context, now};
use uuid::Uuid;

const WEB: &str = "workload/dev_shop_web";
const SHOP: &str = "name: shop
workloads:
  web:
    image: registry.example/web:1
    port: 8080
    resources:
      dns: dns
      entry: {type: route, params: {host: '${resources.dns.host}'}}
  bot: {image: registry.example/bot:1}
";

/// `dev` with two clusters, and what else it says.
async fn define(plane: &Plane, more: &Value) {
    let spec = json!({"location": "eu", "version": "1.36", "nodes_min": 1, "nodes_max": 3});
    let mut definition = json!({"name": "dev", "domain": "dev.test",
        "clusters": {"a": {"spec": spec}, "b": {"spec": spec}}});
    definition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let definition = serde_json::from_value(definition).unwrap();
    let command = environment::Command::Define { definition, at: now() };
    plane.put::<Environment>(environment::KIND, &"dev".parse().unwrap(), command).await;
}

/// The shop, delivered to the cluster `a` while `b` is ready.
async fn shop(more: &Value) -> (Plane, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let plane = Plane::start(folder.path()).await;
    define(&plane, more).await;
    for (name, text) in [("shop", SHOP), ("other", "name: other\nimage: registry.example/o:1\n")] {
        let file = folder.path().join(format!("{name}.yaml"));
        std::fs::write(&file, text).unwrap();
        plane.apply(name, &[&file], &[]).await;
        // What runs on `b` shows that nothing happens to it.
        let cluster = if name == "shop" { "a" } else { "b" };
        let planned = plan_on(&plane, name, cluster).await;
        plane.planner.start(planned.id, &context()).await.unwrap();
        plane.ready(name).await;
    }
    (plane, folder)
}

/// A plan that goes to a cluster.
async fn plan_on(plane: &Plane, application: &str, cluster: &str) -> Planned {
    let request = Request {
        cluster: Some(cluster.parse().unwrap()),
        application: application.parse().unwrap(),
        environment: "dev".parse().unwrap(),
        revision: None,
        images: Default::default(),
        options: Options {
            purpose: Purpose::Deploy,
            allow_replace: false,
            allow_delete: true,
            allow_mass_delete: false,
        },
        hints: Hints::default(),
    };
    plane.planner.plan(&request, &context()).await.unwrap()
}

async fn deployment(plane: &Plane) -> Deployment {
    let stream =
        StreamId::new(plane.tenant().clone(), deployment::KIND, "dev_shop".parse().unwrap());
    (*plane.executor.load_state::<Deployment>(&stream.unwrap()).await.unwrap().state).clone()
}

async fn proposal(plane: &Plane, id: Uuid) -> plan::Recorded {
    let stream = StreamId::new(plane.tenant().clone(), plan::KIND, id.to_string().parse().unwrap());
    let state = plane.executor.load_state::<Proposal>(&stream.unwrap()).await.unwrap().state;
    let Proposal::Proposed(recorded) = &*state else { panic!("{state:?}") };
    recorded.clone()
}

fn happen(plane: &Plane, cluster: &str, what: Happening) {
    let id: ResourceId = format!("cluster/{cluster}").parse().unwrap();
    plane.world.happen(plane.tenant(), &id, what).unwrap();
}

fn lose(plane: &Plane, cluster: &str) {
    let message = "no route to host".to_owned();
    happen(plane, cluster, Happening::Break { message, for_good: false });
}

async fn is_ready(plane: &Plane, cluster: &str, ready: bool) {
    let id = format!("cluster/{cluster}");
    plane.until(&id, async || plane.resource(&id).await.is_ready() == ready).await;
}

/// Waits until the last rollout is one of these, and everything is ready.
async fn is_after(plane: &Plane, purpose: Purpose, number: u64) {
    let so = async || {
        let last = deployment(plane).await.rollout.unwrap();
        last.purpose == purpose && last.number == number
    };
    plane.until("the rollout", so).await;
    plane.ready("shop").await;
}

async fn runs_on(plane: &Plane) -> String {
    let resource = plane.resource(WEB).await;
    resource.body().unwrap().spec.cluster().unwrap().to_string()
}

/// The clusters that the world holds a workload in.
fn copies(plane: &Plane) -> Vec<String> {
    let cluster = |spec: &str| -> String {
        let spec: Value = serde_json::from_str(spec).unwrap();
        spec["cluster"].as_str().unwrap().to_owned()
    };
    let id: ResourceId = WEB.parse().unwrap();
    let mut found: Vec<_> = plane.world.with_world(|world| {
        let all = world.objects().filter(|object| object.target.id == id);
        all.filter(|object| !object.is_gone(now())).map(|object| cluster(&object.spec)).collect()
    });
    found.sort();
    found
}

/// The plan of a failover, once there is one.
async fn failover(plane: &Plane) -> Uuid {
    let journal = plane.executor.journal();
    let mut log = journal.follow(journal::Position::START);
    loop {
        let recorded = log.next().await.unwrap().unwrap();
        let commit = &recorded.sealed.commit;
        if commit.stream.kind() == plan::KIND && commit.actor.to_string().contains("failover") {
            return commit.stream.name().as_str().parse().unwrap();
        }
    }
}

/// Waits until it is said why the shop cannot leave.
async fn is_stranded(plane: &Plane, reason: &str) {
    let so = async || {
        let stranded = deployment(plane).await.stranded;
        stranded.is_some_and(|stranded| stranded.reason.contains(reason))
    };
    plane.until(reason, so).await;
}

/// What a sweep would remove now.
async fn swept(plane: &Plane) -> Vec<String> {
    let settings = Settings { session: Uuid::now_v7(), grace_micros: 0 };
    let providers = Providers::all(&plane.world);
    let driver = Driver::new(plane.executor.clone(), providers, Arc::new(WallClock), settings);
    driver.sweep().await.unwrap().iter().map(|decision| format!("{decision:?}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ran_in_a_lost_cluster_runs_elsewhere_and_stays_there() {
    let (plane, _folder) = shop(&json!({"failover": {"after_seconds": 1}})).await;
    assert_eq!(runs_on(&plane).await, "cluster/a");
    let before = plane.resource(WEB).await.uid().unwrap();
    lose(&plane, "a");
    is_after(&plane, Purpose::Failover, 2).await;
    assert_eq!(runs_on(&plane).await, "cluster/b");
    let moved = deployment(&plane).await;
    let recorded = proposal(&plane, moved.rollout.as_ref().unwrap().plan).await;
    let scores = &recorded.plan.header.placement.as_ref().unwrap().scores;
    assert!(scores[1].reasons[0].contains("no route to host"), "{scores:?}");
    assert!(moved.has_left_behind(before), "{:?}", moved.left_behind);
    assert_eq!(copies(&plane), ["cluster/a", "cluster/b"], "nobody could remove the old one");

    // It is back, with all that ran there: nothing of that is touched, and nothing moves back.
    happen(&plane, "a", Happening::Heal);
    is_ready(&plane, "a", true).await;
    assert_eq!(swept(&plane).await, [""; 0]);
    let gateway = plane.resource("support-service/a_gateway").await;
    assert!(gateway.is_ready(), "what it needs there stays as long as it does: {gateway:?}");

    // The next plan removes it.
    let planned = plane.begin("shop", Purpose::Deploy).await;
    let cleans = |step: &&plan::Step| matches!(step.action, StepAction::CleanUp { uid, .. } if uid == before);
    assert_eq!(planned.plan.steps.iter().filter(cleans).count(), 1);
    is_after(&plane, Purpose::Deploy, 3).await;
    assert_eq!(deployment(&plane).await.left_behind, []);
    plane.until("the old one to go", async || copies(&plane) == ["cluster/b"]).await;
    let gone = async || plane.resource("support-service/a_gateway").await.body().is_none();
    plane.until("what it needed to go", gone).await;
    assert_eq!(plane.plan("shop", Purpose::Deploy, None).await.unwrap().plan.steps, []);
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_moves_by_itself_where_nobody_said_so_and_the_plan_tells() {
    let (plane, folder) = shop(&json!({})).await;
    lose(&plane, "a");
    is_ready(&plane, "a", false).await;
    let plan = plane.plan("shop", Purpose::Deploy, None).await.unwrap().plan;
    assert_eq!(plan.steps, []);
    assert!(plan.header.notes[0].contains("no route to host"), "{:?}", plan.header.notes);
    // What is new goes elsewhere, a person may leave by hand, and rules that come later hold at once.
    let file = folder.path().join("new.yaml");
    std::fs::write(&file, "name: new\nimage: registry.example/n:1\n").unwrap();
    plane.apply("new", &[&file], &[]).await;
    let new = plane.deliver("new").await.plan;
    assert_eq!(new.header.placement.unwrap().cluster.to_string(), "cluster/b");
    let by_hand = plan_on(&plane, "shop", "b").await.plan;
    let relocates = by_hand.steps.iter().filter(|step| step.action.leaves().is_some());
    assert!(relocates.count() >= 2, "{:?}", by_hand.steps);
    define(&plane, &json!({"failover": {"after_seconds": 1}})).await;
    is_after(&plane, Purpose::Failover, 2).await;
    assert_eq!(runs_on(&plane).await, "cluster/b");
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_waits_for_approval_and_is_off_when_the_cluster_is_back() {
    let rules = json!({"failover": {"after_seconds": 1}});
    let (plane, _folder) = shop(&rules).await;
    define(&plane, &json!({"failover": {"after_seconds": 1}, "approval": true})).await;
    lose(&plane, "a");
    let plan = failover(&plane).await;
    assert_eq!(deployment(&plane).await.rollout.unwrap().number, 1, "it waits");
    is_stranded(&plane, &format!("cairn approve {plan}")).await;
    happen(&plane, "a", Happening::Heal);
    is_ready(&plane, "a", true).await;
    let relieved = async || deployment(&plane).await.stranded.is_none();
    plane.until("it to be relieved", relieved).await;
    let recorded = proposal(&plane, plan).await;
    let by = context().actor;
    let approve = plan::Command::Approve { hash: recorded.hash, by, at: now() };
    plane.put::<Proposal>(plan::KIND, &plan.to_string().parse().unwrap(), approve).await;
    let refused = plane.planner.start(plan, &context()).await.unwrap_err().to_string();
    assert!(refused.contains("cluster/a is not lost any more"), "{refused}");
    assert_eq!(runs_on(&plane).await, "cluster/a");
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn why_nothing_leaves_is_told_until_it_can() {
    let (plane, _folder) = shop(&json!({"failover": {"after_seconds": 1}})).await;
    lose(&plane, "b");
    is_ready(&plane, "b", false).await;
    lose(&plane, "a");
    is_stranded(&plane, "cluster/b has not been ready since").await;
    assert_eq!(deployment(&plane).await.rollout.unwrap().number, 1);
    happen(&plane, "b", Happening::Heal);
    is_after(&plane, Purpose::Failover, 2).await;
    assert_eq!(deployment(&plane).await.stranded, None);
    assert_eq!(runs_on(&plane).await, "cluster/b");
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_deployments_leave_one_cluster_for_several_evenly() {
    let spec = json!({"location": "eu", "version": "1.36", "nodes_min": 1, "nodes_max": 3});
    let clusters = json!({"a": {"spec": spec}, "b": {"spec": spec}, "c": {"spec": spec}});
    let rules = json!({"failover": {"after_seconds": 1}, "placement": {"strategy": "spread"},
        "clusters": clusters});
    let (plane, folder) = shop(&rules).await;
    for number in 0..6 {
        let (name, file) = (format!("app{number}"), folder.path().join("app.yaml"));
        std::fs::write(&file, format!("name: {name}\nimage: registry.example/a:1\n")).unwrap();
        plane.apply(&name, &[&file], &[]).await;
        let planned = plan_on(&plane, &name, "a").await;
        plane.planner.start(planned.id, &context()).await.unwrap();
        plane.ready(&name).await;
    }
    // Once connected, `c` is as good as `b`.
    let third = plan_on(&plane, "other", "c").await;
    plane.planner.start(third.id, &context()).await.unwrap();
    plane.ready("other").await;
    lose(&plane, "a");
    let count = async || {
        let mut counts = [0, 0, 0];
        for number in 0..6 {
            let id = format!("workload/dev_app{number}_app{number}");
            let body = plane.resource(&id).await;
            let cluster = body.body().and_then(|body| body.spec.cluster());
            let cluster = cluster.map(|id: ResourceId| id.name.to_string());
            let index = ["a", "b", "c"].iter().position(|name| cluster.as_deref() == Some(name));
            index.into_iter().for_each(|index| counts[index] += 1);
        }
        counts
    };
    plane
        .until("all to be elsewhere", async || {
            let [here, there, elsewhere] = count().await;
            here == 0 && there + elsewhere == 6
        })
        .await;
    let [_, b, c] = count().await;
    assert!(b >= 2 && c >= 2, "{b} and {c}");
    plane.stop().await;
}
