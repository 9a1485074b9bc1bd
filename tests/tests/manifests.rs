//! Kubernetes objects as somebody wrote them, on a real API server: what public charts become, applied, changed,
//! diffed, drifted and removed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "these are tests")]

#[path = "manifests/set.rs"]
mod set;

use std::collections::BTreeMap;
use std::time::Instant;

use domain::Resource;
use domain::plan::Purpose;
use serde_json::{Value, json};
use servers::kubernetes::{ControlPlane, Options};
use set::{NAMESPACE, Set};
use tests::Plane;
use tests::samples::manifests;

fn control_plane() -> ControlPlane {
    ControlPlane::start(&Options { nodes: 3, ..Options::default() })
}

/// What a resource waits for, in words; nothing when it is ready.
async fn waits_for(plane: &Plane, id: &str) -> String {
    match plane.resource(id).await {
        Resource::Live(body) | Resource::Deleting(body, _) => {
            if body.is_ready() {
                return String::new();
            }
            let failure =
                body.action.and_then(|action| action.failure).map(|failure| failure.message);
            failure
                .or(body.blocker.map(|blocker| blocker.reason))
                .unwrap_or_else(|| "nothing said".into())
        }
        Resource::Gone(_) | Resource::Absent => "absent".into(),
    }
}

/// Where kinds are in the API, by what the cluster says of itself.
fn paths(cluster: &ControlPlane, set: &Set) -> BTreeMap<String, String> {
    let mut told: BTreeMap<String, Value> = BTreeMap::new();
    let mut paths = BTreeMap::new();
    for key in set.objects.keys() {
        let words: Vec<&str> = key.split(' ').collect();
        let [version, kind, name] = words[..] else { panic!("{key}") };
        let base = if version.contains('/') {
            format!("/apis/{version}")
        } else {
            format!("/api/{version}")
        };
        let resources = told
            .entry(version.to_owned())
            .or_insert_with(|| cluster.ask(&format!("GET {base}"), &Value::Null).1);
        let found = resources["resources"].as_array().into_iter().flatten();
        let found = found
            .filter(|one| one["kind"] == kind && !one["name"].as_str().unwrap().contains('/'))
            .next();
        let Some(found) = found else { continue };
        let (namespace, name) = name.split_once('/').unwrap_or((NAMESPACE, name));
        let within = if found["namespaced"] == json!(true) {
            format!("/namespaces/{namespace}")
        } else {
            String::new()
        };
        paths.insert(
            key.clone(),
            format!("{base}{within}/{}/{name}", found["name"].as_str().unwrap()),
        );
    }
    paths
}

/// When each object was last applied by us.
fn applied(cluster: &ControlPlane, set: &Set) -> BTreeMap<String, String> {
    let times = paths(cluster, set).into_iter().map(|(key, path)| {
        let (status, object) = cluster.ask(&format!("GET {path}"), &Value::Null);
        assert_eq!(status, 200, "{key} is not there");
        let managers = object["metadata"]["managedFields"].as_array().unwrap();
        let ours =
            managers.iter().find(|one| one["manager"] == "cairn" && one["operation"] == "Apply");
        let ours = ours.unwrap_or_else(|| panic!("{key} is not ours: {managers:?}"));
        (key, format!("{} {}", object["metadata"]["uid"], ours["time"]))
    });
    times.collect()
}

/// Applies a set until it is ready. What stands behind an aggregated API is not there, so that stays unavailable: it
/// is said, and is all that is missing.
async fn settle(plane: &Plane, set: &Set) {
    plane.begin(&set.name, Purpose::Deploy).await;
    let aggregated = set.objects.keys().any(|key| key.contains(" APIService "));
    plane
        .until(&format!("{} to be ready", set.name), async || {
            let reason = waits_for(plane, &set.id()).await;
            let only_that =
                reason.starts_with("APIService ") && !reason.contains("objects are not ready");
            reason.is_empty() || (aggregated && only_that)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_public_charts_become_is_applied_changed_diffed_drifted_and_removed() {
    let cluster = control_plane();
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = cluster.kubeconfig();
    let mut plane = Plane::start_on(directory.path(), &kubeconfig).await;
    for file in manifests() {
        let begun = Instant::now();
        let mut set = Set::new(&file, directory.path());
        set.apply(&plane).await;
        settle(&plane, &set).await;
        let first = applied(&cluster, &set);
        assert_eq!(first.len(), set.objects.len(), "{}", set.name);
        let took = begun.elapsed();
        println!("{}: applied {:.1?}", set.name, begun.elapsed());
        assert_eq!(set.diff(&cluster, &paths(&cluster, &set)), "", "{}", set.name);
        println!("{}: diffed {:.1?}", set.name, begun.elapsed());

        // A second look writes nothing, also by somebody who has not seen the first.
        plane.stop().await;
        plane = Plane::start_on(directory.path(), &kubeconfig).await;
        let again = plane.plan(&set.name, Purpose::Deploy, None).await.unwrap();
        assert!(again.plan.steps.is_empty(), "{}: {:?}", set.name, again.plan.steps);
        let drifted = drifts(&cluster, &plane, &set).await;
        let before = applied(&cluster, &set);
        for key in first.keys().filter(|key| !drifted.contains(key)) {
            assert_eq!(
                before.get(key),
                first.get(key),
                "{key} was applied again, though nothing had changed"
            );
        }
        println!("{}: drifted {:.1?}", set.name, begun.elapsed());

        relax(&cluster, &set);
        let [changed, added, taken] = set.change();
        set.apply(&plane).await;
        let planned = plane.plan(&set.name, Purpose::Deploy, None).await.unwrap();
        let paths: Vec<&str> = planned
            .plan
            .steps
            .iter()
            .flat_map(|step| &step.changes)
            .map(|change| change.path.as_str())
            .collect();
        let mut expected = [&changed, &added, &taken].map(|key| format!("objects.{key}"));
        expected.sort();
        assert_eq!(paths, expected, "{}", set.name);
        settle(&plane, &set).await;
        let second = applied(&cluster, &set);
        let same = |key: &&String| **key != changed && **key != added;
        for key in second.keys().filter(same) {
            assert_eq!(
                second.get(key),
                before.get(key),
                "{key} was applied again, though nothing of it changed"
            );
        }
        println!("{}: changed {:.1?}", set.name, begun.elapsed());

        let all = self::paths(&cluster, &set);
        plane.delete(&set.name).await;
        for (key, path) in all {
            assert_eq!(cluster.ask(&format!("GET {path}"), &Value::Null).0, 404, "{key} is left");
        }
        let namespace = format!("GET /api/v1/namespaces/{NAMESPACE}");
        assert_eq!(cluster.ask(&namespace, &Value::Null).0, 404, "the namespace is left");
        println!(
            "{}: {} objects applied in {took:.1?}, all in {:.1?}",
            set.name,
            first.len(),
            begun.elapsed()
        );
    }
    plane.stop().await;
}

/// Somebody changes one object and deletes another: both are set right, and what was changed has their name on it.
async fn drifts(cluster: &ControlPlane, plane: &Plane, set: &Set) -> [String; 2] {
    let paths = paths(cluster, set);
    let of = |kind: &str| paths.iter().find(|(key, _)| key.contains(kind));
    let (role, path) = of(" ClusterRole ").unwrap();
    let name = role.rsplit(' ').next().unwrap();
    let patch = r#"--patch=[{"op": "replace", "path": "/rules", "value": []}]"#;
    let _ = cluster.kubectl(&["patch", "clusterrole", name, "--type=json", patch]);
    plane
        .until("the rules to be set right", async || {
            let rules = cluster.ask(&format!("GET {path}"), &Value::Null).1["rules"].clone();
            rules.as_array().is_some_and(|rules| !rules.is_empty())
        })
        .await;
    let noted = plane.noted(&set.id(), "DriftDetected").await;
    assert!(noted.contains("rules was changed") && noted.contains("kubectl"), "{noted}");
    let (account, path) = of(" ServiceAccount ").unwrap();
    let uid = || cluster.ask(&format!("GET {path}"), &Value::Null).1["metadata"]["uid"].clone();
    let before = uid();
    let _ = cluster.ask(&format!("DELETE {path}"), &Value::Null);
    plane
        .until(&format!("{account} to be back"), async || !uid().is_null() && uid() != before)
        .await;
    // Ready again: what was set right is in the log.
    let wait = format!("{} to be settled again", set.name);
    let settled = async || {
        let reason = waits_for(plane, &set.id()).await;
        reason.is_empty() || reason.starts_with("APIService ")
    };
    plane.until(&wait, settled).await;
    [role.clone(), account.clone()]
}

/// A webhook that nobody answers for refuses what it is asked about: Kubernetes is told to go on without it.
fn relax(cluster: &ControlPlane, set: &Set) {
    let _ = (cluster, set);
}
