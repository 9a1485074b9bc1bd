//! A real cluster is cut off, what ran there runs on another real one, and the first comes back.

use std::collections::BTreeMap;
use std::path::Path;

use domain::deployment::{self, Deployment};
use domain::environment::Environment;
use domain::plan::{Plan, Purpose, Step, StepAction};
use domain::{StreamId, environment, planning};
use projections::{Filter, Sort};
use reconcilers::planner::{Hints, Request};
use serde_json::{Value, json};
use servers::kubernetes::{ControlPlane, Fault, Faulty, Options};
use sim::Happening;
use tests::{Plane, context, namespace, now};

const HELLO: &str = "workload/dev_hello_hello";

fn control_plane() -> ControlPlane {
    ControlPlane::start(&Options { nodes: 1, entry: false, ..Options::default() })
}

/// The image that a cluster's own API says is wanted there; none where there is nothing.
fn image(cluster: &ControlPlane) -> Option<String> {
    let path = format!("GET /apis/apps/v1/namespaces/{}/deployments/hello", namespace("hello"));
    let (status, found) = cluster.ask(&path, &Value::Null);
    let container = &found["spec"]["template"]["spec"]["containers"][0];
    (status == 200).then(|| container["image"].as_str().unwrap().to_owned())
}

/// `dev` with both clusters: the first is the better one.
async fn define(plane: &Plane) {
    let spec = |path: &str, location: &str| {
        let existing = json!({"store": "file", "path": path});
        json!({"spec": {"location": location, "existing": existing}})
    };
    let definition = json!({"name": "dev", "domain": "dev.test", "location": "here",
        "failover": {"after_seconds": 2},
        "clusters": {"real": spec("real", "here"), "second": spec("second", "there")}});
    let definition = serde_json::from_value(definition).unwrap();
    let command = environment::Command::Define { definition, at: now() };
    plane.put::<Environment>(environment::KIND, &"dev".parse().unwrap(), command).await;
}

/// Whether the deployment has its namespace in a cluster.
fn has_namespace(cluster: &ControlPlane) -> bool {
    let path = format!("GET /api/v1/namespaces/{}", namespace("hello"));
    cluster.ask(&path, &Value::Null).0 == 200
}

async fn deployment(plane: &Plane) -> Deployment {
    let name = "dev_hello".parse().unwrap();
    let stream = StreamId::new(plane.tenant().clone(), deployment::KIND, name).unwrap();
    (*plane.executor.load_state::<Deployment>(&stream).await.unwrap().state).clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ran_in_a_cluster_that_is_cut_off_runs_in_another_and_the_old_waits_for_a_plan() {
    let (first, second) = (control_plane(), control_plane());
    let way = Faulty::start(&first);
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &way.kubeconfig()).await;
    std::fs::write(directory.path().join("secrets/second"), second.kubeconfig()).unwrap();
    define(&plane).await;
    let file = directory.path().join("hello.yaml");
    std::fs::write(&file, "name: hello\nimage: registry.example/hello:1\nport: 8080\n").unwrap();
    plane.apply("hello", &[&file], &[]).await;
    plane.deliver("hello").await;
    assert_eq!((image(&first).is_some(), image(&second)), (true, None));
    let before = plane.resource(HELLO).await.uid().unwrap();

    way.rule(|_| Some(Fault::CutBefore));
    way.cut();
    let left = async || {
        let last = deployment(&plane).await.rollout.unwrap();
        last.purpose == Purpose::Failover
    };
    plane.until("the failover", left).await;
    plane.ready("hello").await;
    assert_eq!(image(&second).as_deref(), Some("registry.example/hello:1"));
    assert_eq!(image(&first).as_deref(), Some("registry.example/hello:1"), "it runs on unseen");
    assert!(deployment(&plane).await.has_left_behind(before));

    way.rule(|_| None);
    let back = async || plane.resource("cluster/real").await.is_ready();
    plane.until("the first cluster to be back", back).await;
    std::fs::write(&file, "name: hello\nimage: registry.example/hello:2\nport: 8080\n").unwrap();
    plane.apply("hello", &[&file], &[]).await;
    assert_eq!(image(&first).as_deref(), Some("registry.example/hello:1"), "it is not touched");
    let plan = plane.begin("hello", Purpose::Deploy).await.plan;
    assert_eq!(plan.header.placement.unwrap().cluster.name.as_str(), "second");
    let cleans = |action: &StepAction| matches!(action, StepAction::CleanUp { .. });
    assert_eq!(plan.steps.iter().filter(|step| cleans(&step.action)).count(), 1);
    plane.ready("hello").await;
    assert_eq!(image(&second).as_deref(), Some("registry.example/hello:2"));
    assert_eq!(image(&first), None);
    assert_eq!(deployment(&plane).await.left_behind, []);
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_moves_what_runs_in_one_cluster_to_another_and_nothing_stays_behind() {
    let (first, second) = (control_plane(), control_plane());
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &first.kubeconfig()).await;
    std::fs::write(directory.path().join("secrets/second"), second.kubeconfig()).unwrap();
    define(&plane).await;
    let _ = put_on(&plane, directory.path(), "hello", "real").await;
    plane.ready("hello").await;
    assert_eq!((has_namespace(&first), has_namespace(&second)), (true, false));
    let before = plane.resource(HELLO).await.uid().unwrap();

    let plan = put_on(&plane, directory.path(), "hello", "second").await;
    let of_it = |step: &&Step| step.resource.to_string() == HELLO;
    let moved = &plan.steps.iter().find(of_it).unwrap().action;
    assert!(matches!(moved, StepAction::Replace { .. }), "{moved:?}");
    plane.ready("hello").await;
    assert_eq!((has_namespace(&first), has_namespace(&second)), (false, true));
    assert_eq!(image(&second).as_deref(), Some("registry.example/hello:1"));
    assert_ne!(plane.resource(HELLO).await.uid().unwrap(), before, "it is another incarnation");

    let deployment = deployment(&plane).await;
    assert_eq!(deployment.rollout.unwrap().purpose, Purpose::Deploy);
    assert_eq!(deployment.left_behind, [], "both were within reach");
    for cluster in ["cluster/real", "cluster/second"] {
        assert!(plane.resource(cluster).await.is_ready(), "{cluster}");
    }
    plane.stop().await;
}

/// Simulated clusters beside the real ones.
const SIMULATED: usize = 50;

/// `dev` with all of them.
async fn define_fleet(plane: &Plane) {
    let real = |path: &str| {
        let existing = json!({"store": "file", "path": path});
        json!({"spec": {"location": "here", "existing": existing}})
    };
    let spec = json!({"location": "here", "version": "1.36", "nodes_min": 1, "nodes_max": 3});
    let simulated = (0..SIMULATED).map(|number| (format!("c{number}"), json!({"spec": spec})));
    let two = [("real".to_owned(), real("real")), ("second".to_owned(), real("second"))];
    let clusters: serde_json::Map<String, Value> = simulated.chain(two).collect();
    let definition = json!({"name": "dev", "domain": "dev.test", "location": "here",
        "failover": {"after_seconds": 2}, "placement": {"strategy": "spread"}, "clusters": clusters});
    let definition = serde_json::from_value(definition).unwrap();
    let command = environment::Command::Define { definition, at: now() };
    plane.put::<Environment>(environment::KIND, &"dev".parse().unwrap(), command).await;
}

/// One query over the fleet: what is there of a kind, by name; only what is not well, if that is asked.
async fn fleet(plane: &Plane, kind: &str, unwell: bool) -> BTreeMap<String, Option<String>> {
    let ready = unwell.then_some(false);
    let filter = Filter { ready, ..Filter::of(plane.tenant().clone(), &[kind]) };
    plane.caught_up().await;
    let page = plane.views.list(&filter, Sort::Name, None, 500, None).await.unwrap();
    page.items.into_iter().map(|row| (row.stream.name().to_string(), row.uid)).collect()
}

/// Has an application run on a cluster; gives the plan.
async fn put_on(plane: &Plane, folder: &Path, name: &str, cluster: &str) -> Plan {
    let file = folder.join(format!("{name}.yaml"));
    std::fs::write(&file, format!("name: {name}\nimage: registry.example/{name}:1\n")).unwrap();
    plane.apply(name, &[&file], &[]).await;
    let request = Request {
        cluster: Some(cluster.parse().unwrap()),
        application: name.parse().unwrap(),
        environment: "dev".parse().unwrap(),
        revision: None,
        images: BTreeMap::new(),
        options: planning::Options {
            purpose: Purpose::Deploy,
            allow_replace: false,
            allow_delete: false,
            allow_mass_delete: false,
        },
        hints: Hints::default(),
    };
    let planned = plane.planner.plan(&request, &context()).await.unwrap();
    plane.planner.start(planned.id, &context()).await.unwrap();
    planned.plan
}

async fn cluster_of(plane: &Plane, name: &str) -> String {
    let resource = plane.resource(&format!("workload/dev_{name}_{name}")).await;
    let cluster = resource.body().and_then(|body| body.spec.cluster());
    cluster.map(|cluster| cluster.name.to_string()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_simulated_clusters_and_two_real_ones_what_is_lost_is_left_and_nothing_else_moves()
{
    let (first, second) = (control_plane(), control_plane());
    let way = Faulty::start(&first);
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &way.kubeconfig()).await;
    std::fs::write(directory.path().join("secrets/second"), second.kubeconfig()).unwrap();
    define_fleet(&plane).await;
    let simulated = (0..SIMULATED).map(|number| format!("c{number}"));
    let clusters: Vec<String> = simulated.chain(["real".into(), "second".into()]).collect();
    for cluster in &clusters {
        let _ = put_on(&plane, directory.path(), &format!("on-{cluster}"), cluster).await;
    }
    for cluster in &clusters {
        plane.ready(&format!("on-{cluster}")).await;
    }
    assert_eq!(fleet(&plane, "cluster", false).await.len(), SIMULATED + 2);
    assert_eq!(fleet(&plane, "cluster", true).await, BTreeMap::new());
    let before = fleet(&plane, "workload", false).await;
    assert_eq!(before.len(), SIMULATED + 2);

    // One of each sort is lost.
    way.rule(|_| Some(Fault::CutBefore));
    way.cut();
    let message = "no route to host".to_owned();
    let lost = Happening::Break { message, for_good: false };
    plane.world.happen(plane.tenant(), &"cluster/c7".parse().unwrap(), lost).unwrap();
    let unwell = async || fleet(&plane, "cluster", true).await.into_keys().collect::<Vec<_>>();
    plane.until("both to be missed", async || unwell().await == ["c7", "real"]).await;
    for name in ["on-c7", "on-real"] {
        let left = async || !["", "c7", "real"].contains(&cluster_of(&plane, name).await.as_str());
        plane.until(&format!("{name} to run elsewhere"), left).await;
        plane.ready(name).await;
    }
    let after = fleet(&plane, "workload", false).await;
    let moved: Vec<_> = after.iter().filter(|one| before.get(one.0) != Some(one.1)).collect();
    let names: Vec<&str> = moved.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["dev_on-c7_on-c7", "dev_on-real_on-real"]);
    plane.stop().await;
}
