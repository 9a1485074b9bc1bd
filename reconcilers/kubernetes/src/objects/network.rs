//! How others reach a workload, and who may.

use domain::kinds::workload::{Port, Protocol, Spec};
use reconcilers::Target;
use serde_json::{Value, json};

use super::{Names, Object};
use crate::labels;

/// Namespaces of gateways carry this label: what they let in may reach every workload.
const GATEWAY: &str = "cairn.dev/gateway";

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::TCP => "TCP",
        Protocol::UDP => "UDP",
    }
}

/// The service in front of its pods; none where nobody connects to it.
pub(super) fn service(target: &Target, names: &Names, spec: &Spec) -> Option<Object> {
    if spec.ports.is_empty() {
        return None;
    }
    let body = json!({ "spec": { "selector": selector(target), "ports": ports(spec) } });
    Some(Object::new(&names.key("v1", "Service"), target, body))
}

/// The service by which each of its replicas has a name: `<set>-<number>.<service>`. Those that are not ready yet have
/// one too, since they may have to find each other first.
pub(super) fn peers(target: &Target, names: &Names, spec: &Spec) -> Object {
    let mut service = json!({
        "clusterIP": "None", "publishNotReadyAddresses": true, "selector": selector(target),
    });
    if let (false, Some(fields)) = (spec.ports.is_empty(), service.as_object_mut()) {
        fields.insert("ports".into(), json!(ports(spec)));
    }
    let key = names.called("v1", "Service", peers_name(&names.name));
    Object::new(&key, target, json!({ "spec": service }))
}

/// What that service is called.
pub(crate) fn peers_name(name: &str) -> String {
    labels::fitting(&format!("{name}-peers"))
}

fn ports(spec: &Spec) -> Vec<Value> {
    let port = |(name, port): (&String, &Port)| {
        json!({
            "name": port_name(name),
            "port": port.port,
            "targetPort": port.target_port,
            "protocol": protocol(port.protocol),
        })
    };
    spec.ports.iter().map(port).collect()
}

/// A port's name as Kubernetes has it: at most 15 bytes (RFC 6335), with a letter among them. Score allows more.
pub(super) fn port_name(name: &str) -> String {
    let fits = name.len() <= 15 && name.bytes().any(|byte| byte.is_ascii_lowercase());
    if fits { name.to_owned() } else { labels::with_digest("p", name.as_bytes()) }
}

/// What its pods have in common, and no others.
pub(super) fn selector(target: &Target) -> Value {
    json!({ labels::UID: target.uid.to_string() })
}

/// Who may reach its pods: the rest of the deployment and the gateways, on its ports.
pub(super) fn policy(target: &Target, names: &Names, spec: &Spec) -> Object {
    let ports: Vec<Value> = spec
        .ports
        .values()
        .map(|port| json!({ "port": port.target_port, "protocol": protocol(port.protocol) }))
        .collect();
    let from = json!([
        { "podSelector": {} },
        { "namespaceSelector": { "matchLabels": { GATEWAY: "true" } } },
    ]);
    let mut spec = json!({
        "podSelector": { "matchLabels": selector(target) },
        "policyTypes": ["Ingress"],
    });
    // An empty list is not kept by the API server: applied again, it would be a change each time.
    if let (false, Some(fields)) = (ports.is_empty(), spec.as_object_mut()) {
        fields.insert("ingress".into(), json!([{ "from": from, "ports": ports }]));
    }
    Object::new(
        &names.key("networking.k8s.io/v1", "NetworkPolicy"),
        target,
        json!({ "spec": spec }),
    )
}
