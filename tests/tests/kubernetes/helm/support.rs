//! Support services that a cluster lacks: installed by their charts on the first need, shared, and gone after the last.

use std::path::Path;

use charts::fetch::{Mirror, Mirrors};
use domain::commit::Hash;
use domain::environment::Environment;
use domain::plan::Purpose;
use domain::{Resource, StreamId, class, environment};
use serde_json::{Value, json};
use servers::kubernetes::{ControlPlane, PRETENDED};
use tests::{Plane, charts_by, now};

use super::release::{Release, object};
use crate::server::Server;

const CHART: &str = "helm/real_gateway_doorman";
const GATEWAY: &str = "support-service/real_gateway";
const CLASSES: &str = "/apis/gateway.networking.k8s.io/v1/gatewayclasses";

/// A class of gateways that comes with a chart. `version` is that of the values.
fn doorman(repository: &str, archive: &[u8], version: u32) -> class::Definition {
    let chart = json!({
        "repository": repository, "name": "shop", "version": "1.0.0",
        "sha256": Hash::of(archive).to_hex(),
    });
    let made = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": { "name": "doors" }, "spec": { "controllerName": "cairn.test/pretends" },
    });
    serde_json::from_value(json!({
        "type": "support-gateway", "class": "doorman", "target": "helm",
        "spec": {
            "cluster": "${cluster}", "chart": chart, "release": "shop", "namespace": "doors",
            "scope": "cluster", "objects": [made],
            "values": { "message": format!("{version} for ${{environment.domain}}") },
        },
    }))
    .unwrap()
}

async fn define(plane: &Plane, definition: class::Definition) {
    let name = definition.name().unwrap();
    let command = class::Command::Define { definition, at: now() };
    plane.put::<class::Class>(class::KIND, &name, command).await;
}

/// `dev` again, which installs that where it is lacking.
async fn offer(plane: &Plane) {
    let stream = StreamId::new(plane.tenant().clone(), environment::KIND, "dev".parse().unwrap());
    let state = plane.executor.load_state::<Environment>(&stream.unwrap()).await.unwrap().state;
    let support = serde_json::from_value(json!({ "gateway": { "classes": ["doorman"] } })).unwrap();
    let definition = environment::Definition { support, ..state.definition.clone().unwrap() };
    let command = environment::Command::Define { definition, at: now() };
    plane.put::<Environment>(environment::KIND, &"dev".parse().unwrap(), command).await;
}

async fn apply(plane: &Plane, folder: &Path, name: &str) {
    let file = folder.join(format!("{name}.yaml"));
    let text = format!(
        "name: {name}\nimage: registry.example/web:1\nport: 8080\nresources:\n  all:\n    type: route\n    params: {{workload: {name}, host: {name}.test}}\n"
    );
    std::fs::write(&file, text).unwrap();
    plane.apply(name, &[&file], &[]).await;
}

fn message(cluster: &ControlPlane) -> Value {
    object(cluster, "/api/v1/namespaces/doors/configmaps/shop-config")["data"]["message"].clone()
}

async fn is_gone(plane: &Plane, id: &str) {
    let words = format!("{id} to go");
    plane.until(&words, async || matches!(plane.resource(id).await, Resource::Gone(_))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cluster_lacks_is_installed_on_the_first_need_and_goes_after_the_last() {
    let cluster = super::control_plane();
    let _ = cluster.kubectl(&["delete", "gatewayclass", PRETENDED]);
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    let server = Server::start();
    let archive = Release::new("shop", directory.path()).package();
    let digest = Hash::of(&archive).to_hex();
    server.put("/index.yaml", super::sources::index("1.0.0", "a.tgz", &digest).as_bytes());
    server.put("/a.tgz", &archive);
    offer(&plane).await;
    apply(&plane, directory.path(), "first").await;
    let missing = plane.plan("first", Purpose::Deploy, None).await.unwrap_err();
    assert!(format!("{missing:?}").contains("support-gateway/doorman"), "{missing:?}");

    define(&plane, doorman(&server.url(), &archive, 1)).await;
    plane.deliver("first").await;
    assert_eq!(message(&cluster), "1 for dev.test");
    let gateway = cluster.kubectl(&["get", "gateways", "-A", "-o", "json"]);
    let gateway: Value = serde_json::from_str(&gateway).unwrap();
    assert_eq!(gateway["items"][0]["spec"]["gatewayClassName"], "doors");

    // The second shares it; a new version of the class is a change of the plan, and reaches both.
    apply(&plane, directory.path(), "second").await;
    plane.deliver("second").await;
    define(&plane, doorman(&server.url(), &archive, 2)).await;
    let planned = plane.plan("second", Purpose::Deploy, None).await.unwrap().plan;
    let changed: Vec<String> = planned.steps.iter().map(|step| step.resource.to_string()).collect();
    assert_eq!(changed, [CHART]);
    plane.deliver("second").await;
    plane.until("the new version", async || message(&cluster) == "2 for dev.test").await;

    plane.delete("first").await;
    assert!(plane.resource(CHART).await.is_ready(), "the second still needs it");
    plane.delete("second").await;
    is_gone(&plane, GATEWAY).await;
    is_gone(&plane, CHART).await;
    assert!(object(&cluster, &format!("{CLASSES}/doors")).is_null());
    assert!(message(&cluster).is_null());
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cluster_lacks_is_installed_from_a_folder_of_archives() {
    let cluster = super::control_plane();
    let _ = cluster.kubectl(&["delete", "gatewayclass", PRETENDED]);
    let directory = tempfile::tempdir().unwrap();
    let archive = Release::new("shop", directory.path()).package();
    let folder = directory.path().join("mirror");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("shop-1.0.0.tgz"), &archive).unwrap();
    // What is installed for a cluster is mirrored by the cluster's name.
    let charts = charts_by(Mirrors::from([("real".to_owned(), Mirror::Folder(folder))]));
    let plane = Plane::start_with(directory.path(), &cluster.kubeconfig(), charts).await;
    offer(&plane).await;
    // No such host: only the folder has it.
    define(&plane, doorman("https://charts.invalid", &archive, 1)).await;
    apply(&plane, directory.path(), "first").await;
    plane.deliver("first").await;
    assert_eq!(message(&cluster), "1 for dev.test");
    plane.delete("first").await;
    is_gone(&plane, CHART).await;
    assert!(message(&cluster).is_null());
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cluster_brings_along_is_not_installed_again() {
    let cluster = super::control_plane();
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    let server = Server::start();
    offer(&plane).await;
    define(&plane, doorman(&server.url(), b"never fetched", 1)).await;
    // Nobody has looked at the cluster before: the plan has the chart, and the cluster has a class of gateways.
    apply(&plane, directory.path(), "first").await;
    plane.deliver("first").await;
    let chart = plane.resource(CHART).await;
    assert!(chart.is_ready());
    assert_eq!(chart.body().unwrap().external.as_deref(), Some(PRETENDED));
    assert!(server.asked().is_empty(), "nothing was fetched");
    assert!(object(&cluster, "/api/v1/namespaces/doors").is_null());

    // By now it is known: the next plan has no chart, and the one that stands for nothing goes.
    apply(&plane, directory.path(), "second").await;
    plane.deliver("second").await;
    is_gone(&plane, CHART).await;
    assert!(plane.resource(GATEWAY).await.is_ready());
    plane.delete("first").await;
    plane.delete("second").await;
    is_gone(&plane, GATEWAY).await;
    assert!(!object(&cluster, &format!("{CLASSES}/{PRETENDED}")).is_null(), "it is not ours");
    plane.stop().await;
}
