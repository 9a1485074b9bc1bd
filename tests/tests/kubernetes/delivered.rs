//! The main job on a real Kubernetes: a real API server, its controllers and scheduler; nodes and pods pretend.

use std::path::Path;

use domain::kinds::cluster::Capacity;
use domain::plan::Purpose;
use domain::{OutputValue, Resource};
use serde_json::{Value, json};
use servers::kubernetes::{ControlPlane, Options};
use tests::samples::{applications, unprotected_shop};
use tests::{Plane, namespace};

fn control_plane(nodes: u32) -> ControlPlane {
    ControlPlane::start(&Options { nodes, ..Options::default() })
}

fn list(cluster: &ControlPlane, path: &str) -> Vec<Value> {
    let (status, answer) = cluster.ask(&format!("GET {path}"), &Value::Null);
    assert_eq!(status, 200, "{path}: {answer}");
    answer["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_public_score_document_is_delivered_to_ready_on_a_real_cluster() {
    let cluster = control_plane(10);
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    let applications = applications();
    assert!(!applications.is_empty());
    for sample in &applications {
        plane.deliver_sample(sample).await;
    }
    let ours = list(
        &cluster,
        "/apis/apps/v1/deployments?labelSelector=app.kubernetes.io%2Fmanaged-by%3Dcairn",
    );
    assert!(ours.len() >= applications.len() / 2, "{} deployments", ours.len());
    for sample in &applications {
        plane.delete(&sample.name).await;
    }
    let left =
        list(&cluster, "/api/v1/namespaces?labelSelector=app.kubernetes.io%2Fmanaged-by%3Dcairn");
    assert!(left.is_empty(), "{left:?}");
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changes_or_deletes_is_set_right_and_has_their_name_on_it() {
    let cluster = control_plane(3);
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    plane.apply("shop", &[&unprotected_shop(directory.path())], &[]).await;
    plane.deliver("shop").await;
    let Resource::Live(real) = plane.resource("cluster/real").await else { panic!("no cluster") };
    assert!(
        matches!(&real.outputs["version"], OutputValue::Plain(version) if version.starts_with("1."))
    );
    let room = async || {
        plane.resource("cluster/real").await.body().and_then(|it| Capacity::of(&it.outputs))
    };
    plane
        .until("its nodes to be known", async || room().await.is_some_and(|it| it.nodes == 3))
        .await;
    assert!(room().await.unwrap().pods >= 3);

    let namespace = namespace("shop");
    let in_it = format!("--namespace={namespace}");
    let _ = cluster.kubectl(&["scale", "deployment/worker", &in_it, "--replicas=7"]);
    let replicas = || {
        let path = format!("GET /apis/apps/v1/namespaces/{namespace}/deployments/worker");
        cluster.ask(&path, &Value::Null).1["spec"]["replicas"].clone()
    };
    plane.until("the replicas to be set right", async || replicas() != json!(7)).await;
    let noted = plane.noted("workload/dev_shop_worker", "DriftDetected").await;
    assert!(noted.contains("spec.replicas was changed") && noted.contains("kubectl"), "{noted}");

    let _ = cluster.kubectl(&["delete", "service/web", &in_it]);
    plane
        .until("the service to be back", async || {
            cluster.ask(&format!("GET /api/v1/namespaces/{namespace}/services/web"), &Value::Null).0
                == 200
        })
        .await;
    plane.ready("shop").await;

    plane.delete("shop").await;
    let (status, _) = cluster.ask(&format!("GET /api/v1/namespaces/{namespace}"), &Value::Null);
    assert_eq!(status, 404);
    plane.stop().await;
}

async fn minimal(plane: &Plane, folder: &Path) {
    let file = folder.join("hello.yaml");
    std::fs::write(&file, "name: hello\nimage: registry.example/hello:1\nport: 8080\n").unwrap();
    plane.apply("hello", &[&file], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_cannot_be_reached_is_waited_for_and_found_again() {
    let cluster = control_plane(1);
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    minimal(&plane, directory.path()).await;
    plane.deliver("hello").await;

    cluster.apiserver().kill9();
    plane
        .until("the cluster to be missed", async || {
            plane.blocker("cluster/real").await.contains("cannot be reached since 20")
        })
        .await;
    // What cannot be seen is not said to be gone.
    plane.begin("hello", Purpose::Delete).await;
    plane
        .until("the deletion to wait", async || {
            let id = "workload/dev_hello_hello";
            matches!(plane.resource(id).await, Resource::Deleting(..))
                && plane.blocker(id).await.contains("cluster/real is not ready")
        })
        .await;

    cluster.apiserver().start();
    plane
        .until("the deletion to go on", async || {
            plane.tree("hello").await.deployment.is_some_and(|row| row.phase == "deleted")
        })
        .await;
    let namespace = format!("GET /api/v1/namespaces/{}", namespace("hello"));
    assert_eq!(cluster.ask(&namespace, &Value::Null).0, 404);
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_refused_are_told_of_and_new_ones_are_used_without_a_restart() {
    let cluster = control_plane(1);
    let directory = tempfile::tempdir().unwrap();
    let refused = cluster.kubeconfig_at(cluster.port(), "nobody");
    let plane = Plane::start_on(directory.path(), &refused).await;
    minimal(&plane, directory.path()).await;
    plane.begin("hello", Purpose::Deploy).await;
    plane
        .until("the refusal", async || plane.blocker("cluster/real").await.contains("Unauthorized"))
        .await;
    std::fs::write(directory.path().join("secrets/real"), cluster.kubeconfig()).unwrap();
    plane.ready("hello").await;
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_fits_nowhere_says_so_in_the_blocker_and_a_fix_works_at_once() {
    let cluster = control_plane(1);
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    let file = directory.path().join("app.yaml");
    let text = |cpu: &str| {
        format!(
            "name: big\nimage: registry.example/big:1\nport: 8080\nrequests: {{cpu: '{cpu}'}}\n"
        )
    };
    std::fs::write(&file, text("4000")).unwrap();
    plane.apply("big", &[&file], &[]).await;
    plane.begin("big", Purpose::Deploy).await;
    plane
        .until("the reason", async || {
            plane.blocker("workload/dev_big_big").await.contains("Insufficient cpu")
        })
        .await;
    std::fs::write(&file, text("1")).unwrap();
    plane.apply("big", &[&file], &[]).await;
    plane.deliver("big").await;
    plane.stop().await;
}
