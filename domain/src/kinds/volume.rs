//! A disk that outlives the pods that mount it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::workload::REPLICAS_MAX;
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
    /// One for each replica of a stateful workload instead of one alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<Each>,
}

/// Whose replicas have one each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Each {
    /// The stateful workload.
    pub workload: ResourceId,
    /// How many there are at least, from 1. When it falls, what is there stays: it holds data.
    pub replicas: u32,
}

impl Kind for Volume {
    const NAME: &'static str = "volume";
    const STATEFUL: bool = true;
    type Spec = Spec;

    fn validate(spec: &Spec) -> Vec<Violation> {
        let size = (spec.size_gib == 0).then(|| Violation::new("size_gib", "must be at least 1 GiB"));
        let replicas = spec.each.as_ref().map(|each| each.replicas);
        let many = replicas.is_some_and(|replicas| !(1..=REPLICAS_MAX).contains(&replicas));
        let many = many.then(|| Violation::new("each.replicas", format!("must be 1 to {REPLICAS_MAX}")));
        size.into_iter().chain(many).collect()
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
        let of = |spec: &Spec| spec.each.as_ref().map(|each| each.workload.clone());
        let others = (of(old) != of(new)).then(|| Change::Replace {
            why: "a disk alone and one for each replica of a workload are different disks".into(),
        });
        let forced = Change::forces("cluster", &old.cluster, &new.cluster).or(others).or(shrinks);
        forced.unwrap_or_else(|| Change::in_place(old, new))
    }
}
