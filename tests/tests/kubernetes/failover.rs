//! A real cluster is cut off, what ran there runs on another real one, and the first comes back.

use domain::deployment::{self, Deployment};
use domain::environment::Environment;
use domain::plan::{Purpose, StepAction};
use domain::{StreamId, environment};
use serde_json::{Value, json};
use servers::kubernetes::{ControlPlane, Fault, Faulty, Options};
use tests::{Plane, namespace, now};

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
