//! A disk: a claim that outlives the pods that mount it.

use domain::commit::Hash;
use domain::kinds::volume::Spec;
use reconcilers::Target;
use serde_json::json;

use super::{Names, Object};

/// The objects of a volume.
#[must_use]
pub fn volume(target: &Target, spec: &Spec, digest: Hash) -> Vec<Object> {
    let key = Names::of(target).key("v1", "PersistentVolumeClaim");
    let claim = json!({ "spec": {
        "accessModes": ["ReadWriteOnce"],
        "resources": { "requests": { "storage": format!("{}Gi", spec.size_gib) } },
    } });
    vec![Object::new(&key, target, claim).marked(digest)]
}
