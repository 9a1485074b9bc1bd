//! How a new revision of a workload replaces the old.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Mode, Scale, Spec};
use crate::kind::Violation;

/// The most steps of a canary.
pub const STEPS_MAX: usize = 20;
/// The longest pause of a step, in seconds: a week.
pub const PAUSE_SECONDS_MAX: u32 = 7 * 24 * 60 * 60;
/// The most checks of a canary.
pub const CHECKS_MAX: usize = 10;
/// Seconds for which a revision that gets no more traffic still runs: gateways take their time to hear of it (Argo
/// Rollouts: `scaleDownDelaySeconds`, 30).
pub const DRAIN_SECONDS: u32 = 30;

/// How a new revision replaces the old.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// A few at a time.
    #[default]
    Rolling,
    /// All down, then all up.
    Recreate,
    /// Beside the old one first, with a growing share of the traffic.
    Canary(Canary),
}

/// A new revision that runs beside the old one until it has shown itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// One after the other; the weights do not fall.
    pub steps: Vec<CanaryStep>,
    /// It has as many replicas as the whole from the beginning (blue-green), not as its share asks for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub full: bool,
    /// What is measured of it at each step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// Seconds for which it still runs after its last traffic.
    pub drain_seconds: u32,
}

/// A share of the traffic, and what must be so before the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryStep {
    /// The share, in percent: 0..=100.
    pub weight: u32,
    /// How long it stays so, in seconds, at most [`PAUSE_SECONDS_MAX`].
    #[serde(default)]
    pub pause_seconds: u32,
    /// Somebody has to promote it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approval: bool,
}

/// Something that is measured, and what is expected of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// What it is called in what is told of it.
    pub name: String,
    /// What is asked: an HTTP address that answers with a 2xx, or Prometheus' API for queries.
    pub url: String,
    /// What Prometheus is asked; none for an address that only has to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The least that Prometheus may say, as a decimal number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<String>,
    /// The most that Prometheus may say, as a decimal number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
    /// Seconds from one measurement to the next, from 1.
    pub every_seconds: u32,
    /// So many measurements in one step may fail.
    #[serde(default)]
    pub failures_max: u32,
}

impl Canary {
    /// What breaks its rules.
    pub(super) fn validate(&self, mode: &Mode) -> Vec<Violation> {
        let mut violations = Vec::new();
        let mut say = |path: &str, words: String| {
            violations.push(Violation::new(format!("strategy.canary{path}"), words));
        };
        if *mode != Mode::Service {
            say("", "only a service has traffic that can be shared out".into());
        }
        if self.steps.is_empty() || self.steps.len() > STEPS_MAX {
            say(".steps", format!("must hold 1 to {STEPS_MAX} steps"));
        }
        let mut before = 0;
        for (index, step) in self.steps.iter().enumerate() {
            if step.weight > 100 || step.weight < before {
                let least = before.min(100);
                say(&format!(".steps.{index}.weight"), format!("must be {least} to 100"));
            }
            if step.pause_seconds > PAUSE_SECONDS_MAX {
                say(&format!(".steps.{index}.pause_seconds"), "must be a week at most".into());
            }
            before = step.weight;
        }
        if self.checks.len() > CHECKS_MAX {
            say(".checks", format!("must be {CHECKS_MAX} at most"));
        }
        for (index, check) in self.checks.iter().enumerate() {
            let name = &check.name;
            if self.checks.iter().take(index).any(|before| before.name == *name) {
                say(&format!(".checks.{index}.name"), format!("`{name}` is another check's name"));
            }
            if check.every_seconds == 0 {
                say(&format!(".checks.{index}.every_seconds"), "must be 1 at least".into());
            }
            for limit in [&check.min, &check.max].into_iter().flatten() {
                if limit.parse::<f64>().is_ok_and(f64::is_finite) {
                    continue;
                }
                say(&format!(".checks.{index}"), format!("`{limit}` is not a number"));
            }
        }
        violations
    }
}

impl Spec {
    /// What is tried before it replaces what runs, where it is.
    #[must_use]
    pub const fn canary(&self) -> Option<&Canary> {
        match &self.strategy {
            Strategy::Canary(canary) => Some(canary),
            Strategy::Rolling | Strategy::Recreate => None,
        }
    }

    /// What runs beside the old revision while it gets a share of the traffic, in percent: as many replicas as that
    /// asks for, one at least.
    #[must_use]
    pub fn as_canary(&self, weight: u32) -> Self {
        let full = self.canary().is_some_and(|canary| canary.full);
        let share = |replicas: u32| (replicas.saturating_mul(weight).div_ceil(100)).max(1);
        let scale = match &self.scale {
            whole if full => whole.clone(),
            Scale::Fixed(replicas) => Scale::Fixed(share(*replicas)),
            Scale::Auto { min, .. } => Scale::Fixed(share(*min)),
        };
        // Its number follows from its share, whoever has that of the whole.
        let mut delegated = self.delegated.clone();
        delegated.retain(|path| path != "spec.replicas");
        Self { scale, strategy: Strategy::Rolling, delegated, ..self.clone() }
    }
}
