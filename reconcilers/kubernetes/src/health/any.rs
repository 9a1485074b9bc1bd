//! How an object of any kind is. What has no status is ready when it is there; otherwise the rules are those of
//! kstatus, with Kubernetes' own kinds told by name.

use reconcilers::converge::SeenState;
use serde_json::Value;

use super::{among, condition, number, text};

/// The conditions that say that a resource is as asked, the first of them that it has.
const READY: [&str; 6] =
    ["Ready", "Available", "Established", "Programmed", "Accepted", "Succeeded"];

/// How it is.
pub(crate) fn health(object: &Value) -> SeenState {
    let (observed, generation) =
        (object.pointer("/status/observedGeneration"), number(object, "/metadata/generation"));
    if observed.and_then(Value::as_i64).is_some_and(|observed| observed < generation) {
        return pending("its controller has not seen it yet");
    }
    let core = !text(object, "/apiVersion").contains('.')
        || text(object, "/apiVersion").contains(".k8s.io/");
    match text(object, "/kind") {
        "Deployment" | "Job" if core => super::health(object),
        "StatefulSet" if core => stateful_set(object),
        "DaemonSet" if core => daemon_set(object),
        "ReplicaSet" | "ReplicationController" if core => replicas(object, "/status/readyReplicas"),
        "Pod" if core => pod(object),
        "PersistentVolumeClaim" if core => claim(object),
        "Service" if core => service(object),
        "CustomResourceDefinition" if core => definition(object),
        "HTTPRoute" | "GRPCRoute" | "TLSRoute" | "TCPRoute" | "UDPRoute" if core => route(object),
        _ => conditions(object),
    }
}

fn pending(reason: impl Into<String>) -> SeenState {
    SeenState::Pending(reason.into())
}

fn wanted(object: &Value) -> i64 {
    object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
}

fn replicas(object: &Value, ready: &str) -> SeenState {
    let (ready, wanted) = (number(object, ready), wanted(object));
    if ready < wanted {
        return pending(format!("{ready} of {wanted} replicas are ready"));
    }
    SeenState::Ready
}

fn stateful_set(object: &Value) -> SeenState {
    if object.pointer("/status/observedGeneration").is_none() {
        return pending("its rollout has not begun");
    }
    let rolls = text(object, "/spec/updateStrategy/type") != "OnDelete";
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition");
    let (updated, wanted) = (number(object, "/status/updatedReplicas"), wanted(object));
    if rolls && updated < wanted - partition {
        return pending(format!("{updated} of {} replicas are updated", wanted - partition));
    }
    replicas(object, "/status/readyReplicas")
}

fn daemon_set(object: &Value) -> SeenState {
    if object.pointer("/status/observedGeneration").is_none() {
        return pending("its rollout has not begun");
    }
    let wanted = number(object, "/status/desiredNumberScheduled");
    let updated = number(object, "/status/updatedNumberScheduled");
    let available = number(object, "/status/numberAvailable");
    if text(object, "/spec/updateStrategy/type") != "OnDelete" && updated < wanted {
        return pending(format!("{updated} of {wanted} nodes are updated"));
    }
    if available < wanted {
        return pending(format!("its pods are available on {available} of {wanted} nodes"));
    }
    SeenState::Ready
}

fn pod(object: &Value) -> SeenState {
    match text(object, "/status/phase") {
        "Succeeded" => SeenState::Ready,
        "Failed" => SeenState::Failed(format!("it failed: {}", text(object, "/status/message"))),
        _ => match condition(object, "Ready") {
            Some((true, _, _)) => SeenState::Ready,
            Some((false, reason, message)) => {
                pending(format!("it is not ready: {reason}: {message}"))
            }
            None => pending("it has not begun"),
        },
    }
}

fn claim(object: &Value) -> SeenState {
    match text(object, "/status/phase") {
        "Bound" => SeenState::Ready,
        "Lost" => SeenState::Failed("its volume is lost".into()),
        _ => pending("it has no volume yet"),
    }
}

fn service(object: &Value) -> SeenState {
    let addresses = object.pointer("/status/loadBalancer/ingress").and_then(Value::as_array);
    if text(object, "/spec/type") == "LoadBalancer" && addresses.is_none_or(Vec::is_empty) {
        return pending("its load balancer has no address yet");
    }
    SeenState::Ready
}

fn definition(object: &Value) -> SeenState {
    if let Some((false, reason, message)) = condition(object, "NamesAccepted") {
        return SeenState::Failed(format!("its names are not accepted: {reason}: {message}"));
    }
    match condition(object, "Established") {
        Some((true, _, _)) => SeenState::Ready,
        Some((false, _, _)) | None => pending("its kind is not served yet"),
    }
}

/// A route is served where each gateway that it names has accepted what it says now (Gateway API: RouteStatus).
fn route(object: &Value) -> SeenState {
    let wanted = object.pointer("/spec/parentRefs").and_then(Value::as_array);
    let unserved = |wanted| Some(pending(unserved(object, wanted)?));
    wanted.into_iter().flatten().find_map(unserved).unwrap_or(SeenState::Ready)
}

/// Why a gateway does not serve a route.
fn unserved(route: &Value, wanted: &Value) -> Option<String> {
    let own = text(route, "/metadata/namespace");
    let of = |parent: &Value| {
        let said = |pointer: &str| text(parent, pointer).to_owned();
        let namespace = Some(said("/namespace")).filter(|it| !it.is_empty());
        let namespace = namespace.unwrap_or_else(|| own.to_owned());
        (said("/kind"), namespace, said("/name"), said("/sectionName"))
    };
    let parents = route.pointer("/status/parents").and_then(Value::as_array);
    let told = parents
        .into_iter()
        .flatten()
        .filter(|parent| parent.get("parentRef").is_some_and(|parent| of(parent) == of(wanted)));
    let told = told.filter_map(|parent| parent.get("conditions")?.as_array());
    let name = format!("{} {}", text(wanted, "/kind"), text(wanted, "/name"));
    let mut accepted = false;
    for conditions in told {
        for condition in ["Accepted", "ResolvedRefs"] {
            match among(conditions, condition) {
                Some((false, reason, message)) => {
                    return Some(format!("{name} does not serve it: {reason}: {message}"));
                }
                Some((true, _, _)) => {
                    accepted = !conditions.iter().any(|condition| is_old(route, condition));
                }
                None => {}
            }
        }
    }
    (!accepted).then(|| format!("{name} has not taken it yet"))
}

/// A condition that was told of what an object said before.
fn is_old(object: &Value, condition: &Value) -> bool {
    let observed = condition.get("observedGeneration").and_then(Value::as_i64);
    observed.is_some_and(|observed| observed < number(object, "/metadata/generation"))
}

fn conditions(object: &Value) -> SeenState {
    if let Some((true, reason, message)) = condition(object, "Stalled") {
        return SeenState::Failed(format!("it is stalled: {reason}: {message}"));
    }
    if let Some((true, reason, message)) = condition(object, "Reconciling") {
        return pending(format!("its controller is at work: {reason}: {message}"));
    }
    let found = READY.iter().find_map(|name| Some((name, condition(object, name)?)));
    let told = object.pointer("/status/conditions").and_then(Value::as_array);
    let old = |one: &Value| {
        found.is_some_and(|(name, _)| text(one, "/type") == *name) && is_old(object, one)
    };
    match found {
        Some((_, (true, _, _))) if told.into_iter().flatten().any(old) => {
            pending("its controller has not seen it yet")
        }
        Some((name, (false, reason, message))) => {
            let separator = if message.is_empty() { "" } else { ": " };
            pending(format!("it is not {}: {reason}{separator}{message}", name.to_lowercase()))
        }
        Some((_, (true, _, _))) | None => SeenState::Ready,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn is_ready(object: &Value) -> bool {
        match health(object) {
            SeenState::Ready => true,
            SeenState::Pending(_) | SeenState::Failed(_) => false,
            SeenState::Deleting => panic!("{object}"),
        }
    }

    fn of(kind: &str, status: &Value) -> Value {
        let group =
            if kind == "CustomResourceDefinition" { "apiextensions.k8s.io/v1" } else { "v1" };
        let group = if kind.ends_with("Set") { "apps/v1" } else { group };
        json!({ "apiVersion": group, "kind": kind, "metadata": { "generation": 2 }, "spec": { "replicas": 2 }, "status": status })
    }

    #[test]
    fn what_has_no_status_is_ready_when_it_is_there() {
        assert!(is_ready(&json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": {} })));
        assert!(is_ready(
            &json!({ "apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule" })
        ));
    }

    #[test]
    fn each_kind_says_in_its_way_whether_it_is_ready() {
        let condition = |name: &str, status: &str| json!({ "conditions": [{ "type": name, "status": status, "reason": "R", "message": "m" }] });
        for (kind, good, bad) in [
            (
                "StatefulSet",
                json!({ "observedGeneration": 2, "updatedReplicas": 2, "readyReplicas": 2 }),
                json!({ "observedGeneration": 2, "updatedReplicas": 2, "readyReplicas": 1 }),
            ),
            (
                "StatefulSet",
                json!({ "observedGeneration": 2, "updatedReplicas": 2, "readyReplicas": 2 }),
                json!({ "observedGeneration": 1, "updatedReplicas": 2, "readyReplicas": 2 }),
            ),
            (
                "DaemonSet",
                json!({ "observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 3 }),
                json!({ "observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 2 }),
            ),
            ("PersistentVolumeClaim", json!({ "phase": "Bound" }), json!({ "phase": "Pending" })),
            ("Pod", json!({ "phase": "Succeeded" }), json!({ "phase": "Running" })),
            ("CustomResourceDefinition", condition("Established", "True"), json!({})),
            ("APIService", condition("Available", "True"), condition("Available", "False")),
            ("Issuer", condition("Ready", "True"), condition("Ready", "Unknown")),
            ("Kustomization", condition("Reconciling", "False"), condition("Reconciling", "True")),
            ("Kustomization", condition("Stalled", "False"), condition("Stalled", "True")),
            (
                "Gateway",
                json!({ "conditions": [{ "type": "Programmed", "status": "True", "observedGeneration": 2 }] }),
                json!({ "conditions": [{ "type": "Programmed", "status": "True", "observedGeneration": 1 }] }),
            ),
        ] {
            assert!(is_ready(&of(kind, &good)), "{kind} {good}");
            assert!(!is_ready(&of(kind, &bad)), "{kind} {bad}");
        }
    }

    #[test]
    fn a_route_is_ready_when_its_own_gateway_serves_what_it_says_now() {
        let of = |parent: &str, accepted: &str, resolved: &str, generation: i64| {
            let condition = |name: &str, status: &str| json!({ "type": name, "status": status, "observedGeneration": generation });
            json!({
                "apiVersion": "gateway.networking.k8s.io/v1",
                "kind": "HTTPRoute",
                "metadata": { "namespace": "shop", "generation": 2 },
                "spec": { "parentRefs": [{ "kind": "Gateway", "namespace": "shop", "name": "a" }] },
                "status": { "parents": [{
                    "parentRef": { "kind": "Gateway", "name": parent },
                    "conditions": [condition("Accepted", accepted), condition("ResolvedRefs", resolved)],
                }] },
            })
        };
        assert!(is_ready(&of("a", "True", "True", 2)));
        assert!(!is_ready(&of("b", "True", "True", 2)));
        assert!(!is_ready(&of("a", "True", "False", 2)));
        assert!(!is_ready(&of("a", "False", "True", 2)));
        assert!(!is_ready(&of("a", "True", "True", 1)));
    }
}
