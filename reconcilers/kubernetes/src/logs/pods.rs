//! The containers of pods: which have run, and what keeps the others from it. Pure.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};

/// One container of a pod, as its status tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Container {
    /// The pod's name.
    pub(crate) pod: String,
    /// Another pod may have the name later.
    pub(crate) pod_uid: String,
    pub(crate) name: String,
    /// How often it was begun again: each run has a log of its own.
    pub(crate) run: i32,
    /// It runs now.
    pub(crate) running: bool,
    /// Why there is no log of it yet.
    pub(crate) waiting: Option<String>,
}

/// The order in which pods are read: the oldest first.
pub(crate) fn order(pod: &Pod) -> (Option<String>, Option<String>) {
    let begun = pod.metadata.creation_timestamp.as_ref().map(|time| time.0.to_string());
    (begun, pod.metadata.name.clone())
}

/// The containers of a pod, in the order in which they start.
pub(crate) fn containers(pod: &Pod) -> Vec<Container> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let status = pod.status.as_ref();
    let of = |list: fn(&k8s_openapi::api::core::v1::PodStatus) -> &Option<Vec<ContainerStatus>>| {
        status.and_then(|status| list(status).as_deref()).unwrap_or_default()
    };
    let first = of(|status| &status.init_container_statuses);
    let then = of(|status| &status.container_statuses);
    let unscheduled = status.and_then(|status| {
        let conditions = status.conditions.as_deref().unwrap_or_default();
        let found = conditions.iter().find(|it| it.type_ == "PodScheduled")?;
        (found.status == "False").then(|| found.message.clone().unwrap_or_default())
    });
    let init = spec.init_containers.iter().flatten().map(|it| (&it.name, first));
    let main = spec.containers.iter().map(|it| (&it.name, then));
    init.chain(main)
        .map(|(name, statuses)| {
            let found = statuses.iter().find(|status| status.name == *name);
            let waiting = match found {
                Some(status) => waiting(status),
                None => Some(unscheduled.clone().unwrap_or_else(|| "its pod has not begun".into())),
            };
            Container {
                pod: pod.metadata.name.clone().unwrap_or_default(),
                pod_uid: pod.metadata.uid.clone().unwrap_or_default(),
                name: name.clone(),
                run: found.map_or(0, |status| status.restart_count),
                running: found.is_some_and(|status| {
                    status.state.as_ref().is_some_and(|state| state.running.is_some())
                }),
                waiting,
            }
        })
        .collect()
}

/// Why a container has not run yet; none when it has.
fn waiting(status: &ContainerStatus) -> Option<String> {
    let has_run = |state: &Option<ContainerState>| {
        state.as_ref().is_some_and(|it| it.running.is_some() || it.terminated.is_some())
    };
    if has_run(&status.state) || has_run(&status.last_state) {
        return None;
    }
    let waiting = status.state.as_ref().and_then(|state| state.waiting.as_ref());
    let reason = waiting.and_then(|waiting| waiting.reason.clone());
    let message = waiting.and_then(|waiting| waiting.message.clone());
    Some(match (reason, message) {
        (Some(reason), Some(message)) => format!("{reason}: {message}"),
        (Some(reason), None) => reason,
        (None, _) => "it has not begun".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(status: serde_json::Value) -> Pod {
        serde_json::from_value(serde_json::json!({
            "metadata": { "name": "web-1", "uid": "u" },
            "spec": { "initContainers": [{ "name": "migrate" }], "containers": [{ "name": "main" }] },
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn a_container_that_never_ran_says_what_keeps_it() {
        let status = |state: serde_json::Value, last: serde_json::Value| {
            let main = serde_json::json!({ "name": "main", "image": "i", "imageID": "", "ready": false,
                "restartCount": 2, "state": state, "lastState": last });
            containers(&pod(serde_json::json!({ "containerStatuses": [main] })))
        };
        let none = serde_json::json!({});
        let pull = serde_json::json!({ "waiting": { "reason": "ImagePullBackOff", "message": "no such image" } });
        let found = status(pull.clone(), none.clone());
        let [migrate, main] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(migrate.waiting.as_deref(), Some("its pod has not begun"));
        assert_eq!(main.waiting.as_deref(), Some("ImagePullBackOff: no such image"));
        assert_eq!(main.run, 2);
        // What crashed has a log, whatever it waits for now.
        let crashed = serde_json::json!({ "terminated": { "exitCode": 1 } });
        assert_eq!(status(pull, crashed)[1].waiting, None);
        let running = status(serde_json::json!({ "running": {} }), none);
        assert!(running[1].running && running[1].waiting.is_none());
    }

    #[test]
    fn a_pod_that_fits_nowhere_says_so() {
        let condition = serde_json::json!({ "type": "PodScheduled", "status": "False", "message": "0/3 nodes" });
        let found = containers(&pod(serde_json::json!({ "conditions": [condition] })));
        assert_eq!(found[1].waiting.as_deref(), Some("0/3 nodes"));
    }
}
