//! Workloads whose pods live as real ones do: they take their time, and some fail. KWOK's own `general` and `chaos`
//! stages play them.

use std::path::Path;

use domain::ResourceId;
use serde_json::{Value, json};
use servers::kubernetes::{CONTAINER_FAILS, ControlPlane, INIT_CONTAINER_FAILS, Options, Stages};
use tests::{Plane, namespace};

const HELLO: &str = "workload/dev_hello_hello";

/// Two containers that come before the one that stays, one after the other.
const PREPARED: &str = "apiVersion: score.dev/v1b1
metadata: {name: hello}
containers:
  fetch: {image: 'registry.example/fetch:1', before: {prepare: {ready: complete}}}
  prepare: {image: 'registry.example/prepare:1', before: {main: {ready: complete}}}
  main: {image: 'registry.example/hello:1'}
service: {ports: {web: {port: 8080}}}
";

fn control_plane(stages: Stages) -> ControlPlane {
    let options = Options { nodes: 1, entry: false, ..Options::default() };
    ControlPlane::start_with(&options, stages)
}

async fn deliver(plane: &Plane, folder: &Path) {
    let file = folder.join("hello.yaml");
    std::fs::write(&file, PREPARED).unwrap();
    plane.apply("hello", &[&file], &[]).await;
    plane.deliver("hello").await;
}

/// Whether its history tells of something: what passes may be over when it is looked at.
async fn was_told(plane: &Plane, words: &str) -> bool {
    let id: ResourceId = HELLO.parse().unwrap();
    let loaded = plane.executor.journal().load(&id.stream(plane.tenant()), 0).await.unwrap();
    let mut events = loaded.commits.iter().flat_map(|recorded| &recorded.sealed.commit.events);
    events.any(|event| event.data.to_string().contains(words))
}

/// The pods that there are, in the order of their names.
fn pods(cluster: &ControlPlane) -> Vec<Value> {
    let path = format!("GET /api/v1/namespaces/{}/pods", namespace("hello"));
    cluster.ask(&path, &Value::Null).1["items"].as_array().unwrap().clone()
}

fn patch(cluster: &ControlPlane, what: &str, patch: &Value) {
    let in_it = format!("--namespace={}", namespace("hello"));
    let patch = format!("--patch={patch}");
    let _ = cluster.kubectl(&["patch", what, &in_it, "--type=merge", &patch]);
}

/// When a condition of a pod became as it is.
fn since(pod: &Value, condition: &str) -> String {
    let mut conditions = pod["status"]["conditions"].as_array().unwrap().iter();
    let found = conditions.find(|one| one["type"] == condition && one["status"] == "True");
    let found = found.unwrap_or_else(|| panic!("it is not {condition}: {pod}"));
    found["lastTransitionTime"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_takes_its_time_is_waited_for_and_nothing_of_it_is_called_trouble() {
    let cluster = control_plane(Stages::General);
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    deliver(&plane, directory.path()).await;

    let pods = pods(&cluster);
    assert_eq!(pods.len(), 1);
    let names = pods[0]["spec"]["initContainers"].as_array().unwrap().iter();
    let names: Vec<&Value> = names.map(|container| &container["name"]).collect();
    assert_eq!(names, ["fetch", "prepare"], "each before what waits for it");
    for before in pods[0]["status"]["initContainerStatuses"].as_array().unwrap() {
        assert_eq!(before["state"]["terminated"]["reason"], "Completed", "{before}");
    }
    assert!(since(&pods[0], "Initialized") < since(&pods[0], "Ready"), "{}", pods[0]["status"]);
    assert!(was_told(&plane, "0 of 1 replicas are available").await);
    for usual in ["PodInitializing", "ContainerCreating", ", container "] {
        assert!(!was_told(&plane, usual).await, "{usual} is no trouble");
    }
    plane.delete("hello").await;
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_fails_is_told_of_with_its_reason_until_another_is_in_its_place() {
    let cluster = control_plane(Stages::Chaos);
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    deliver(&plane, directory.path()).await;
    let failing = pods(&cluster)[0]["metadata"]["name"].as_str().unwrap().to_owned();
    let says = |what: &str| format!("{CONTAINER_FAILS}/{what}");
    let told = json!({ says("reason"): "OOMKilled", says("exit-code"): "137" });
    let labels = json!({ CONTAINER_FAILS: "true" });
    let failure = json!({ "metadata": { "annotations": told, "labels": labels } });
    patch(&cluster, &format!("pod/{failing}"), &failure);

    // The pod in its place takes two seconds at least.
    let reason = format!("0 of 1 replicas are available; pod {failing}, container main: OOMKilled");
    plane.until("the reason", async || was_told(&plane, &reason).await).await;
    plane.ready("hello").await;
    assert_eq!(plane.blocker(HELLO).await, "");
    let pods = pods(&cluster);
    let phase = |pod: &Value| pod["status"]["phase"].as_str().unwrap().to_owned();
    let (failed, others): (Vec<_>, Vec<_>) =
        pods.iter().partition(|pod| pod["metadata"]["name"] == failing.as_str());
    assert!(failed.iter().all(|pod| phase(pod) == "Failed"), "{failed:?}");
    assert!(others.len() == 1 && phase(others[0]) == "Running", "{others:?}");
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_again_and_again_before_it_runs_is_told_of_until_it_is_calm() {
    let cluster = control_plane(Stages::Chaos);
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    deliver(&plane, directory.path()).await;
    // Every pod that the deployment makes from now on. What others add to an object is left alone.
    let label = |value: &Value| {
        let metadata = json!({ "labels": { INIT_CONTAINER_FAILS: value } });
        let template = json!({ "spec": { "template": { "metadata": metadata } } });
        patch(&cluster, "deployment/hello", &template);
    };
    label(&json!("true"));
    plane
        .until("the reason", async || {
            plane.blocker(HELLO).await.contains("container fetch: initContainerError")
        })
        .await;
    let mut running = pods(&cluster);
    running.retain(|pod| pod["status"]["phase"] == "Running");
    assert_eq!(running.len(), 1, "the one before stays until another is ready");

    label(&Value::Null);
    plane.ready("hello").await;
    assert_eq!(plane.blocker(HELLO).await, "");
    plane.stop().await;
}
