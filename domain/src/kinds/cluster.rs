//! A Kubernetes cluster: where workloads run.

mod capacity;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use capacity::{CAPACITY, Capacity};

use crate::kind::{Change, Kind, Need, OutputDeclaration, Violation};

/// The `cluster` kind.
pub struct Cluster;

/// What is wanted of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Where it is, in the environment's words, such as `eu-west`. Replacing it replaces the cluster.
    pub location: String,
    /// The cluster that is there already and is used as it is. Then nothing else of this is said, but its location and
    /// what it brings along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing: Option<Existing>,
    /// The Kubernetes minor version, such as `1.36`. May only go up.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The fewest nodes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub nodes_min: u32,
    /// The most nodes, up to 1,000.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub nodes_max: u32,
    /// What it brings along, such as `gateway`: not installed again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
}

/// Where the kubeconfig of a cluster that is there already is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Existing {
    /// Which store of secrets: `file`, the server's folder of secrets, or `in-cluster`, the account of the pod that the
    /// server runs in.
    pub store: String,
    /// Where in the folder, such as `clusters/eu`; nothing for `in-cluster`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("1.")?.parse().ok()
}

impl Kind for Cluster {
    const NAME: &'static str = "cluster";
    const STATEFUL: bool = true;
    type Spec = Spec;

    fn validate(spec: &Spec) -> Vec<Violation> {
        let mut violations = Vec::new();
        if let Some(existing) = &spec.existing {
            if !spec.version.is_empty() || spec.nodes_min != 0 || spec.nodes_max != 0 {
                let words = "is used as it is: say nothing of version, nodes_min and nodes_max";
                violations.push(Violation::new("existing", words));
            }
            match (existing.store.as_str(), existing.path.is_empty()) {
                ("file", false) | ("in-cluster", true) => {}
                ("file", true) => {
                    let words = "must say which file of the server's folder of secrets, such as clusters/eu";
                    violations.push(Violation::new("existing.path", words));
                }
                ("in-cluster", false) => {
                    let words = "must be left out: the account of the pod is where Kubernetes puts it";
                    violations.push(Violation::new("existing.path", words));
                }
                _ => {
                    let words = "must be `file`, the server's folder of secrets, or `in-cluster`, the pod's own account";
                    violations.push(Violation::new("existing.store", words));
                }
            }
            return violations;
        }
        if minor(&spec.version).is_none() {
            violations.push(Violation::new("version", "must be a Kubernetes minor version such as 1.36"));
        }
        if spec.nodes_min > spec.nodes_max || spec.nodes_max == 0 || spec.nodes_max > 1_000 {
            violations.push(Violation::new("nodes_max", "must be 1 to 1000, and at least nodes_min"));
        }
        violations
    }

    fn needs(_: &Spec) -> Vec<Need> {
        Vec::new()
    }

    fn outputs(_: &Spec) -> Vec<OutputDeclaration> {
        OutputDeclaration::with_secrets(&["brings", CAPACITY, "endpoint", "version"], &["credentials"])
    }

    fn change(old: &Spec, new: &Spec) -> Change {
        if let Some(change) = Change::forces("existing", &old.existing, &new.existing) {
            return change;
        }
        if minor(&new.version) < minor(&old.version) {
            return Change::Refused { why: format!("version cannot go down ({} -> {})", old.version, new.version) };
        }
        Change::forces("location", &old.location, &new.location).unwrap_or_else(|| Change::in_place(old, new))
    }
}
