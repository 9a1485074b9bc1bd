//! How an object is, by its status. Pure. The rules are those of Argo CD's health checks and of `kubectl rollout
//! status`.

pub(crate) mod any;

use reconcilers::converge::SeenState;
use serde_json::Value;

fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A condition of its status: whether it is true, its reason and its message.
fn condition<'a>(object: &'a Value, name: &str) -> Option<(bool, &'a str, &'a str)> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    among(conditions, name)
}

fn among<'a>(conditions: &'a [Value], name: &str) -> Option<(bool, &'a str, &'a str)> {
    let found = conditions.iter().find(|condition| text(condition, "/type") == name)?;
    Some((text(found, "/status") == "True", text(found, "/reason"), text(found, "/message")))
}

/// How an object is. What has no status is ready when it is there.
#[must_use]
pub fn health(object: &Value) -> SeenState {
    match text(object, "/kind") {
        "Deployment" => deployment(object),
        "Job" => job(object),
        "Certificate" | "DNSEndpoint" | "Gateway" | "GRPCRoute" | "HTTPRoute" | "ListenerSet"
        | "StatefulSet" => any::health(object),
        _ => SeenState::Ready,
    }
}

fn deployment(object: &Value) -> SeenState {
    let generation = number(object, "/metadata/generation");
    if number(object, "/status/observedGeneration") < generation {
        return SeenState::Pending("its rollout has not begun".into());
    }
    if let Some((false, "ProgressDeadlineExceeded", message)) = condition(object, "Progressing") {
        return SeenState::Failed(format!("its rollout made no progress for too long: {message}"));
    }
    let wanted = object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    let (updated, all) =
        (number(object, "/status/updatedReplicas"), number(object, "/status/replicas"));
    let available = number(object, "/status/availableReplicas");
    if let (Some((true, reason, message)), true) =
        (condition(object, "ReplicaFailure"), updated < wanted)
    {
        return SeenState::Pending(format!("its pods cannot be made: {reason}: {message}"));
    }
    if updated < wanted {
        return SeenState::Pending(format!("{updated} of {wanted} replicas are updated"));
    }
    if all > updated {
        return SeenState::Pending(format!("{} old replicas have yet to end", all - updated));
    }
    if available < updated {
        return SeenState::Pending(format!("{available} of {updated} replicas are available"));
    }
    SeenState::Ready
}

fn job(object: &Value) -> SeenState {
    if let Some((true, reason, message)) = condition(object, "Failed") {
        return SeenState::Failed(format!("it failed: {reason}: {message}"));
    }
    match condition(object, "Complete") {
        Some((true, _, _)) => SeenState::Ready,
        Some((false, _, _)) | None => SeenState::Pending("it has not ended yet".into()),
    }
}

/// What keeps a pod from running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// In its cluster's words.
    pub text: String,
    /// A container of it ended as it should not: what it wrote last may say why.
    pub crash: Option<Crash>,
}

/// A container that ended as it should not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// Its name.
    pub container: String,
    /// How it ended, the same for each time that it ends so.
    pub cause: String,
    /// How often it was begun again.
    pub run: i64,
    /// Its log is that of the run before.
    pub previous: bool,
}

/// What keeps a pod from running.
#[must_use]
pub fn pod_trouble(pod: &Value) -> Option<Trouble> {
    let name = text(pod, "/metadata/name");
    let lists = ["/status/initContainerStatuses", "/status/containerStatuses"];
    let containers = lists.into_iter().filter_map(|list| pod.pointer(list)?.as_array()).flatten();
    for container in containers.filter(|container| container.pointer("/state/running").is_none()) {
        let (waiting, message) =
            (text(container, "/state/waiting/reason"), text(container, "/state/waiting/message"));
        let ended = text(container, "/lastState/terminated/reason");
        let ended =
            if ended.is_empty() { text(container, "/state/terminated/reason") } else { ended };
        let what = match (waiting, ended) {
            ("" | "ContainerCreating" | "PodInitializing", "" | "Completed") => continue,
            ("" | "ContainerCreating" | "PodInitializing", ended) => ended.to_owned(),
            (waiting, "" | "Completed") => waiting.to_owned(),
            (waiting, ended) => format!("{waiting} after {ended}"),
        };
        let codes = ["/lastState/terminated/exitCode", "/state/terminated/exitCode"];
        let code = codes.iter().find_map(|code| container.pointer(code)?.as_i64());
        let code = code.map(|code| format!(" (exit code {code})")).unwrap_or_default();
        // How long it is held back grows each time: that is no news.
        let message = if waiting == "CrashLoopBackOff" { "" } else { message };
        let separator = if message.is_empty() { "" } else { ": " };
        let of = text(container, "/name");
        let text = format!("pod {name}, container {of}: {what}{code}{separator}{message}");
        return Some(Trouble { text, crash: crash(container) });
    }
    match condition(pod, "PodScheduled") {
        Some((false, reason, message)) => {
            Some(Trouble { text: format!("pod {name}: {reason}: {message}"), crash: None })
        }
        Some((true, _, _)) | None => None,
    }
}

/// How a container ended, where it did so other than well.
fn crash(container: &Value) -> Option<Crash> {
    let now = container.pointer("/state/terminated");
    let ended = now.or_else(|| container.pointer("/lastState/terminated"))?;
    let code = number(ended, "/exitCode");
    (code != 0).then(|| Crash {
        container: text(container, "/name").to_owned(),
        cause: format!("{} {code}", text(ended, "/reason")),
        run: number(container, "/restartCount"),
        previous: now.is_none(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_deployment_is_ready_when_all_of_it_is_new_and_available() {
        let status = |observed: i64, all: i64, updated: i64, available: i64| {
            health(&json!({
                "kind": "Deployment", "metadata": { "generation": 2 }, "spec": { "replicas": 3 },
                "status": { "observedGeneration": observed, "replicas": all,
                            "updatedReplicas": updated, "availableReplicas": available },
            }))
        };
        assert_eq!(status(2, 3, 3, 3), SeenState::Ready);
        for pending in
            [status(1, 3, 3, 3), status(2, 3, 1, 3), status(2, 4, 3, 3), status(2, 3, 3, 2)]
        {
            assert!(matches!(pending, SeenState::Pending(_)), "{pending:?}");
        }
    }

    #[test]
    fn a_rollout_that_is_stuck_and_a_job_that_failed_have_failed() {
        let stuck = json!({ "kind": "Deployment", "status": { "conditions": [{
            "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "m" }] } });
        assert!(matches!(health(&stuck), SeenState::Failed(_)));
        let failed = json!({ "kind": "Job", "status": { "conditions": [{
            "type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "m" }] } });
        assert!(matches!(health(&failed), SeenState::Failed(_)));
    }

    #[test]
    fn a_pod_says_what_keeps_it_from_running() {
        let pod = |status: Value| {
            pod_trouble(&json!({ "metadata": { "name": "web-1" }, "status": status }))
        };
        let container = |state: Value| json!({ "containerStatuses": [state] });
        let pull = container(json!({ "name": "main", "state": { "waiting": {
            "reason": "ImagePullBackOff", "message": "no such image" } } }));
        assert_eq!(
            pod(pull).unwrap().text,
            "pod web-1, container main: ImagePullBackOff: no such image"
        );
        let crash = container(
            json!({ "name": "main", "restartCount": 3, "state": { "waiting": { "reason": "CrashLoopBackOff",
                "message": "back-off 40s restarting failed container" } }, "lastState": { "terminated": { "reason": "OOMKilled", "exitCode": 137 } } }),
        );
        let crashed = pod(crash).unwrap();
        assert_eq!(
            crashed.text,
            "pod web-1, container main: CrashLoopBackOff after OOMKilled (exit code 137)"
        );
        let crash = Crash {
            container: "main".into(),
            cause: "OOMKilled 137".into(),
            run: 3,
            previous: true,
        };
        assert_eq!(crashed.crash, Some(crash));
        let unschedulable = json!({ "conditions": [{ "type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "0/3 nodes" }] });
        assert_eq!(pod(unschedulable).unwrap().text, "pod web-1: Unschedulable: 0/3 nodes");
        assert_eq!(
            pod(json!({ "containerStatuses": [{ "name": "main", "state": { "running": {} } }] })),
            None
        );
    }
}
