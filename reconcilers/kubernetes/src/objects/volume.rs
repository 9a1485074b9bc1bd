//! A disk: a claim that outlives the pods that mount it, or one for each replica of a stateful workload.

use domain::commit::Hash;
use domain::kinds::volume::{Each, Spec};
use reconcilers::Target;
use serde_json::{Value, json};

use super::{Names, Object, stateful_name};
use crate::labels;

/// The objects of a volume.
#[must_use]
pub fn volume(target: &Target, spec: &Spec, digest: Hash) -> Vec<Object> {
    let names = Names::of(target);
    let claim = |name: String| {
        let key = names.called("v1", "PersistentVolumeClaim", name);
        Object::new(&key, target, json!({ "spec": claim_spec(spec.size_gib) }))
    };
    let mut claims = match &spec.each {
        None => vec![claim(names.name.clone())],
        Some(Each { workload, replicas }) => {
            // The names by which the controller of StatefulSets looks for them: it uses those that are there. Where
            // one was deleted it may have made another before us, and that is ours as well.
            let set = stateful_name(&labels::name(workload));
            let name = |replica| format!("{}-{set}-{replica}", names.name);
            (0..*replicas).map(|replica| claim(name(replica)).taken()).collect()
        }
    };
    if let Some(last) = claims.pop() {
        claims.push(last.marked(digest));
    }
    claims
}

/// What is asked of a disk.
pub(super) fn claim_spec(size_gib: u32) -> Value {
    json!({
        "accessModes": ["ReadWriteOnce"],
        "resources": { "requests": { "storage": format!("{size_gib}Gi") } },
    })
}
