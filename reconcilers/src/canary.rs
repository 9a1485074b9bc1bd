//! A new revision is tried beside the old one before it replaces it.
//!
//! # Expected flow
//! ```text
//! step 0: made at its size ─ ready ─▶ its share of the traffic ─ pause, checks, approval ─▶ step 1 …
//!    │ fails                                  │ fails                                        │ last
//!    ▼                                        ▼                                              ▼
//!  no traffic ─ drained ─▶ removed, the action fails        the revision replaces the old one, as without a canary;
//!                                                           once that is ready: no traffic ─ drained ─▶ removed
//! ```
//! What runs is not touched until the end, so going back is wanting that again: the canary is all that goes.
//!
//! # Guarantees
//! - Each step, share and measurement is in the log before what follows from it; nothing is kept elsewhere.
//! - A revision is tried only beside one that is well: a fix for what is broken is rolled out at once.
//! - Another revision while one is tried takes its place, from the first step.

use domain::kinds::Workload;
use domain::kinds::workload::{CANARY, Canary, CanaryStep, Check, Scale};
use domain::lifecycle::{ActionName, Body, CanaryStatus, CheckStatus, Command, Promotion};
use domain::text::{Inputs, OutputValue};
use domain::{Resource, ResourceId, Time};

use crate::converge::{Call, Desired, Seen, SeenState, act, failed, success, unready};
use crate::reconcile::{Reconcile as _, Step, Subject, Waiting};

const SECOND: i64 = 1_000_000;

/// The share of a workload's traffic that its canary gets, in percent, while it gets any.
#[must_use]
pub fn weight(inputs: &Inputs, workload: &ResourceId) -> Option<u32> {
    match inputs.outputs.get(workload)?.get(CANARY)? {
        OutputValue::Plain(weight) => weight.parse().ok(),
        OutputValue::Secret(_) => None,
    }
}

/// The next step of a workload where that is about its canary; none where it is as for everything else.
pub(crate) fn next(
    subject: &Subject<'_, Workload>,
    inputs: &Inputs,
    seen: Option<&Seen>,
) -> Option<Step<Call>> {
    let Resource::Live(body) = subject.resource else { return None };
    let seen = seen.filter(|seen| seen.state != SeenState::Deleting)?;
    if body.paused || subject.unneeded {
        return None;
    }
    let desired = Workload::desired(subject.spec, inputs).map(Desired::new).ok()?;
    let runs = seen.applied == desired.digest;
    let Some(canary) = subject.spec.canary().filter(|_| !runs) else {
        return if is_over(body, seen, runs) { end(subject, body, seen) } else { None };
    };
    let known = body.canary.as_ref().filter(|it| it.generation == body.generation);
    let (uid, generation, at) = (body.uid, body.generation, subject.at);
    match known {
        Some(status) => Trial { subject, inputs, body, seen, canary, status }.next(),
        None if seen.state == SeenState::Ready => {
            Some(Step::Record(Command::StepCanary { uid, generation, step: 0, at }))
        }
        // What runs is not well: nothing is to be compared with it.
        None => end(subject, body, seen),
    }
}

/// Whether what was tried may go, where nothing is to be tried: `runs` says that what is wanted is what runs.
fn is_over(body: &Body, seen: &Seen, runs: bool) -> bool {
    let Some(status) = body.canary.as_ref().filter(|_| runs) else { return true };
    match status.generation == body.generation {
        // It has passed: before it goes, what replaces it is ready, and that is said.
        true => seen.state == SeenState::Ready && body.is_ready(),
        // Something else is wanted: it loses its traffic at once, and that all is well is said before it runs dry.
        false => status.weight > 0 || body.is_ready(),
    }
}

/// Takes away what was tried: first its traffic, and itself when that has run dry.
fn end(subject: &Subject<'_, Workload>, body: &Body, seen: &Seen) -> Option<Step<Call>> {
    let (uid, at) = (body.uid, subject.at);
    let Some(status) = &body.canary else {
        return seen.canary.is_some().then_some(Step::Perform(Call::RemoveCanary));
    };
    if status.weight > 0 {
        let step = status.step;
        return Some(Step::Record(Command::ShiftCanary { uid, step, weight: 0, at }));
    }
    if seen.canary.is_some() {
        let drain = subject.spec.canary().map_or(0, |canary| canary.drain_seconds);
        let dry = after(status.since, drain);
        if status.had_traffic && at < dry {
            return Some(Step::Wait(Waiting::because(format!(
                "what was tried runs dry until {dry}"
            ))));
        }
        return Some(Step::Perform(Call::RemoveCanary));
    }
    // That it failed is kept until another revision is wanted.
    (status.failure.is_none() || status.generation != body.generation)
        .then_some(Step::Record(Command::EndCanary { uid, at }))
}

fn after(time: Time, seconds: u32) -> Time {
    time.plus_micros(i64::from(seconds) * SECOND)
}

/// A revision that is tried.
struct Trial<'a> {
    subject: &'a Subject<'a, Workload>,
    inputs: &'a Inputs,
    body: &'a Body,
    seen: &'a Seen,
    canary: &'a Canary,
    status: &'a CanaryStatus,
}

impl Trial<'_> {
    fn next(&self) -> Option<Step<Call>> {
        let at = self.subject.at;
        if let Some(reason) = &self.status.failure {
            return end(self.subject, self.body, self.seen).or_else(|| Some(self.fail(reason)));
        }
        // Past the last step it replaces what runs.
        let step = self.canary.steps.get(usize::try_from(self.status.step).ok()?)?;
        let sized = self.subject.spec.as_canary(step.weight);
        let desired = Desired::new(Workload::desired(&sized, self.inputs).ok()?);
        let there = self.seen.canary.as_deref();
        let Some(there) = there.filter(|there| there.applied == desired.digest) else {
            let call = Call::Canary { weight: step.weight, desired };
            let done = success(self.body, ActionName::Update, at);
            return Some(act(self.subject, self.body, ActionName::Update, call, done));
        };
        Some(match &there.state {
            SeenState::Ready => self.judge(step),
            SeenState::Failed(reason) => self.give_up(format!("the new revision: {reason}")),
            SeenState::Pending(reason) if self.status.shifted && self.is_steady() => {
                self.give_up(format!("the new revision was ready, and is no longer: {reason}"))
            }
            SeenState::Pending(reason) => {
                unready(self.body, &format!("the new revision, beside the old: {reason}"), at)
            }
            SeenState::Deleting => {
                unready(self.body, "somebody else is deleting what is tried", at)
            }
        })
    }

    /// It has as many replicas as it was given.
    const fn is_steady(&self) -> bool {
        matches!(self.subject.spec.scale, Scale::Fixed(_)) || !self.canary.full
    }

    /// It runs: it gets its share, and shows itself.
    fn judge(&self, step: &CanaryStep) -> Step<Call> {
        let (status, uid, at) = (self.status, self.body.uid, self.subject.at);
        let number = status.step;
        if !status.shifted {
            let weight = step.weight;
            return Step::Record(Command::ShiftCanary { uid, step: number, weight, at });
        }
        let next = Step::Record(Command::StepCanary {
            uid,
            generation: self.body.generation,
            step: number + 1,
            at,
        });
        if status.promoted != Promotion::None {
            return next;
        }
        let too_often = self.measured().find(|(check, last)| last.failures > check.failures_max);
        if let Some((Check { name, .. }, CheckStatus { failures, detail, .. })) = too_often {
            let (weight, times) = (step.weight, if *failures == 1 { "time" } else { "times" });
            return self.give_up(format!(
                "at {weight} % of the traffic, the check `{name}` failed {failures} {times}: {detail}"
            ));
        }
        if let Some(call) = self.due() {
            return Step::Perform(call);
        }
        let until = after(status.since, step.pause_seconds);
        let unwell = self.measured().find(|(_, last)| !last.passed);
        let weight = step.weight;
        let waits = match unwell {
            _ if at < until => {
                format!("the new revision gets {weight} % of the traffic until {until}")
            }
            Some((check, last)) => format!(
                "the new revision is not promoted while the check `{}` fails: {}",
                check.name, last.detail
            ),
            None if step.approval => format!(
                "the new revision gets {weight} % of the traffic and has yet to be promoted (cairn promote)"
            ),
            None => return next,
        };
        unready(self.body, &waits, at)
    }

    /// What was measured in this step.
    fn measured(&self) -> impl Iterator<Item = (&Check, &CheckStatus)> {
        let last = &self.status.checks;
        self.canary.checks.iter().filter_map(|check| Some((check, last.get(&check.name)?)))
    }

    /// What is to be measured now, all at once.
    fn due(&self) -> Option<Call> {
        let is_due = |check: &&Check| {
            let last = self.status.checks.get(&check.name);
            last.is_none_or(|last| self.subject.at >= after(last.at, check.every_seconds))
        };
        let checks: Vec<Check> = self.canary.checks.iter().filter(is_due).cloned().collect();
        (!checks.is_empty()).then_some(Call::Measure {
            step: self.status.step,
            generation: self.body.generation,
            checks,
        })
    }

    fn give_up(&self, reason: String) -> Step<Call> {
        let (uid, generation, at) = (self.body.uid, self.body.generation, self.subject.at);
        Step::Record(Command::FailCanary { uid, generation, reason, at })
    }

    /// What was tried is gone: it is said of the action that it failed.
    fn fail(&self, reason: &str) -> Step<Call> {
        let (uid, generation, at) = (self.body.uid, self.body.generation, self.subject.at);
        if self.body.action.as_ref().is_none_or(|action| action.generation != generation) {
            return Step::Record(Command::StartAction {
                uid,
                action: ActionName::Update,
                generation,
                at,
            });
        }
        failed(self.body, reason, at)
    }
}

#[cfg(test)]
mod tests;
