//! What has to be looked for of a set of objects: a ConfigMap in the deployment's namespace.

use std::collections::{BTreeMap, BTreeSet};

use domain::commit::Hash;
use reconcilers::Target;
use serde_json::json;

use super::Found;
use crate::cluster::Entry;
use crate::labels;
use crate::objects::{Key, Object};

/// Which object it is.
pub(crate) fn key(target: &Target) -> Key {
    let name = format!("{}-objects", labels::name(&target.id));
    Key {
        api_version: "v1".into(),
        kind: "ConfigMap".into(),
        namespace: Some(labels::namespace(target)),
        name: labels::fitting(&name),
    }
}

/// The record among what was found.
pub(crate) fn of<'a>(target: &Target, found: &'a Found) -> Option<(&'a Key, &'a Entry)> {
    let record = found.get_key_value(&key(target));
    record.filter(|(_, entry)| entry.record.is_some() && entry.deleting.is_none())
}

/// The kinds that it names, as `apiVersion` and `kind`.
pub(crate) fn kinds(entry: &Entry) -> impl Iterator<Item = (&str, &str)> {
    let kinds = entry.record.iter().flat_map(|record| &record.kinds);
    kinds.filter_map(|kind| kind.split_once(' '))
}

/// The record as it is applied: with the digest of what was asked for once all of it is done.
pub(crate) fn object(
    target: &Target,
    kinds: &BTreeSet<String>,
    namespace: Option<&str>,
    notes: &BTreeMap<String, String>,
    done: Option<Hash>,
) -> Object {
    let key = key(target);
    let mut annotations = labels::annotations(target);
    annotations.insert(labels::KINDS.into(), kinds.iter().cloned().collect::<Vec<_>>().join(","));
    if let Some(namespace) = namespace {
        annotations.insert(labels::NAMESPACE.into(), namespace.to_owned());
    }
    annotations
        .extend(notes.iter().map(|(name, text)| (format!("{}{name}", labels::HELM), text.clone())));
    if let Some(done) = done {
        annotations.insert(labels::APPLIED.into(), done.to_hex());
    }
    let body = json!({
        "apiVersion": key.api_version,
        "kind": key.kind,
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "labels": labels::labels(target),
            "annotations": annotations,
        },
    });
    Object::bare(body)
}
