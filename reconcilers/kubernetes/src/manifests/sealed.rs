//! Values of secrets that came out of a chart. They are in no event: an object of the cluster that the chart is put
//! into holds them, as Helm's own record of a release does; what is kept in the log has a digest in the place of each.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::commit::Hash;
use domain::lifecycle::FailureClass;
use reconcilers::{CallError, Target};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::refused;
use crate::cluster::Cluster;
use crate::labels;
use crate::objects::{Key, Object};

/// The field of what makes digests of values meaningless to whoever guesses at values.
const SALT: &str = "salt";

/// Which object holds them.
pub(crate) fn key(target: &Target) -> Key {
    let name = format!("{}-values", labels::name(&target.id));
    Key {
        api_version: "v1".into(),
        kind: "Secret".into(),
        namespace: Some(labels::namespace(target)),
        name: labels::fitting(&name),
    }
}

/// Values on their way into the object that holds them.
pub(crate) struct Sealing {
    salt: String,
    fields: BTreeMap<String, String>,
}

impl Sealing {
    /// With the salt that was used before, so that a value that stays has the same digest again.
    pub(crate) async fn begin(cluster: &Cluster, target: &Target) -> Result<Self, CallError> {
        let key = key(target);
        let known = match cluster.seen(&key) {
            Some(_) => cluster.get(&key).await?,
            None => None,
        };
        let salt = known.as_ref().and_then(|known| field(known, SALT));
        let fresh = || format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        Ok(Self { salt: salt.unwrap_or_else(fresh), fields: BTreeMap::new() })
    }

    /// Takes the values out of a secret, and puts digests in their place.
    pub(crate) fn take(&mut self, said: &str, body: &mut Value) {
        let Some(Value::Object(data)) = body.get_mut("data") else { return };
        self.fields.insert(name(said), Value::Object(data.clone()).to_string());
        for (field, value) in data.iter_mut() {
            let digest = Hash::of(format!("{} {said} {field} {value}", self.salt).as_bytes());
            *value = json!(BASE64_STANDARD.encode(digest.to_hex()));
        }
    }

    /// Whether there was none.
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The object that holds them.
    pub(crate) fn object(&self, target: &Target) -> Object {
        let key = key(target);
        let encoded = |text: &String| json!(BASE64_STANDARD.encode(text));
        let mut data: Map<String, Value> =
            self.fields.iter().map(|(name, text)| (name.clone(), encoded(text))).collect();
        data.insert(SALT.into(), encoded(&self.salt));
        let body = json!({
            "apiVersion": key.api_version,
            "kind": key.kind,
            "metadata": {
                "name": key.name,
                "namespace": key.namespace,
                "labels": labels::labels(target),
                "annotations": labels::annotations(target),
            },
            "type": "Opaque",
            "data": data,
        });
        Object::bare(body)
    }
}

/// Puts the values of a secret back into it.
pub(crate) async fn open(
    cluster: &Cluster,
    sealed: &Key,
    said: &str,
    body: &mut Value,
) -> Result<(), CallError> {
    let Some(fields) = body.as_object_mut() else { return Ok(()) };
    if !is_secret(said) || !fields.contains_key("data") {
        return Ok(());
    }
    let missing = || {
        let message = format!(
            "the values of {said} are not in {sealed} any more: the chart is rendered again"
        );
        refused(FailureClass::Retry, message)
    };
    let there = cluster.get(sealed).await?.ok_or_else(missing)?;
    let text = field(&there, &name(said)).ok_or_else(missing)?;
    let data: Value = serde_json::from_str(&text).map_err(|_| missing())?;
    fields.insert("data".into(), data);
    Ok(())
}

/// Whether an object, by its key, is a secret of Kubernetes' own.
pub(crate) fn is_secret(said: &str) -> bool {
    said.starts_with("v1 Secret ")
}

/// The name of the field of an object's values.
fn name(said: &str) -> String {
    Hash::of(said.as_bytes()).to_hex()
}

fn field(object: &Value, name: &str) -> Option<String> {
    let encoded = object.get("data")?.get(name)?.as_str()?;
    String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok()
}
