//! What a cluster's nodes have room for. It is seen by a watch; a cluster that does not let us read its nodes says
//! nothing of it.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

use domain::kinds::cluster::Capacity;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Node;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use tracing::debug;

use super::{Shared, told};

/// As for objects: a watch is made anew after so many seconds.
const WATCH_SECONDS: u32 = 240;
/// Nodes of one page when they are listed: each says which images it has.
const PAGE: u32 = 50;

/// Follows the nodes for as long as the cluster's other watches run.
pub(super) async fn follow(shared: Arc<Shared>, client: Client) {
    let api: Api<Node> = Api::all(client);
    let config = watcher::Config::default().timeout(WATCH_SECONDS).page_size(PAGE);
    let mut events = pin!(watcher(api, config).default_backoff());
    let (mut nodes, mut is_listing) = (BTreeMap::new(), true);
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => {
                nodes.clear();
                is_listing = true;
            }
            Ok(watcher::Event::InitDone) => is_listing = false,
            Ok(watcher::Event::Apply(node) | watcher::Event::InitApply(node)) => {
                nodes.insert(node.name_any(), of(&node));
            }
            Ok(watcher::Event::Delete(node)) => {
                nodes.remove(&node.name_any());
            }
            Err(error) => {
                debug!(error = told(&error), "a cluster's nodes cannot be read");
                shared.looked_for_room();
                continue;
            }
        }
        if !is_listing {
            shared.has_room(nodes.values().fold(Capacity::default(), |all, node| all.and(*node)));
        }
    }
}

/// What a node has room for; nothing while no pod would be scheduled on it.
fn of(node: &Node) -> Capacity {
    let (spec, status) = (node.spec.as_ref(), node.status.as_ref());
    let is_closed = spec.is_some_and(|spec| spec.unschedulable.unwrap_or(false));
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let is_ready = conditions.iter().any(|it| it.type_ == "Ready" && it.status == "True");
    let Some(room) = status.and_then(|status| status.allocatable.as_ref()) else {
        return Capacity::default();
    };
    if is_closed || !is_ready {
        return Capacity::default();
    }
    let amount = |name: &str| room.get(name).and_then(|quantity| thousandths(&quantity.0));
    let whole = |name: &str| amount(name).unwrap_or(0) / 1_000;
    let number = |amount: u128| u64::try_from(amount).unwrap_or(u64::MAX);
    Capacity {
        nodes: 1,
        pods: number(whole("pods")),
        cpu_millis: number(amount("cpu").unwrap_or(0)),
        memory_mib: number(whole("memory") / (1024 * 1024)),
    }
}

/// A quantity of Kubernetes (apimachinery: `resource.Quantity`) in thousandths; none of what is no such thing, or is
/// written with an exponent, as no kubelet does.
fn thousandths(text: &str) -> Option<u128> {
    const UNITS: [(&str, u128); 13] = [
        ("Ki", 1_000 << 10),
        ("Mi", 1_000 << 20),
        ("Gi", 1_000 << 30),
        ("Ti", 1_000 << 40),
        ("Pi", 1_000 << 50),
        ("Ei", 1_000 << 60),
        ("m", 1),
        ("k", 1_000_000),
        ("M", 1_000_000_000),
        ("G", 1_000_000_000_000),
        ("T", 1_000_000_000_000_000),
        ("P", 1_000_000_000_000_000_000),
        ("E", 1_000_000_000_000_000_000_000),
    ];
    let unit = UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (number, factor) = unit.unwrap_or((text, 1_000));
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 9 {
        return None;
    }
    let tens = 10_u128.pow(u32::try_from(part.len()).ok()?);
    let part: u128 = if part.is_empty() { 0 } else { part.parse().ok()? };
    let whole: u128 = whole.parse().ok()?;
    whole.checked_mul(tens)?.checked_add(part)?.checked_mul(factor).map(|all| all / tens)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn node(ready: &str, closed: bool, allocatable: &Value) -> Capacity {
        of(&serde_json::from_value(json!({
            "metadata": { "name": "a" },
            "spec": { "unschedulable": closed },
            "status": {
                "allocatable": allocatable,
                "conditions": [{ "type": "Ready", "status": ready }],
            },
        }))
        .unwrap())
    }

    #[test]
    fn a_node_has_room_while_pods_can_go_there() {
        let room = json!({ "pods": "110", "cpu": "3920m", "memory": "15Gi", "hugepages-2Mi": "0" });
        let capacity = Capacity { nodes: 1, pods: 110, cpu_millis: 3_920, memory_mib: 15_360 };
        assert_eq!(node("True", false, &room), capacity);
        assert_eq!(node("True", true, &room), Capacity::default());
        assert_eq!(node("Unknown", false, &room), Capacity::default());
        assert_eq!(node("True", false, &Value::Null), Capacity::default());
    }

    #[test]
    fn quantities_are_read() {
        for (text, thousandths) in [
            ("2", Some(2_000)),
            ("250m", Some(250)),
            ("0.5", Some(500)),
            ("1.5Gi", Some(1_610_612_736_000)),
            ("16393732Ki", Some(16_787_181_568_000)),
            ("4G", Some(4_000_000_000_000)),
            ("", None),
            ("-1", None),
            ("1e3", None),
            ("many", None),
            ("99999999999999999999999999999999999999999E", None),
        ] {
            assert_eq!(super::thousandths(text), thousandths, "{text}");
        }
    }
}
