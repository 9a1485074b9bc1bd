//! What resources become on a cluster. Pure: the same spec and inputs give the same objects, in the order in which
//! they are applied. The last one carries the digest of what was asked for: where it stands, everything before it does.

mod entry;
mod network;
mod pod;
mod volume;
mod workload;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::commit::Hash;
use domain::text::Unresolved;
use domain::{SecretRef, Text};
use reconcilers::Target;
use serde_json::{Map, Value, json};

pub(crate) use entry::{CERT_MANAGER, EXTERNAL_DNS, GATEWAY_API};
pub use entry::{certificate, dns_record, gateway, route};
pub(crate) use network::peers_name;
pub use volume::volume;
pub use workload::{canary, workload};

use crate::labels;

/// The level of the Pod Security Standards that namespaces enforce (Kubernetes: GA since 1.25).
const POD_SECURITY: &str = "restricted";

/// The longest name of a StatefulSet.
const STATEFUL_LENGTH_MAX: usize = 52;

/// One object, as it is applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// All of what we want of it, without secret values.
    pub body: Value,
    /// Key of its `data` → where the value is kept. Filled in at the last moment.
    pub secrets: BTreeMap<String, SecretRef>,
    /// It is ours by its name, whoever made it.
    pub taken: bool,
}

/// Which object: everything but what it says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Such as `apps/v1`.
    pub api_version: String,
    /// Such as `Deployment`.
    pub kind: String,
    /// None for what belongs to no namespace.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ", self.kind)?;
        self.namespace.iter().try_for_each(|namespace| write!(f, "{namespace}/"))?;
        f.write_str(&self.name)
    }
}

impl Object {
    fn new(key: &Key, target: &Target, rest: Value) -> Self {
        let mut metadata = json!({
            "name": key.name,
            "labels": labels::labels(target),
            "annotations": labels::annotations(target),
        });
        if let (Some(namespace), Some(metadata)) = (&key.namespace, metadata.as_object_mut()) {
            metadata.insert("namespace".into(), json!(namespace));
        }
        let mut body = Map::new();
        body.insert("apiVersion".into(), json!(key.api_version));
        body.insert("kind".into(), json!(key.kind));
        body.insert("metadata".into(), metadata);
        if let Value::Object(rest) = rest {
            body.extend(rest);
        }
        Self::bare(Value::Object(body))
    }

    /// One of this text and without secrets.
    pub(crate) const fn bare(body: Value) -> Self {
        Self { body, secrets: BTreeMap::new(), taken: false }
    }

    /// Takes it over from whoever made it: its name says that it is ours.
    fn taken(self) -> Self {
        Self { taken: true, ..self }
    }

    /// Takes a field out, by its dotted path: its value is left to others.
    fn take_out(&mut self, path: &str) {
        take_out(&mut self.body, path);
    }

    /// Marks it as the last of what was asked for.
    fn marked(mut self, digest: Hash) -> Self {
        if let Some(Value::Object(annotations)) = self.body.pointer_mut("/metadata/annotations") {
            annotations.insert(labels::APPLIED.into(), json!(digest.to_hex()));
        }
        self
    }

    /// The digest of what it says, by which another version of it is known.
    #[must_use]
    pub fn content(&self) -> Hash {
        Hash::of(self.body.to_string().as_bytes())
    }

    /// All of it as it is applied, with the values of its secrets.
    #[must_use]
    pub fn filled(&self, values: &BTreeMap<String, String>) -> Value {
        let mut body = self.body.clone();
        let content = self.content().to_hex();
        if let Some(Value::Object(annotations)) = body.pointer_mut("/metadata/annotations") {
            annotations.insert(labels::CONTENT.into(), json!(content));
        }
        if let (false, Some(fields)) = (self.secrets.is_empty(), body.as_object_mut()) {
            let keyed = |key: &String| {
                let value = values.get(key).map_or("", String::as_str);
                (key.clone(), json!(BASE64_STANDARD.encode(value)))
            };
            fields.insert("data".into(), Value::Object(self.secrets.keys().map(keyed).collect()));
        }
        body
    }

    /// Which object it is.
    #[must_use]
    pub fn key(&self) -> Key {
        let text = |pointer: &str| {
            self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let namespace = text("/metadata/namespace");
        Key {
            api_version: text("/apiVersion"),
            kind: text("/kind"),
            namespace: (!namespace.is_empty()).then_some(namespace),
            name: text("/metadata/name"),
        }
    }
}

/// Where a resource's objects are, and what they are called.
struct Names {
    namespace: String,
    name: String,
}

impl Names {
    fn of(target: &Target) -> Self {
        Self { namespace: labels::namespace(target), name: labels::name(&target.id) }
    }

    /// What the objects of its canary are called.
    fn canary(&self) -> Self {
        let name = format!("{}-canary", self.name);
        Self {
            namespace: self.namespace.clone(),
            name: labels::with_digest(&name, name.as_bytes()),
        }
    }

    fn key(&self, api_version: &str, kind: &str) -> Key {
        self.called(api_version, kind, self.name.clone())
    }

    fn called(&self, api_version: &str, kind: &str, name: String) -> Key {
        let namespace = Some(self.namespace.clone());
        Key { api_version: api_version.into(), kind: kind.into(), namespace, name }
    }
}

/// What the StatefulSet of a workload is called: its pods carry the name with a revision behind it in a label, so there
/// are fewer letters than for others (Kubernetes: `controller-revision-hash`).
fn stateful_name(name: &str) -> String {
    labels::within(name, STATEFUL_LENGTH_MAX)
}

/// What a resource's objects are called, and the namespace that they are in.
#[must_use]
pub fn address(target: &Target) -> (String, String) {
    let Names { namespace, name } = Names::of(target);
    (name, namespace)
}

/// The namespace that a resource's objects are in. It is shared with the rest of the deployment, so it carries no uid.
#[must_use]
pub fn namespace(target: &Target) -> Object {
    namespace_called(target, &Names::of(target).namespace, POD_SECURITY)
}

/// A namespace of this name, made for a resource.
#[must_use]
pub fn namespace_called(target: &Target, name: &str, pod_security: &str) -> Object {
    let (managed, by) = labels::MANAGED_BY;
    let body = json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": name,
            "labels": {
                managed: by,
                labels::TENANT: target.tenant.as_str(),
                "pod-security.kubernetes.io/enforce": pod_security,
                "pod-security.kubernetes.io/warn": pod_security,
                "pod-security.kubernetes.io/audit": pod_security,
            },
        },
    });
    Object::bare(body)
}

/// Takes a field out, by its dotted path: its value is left to others.
pub(crate) fn take_out(body: &mut Value, path: &str) {
    let (parents, field) = path.rsplit_once('.').unwrap_or(("", path));
    let mut parents = parents.split('.').filter(|name| !name.is_empty());
    let parent = parents.try_fold(body, |at, name| at.get_mut(name));
    if let Some(Value::Object(fields)) = parent {
        fields.remove(field);
    }
}

/// The value of a text that is not secret.
fn plain(text: &Text, inputs: &domain::text::Inputs) -> Result<String, Unresolved> {
    Ok(text.resolve(inputs)?.to_string())
}
