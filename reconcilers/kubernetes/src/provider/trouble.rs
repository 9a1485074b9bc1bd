//! What keeps pods from running.

use std::sync::Arc;

use reconcilers::Scene;

use super::act::Found;
use super::{Hosted, secrets};
use crate::blot::Blot;
use crate::cluster::{Cluster, Clusters, Entry, LastWords};
use crate::health::Trouble;
use crate::objects::Key;

/// A pod that does not run, of the newest revision: what an older one suffers from is over with it.
fn troubled(found: &Found) -> Option<(&Key, &Entry, &Trouble)> {
    let pods = || found.iter().filter(|(_, entry)| entry.deleting.is_none());
    let newest = pods().filter_map(|(_, entry)| entry.revision.as_ref()).max()?;
    let is_newest =
        |entry: &Entry| entry.revision.as_ref().is_some_and(|it| it.mark == newest.mark);
    pods()
        .filter(|(_, entry)| is_newest(entry))
        .find_map(|(key, entry)| Some((key, entry, entry.trouble.as_ref()?)))
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

    fn pod(name: &str, born: &str, revision: &str, waiting: Option<&str>) -> (Key, Entry) {
        let target = Target {
            tenant: "acme".parse().unwrap(),
            id: "workload/dev_shop_web".parse().unwrap(),
            uid: Uuid::from_u128(1),
        };
        let mut labels = labels::labels(&target);
        labels.insert("pod-template-hash".to_owned(), revision.to_owned());
        let state = waiting.map_or_else(
            || json!({ "running": {} }),
            |reason| json!({ "waiting": { "reason": reason } }),
        );
        let object: Value = json!({
            "kind": "Pod",
            "metadata": { "name": name, "creationTimestamp": born, "labels": labels,
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
    fn what_an_old_revision_suffers_from_is_not_told_of_the_new_one() {
        let old = pod("web-a", "2026-11-01T10:00:00Z", "a", Some("CrashLoopBackOff"));
        let told = |pods: &[(Key, Entry)]| {
            let found: Found = pods.iter().cloned().collect();
            troubled(&found).map(|(key, ..)| key.name.clone())
        };
        assert_eq!(told(std::slice::from_ref(&old)).as_deref(), Some("web-a"));
        let new = pod("web-b", "2026-11-01T10:05:00Z", "b", None);
        assert_eq!(told(&[old.clone(), new.clone()]), None);
        let other = pod("web-c", "2026-11-01T10:04:00Z", "b", Some("ImagePullBackOff"));
        assert_eq!(told(&[old, new, other]).as_deref(), Some("web-c"));
    }
}
