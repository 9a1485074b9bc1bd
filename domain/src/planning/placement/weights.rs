//! What speaks for a cluster, in points.

use super::super::build::Scene;
use super::super::names::digest;
use crate::environment::Strategy;
use crate::name::ResourceId;

/// How much each thing counts.
pub(super) struct Weights {
    /// It runs there already.
    pub(super) here_already: i64,
    /// It is where the environment wants its workloads.
    pub(super) location: i64,
    /// It exists and is ready: nothing to wait for.
    pub(super) ready: i64,
    /// It exists, but is not ready.
    pub(super) exists: i64,
    /// It is meant for this tier alone.
    pub(super) tier: i64,
    /// It brings something along that would have to be installed.
    pub(super) brings: i64,
    /// The most that free capacity adds.
    pub(super) free: i64,
}

impl Weights {
    pub(super) const fn of(strategy: Strategy) -> Self {
        let score = Self {
            here_already: 1_000,
            location: 200,
            ready: 100,
            exists: 40,
            tier: 50,
            brings: 20,
            free: 30,
        };
        match strategy {
            Strategy::Score => score,
            // A workload more or less on a cluster for some thousand outweighs all but where it is.
            Strategy::Spread => {
                Self { here_already: 4_000_000, location: 2_000_000, free: 1_000_000, ..score }
            }
        }
    }
}

/// Who is first of those with the same points: by name; where they are spread, by one order for each application, for many
/// that are placed at once see none of each other.
pub(super) fn tie(scene: &Scene<'_>, cluster: &ResourceId) -> (String, ResourceId) {
    let order = match scene.definition.placement.strategy {
        Strategy::Score => String::new(),
        Strategy::Spread => digest(&format!("{} {cluster}", scene.context.application)),
    };
    (order, cluster.clone())
}
