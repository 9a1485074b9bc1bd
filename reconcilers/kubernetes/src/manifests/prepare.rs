//! From what somebody wrote to what is applied.

use domain::commit::Hash;
use domain::kinds::manifests::{ObjectKey, Scope, Spec};
use domain::lifecycle::FailureClass;
use reconcilers::{CallError, Target};
use serde_json::{Map, Value, json};

use super::{Item, Set, order, refused, sealed};
use crate::cluster::{Cluster, Watched};
use crate::labels;
use crate::objects::{Key, take_out};
use crate::provider::Kubernetes;

/// Where the pods that an object makes are told what they carry.
const TEMPLATES: [(&str, &str); 7] = [
    ("DaemonSet", "/spec/template"),
    ("Deployment", "/spec/template"),
    ("Job", "/spec/template"),
    ("ReplicaSet", "/spec/template"),
    ("ReplicationController", "/spec/template"),
    ("StatefulSet", "/spec/template"),
    ("CronJob", "/spec/jobTemplate/spec/template"),
];

/// What a spec names, in the order in which it is applied. With `fresh`, the cluster is asked again for kinds that it
/// did not know.
pub(crate) async fn items(
    cluster: &Cluster,
    target: &Target,
    spec: &Spec,
    fresh: bool,
) -> Result<Vec<Item>, CallError> {
    let mut items = Vec::new();
    let mut kinds = std::collections::BTreeMap::new();
    for (text, digest) in &spec.objects {
        let wrong = |why: String| refused(FailureClass::Terminal, format!("{text}: {why}"));
        let said: ObjectKey = text.parse().map_err(|error| wrong(format!("{error}")))?;
        let digest = Hash::from_hex(digest).ok_or_else(|| wrong("its digest is none".into()))?;
        let kind = (said.api_version.clone(), said.kind.clone());
        if !kinds.contains_key(&kind) {
            let watched = cluster.follow(&said.api_version, &said.kind, fresh).await?;
            kinds.insert(kind.clone(), watched);
        }
        let watched = kinds.get(&kind).cloned().flatten();
        let known = watched.map(|watched| (key(&said, &watched, target, spec), watched));
        let delegated: Vec<&str> = spec.delegated(text).collect();
        let content = format!("{digest} {:?} {delegated:?}", spec.namespace());
        let content = Hash::of(content.as_bytes());
        items.push(Item { phase: order::phase(&said), said, digest, content, known });
    }
    items.sort_by_key(|item| item.phase);
    Ok(items)
}

/// Which object it is, by the version of its kind that is followed.
fn key(said: &ObjectKey, watched: &Watched, target: &Target, spec: &Spec) -> Key {
    let namespace = || {
        let own = || spec.namespace().map_or_else(|| labels::namespace(target), str::to_owned);
        said.namespace.clone().unwrap_or_else(own)
    };
    Key {
        api_version: watched.api_version().to_owned(),
        kind: said.kind.clone(),
        namespace: watched.namespaced.then(namespace),
        name: said.name.clone(),
    }
}

/// Refuses what reaches further than it may, before anything is applied.
pub(crate) fn check_scope(items: &[Item], target: &Target, spec: &Spec) -> Result<(), CallError> {
    if spec.scope == Scope::Cluster {
        return Ok(());
    }
    let own = labels::namespace(target);
    for (key, _) in items.iter().filter_map(|item| item.known.as_ref()) {
        if key.namespace.as_deref() != Some(own.as_str()) {
            let message = format!(
                "{key} is not in the namespace {own}, and the class reaches no further; take it out, or ask for the class `cluster`"
            );
            return Err(refused(FailureClass::Terminal, message));
        }
    }
    Ok(())
}

impl Kubernetes {
    /// An object as it is applied.
    pub(crate) async fn prepared(
        &self,
        cluster: &Cluster,
        set: Set<'_>,
        item: &Item,
        key: &Key,
    ) -> Result<Value, CallError> {
        let Set { target, spec, .. } = set;
        let Some(contents) = &self.contents else {
            let message = format!("{key}: what it says cannot be read here");
            return Err(refused(FailureClass::Retry, message));
        };
        let bytes = contents.read(&target.tenant, item.digest).await?;
        let mut body: Value = serde_json::from_slice(&bytes).map_err(|error| {
            refused(FailureClass::Terminal, format!("{key}: what it says is not JSON: {error}"))
        })?;
        if let (Some(sealed), "Secret") = (set.sealed, key.kind.as_str()) {
            sealed::open(cluster, sealed, &item.said.to_string(), &mut body).await?;
        }
        for path in spec.delegated(&item.said.to_string()) {
            take_out(&mut body, path);
        }
        mark(&mut body, key, target, item.content);
        Ok(body)
    }
}

/// Says whose it is, on the object and on the pods that are made of it.
fn mark(body: &mut Value, key: &Key, target: &Target, content: Hash) {
    let uid = target.uid.to_string();
    let labels = [(labels::TENANT, target.tenant.as_str()), (labels::UID, uid.as_str())];
    let (resource, content) = (target.id.to_string(), content.to_hex());
    put(body, "labels", &labels);
    put(body, "annotations", &[(labels::RESOURCE, &resource), (labels::CONTENT, &content)]);
    if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("name".into(), json!(key.name));
        match &key.namespace {
            Some(namespace) => metadata.insert("namespace".into(), json!(namespace)),
            None => metadata.remove("namespace"),
        };
    }
    let template = TEMPLATES.iter().find(|(kind, _)| *kind == key.kind);
    if let Some(template) = template.and_then(|(_, pointer)| body.pointer_mut(pointer)) {
        put(template, "labels", &labels);
        put(template, "annotations", &[(labels::RESOURCE, &resource)]);
    }
}

/// Puts texts into a map of an object's metadata.
fn put(object: &mut Value, map: &str, texts: &[(&str, &str)]) {
    let Some(fields) = object.as_object_mut() else { return };
    let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
    if !metadata.is_object() {
        *metadata = json!({});
    }
    let Some(metadata) = metadata.as_object_mut() else { return };
    let entry = metadata.entry(map).or_insert_with(|| json!({}));
    if !entry.is_object() {
        *entry = Value::Object(Map::new());
    }
    if let Some(entry) = entry.as_object_mut() {
        entry.extend(texts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_and_its_pods_say_whose_they_are_and_keep_what_they_said() {
        let target = Target {
            tenant: "acme".parse().unwrap(),
            id: "manifests/dev_shop_db".parse().unwrap(),
            uid: uuid::Uuid::nil(),
        };
        let key = Key {
            api_version: "apps/v1".into(),
            kind: "Deployment".into(),
            namespace: Some("sup".into()),
            name: "db".into(),
        };
        let mut body = json!({
            "kind": "Deployment",
            "metadata": { "name": "db", "labels": { "app": "db" }, "annotations": null },
            "spec": { "replicas": 3, "selector": { "matchLabels": { "app": "db" } }, "template": { "metadata": { "labels": { "app": "db" } } } },
        });
        take_out(&mut body, "spec.replicas");
        take_out(&mut body, "spec.none.such");
        mark(&mut body, &key, &target, Hash::of(b"x"));
        assert_eq!(body.pointer("/spec/replicas"), None);
        for place in ["/metadata", "/spec/template/metadata"] {
            let labels = &body.pointer(place).unwrap()["labels"];
            assert_eq!((&labels["app"], &labels[labels::TENANT]), (&json!("db"), &json!("acme")));
        }
        assert_eq!(body["spec"]["selector"]["matchLabels"], json!({ "app": "db" }));
        assert!(
            body.pointer("/spec/template/metadata/annotations")
                .unwrap()
                .get(labels::CONTENT)
                .is_none()
        );
    }
}
