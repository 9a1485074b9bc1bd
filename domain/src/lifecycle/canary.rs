//! A new revision that runs beside the old one, and how much of the traffic it gets.
//!
//! It is stepped, then shifted, step by step: what a step needs is made first, traffic follows. In the end it has
//! passed every step, or failed; either way it gets no more traffic, and ends.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Body, Command, Event, Refused, Resource};
use crate::kinds::workload::{CANARY, CanaryStep};
use crate::kinds::{TypedSpec as _, Workload};
use crate::text::{OutputMap, OutputValue};
use crate::time::Time;

/// How far the trial of a new revision has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryStatus {
    /// Of which generation.
    pub generation: u64,
    /// At which step, from 0; as many as there are when all are passed.
    pub step: u32,
    /// The share of the traffic that it gets, in percent.
    pub weight: u32,
    /// The traffic of this step is led to it.
    pub shifted: bool,
    /// It has had traffic, of which some may still be under way to it.
    #[serde(default)]
    pub had_traffic: bool,
    /// When step or traffic changed last.
    pub since: Time,
    /// Somebody has promoted it past this step, or past all.
    #[serde(default)]
    pub promoted: Promotion,
    /// What was measured in this step, by the name of the check.
    #[serde(default)]
    pub checks: BTreeMap<String, CheckStatus>,
    /// Why it is no good.
    #[serde(default)]
    pub failure: Option<String>,
}

/// What somebody has decided of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Promotion {
    /// Nothing.
    #[default]
    None,
    /// This step is over.
    Step,
    /// Every step is over.
    Full,
}

/// A measurement, as it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Measured {
    /// The name of the check.
    pub check: String,
    /// As expected.
    pub passed: bool,
    /// In words.
    pub detail: String,
}

/// How a check has gone in one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckStatus {
    /// How often it failed.
    pub failures: u32,
    /// The last time it passed.
    pub passed: bool,
    /// How it went the last time, in words.
    pub detail: String,
    /// When that was.
    pub at: Time,
}

impl CanaryStatus {
    /// The last measurements of this step, in words; none before the first.
    #[must_use]
    pub fn measured(&self) -> Option<String> {
        let words = self.checks.iter().map(|(name, check)| format!("{name}: {}", check.detail));
        let words: Vec<String> = words.collect();
        (!words.is_empty()).then(|| words.join("; "))
    }

    /// When step, traffic or a measurement changed last.
    #[must_use]
    pub fn moved_at(&self) -> Time {
        self.checks.values().map(|check| check.at).fold(self.since, Time::max)
    }

    fn note(&mut self, measured: Vec<Measured>, at: Time) {
        for Measured { check, passed, detail } in measured {
            let before = self.checks.get(&check).map_or(0, |before| before.failures);
            let failures = before.saturating_add(u32::from(!passed));
            self.checks.insert(check, CheckStatus { failures, passed, detail, at });
        }
    }
}

impl Body {
    /// What others see of it: what it publishes, and how much of its traffic goes to its new revision.
    #[must_use]
    pub fn published(&self) -> OutputMap {
        let mut outputs = self.outputs.clone();
        let weight = self.canary.as_ref().map_or(0, |canary| canary.weight);
        if weight > 0 {
            outputs.insert(CANARY.to_owned(), OutputValue::plain(weight));
        }
        outputs
    }

    /// The step of a canary that its current revision is at.
    #[must_use]
    pub fn canary_step(&self) -> Option<(&CanaryStatus, &CanaryStep)> {
        let status = self.canary.as_ref().filter(|it| it.generation == self.generation)?;
        let steps = &Workload::of(&self.spec)?.canary()?.steps;
        Some((status, steps.get(usize::try_from(status.step).ok()?)?))
    }
}

/// Somebody decides that what is tried is good enough.
pub(super) fn promote(body: &Body, full: bool, at: Time) -> Result<Vec<Event>, Refused> {
    let Some((status, _)) = body.canary_step().filter(|(status, _)| status.failure.is_none())
    else {
        return Err(Refused::NothingTried);
    };
    let known = match status.promoted {
        Promotion::None => false,
        Promotion::Step => !full,
        Promotion::Full => true,
    };
    Ok(if known { Vec::new() } else { vec![Event::CanaryPromoted { full, at }] })
}

#[allow(clippy::wildcard_enum_match_arm, reason = "the rest is no observation of a canary")]
pub(super) fn observe(state: &Resource, body: &Body, observation: Command) -> Vec<Event> {
    let canary = body.canary.as_ref();
    let live = matches!(state, Resource::Live(_));
    let current = canary.filter(|it| it.generation == body.generation && it.failure.is_none());
    let event = match observation {
        Command::StepCanary { uid, generation, step, at } => {
            let next = current.map_or(0, |status| status.step + 1);
            let begins = canary.is_none_or(|status| status.generation != body.generation);
            let new = live && generation == body.generation && (current.is_some() || begins);
            (new && step == next).then_some(Event::CanaryStepped { uid, generation, step, at })
        }
        Command::ShiftCanary { uid, step, weight, at } => {
            let new = canary.is_some_and(|status| {
                status.step == step && (status.weight != weight || !status.shifted)
            });
            new.then_some(Event::CanaryShifted { uid, weight, at })
        }
        Command::MeasureCanary { uid, generation, step, measured, at } => {
            let of = current.is_some_and(|it| it.generation == generation && it.step == step);
            of.then_some(Event::CanaryMeasured { uid, measured, at })
        }
        Command::FailCanary { uid, generation, reason, at } => {
            let of = current.is_some_and(|it| it.generation == generation);
            of.then_some(Event::CanaryFailed { uid, reason, at })
        }
        Command::EndCanary { uid, at } => {
            canary.is_some().then_some(Event::CanaryEnded { uid, at })
        }
        _ => None,
    };
    event.into_iter().collect()
}

#[allow(clippy::wildcard_enum_match_arm, reason = "the rest says nothing of a canary")]
pub(super) fn evolve(before: Option<CanaryStatus>, event: Event) -> Option<CanaryStatus> {
    match (event, before) {
        (Event::CanaryStepped { generation, step, at, .. }, before) => {
            let had_traffic = before.as_ref().is_some_and(|status| status.had_traffic);
            let same = before.filter(|status| status.generation == generation);
            let (weight, promoted) = same.map_or((0, Promotion::None), |status| {
                let full = status.promoted == Promotion::Full;
                (status.weight, if full { Promotion::Full } else { Promotion::None })
            });
            Some(CanaryStatus {
                generation,
                step,
                weight,
                shifted: false,
                had_traffic,
                since: at,
                promoted,
                checks: BTreeMap::new(),
                failure: None,
            })
        }
        (Event::CanaryShifted { weight, at, .. }, Some(status)) => {
            let had_traffic = status.had_traffic || weight > 0;
            Some(CanaryStatus { weight, shifted: true, had_traffic, since: at, ..status })
        }
        (Event::CanaryMeasured { measured, at, .. }, Some(mut status)) => {
            status.note(measured, at);
            Some(status)
        }
        (Event::CanaryFailed { reason, at, .. }, Some(status)) => {
            Some(CanaryStatus { weight: 0, since: at, failure: Some(reason), ..status })
        }
        (Event::CanaryPromoted { full, .. }, Some(status)) => {
            let promoted = if full { Promotion::Full } else { Promotion::Step };
            Some(CanaryStatus { promoted, ..status })
        }
        (Event::CanaryEnded { .. }, _) => None,
        (_, status) => status,
    }
}
