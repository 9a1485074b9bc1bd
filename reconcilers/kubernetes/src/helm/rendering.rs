//! What a chart became, once: kept in the log by its digest, and used until what it was made of changes.

use std::collections::BTreeMap;

use domain::commit::Hash;
use domain::kinds::helm::hook::{Hook, Moment};
use domain::kinds::helm::{self, RELEASE_MAX};
use domain::kinds::manifests::{ObjectKey, Scope, Spec};
use reconcilers::Target;
use serde::{Deserialize, Serialize};

use crate::labels;
use crate::manifests::order;

/// What a chart became.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rendering {
    /// Which chart: its name and version, by its own word, and the SHA-256 of its archive or files.
    pub(crate) chart: String,
    /// The SHA-256 of its values; of a secret, of where it is.
    pub(crate) values: Hash,
    /// Object → the digest of what it says.
    pub(crate) objects: BTreeMap<String, String>,
    /// What runs at certain moments, in its order.
    pub(crate) hooks: Vec<Hook>,
    /// Values of secrets came out of it.
    pub(crate) sealed: bool,
}

impl Rendering {
    /// The objects, as a set with what the chart's resource says of them.
    pub(crate) fn set(&self, spec: &helm::Spec) -> Spec {
        self.set_of(spec, self.objects.clone())
    }

    /// What one hook makes, as a set.
    pub(crate) fn set_of_hook(&self, spec: &helm::Spec, hook: &Hook) -> Spec {
        self.set_of(spec, BTreeMap::from([(hook.object.clone(), hook.digest.to_hex())]))
    }

    fn set_of(&self, spec: &helm::Spec, objects: BTreeMap<String, String>) -> Spec {
        Spec {
            cluster: spec.cluster.clone(),
            namespace: spec.namespace.clone(),
            objects,
            scope: spec.scope,
            pod_security: spec.pod_security,
            adopt: spec.adopt,
            force: spec.force,
            replace: spec.replace,
            delegated: spec.delegated.clone(),
        }
    }

    /// The hooks of a moment: light ones first, then in the order of their kinds, then by name.
    pub(crate) fn hooks(&self, moment: Moment) -> Vec<&Hook> {
        let mut hooks: Vec<&Hook> =
            self.hooks.iter().filter(|hook| hook.moments.contains(&moment)).collect();
        let turn =
            |hook: &Hook| hook.object.parse::<ObjectKey>().map_or(0, |key| order::phase(&key));
        hooks.sort_by_key(|hook| (hook.weight, turn(hook), hook.object.clone()));
        hooks
    }
}

/// The name of a release.
pub(crate) fn release(spec: &helm::Spec, target: &Target) -> String {
    let own = || {
        let name = labels::name(&target.id);
        if name.len() <= RELEASE_MAX {
            return name;
        }
        let digits: String = Hash::of(name.as_bytes()).to_hex().chars().take(8).collect();
        let head: String = name.chars().take(RELEASE_MAX - 9).collect();
        format!("{}-{digits}", head.trim_end_matches('-'))
    };
    spec.release().map_or_else(own, str::to_owned)
}

/// The namespace of a release.
pub(crate) fn namespace(spec: &helm::Spec, target: &Target) -> String {
    match (spec.scope, spec.namespace()) {
        (Scope::Cluster, Some(named)) => named.to_owned(),
        (Scope::Cluster, None) | (Scope::Namespace, _) => labels::namespace(target),
    }
}
