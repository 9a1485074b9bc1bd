//! What is left to others on a real API server: fields of a workload, and all of a set of objects by its class.

use domain::class::{self, Class, Drift};
use serde_json::{Value, json};
use servers::kubernetes::{ControlPlane, Options};
use tests::{Plane, namespace, now};

fn get(cluster: &ControlPlane, path: &str) -> Value {
    let (status, answer) = cluster.ask(&format!("GET {path}"), &Value::Null);
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn deliver(plane: &Plane, folder: &std::path::Path, text: &str) {
    let file = folder.join("app.yaml");
    std::fs::write(&file, text).unwrap();
    plane.apply("shop", &[&file], &[]).await;
    plane.deliver("shop").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_are_left_to_others_keep_what_those_say() {
    let cluster = ControlPlane::start(&Options { nodes: 3, entry: false, ..Options::default() });
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    let shop = |version: u32| {
        format!(
            "name: shop\nimage: registry.example/web:{version}\nreplicas: 2\ndelegated: [spec.replicas]\n"
        )
    };
    deliver(&plane, directory.path(), &shop(1)).await;
    let namespace = namespace("shop");
    let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
    let deployment = |cluster: &ControlPlane| get(cluster, &path)["items"][0].clone();
    let name = deployment(&cluster)["metadata"]["name"].as_str().unwrap().to_owned();
    assert_eq!(deployment(&cluster)["spec"]["replicas"], 1, "the server's default");
    let _ = cluster.kubectl(&["scale", "deployment", &name, "-n", &namespace, "--replicas=3"]);
    deliver(&plane, directory.path(), &shop(2)).await;
    plane.ready("shop").await;
    let after = deployment(&cluster);
    assert_eq!(after["spec"]["replicas"], 3);
    let image = &after["spec"]["template"]["spec"]["containers"][0]["image"];
    assert_eq!(image, "registry.example/web:2");
    let owners = after["metadata"]["managedFields"].as_array().unwrap();
    let ours = owners.iter().find(|one| one["manager"] == "cairn").unwrap();
    assert_eq!(ours["fieldsV1"]["f:spec"]["f:replicas"], Value::Null, "{ours}");
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changes_of_objects_stays_where_their_class_says_so() {
    let cluster = ControlPlane::start(&Options { nodes: 1, entry: false, ..Options::default() });
    let directory = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(directory.path(), &cluster.kubeconfig()).await;
    let shipped = domain::catalogue::shipped().unwrap().classes;
    let of_objects =
        |one: &class::Definition| one.resource_type == "manifests" && one.class == "default";
    let shipped = shipped.into_iter().find(of_objects).unwrap();
    let name = shipped.name().unwrap();
    let definition = class::Definition { drift: Drift::Accept, ..shipped };
    plane.put::<Class>(class::KIND, &name, class::Command::Define { definition, at: now() }).await;
    let shop = "name: shop\nresources: {it: {type: manifests, params: {files: [objects.yaml]}}}\n";
    let objects = |text: &str| {
        let object = json!({ "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "it" }, "data": { "text": text } });
        std::fs::write(directory.path().join("objects.yaml"), object.to_string()).unwrap();
    };
    objects("ours");
    deliver(&plane, directory.path(), shop).await;
    let namespace = namespace("shop");
    let path = format!("/api/v1/namespaces/{namespace}/configmaps/it");
    let _ = cluster.kubectl(&[
        "patch",
        "configmap",
        "it",
        "-n",
        &namespace,
        "--type=merge",
        "-p",
        r#"{"data":{"text":"theirs"}}"#,
    ]);
    let id = "manifests/dev_shop_it";
    let accepted =
        async || plane.resource(id).await.body().is_some_and(|body| body.accepted.is_some());
    plane.until("it to be accepted", accepted).await;
    plane.ready("shop").await;
    assert_eq!(get(&cluster, &path)["data"]["text"], "theirs");
    // Until something else is wanted.
    objects("ours again");
    deliver(&plane, directory.path(), shop).await;
    assert_eq!(get(&cluster, &path)["data"]["text"], "ours again");
    plane.stop().await;
}
