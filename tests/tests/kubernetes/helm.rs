//! Charts of Helm on a real API server: rendered by the pinned program, applied, upgraded, hooked, removed.

mod release;
mod sources;
mod support;

use domain::plan::Purpose;
use release::{Release, object};
use serde_json::{Value, json};
use servers::kubernetes::{ControlPlane, Options};
use tests::Plane;

const NAMESPACE: &str = "sup";

fn control_plane() -> ControlPlane {
    ControlPlane::start(&Options { nodes: 3, ..Options::default() })
}

fn make_namespace(cluster: &ControlPlane, name: &str) {
    let body = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
    assert_eq!(cluster.ask("POST /api/v1/namespaces", &body).0, 201);
}

fn config(cluster: &ControlPlane, name: &str) -> Value {
    object(cluster, &format!("/api/v1/namespaces/{NAMESPACE}/configmaps/{name}"))
}

fn secret(cluster: &ControlPlane) -> Value {
    object(cluster, &format!("/api/v1/namespaces/{NAMESPACE}/secrets/shop-secret"))["data"].clone()
}

fn job(cluster: &ControlPlane, name: &str) -> Value {
    object(cluster, &format!("/apis/batch/v1/namespaces/{NAMESPACE}/jobs/shop-{name}"))
}

/// The jobs that were completed, in their order, as the cluster's own events tell.
fn completed(cluster: &ControlPlane) -> Vec<String> {
    let path = format!("/api/v1/namespaces/{NAMESPACE}/events?fieldSelector=reason%3DCompleted");
    let events = object(cluster, &path);
    let mut found: Vec<(String, u64, String)> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            let version = event["metadata"]["resourceVersion"].as_str().unwrap();
            let job = event["involvedObject"]["name"].as_str().unwrap();
            let at = event["metadata"]["creationTimestamp"].as_str().unwrap();
            (at.to_owned(), version.parse().unwrap(), job.replace("shop-", ""))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, _, job)| job).collect()
}

/// What the first revision of the chart is.
fn is_installed(cluster: &ControlPlane) {
    let data = config(cluster, "shop-config")["data"].clone();
    assert_eq!((&data["installed"], &data["namespace"]), (&json!("true"), &json!(NAMESPACE)));
    assert_eq!((&data["lookup"], &data["deployments"]), (&json!("nothing"), &json!("true")));
    assert!(data["version"].as_str().unwrap().starts_with("v1."));
    assert!(config(cluster, "shop-cache").is_null(), "the condition of the sub-chart is false");
    assert!(!object(cluster, "/api/v1/namespaces/other/configmaps/elsewhere").is_null());
    let widget = format!("/apis/shop.example.com/v1/namespaces/{NAMESPACE}/widgets/shop");
    assert_eq!(object(cluster, &widget)["spec"]["size"], 1);
    assert_eq!(completed(cluster), ["first", "second", "after"], "hooks go by their weights");
    assert!(!job(cluster, "first").is_null(), "it stays until the hook runs again");
    assert!(job(cluster, "after").is_null() && config(cluster, "shop-prepared").is_null());
}

/// Nothing of the chart is left, and its last hooks have run.
fn is_gone(cluster: &ControlPlane, web: &str) {
    let widget = format!("/apis/shop.example.com/v1/namespaces/{NAMESPACE}/widgets/shop");
    let all = completed(cluster);
    assert_eq!(all[all.len() - 2..], ["goodbye", "gone"]);
    for path in [web, &widget, &format!("/api/v1/namespaces/{NAMESPACE}/configmaps/shop-config")] {
        assert!(object(cluster, path).is_null(), "{path} is left");
    }
    assert!(
        ["first", "second", "migrate", "goodbye", "gone"]
            .iter()
            .all(|name| job(cluster, name).is_null())
    );
    let definition =
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.shop.example.com";
    assert!(object(cluster, definition).is_null());
    let left = cluster.kubectl(&[
        "get",
        "all,configmap,secret",
        "-A",
        "-l",
        "cairn.dev/uid",
        "-o",
        "name",
    ]);
    assert_eq!(left, "", "something is left");
    assert!(
        !object(cluster, &format!("/api/v1/namespaces/{NAMESPACE}")).is_null(),
        "it was there before"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_is_installed_upgraded_set_right_and_removed_with_its_hooks() {
    let cluster = control_plane();
    make_namespace(&cluster, NAMESPACE);
    make_namespace(&cluster, "other");
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    let release = Release::new("shop", directory.path());
    let values = json!({ "message": "hello", "elsewhere": "other" });
    let params =
        json!({ "chart": "shop", "release": "shop", "namespace": NAMESPACE, "values": values });
    release.deliver(&plane, &params).await;

    is_installed(&cluster);
    let first = secret(&cluster);
    let rendered = release.output(&plane, "rendered").await;
    assert!(release.output(&plane, "chart").await.starts_with("shop 1.0.0 sha256:"));
    assert_eq!(release.output(&plane, "values").await.len(), 64);

    // A second look writes nothing, also by somebody who has not seen the first; what was drawn by lot stays.
    plane.stop().await;
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    assert!(plane.plan("shop", Purpose::Deploy, None).await.unwrap().plan.steps.is_empty());
    let web = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments/shop-web");
    let patch = r#"--patch={"spec": {"replicas": 3}}"#;
    let _ = cluster.kubectl(&["patch", "deployment", "shop-web", "--namespace", NAMESPACE, patch]);
    let _ = cluster
        .ask(&format!("DELETE /api/v1/namespaces/{NAMESPACE}/secrets/shop-secret"), &Value::Null);
    plane
        .until("both to be set right", async || {
            object(&cluster, &web)["spec"]["replicas"] == 1 && secret(&cluster) == first
        })
        .await;
    plane.ready("shop").await;
    assert_eq!(
        completed(&cluster),
        ["first", "second", "after"],
        "what is set right runs no hooks"
    );

    // An upgrade: the plan names what changes; what is not wanted any more goes.
    release.edit("templates/config.yaml", "  message:", "  added: yes-it-is\n  message:");
    let values = json!({ "message": "bonjour", "replicas": 2, "cache": { "enabled": true } });
    let params =
        json!({ "chart": "shop", "release": "shop", "namespace": NAMESPACE, "values": values });
    let planned = release.planned(&plane, &params).await;
    for path in [
        "chart.files.templates/config.yaml",
        "values.message",
        "values.replicas",
        "values.elsewhere",
    ] {
        assert!(planned.iter().any(|changed| changed.contains(path)), "{path}: {planned:?}");
    }
    plane.deliver("shop").await;
    let data = config(&cluster, "shop-config")["data"].clone();
    assert_eq!((&data["installed"], &data["message"]), (&json!("false"), &json!("bonjour")));
    assert_eq!(data["added"], "yes-it-is");
    assert_eq!(config(&cluster, "shop-cache")["data"]["from"], "cache");
    assert!(object(&cluster, "/api/v1/namespaces/other/configmaps/elsewhere").is_null());
    assert_eq!(completed(&cluster), ["first", "second", "after", "migrate", "after"]);
    assert_ne!(release.output(&plane, "rendered").await, rendered);

    plane.delete("shop").await;
    is_gone(&cluster, &web);
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_judged_hooks_may_fail_and_what_is_to_be_kept_is_kept() {
    let cluster = control_plane();
    make_namespace(&cluster, NAMESPACE);
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    let release = Release::new("shop", directory.path());
    let params = |values: Value| json!({ "chart": "shop", "release": "shop", "namespace": NAMESPACE, "values": values });
    release.begin(&plane, &params(json!({ "replicas": "many" }))).await;
    release.says(&plane, &["helm refuses the chart", "replicas", "integer"]).await;
    assert!(config(&cluster, "shop-config").is_null(), "nothing was applied");

    // A hook that fails stops the rest, and says why; what it made can be removed, so that it runs again.
    release.edit(
        "templates/hooks.yaml",
        "\"name\" \"first\" \"hook\"",
        "\"name\" \"first\" \"deadline\" 1 \"hook\"",
    );
    release.edit("templates/_helpers.tpl", "  backoffLimit: 0\n", "  backoffLimit: 0\n  {{- with .deadline }}\n  activeDeadlineSeconds: {{ . }}\n  suspend: false\n  {{- end }}\n");
    release.edit("templates/_helpers.tpl", "      restartPolicy: Never\n", "      restartPolicy: Never\n      {{- if .deadline }}\n      nodeSelector: {no: where}\n      {{- end }}\n");
    release.begin(&plane, &params(json!({ "kept": true }))).await;
    release
        .says(&plane, &["the pre-install hook Job sup/shop-first failed", "DeadlineExceeded"])
        .await;
    assert!(config(&cluster, "shop-config").is_null(), "what comes after the hook was not applied");

    release.edit("templates/hooks.yaml", "\"deadline\" 1 ", "");
    release.deliver(&plane, &params(json!({ "kept": true }))).await;
    assert_eq!(
        config(&cluster, "shop-config")["data"]["installed"],
        "true",
        "it was not installed before"
    );
    plane.delete("shop").await;
    let kept = config(&cluster, "shop-config");
    assert_eq!(kept["data"]["message"], "hello");
    assert!(kept["metadata"]["labels"]["cairn.dev/uid"].is_null(), "it is nobody's now");
    plane.stop().await;
}
