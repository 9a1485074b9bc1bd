//! How the world reaches workloads on a real Kubernetes: gateways, routes, certificates and names.

use std::path::Path;

use domain::environment::Environment;
use domain::plan::Purpose;
use domain::{Resource, StreamId, environment};
use serde_json::{Value, json};
use servers::kubernetes::{ControlPlane, Options, PRETENDED};
use tests::{Plane, namespace, now};

fn control_plane() -> ControlPlane {
    ControlPlane::start(&Options { nodes: 1, ..Options::default() })
}

const GATEWAY: &str = "support-service/real_gateway";

/// What keeps a resource from being ready: what it waits for, or how it failed.
async fn trouble(plane: &Plane, id: &str) -> String {
    let resource = plane.resource(id).await;
    let failed = resource.body().and_then(|body| body.action.as_ref()?.failure.clone());
    let blocked = plane.blocker(id).await;
    failed.map_or(blocked, |failed| failed.message)
}

async fn says(plane: &Plane, id: &str, words: &str) {
    plane.until(words, async || trouble(plane, id).await.contains(words)).await;
}

/// A shop with a name and two routes.
fn shop(host: &str) -> String {
    format!(
        "name: shop\nimage: registry.example/web:1\nport: 8080\nresources:\n  dns:\n    type: dns\n    params: {{host: {host}}}\n  \
         all:\n    type: route\n    params: {{workload: shop, host: '${{resources.dns.host}}'}}\n  \
         cart:\n    type: route\n    params: {{workload: shop, host: '${{resources.dns.host}}', path: /cart}}\n"
    )
}

/// `dev` again, with a change.
async fn redefine(plane: &Plane, change: impl FnOnce(&mut environment::Definition)) {
    let stream = StreamId::new(plane.tenant().clone(), environment::KIND, "dev".parse().unwrap());
    let state = plane.executor.load_state::<Environment>(&stream.unwrap()).await.unwrap().state;
    let mut definition = state.definition.clone().unwrap();
    change(&mut definition);
    let command = environment::Command::Define { definition, at: now() };
    plane.put::<Environment>(environment::KIND, &"dev".parse().unwrap(), command).await;
}

/// `dev` again, whose routes have certificates.
async fn certify(plane: &Plane) {
    redefine(plane, |dev| dev.tls = true).await;
}

/// The gateway of a cluster whose environment says that it brings one along: `cairn` in the namespace `cairn`.
fn make_gateway(cluster: &ControlPlane) {
    let metadata = json!({ "name": "cairn" });
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata });
    let all = json!({ "namespaces": { "from": "All" } });
    let listener = json!({ "name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": all });
    let gateway = json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": metadata,
        "spec": { "gatewayClassName": PRETENDED, "listeners": [listener] },
    });
    let gateways = "/apis/gateway.networking.k8s.io/v1/namespaces/cairn/gateways";
    for (path, object) in [("/api/v1/namespaces", namespace), (gateways, gateway)] {
        let (status, answer) = cluster.ask(&format!("POST {path}"), &object);
        assert_eq!(status, 201, "{answer}");
    }
}

async fn apply(plane: &Plane, folder: &Path, text: &str) {
    let file = folder.join("shop.yaml");
    std::fs::write(&file, text).unwrap();
    plane.apply("shop", &[&file], &[]).await;
}

fn get(cluster: &ControlPlane, what: &str, namespace: &str) -> Vec<Value> {
    let text = cluster.kubectl(&["get", what, "-n", namespace, "-o", "json"]);
    let list: Value = serde_json::from_str(&text).unwrap();
    list["items"].as_array().unwrap().clone()
}

/// What the only certificate's listener, and each route to a service, says.
fn routes(cluster: &ControlPlane) -> Vec<(String, Value)> {
    let found = get(cluster, "httproutes", &namespace("shop"));
    let served = found.iter().filter(|route| !route["spec"]["rules"][0]["backendRefs"].is_null());
    served
        .map(|route| {
            let path = route["spec"]["rules"][0]["matches"][0]["path"]["value"].clone();
            (path.as_str().unwrap().to_owned(), route["spec"].clone())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_is_served_by_the_gateway_that_the_cluster_brings_along() {
    let cluster = control_plane();
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    certify(&plane).await;
    apply(&plane, directory.path(), &shop("shop.test")).await;
    plane.deliver("shop").await;

    let all = cluster.kubectl(&["get", "gateways", "-A", "-o", "json"]);
    let all: Value = serde_json::from_str(&all).unwrap();
    assert_eq!(all["items"].as_array().unwrap().len(), 1, "one for the whole cluster");
    assert_eq!(all["items"][0]["spec"]["gatewayClassName"], PRETENDED);
    let routes = routes(&cluster);
    let paths: Vec<&str> = routes.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["/", "/cart"]);
    for (_, spec) in &routes {
        assert_eq!(spec["hostnames"], json!(["shop.test"]));
        assert_eq!(spec["rules"][0]["backendRefs"][0]["name"], "shop");
        assert_eq!(spec["parentRefs"][0]["kind"], "ListenerSet", "{spec}");
    }
    // Both share the listener and the certificate of their host.
    let listeners = get(&cluster, "listenersets", &namespace("shop"));
    assert_eq!(listeners.len(), 1);
    let certificates = get(&cluster, "certificates", &namespace("shop"));
    assert_eq!(certificates[0]["spec"]["issuerRef"]["name"], PRETENDED);
    let secret = &certificates[0]["spec"]["secretName"];
    assert_eq!(&listeners[0]["spec"]["listeners"][0]["tls"]["certificateRefs"][0]["name"], secret);
    let names = get(&cluster, "dnsendpoints", &namespace("shop"));
    let endpoint = &names[0]["spec"]["endpoints"][0];
    assert_eq!((&endpoint["dnsName"], &endpoint["recordType"]), (&json!("shop.test"), &json!("A")));

    plane.delete("shop").await;
    plane
        .until("the gateway to go", async || {
            matches!(plane.resource(GATEWAY).await, Resource::Gone(_))
        })
        .await;
    let kinds = "httproutes,listenersets,gateways,certificates,dnsendpoints";
    let left = cluster.kubectl(&["get", kinds, "-A", "-o", "name"]);
    assert_eq!(left.trim(), "", "all of it is gone, and the gateway that nobody needs");
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_the_environment_says_is_there_is_used_and_none_is_installed() {
    let cluster = control_plane();
    make_gateway(&cluster);
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    // There is no such class: a plan that wanted it would be refused.
    let offered = json!({ "gateway": { "classes": ["doorman"] } });
    redefine(&plane, |dev| {
        dev.support = serde_json::from_value(offered).unwrap();
        dev.clusters.get_mut("real").unwrap().spec.capabilities = vec!["gateway".into()];
    })
    .await;
    let text = "name: shop\nimage: registry.example/web:1\nport: 8080\nresources:\n  \
        all: {type: route, params: {workload: shop, host: shop.test}}\n";
    apply(&plane, directory.path(), text).await;
    let plan = plane.deliver("shop").await.plan;
    let planned: Vec<String> = plan.steps.iter().map(|step| step.resource.to_string()).collect();
    let installs = |id: &String| id.starts_with("helm/") || id.starts_with("support-service/");
    assert!(!planned.iter().any(installs), "{planned:?}");
    assert!(matches!(plane.resource(GATEWAY).await, Resource::Absent));

    let routes = routes(&cluster);
    assert_eq!(routes.len(), 1);
    let gateway = json!({
        "group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "cairn",
        "name": "cairn", "sectionName": "http",
    });
    assert_eq!(routes[0].1["parentRefs"], json!([gateway]));
    let gateways = || cluster.kubectl(&["get", "gateways", "-A", "-o", "name"]);
    assert_eq!(gateways().trim(), "gateway.gateway.networking.k8s.io/cairn", "it is the only one");
    let before = get(&cluster, "gateways", "cairn");
    assert!(before[0]["metadata"]["labels"]["cairn.dev/uid"].is_null(), "it is not ours");
    plane.delete("shop").await;
    assert_eq!(get(&cluster, "httproutes", &namespace("shop")), [] as [Value; 0]);
    let after = get(&cluster, "gateways", "cairn");
    for field in ["uid", "generation"] {
        assert_eq!(after[0]["metadata"][field], before[0]["metadata"][field], "it stays as it was");
    }
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_grpc_are_led_by_their_method() {
    let cluster = control_plane();
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    let text = "name: shop\nimage: registry.example/web:1\nport: 8080\nresources:\n  \
        all: {type: route, params: {workload: shop, host: api.test, protocol: grpc}}\n  \
        cart: {type: route, params: {workload: shop, host: api.test, protocol: grpc, path: /shop.v1.Cart/Add}}\n";
    apply(&plane, directory.path(), text).await;
    plane.deliver("shop").await;
    let found = get(&cluster, "grpcroutes", &namespace("shop"));
    let matches: Vec<&Value> =
        found.iter().map(|it| &it["spec"]["rules"][0]["matches"][0]).collect();
    let add = json!({ "type": "Exact", "service": "shop.v1.Cart", "method": "Add" });
    assert_eq!(matches, [&json!({}), &json!({ "method": add })]);

    // Another protocol is another object: the route is replaced.
    apply(&plane, directory.path(), &text.replacen(", protocol: grpc}}", "}}", 1)).await;
    plane.deliver("shop").await;
    assert_eq!(get(&cluster, "grpcroutes", &namespace("shop")).len(), 1);
    assert_eq!(get(&cluster, "httproutes", &namespace("shop")).len(), 1);
    plane.delete("shop").await;
    assert_eq!(cluster.kubectl(&["get", "grpcroutes,httproutes", "-A", "-o", "name"]).trim(), "");
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_says_so_and_what_is_missing_is_waited_for() {
    let cluster = control_plane();
    let directory = tempfile::tempdir().unwrap();
    let _ = cluster.kubectl(&["delete", "gatewayclass", PRETENDED]);
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    certify(&plane).await;
    apply(&plane, directory.path(), &shop("refused.test")).await;
    plane.begin("shop", Purpose::Deploy).await;
    says(&plane, GATEWAY, "cluster/real does not bring an accepted GatewayClass").await;
    cluster.bring_gateways();
    says(&plane, "certificate/dev_shop_all", "it is not ready: DoesNotExist").await;
    plane.until("the gateway", async || plane.resource(GATEWAY).await.is_ready()).await;
    plane.stop().await;
}
