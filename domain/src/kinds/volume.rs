//! A disk that outlives the pods that mount it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kind::{Change, Kind, Need, OutputDeclaration, Violation};
use crate::name::ResourceId;

/// The `volume` kind.
pub struct Volume;

/// What is wanted of a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Size in GiB, at least 1. May only grow in place (Kubernetes: PersistentVolumeClaim).
    pub size_gib: u32,
    /// The cluster it is attached in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ResourceId>,
}

impl Kind for Volume {
    const NAME: &'static str = "volume";
    const STATEFUL: bool = true;
    type Spec = Spec;

    fn validate(spec: &Spec) -> Vec<Violation> {
        (spec.size_gib == 0).then(|| Violation::new("size_gib", "must be at least 1 GiB")).into_iter().collect()
    }

    fn needs(spec: &Spec) -> Vec<Need> {
        spec.cluster.iter().cloned().map(Need::ready).collect()
    }

    fn outputs(_: &Spec) -> Vec<OutputDeclaration> {
        OutputDeclaration::plain(&["source"])
    }

    fn change(old: &Spec, new: &Spec) -> Change {
        let shrinks = (new.size_gib < old.size_gib).then(|| Change::Replace {
            why: format!("size_gib cannot shrink in place ({} -> {})", old.size_gib, new.size_gib),
        });
        let forced = Change::forces("cluster", &old.cluster, &new.cluster).or(shrinks);
        forced.unwrap_or_else(|| Change::in_place(old, new))
    }
}
