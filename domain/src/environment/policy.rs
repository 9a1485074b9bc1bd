//! Which of an environment's clusters is chosen, and when it is left.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Time;

/// The longest time that a cluster may be lost before its deployments leave it: a day.
const AFTER_SECONDS_MAX: u32 = 86_400;

/// How a cluster is chosen for an application that runs nowhere yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// What counts most among the clusters that fit.
    #[serde(default)]
    pub strategy: Strategy,
}

/// What counts most among the clusters that fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// By points: what is ready before what has yet to be made, then by room.
    #[default]
    Score,
    /// Evenly: the cluster with the smallest share of its room taken, within the environment's location where it has one.
    Spread,
}

/// When deployments leave a cluster that is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Failover {
    /// Seconds that a cluster must have been unready without a break, 1..=86400.
    pub after_seconds: u32,
    /// Also what holds data in the cluster: it begins empty in the other one, and what was in it stays behind. Without it
    /// such a deployment waits for its cluster.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_replace: bool,
}

impl Placement {
    /// Nothing is said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Failover {
    pub(super) fn check(self) -> Result<(), String> {
        if (1..=AFTER_SECONDS_MAX).contains(&self.after_seconds) {
            return Ok(());
        }
        Err(format!("failover.after_seconds: must be 1 to {AFTER_SECONDS_MAX}"))
    }

    /// When deployments leave a cluster that has been lost since then.
    #[must_use]
    pub const fn due(self, lost_since: Time) -> Time {
        lost_since.plus_micros(self.after_seconds as i64 * 1_000_000)
    }
}
