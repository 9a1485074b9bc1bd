//! Kubernetes objects as somebody wrote them, on a real API server: what public charts become, applied, changed,
//! diffed, drifted and removed.

mod set;

use std::collections::BTreeMap;

use domain::Resource;
use domain::plan::Purpose;
use serde_json::{Value, json};
use servers::kubernetes::{ControlPlane, Options};
use set::NAMESPACE;
pub(crate) use set::Set;
use tests::Plane;
use tests::samples::manifests;

fn control_plane() -> ControlPlane {
    // The charts bring along what would be there already.
    ControlPlane::start(&Options { nodes: 3, entry: false, ..Options::default() })
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
        let mut found = resources["resources"].as_array().into_iter().flatten();
        let found =
            found.find(|one| one["kind"] == kind && !one["name"].as_str().unwrap().contains('/'));
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
pub(crate) async fn settle(plane: &Plane, set: &Set) {
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
        let mut set = Set::new(&file, directory.path());
        set.apply(&plane).await;
        settle(&plane, &set).await;
        let first = applied(&cluster, &set);
        assert_eq!(first.len(), set.objects.len(), "{}", set.name);
        assert_eq!(set.diff(&cluster, &paths(&cluster, &set)), "", "{}", set.name);

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

        let all = self::paths(&cluster, &set);
        plane.delete(&set.name).await;
        for (key, path) in all {
            assert_eq!(cluster.ask(&format!("GET {path}"), &Value::Null).0, 404, "{key} is left");
        }
        let namespace = format!("GET /api/v1/namespaces/{NAMESPACE}");
        assert_eq!(cluster.ask(&namespace, &Value::Null).0, 404, "the namespace is left");
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

/// What a set says about a failure, once it says this.
async fn says(plane: &Plane, set: &Set, words: &[&str]) {
    let id = set.id();
    plane
        .until(&format!("{} to say {words:?}", set.name), async || {
            let reason = waits_for(plane, &id).await;
            words.iter().all(|word| reason.contains(word))
        })
        .await;
}

async fn apply_and_begin(plane: &Plane, set: &Set) {
    set.apply(plane).await;
    plane.begin(&set.name, Purpose::Deploy).await;
}

/// A ConfigMap's text.
fn config(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: {value}}}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_ours_is_neither_taken_nor_removed_unless_that_was_asked_for() {
    let cluster = control_plane();
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    let make = |text: &str| {
        let file = directory.path().join("theirs.yaml");
        std::fs::write(&file, text).unwrap();
        let file = file.display().to_string();
        let _ = cluster.kubectl(&["apply", "--server-side", "--field-manager=them", "-f", &file]);
    };
    make("apiVersion: v1\nkind: Namespace\nmetadata: {name: sup}\n");
    make(&config("taken", "theirs").replace("name: taken", "name: taken, namespace: sup"));

    // It is there already: refused by the name of who made it, until it may be taken over.
    let mut set = Set::of("shared", &config("taken", "ours"), directory.path());
    apply_and_begin(&plane, &set).await;
    says(&plane, &set, &["ConfigMap sup/taken", "them made it", "adopt: true"]).await;
    set.ask_for("      adopt: true\n");
    apply_and_begin(&plane, &set).await;
    says(&plane, &set, &["conflict with \"them\"", ".data.a"]).await;
    set.ask_for("      adopt: true\n      force: true\n");
    set.apply(&plane).await;
    plane.deliver("shared").await;
    let taken = || cluster.ask("GET /api/v1/namespaces/sup/configmaps/taken", &Value::Null);
    assert_eq!(taken().1["data"]["a"], "ours");

    // Another resource may not have it as well.
    let other = Set::of("other", &config("taken", "another"), directory.path());
    apply_and_begin(&plane, &other).await;
    says(&plane, &other, &["belongs to manifests/dev_shared_objects"]).await;
    plane.delete("other").await;
    assert_eq!(taken().1["data"]["a"], "ours");

    // A field that is left to others is theirs.
    set.ask_for("      adopt: true\n      delegated: {\"*\": [data.a]}\n");
    set.apply(&plane).await;
    plane.deliver("shared").await;
    let patch = r#"--patch={"data": {"a": "mine"}}"#;
    let _ = cluster.kubectl(&["patch", "configmap", "taken", "--namespace=sup", patch]);
    plane.stop().await;
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    plane.ready("shared").await;
    assert_eq!(taken().1["data"]["a"], "mine");

    // The namespace was there before: it stays.
    plane.delete("shared").await;
    assert_eq!(taken().0, 404);
    assert_eq!(cluster.ask("GET /api/v1/namespaces/sup", &Value::Null).0, 200);
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_stays_while_others_have_resources_of_it_and_what_cannot_change_is_replaced_if_allowed()
 {
    let cluster = control_plane();
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    let text =
        std::fs::read_to_string(tests::samples::root().join("samples/manifests/objects.yml"));
    let text = text.unwrap().replace("namespace: greetings", "namespace: sup");
    let mut set = Set::of("greeter", &text, directory.path());
    set.apply(&plane).await;
    plane.deliver("greeter").await;

    // A selector cannot change; a job cannot either, but is replaced always.
    let deployment = "apps/v1 Deployment sup/greeter";
    for pointer in ["/spec/selector/matchLabels", "/spec/template/metadata/labels"] {
        let labels = set.objects.get_mut(deployment).unwrap().pointer_mut(pointer).unwrap();
        labels["tier"] = json!("front");
    }
    set.write();
    apply_and_begin(&plane, &set).await;
    says(&plane, &set, &["Deployment sup/greeter", "immutable", "replace: true"]).await;
    set.ask_for("      replace: true\n");
    set.apply(&plane).await;
    plane.deliver("greeter").await;
    let path = "GET /apis/apps/v1/namespaces/sup/deployments/greeter";
    assert_eq!(
        cluster.ask(path, &Value::Null).1["spec"]["selector"]["matchLabels"]["tier"],
        "front"
    );

    // Somebody else has a greeting: its definition stays until that is gone.
    let theirs = json!({
        "apiVersion": "greetings.example.com/v1", "kind": "Greeting",
        "metadata": { "name": "theirs" }, "spec": { "text": "Salut" },
    });
    let path = "/apis/greetings.example.com/v1/namespaces/default/greetings";
    assert_eq!(cluster.ask(&format!("POST {path}"), &theirs).0, 201);
    plane.begin("greeter", Purpose::Delete).await;
    says(&plane, &set, &["stays while there are resources", "default/theirs"]).await;
    let there = || cluster.ask(&format!("GET {path}/theirs"), &Value::Null).0;
    assert_eq!(there(), 200);
    let _ = cluster.ask(&format!("DELETE {path}/theirs"), &Value::Null);
    plane
        .until("the rest to go", async || {
            plane.tree("greeter").await.deployment.is_some_and(|row| row.phase == "deleted")
        })
        .await;
    let definition = "GET /apis/apiextensions.k8s.io/v1/customresourcedefinitions/greetings.greetings.example.com";
    assert_eq!(cluster.ask(definition, &Value::Null).0, 404);
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_that_reaches_one_namespace_reaches_no_further() {
    let cluster = control_plane();
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    let file = directory.path().join("app.yaml");
    let app =
        "name: near\nresources:\n  objects: {type: manifests, params: {files: [near.yaml]}}\n";
    std::fs::write(&file, app).unwrap();
    let objects = directory.path().join("near.yaml");
    std::fs::write(
        &objects,
        config("near", "b").replace("name: near", "name: near, namespace: kube-system"),
    )
    .unwrap();
    plane.apply("near", &[&file], &[]).await;
    let refused =
        plane.plan("near", Purpose::Deploy, None).await.err().map(|error| format!("{error:?}"));
    assert!(refused.is_some_and(|why| why.contains("namespace of its own")));
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: far}\nrules: []\n";
    std::fs::write(&objects, format!("{}---\n{role}", config("near", "b"))).unwrap();
    plane.apply("near", &[&file], &[]).await;
    plane.begin("near", Purpose::Deploy).await;
    plane
        .until("the refusal", async || {
            waits_for(&plane, "manifests/dev_near_objects")
                .await
                .contains("the class reaches no further")
        })
        .await;
    assert_eq!(
        cluster.ask("GET /apis/rbac.authorization.k8s.io/v1/clusterroles/far", &Value::Null).0,
        404
    );
    std::fs::write(&objects, config("near", "b")).unwrap();
    plane.apply("near", &[&file], &[]).await;
    plane.deliver("near").await;
    plane.stop().await;
}
