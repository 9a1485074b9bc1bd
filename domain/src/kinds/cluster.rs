//! A Kubernetes cluster: where workloads run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kind::{Change, Kind, Need, OutputDeclaration, Violation};

/// The `cluster` kind.
pub struct Cluster;

/// What is wanted of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Where it is, in the environment's words, such as `eu-west`. Replacing it replaces the cluster.
    pub location: String,
    /// The Kubernetes minor version, such as `1.36`. May only go up.
    pub version: String,
    /// The fewest nodes.
    pub nodes_min: u32,
    /// The most nodes, up to 1,000.
    pub nodes_max: u32,
    /// What it brings along, such as `gateway`: not installed again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
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
        OutputDeclaration::with_secrets(&["endpoint", "version"], &["credentials"])
    }

    fn change(old: &Spec, new: &Spec) -> Change {
        if minor(&new.version) < minor(&old.version) {
            return Change::Refused { why: format!("version cannot go down ({} -> {})", old.version, new.version) };
        }
        Change::forces("location", &old.location, &new.location).unwrap_or_else(|| Change::in_place(old, new))
    }
}
