//! Replicas that keep their names and their disks.

use std::collections::BTreeMap;
use std::path::Path;

use domain::plan::Purpose;
use serde_json::Value;
use servers::kubernetes::{ControlPlane, Options};
use tests::{Plane, namespace};

const ID: &str = "workload/dev_db_db";

async fn deliver(plane: &Plane, folder: &Path, version: u32, replicas: u32, gib: u32, rest: &str) {
    apply(plane, folder, version, replicas, gib, rest).await;
    plane.deliver("db").await;
}

async fn apply(plane: &Plane, folder: &Path, version: u32, replicas: u32, gib: u32, rest: &str) {
    let file = folder.join("app.yaml");
    let text = format!(
        "name: db\nworkloads:\n  db:\n    kind: stateful\n    image: registry.example/db:{version}\n    port: 5432\n    \
         replicas: {replicas}\n    volumes: {{/data: {{source: '${{resources.data}}'}}}}\n    {rest}\n    \
         resources: {{data: {{type: volume, delete: allow, params: {{size_gib: {gib}}}}}}}\n"
    );
    std::fs::write(&file, text).unwrap();
    plane.apply("db", &[&file], &[]).await;
}

fn items(cluster: &ControlPlane, plural: &str) -> Vec<Value> {
    let path = format!("GET /api/v1/namespaces/{}/{plural}", namespace("db"));
    let (status, answer) = cluster.ask(&path, &Value::Null);
    assert_eq!(status, 200, "{answer}");
    answer["items"].as_array().unwrap().clone()
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap().to_owned()
}

/// The disks by name: which one it is, and how large it shall be.
fn disks(cluster: &ControlPlane) -> BTreeMap<String, (Value, Value)> {
    let claims = items(cluster, "persistentvolumeclaims").into_iter();
    let disk = |claim: Value| {
        let size = claim["spec"]["resources"]["requests"]["storage"].clone();
        (name(&claim), (claim["metadata"]["uid"].clone(), size))
    };
    claims.map(disk).collect()
}

fn images(cluster: &ControlPlane) -> BTreeMap<String, Value> {
    let pods = items(cluster, "pods").into_iter();
    pods.map(|pod| (name(&pod), pod["spec"]["containers"][0]["image"].clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_keep_their_names_and_their_disks_whatever_happens_to_them() {
    let cluster = ControlPlane::start(&Options { nodes: 3, ..Options::default() });
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let plane = Plane::start_on(folder, &cluster.kubeconfig()).await;

    deliver(&plane, folder, 1, 2, 5, "").await;
    let names =
        |disks: &BTreeMap<String, (Value, Value)>| disks.keys().cloned().collect::<Vec<_>>();
    let first = disks(&cluster);
    assert_eq!(names(&first), ["db-data-db-0", "db-data-db-1"]);
    assert!(first.values().all(|(_, size)| size == "5Gi"), "{first:?}");
    assert_eq!(images(&cluster).keys().collect::<Vec<_>>(), ["db-0", "db-1"]);
    let services: Vec<String> = items(&cluster, "services").iter().map(name).collect();
    assert_eq!(services, ["db", "db-peers"]);

    // A new version, more replicas and larger disks: those that are there are the same ones.
    deliver(&plane, folder, 2, 3, 8, "").await;
    assert!(images(&cluster).values().all(|image| image == "registry.example/db:2"));
    let grown = disks(&cluster);
    assert_eq!(names(&grown), ["db-data-db-0", "db-data-db-1", "db-data-db-2"]);
    assert!(grown.values().all(|(_, size)| size == "8Gi"), "{grown:?}");
    assert!(first.iter().all(|(name, (uid, _))| grown[name].0 == *uid));

    // With fewer replicas their data stays, and is theirs again when they come back.
    deliver(&plane, folder, 2, 1, 8, "").await;
    assert_eq!(images(&cluster).keys().collect::<Vec<_>>(), ["db-0"]);
    assert_eq!(disks(&cluster), grown);
    deliver(&plane, folder, 2, 2, 8, "").await;
    assert_eq!(disks(&cluster), grown);

    // A version that fits nowhere is stuck at the last replica, and a fix works at once.
    apply(&plane, folder, 3, 2, 8, "requests: {cpu: '1000'}").await;
    plane.begin("db", Purpose::Deploy).await;
    let stuck = async || plane.blocker(ID).await.contains("Unschedulable");
    plane.until("it to fit nowhere", stuck).await;
    assert_eq!(images(&cluster)["db-0"], "registry.example/db:2");
    deliver(&plane, folder, 4, 2, 8, "").await;
    assert!(images(&cluster).values().all(|image| image == "registry.example/db:4"));

    // A disk that somebody deletes is made again, whoever is first.
    let inside = format!("--namespace={}", namespace("db"));
    let _ = cluster.kubectl(&["delete", "pvc", "db-data-db-1", "--wait=false", &inside]);
    let _ = cluster.kubectl(&["delete", "pod", "db-1", "--wait=false", &inside]);
    let again = async || {
        let now = disks(&cluster);
        now.get("db-data-db-1")
            .is_some_and(|(uid, size)| *uid != grown["db-data-db-1"].0 && size == "8Gi")
    };
    plane.until("another disk", again).await;
    plane.ready("db").await;

    plane.delete("db").await;
    let (status, _) =
        cluster.ask(&format!("GET /api/v1/namespaces/{}", namespace("db")), &Value::Null);
    assert_eq!(status, 404);
    plane.stop().await;
}
