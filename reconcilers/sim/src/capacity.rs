//! What a node of the simulated world has room for: a pod that asks for more is scheduled nowhere, and its cluster says so
//! in Kubernetes' words.

use domain::KindName;
use domain::kinds::cluster::Capacity;
use serde_json::Value;

use crate::object::Object;

/// The processor of a node, in thousandths of a core.
const NODE_MILLICORES: u64 = 64_000;
/// Nodes of a cluster, as far as its words go.
const NODES: u32 = 3;

/// Pods of a node (Kubernetes: 110).
const NODE_PODS: u64 = 110;
/// The memory of a node in MiB.
const NODE_MEMORY_MIB: u64 = 256 * 1024;

/// What a cluster has room for: as many nodes as it may have.
pub(crate) fn of(cluster: &Value) -> Capacity {
    let nodes = cluster.get("nodes_max").and_then(Value::as_u64).unwrap_or(0);
    Capacity {
        nodes,
        pods: nodes.saturating_mul(NODE_PODS),
        cpu_millis: nodes.saturating_mul(NODE_MILLICORES),
        memory_mib: nodes.saturating_mul(NODE_MEMORY_MIB),
    }
}

/// Whether a workload's pods fit on no node.
pub(crate) fn is_exceeded(object: &Object) -> bool {
    object.target.id.kind == KindName::Workload
        // Most say nothing of it, and are asked often.
        && object.spec.contains("\"cpu\"")
        && object.replicas() > 0
        && millicores(&object.spec) > NODE_MILLICORES
}

/// Why they do not run.
pub(crate) fn words(object: &Object) -> String {
    let wanted = object.replicas();
    format!(
        "0 of {wanted} replicas are available; a pod: Unschedulable: 0/{NODES} nodes are available: {NODES} Insufficient cpu"
    )
}

/// What one pod asks for: of each container what it requests, else its limit (Kubernetes: the default of a request).
fn millicores(spec: &str) -> u64 {
    let spec: Value = serde_json::from_str(spec).unwrap_or_default();
    let containers = spec.get("containers").and_then(Value::as_object).into_iter().flatten();
    let of = |container: &Value, field: &str| {
        let quantity = container.pointer(&format!("/{field}/cpu"))?.as_str()?;
        read(quantity)
    };
    let asked = containers.map(|(_, container)| {
        of(container, "requests").or_else(|| of(container, "limits")).unwrap_or(0)
    });
    asked.fold(0, u64::saturating_add)
}

/// `250m`, `0.5` or `2`.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a quantity is no negative number, and what is too large stays too large"
)]
fn read(quantity: &str) -> Option<u64> {
    match quantity.strip_suffix('m') {
        Some(thousandths) => thousandths.parse().ok(),
        None => Some((quantity.parse::<f64>().ok()? * 1_000.0) as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_asks_for_what_its_containers_ask_for_together() {
        let of = |requests: &str, limits: &str| {
            format!(
                r#"{{"containers":{{"a":{{"requests":{{"cpu":"{requests}"}}}},"b":{{"limits":{{"cpu":"{limits}"}}}}}}}}"#
            )
        };
        assert_eq!(millicores(&of("250m", "0.5")), 750);
        assert_eq!(millicores(&of("1000", "1")), 1_001_000);
        assert_eq!(millicores("{}"), 0);
    }
}
