//! The baseline: the same objects, applied by nothing but a loop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

/// Requests in flight.
const IN_FLIGHT: usize = 16;
/// What carries it was made by Cairn.
const OURS: &str = "app.kubernetes.io/managed-by=cairn";
/// What a workload may become, in the order in which it is applied.
const KINDS: [(&str, &str, &str, &str); 10] = [
    ("", "v1", "Namespace", "namespaces"),
    ("", "v1", "ServiceAccount", "serviceaccounts"),
    ("", "v1", "ConfigMap", "configmaps"),
    ("", "v1", "Secret", "secrets"),
    ("", "v1", "Service", "services"),
    ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    ("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    ("apps", "v1", "Deployment", "deployments"),
];

/// One object, ready to be applied.
type One = (usize, String, Value);
/// What is applied one after the other: the objects of one namespace.
pub(super) type Row = Vec<One>;

fn resource(kind: usize) -> anyhow::Result<ApiResource> {
    let (group, version, kind, plural) =
        KINDS.get(kind).ok_or_else(|| anyhow::anyhow!("a kind"))?;
    Ok(ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural))
}

/// Everything that Cairn made in a cluster, as it would be applied: by namespace.
pub(super) async fn made(client: &Client) -> anyhow::Result<Vec<Row>> {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for kind in 0..KINDS.len() {
        let resource = resource(kind)?;
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        for object in api.list(&ListParams::default().labels(OURS)).await? {
            let name = object.name_any();
            let namespace = object.namespace().unwrap_or_else(|| name.clone());
            rows.entry(namespace).or_default().push((kind, name, wanted(&resource, object)?));
        }
    }
    Ok(rows.into_values().collect())
}

/// What was said of an object, without what the cluster said.
fn wanted(resource: &ApiResource, object: DynamicObject) -> anyhow::Result<Value> {
    let (labels, annotations) = (object.labels().clone(), object.annotations().clone());
    let metadata = json!({
        "name": object.name_any(), "namespace": object.namespace(),
        "labels": labels, "annotations": annotations,
    });
    let mut body = serde_json::to_value(object)?;
    let fields = body.as_object_mut().ok_or_else(|| anyhow::anyhow!("an object"))?;
    fields.remove("status");
    fields.insert("metadata".into(), metadata);
    fields.insert("apiVersion".into(), resource.api_version.clone().into());
    fields.insert("kind".into(), resource.kind.clone().into());
    for given in ["clusterIP", "clusterIPs"] {
        if let Some(spec) = fields.get_mut("spec").and_then(Value::as_object_mut) {
            spec.remove(given);
        }
    }
    Ok(body)
}

/// Applies everything, row by row, so many at the same time. Gives how long each row took, in milliseconds.
pub(super) async fn apply(client: &Client, rows: Vec<Row>) -> anyhow::Result<Vec<f64>> {
    let rows: Arc<[Row]> = rows.into();
    futures::stream::iter(0..rows.len())
        .map(|number| {
            let (client, rows) = (client.clone(), Arc::clone(&rows));
            tokio::spawn(async move {
                let start = Instant::now();
                for (kind, name, body) in rows.get(number).into_iter().flatten() {
                    apply_one(&client, *kind, name, body).await?;
                }
                anyhow::Ok(start.elapsed().as_secs_f64() * 1_000.0)
            })
        })
        .buffer_unordered(IN_FLIGHT)
        .map(|ended| ended.map_err(anyhow::Error::from).flatten())
        .try_collect()
        .await
}

async fn apply_one(client: &Client, kind: usize, name: &str, body: &Value) -> anyhow::Result<()> {
    let resource = resource(kind)?;
    let namespace = body.pointer("/metadata/namespace").and_then(Value::as_str);
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    api.patch(name, &PatchParams::apply("bare"), &Patch::Apply(body)).await?;
    Ok(())
}

/// Requests that the API server has answered so far, by verb: those of Cairn and the loop are told from the
/// controllers' by their verbs and resources.
pub(super) async fn requests(client: &Client) -> anyhow::Result<BTreeMap<(String, String), f64>> {
    let request = http::Request::get("/metrics").body(Vec::new())?;
    let text = client.request_text(request).await?;
    let mut counted = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("apiserver_request_total{")) {
        let label = |name: &str| {
            let (_, rest) = line.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value.to_owned())
        };
        let count = line.rsplit(' ').next().and_then(|count| count.parse::<f64>().ok());
        if let (Some(verb), Some(resource), Some(count)) = (label("verb"), label("resource"), count)
        {
            *counted.entry((verb, resource)).or_insert(0.0) += count;
        }
    }
    Ok(counted)
}
