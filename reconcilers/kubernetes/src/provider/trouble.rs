//! What keeps pods from running.

use std::sync::Arc;

use reconcilers::Scene;

use super::act::Found;
use super::{Hosted, secrets};
use crate::blot::Blot;
use crate::cluster::{Cluster, Clusters, Entry, LastWords};
use crate::health::Trouble;
use crate::objects::Key;

/// Of the pods that do not run the one that was made last: it is of the newest revision, if any of those is.
fn troubled(found: &Found) -> Option<(&Key, &Entry, &Trouble)> {
    let pods = found.iter().filter(|(_, entry)| entry.deleting.is_none());
    let troubled = pods.filter_map(|(key, entry)| Some((key, entry, entry.trouble.as_ref()?)));
    troubled.max_by(|(_, one, _), (_, other, _)| one.born.cmp(&other.born))
}

/// What keeps a pod from running, and what its container wrote last where it crashed.
pub(super) fn trouble<K: Hosted>(
    clusters: &Arc<Clusters>,
    cluster: &Arc<Cluster>,
    scene: Scene<'_, K>,
    found: &Found,
) -> Option<String> {
    let (key, entry, trouble) = troubled(found)?;
    let text = trouble.text.clone();
    let Some(crash) = &trouble.crash else { return Some(text) };
    match cluster.last_words(&entry.uid, crash) {
        LastWords::Known(words) => Some(format!("{text}; it wrote last: {words}")),
        LastWords::None => Some(text),
        LastWords::Unread => {
            let (clusters, cluster) = (Arc::clone(clusters), Arc::clone(cluster));
            let secrets = secrets(scene.inputs, K::cluster(scene.spec));
            let (key, pod, crash) = (key.clone(), entry.uid.clone(), crash.clone());
            let target = scene.target.clone();
            tokio::spawn(async move {
                let blot = Blot::of(&clusters, &secrets).await;
                cluster.hear(&key, &pod, &crash, &blot, &target).await;
            });
            Some(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use reconcilers::Target;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::labels;

    fn pod(name: &str, born: &str, waiting: Option<&str>) -> (Key, Entry) {
        let target = Target {
            tenant: "acme".parse().unwrap(),
            id: "workload/dev_shop_web".parse().unwrap(),
            uid: Uuid::from_u128(1),
        };
        let state = waiting.map_or_else(
            || json!({ "running": {} }),
            |reason| json!({ "waiting": { "reason": reason } }),
        );
        let object: Value = json!({
            "kind": "Pod",
            "metadata": { "name": name, "creationTimestamp": born,
                          "labels": labels::labels(&target),
                          "annotations": labels::annotations(&target) },
            "status": { "containerStatuses": [{ "name": "main", "state": state }] },
        });
        let key = Key {
            api_version: "v1".into(),
            kind: "Pod".into(),
            namespace: Some("dev-shop".into()),
            name: name.into(),
        };
        (key, Entry::of(&object).unwrap())
    }

    #[test]
    fn of_what_does_not_run_what_was_made_last_is_told_of() {
        let told = |pods: &[(Key, Entry)]| {
            let found: Found = pods.iter().cloned().collect();
            troubled(&found).map(|(key, ..)| key.name.clone())
        };
        let old = pod("web-z", "2026-11-01T10:00:00Z", Some("CrashLoopBackOff"));
        let stuck = pod("web-b", "2026-11-01T10:04:00Z", Some("ImagePullBackOff"));
        // Its old revision made another of its own while the new one cannot run.
        let runs = pod("web-c", "2026-11-01T10:05:00Z", None);
        assert_eq!(told(&[old.clone(), stuck.clone(), runs.clone()]).as_deref(), Some("web-b"));
        assert_eq!(told(&[old, runs.clone()]).as_deref(), Some("web-z"));
        assert_eq!(told(&[runs]), None);
        // A second may see both.
        let same = pod("web-a", "2026-11-01T10:04:00Z", None);
        assert_eq!(told(&[same, stuck]).as_deref(), Some("web-b"));
    }
}
