//! An in-memory store: redis.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kind::{Change, Kind, Need, OutputDeclaration, Violation};
use crate::name::ResourceId;

/// The `cache` kind.
pub struct Cache;

/// What speaks the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// The only one so far.
    Redis,
}

/// What is wanted of a cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The engine.
    pub engine: Engine,
    /// Its version, such as `7`.
    pub version: String,
    /// Memory in MiB, at least 16.
    pub memory_mib: u32,
    /// The cluster it runs in or is reachable from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ResourceId>,
}

impl Kind for Cache {
    const NAME: &'static str = "cache";
    const STATEFUL: bool = false;
    type Spec = Spec;

    fn validate(spec: &Spec) -> Vec<Violation> {
        let small = (spec.memory_mib < 16).then(|| Violation::new("memory_mib", "must be at least 16 MiB"));
        small.into_iter().collect()
    }

    fn needs(spec: &Spec) -> Vec<Need> {
        spec.cluster.iter().cloned().map(Need::ready).collect()
    }

    fn outputs(_: &Spec) -> Vec<OutputDeclaration> {
        OutputDeclaration::with_secrets(&["host", "port", "username"], &["password"])
    }

    fn change(old: &Spec, new: &Spec) -> Change {
        Change::forces("cluster", &old.cluster, &new.cluster).unwrap_or_else(|| Change::in_place(old, new))
    }
}
