//! The one way to the wanted state, for every kind whose thing is made, changed and removed by one call each.
//!
//! ```text
//!   nothing there ─ StartAction ─▶ Create ─ RecordSuccess ─▶ pending … ─ ObserveReady ─▶ settled
//!   otherwise than we left it ─ ObserveDrift ─▶ StartAction ─▶ Update ─▶ …   (unless it is accepted)
//!   otherwise than wanted now ─ StartAction ─▶ Update ─ RecordSuccess ─▶ …
//!   deleting ─ (who needs it is gone) ─ StartAction ─▶ Delete, acknowledged ─ ObserveGone ─▶ gone
//! ```
//! Two digests tell a change of ours from somebody else's: `applied` is of what we last asked for, kept as a tag
//! on the thing; `actual` is of what it is.

mod seen;

use domain::Resource;
use domain::commit::Hash;
use domain::kinds::workload::Check;
use domain::lifecycle::{
    Action, ActionName, Body, CONTEST_MAX, Command, Contest, Deletion, Failure, FailureClass,
};
use domain::text::{Inputs, Unresolved};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

pub use seen::{Changed, Seen, SeenState};

use crate::reconcile::{Reconcile, Step, Subject, Waiting};

/// What is said of a thing that was ready and is not there.
pub const VANISHED: &str = "it is gone: somebody else deleted it";

/// What a provider is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Call {
    /// Makes it, once per token.
    Create {
        /// The same for every try for this incarnation: a retry finds what the first try made.
        token: Uuid,
        /// What it shall be.
        desired: Desired,
    },
    /// Makes it so.
    Update(Desired),
    /// Removes it.
    Delete,
    /// Runs what it shall be beside what it is, as a canary that is sized for a share of the traffic.
    Canary {
        /// The share, in percent.
        weight: u32,
        /// What it shall be, at that size.
        desired: Desired,
    },
    /// Measures the canary.
    Measure {
        /// At which step.
        step: u32,
        /// Of which generation.
        generation: u64,
        /// What is measured.
        checks: Vec<Check>,
    },
    /// Removes the canary.
    RemoveCanary,
}

/// What a thing shall be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Desired {
    /// The spec with every reference filled in.
    pub spec: Value,
    /// Its digest.
    pub digest: Hash,
}

impl Desired {
    /// Digests what is wanted.
    #[must_use]
    pub fn new(spec: Value) -> Self {
        let digest = Hash::of(spec.to_string().as_bytes());
        Self { spec, digest }
    }
}

/// The token of an incarnation's creation.
///
/// It is of the uid alone: a create that is decided again for a newer generation must find what the first made.
#[must_use]
pub fn create_token(uid: Uuid) -> Uuid {
    Uuid::new_v5(&uid, b"create")
}

/// The next step of a thing that is made, changed and removed by one call each.
pub fn converge<K>(subject: &Subject<'_, K>, inputs: &Inputs, seen: &Option<Seen>) -> Step<Call>
where
    K: Reconcile<Observed = Option<Seen>, Call = Call>,
{
    match subject.resource {
        Resource::Absent => Step::Settled,
        Resource::Gone(_) if seen.as_ref().is_some_and(|seen| !seen.borrowed) => {
            Step::Perform(Call::Delete)
        }
        Resource::Gone(_) => Step::Settled,
        Resource::Deleting(body, deletion) => remove(subject, body, deletion),
        Resource::Live(body) if body.paused => watch(body, seen, subject.at),
        Resource::Live(body) if subject.unneeded => Step::Record(Command::RequestDeletion {
            uid: Some(body.uid),
            replacement: false,
            at: subject.at,
        }),
        Resource::Live(body) => {
            let desired = K::desired(subject.spec, inputs).map(Desired::new);
            match seen {
                None => make(subject, body, desired),
                Some(seen) => keep(subject, body, desired, seen),
            }
        }
    }
}

/// While it is paused somebody may change it: that is said, and nothing is done about it.
fn watch(body: &Body, seen: &Option<Seen>, at: domain::Time) -> Step<Call> {
    let changed = seen.as_ref().filter(|seen| body.is_ready() && drifted(body, seen));
    changed.and_then(|seen| note_drift(body, seen, at)).unwrap_or(Step::Settled)
}

/// It is otherwise than we left it, and nobody has accepted that.
fn drifted(body: &Body, seen: &Seen) -> bool {
    seen.actual != seen.applied && body.accepted.as_deref() != Some(&*seen.actual.to_hex())
}

fn remove<K: Reconcile>(subject: &Subject<'_, K>, body: &Body, deletion: &Deletion) -> Step<Call> {
    if body.paused {
        return Step::Wait(Waiting::because("it is paused"));
    }
    if let (false, Some(dependent)) = (deletion.replacement, subject.dependent) {
        let reason = format!("{dependent} still needs it");
        return Step::Wait(Waiting::on(dependent.clone(), reason));
    }
    let gone = Command::ObserveGone { uid: body.uid, at: subject.at };
    act(subject, body, ActionName::Delete, Call::Delete, gone)
}

fn make<K: Reconcile>(
    subject: &Subject<'_, K>,
    body: &Body,
    desired: Result<Desired, Unresolved>,
) -> Step<Call> {
    let (uid, at) = (body.uid, subject.at);
    let was_ready = body.readiness.generation > 0;
    if was_ready && body.drift.as_ref().is_none_or(|drift| drift.detail != VANISHED) {
        return Step::Record(Command::ObserveDrift {
            uid,
            detail: VANISHED.into(),
            by: None,
            found: None,
            at,
        });
    }
    if body.readiness.ready {
        return Step::Record(Command::ObserveUnready { uid, reason: VANISHED.into(), at });
    }
    if let Some(unmet) = subject.unmet {
        return Step::Wait(unmet.clone());
    }
    match desired {
        Err(unresolved) => Step::Wait(unresolved_words(&unresolved)),
        Ok(desired) => {
            let create = Call::Create { token: create_token(uid), desired };
            act(subject, body, ActionName::Create, create, success(body, ActionName::Create, at))
        }
    }
}

fn keep<K: Reconcile>(
    subject: &Subject<'_, K>,
    body: &Body,
    desired: Result<Desired, Unresolved>,
    seen: &Seen,
) -> Step<Call> {
    let at = subject.at;
    if seen.state == SeenState::Deleting {
        return unready(body, "somebody else is deleting it", at);
    }
    let desired = match desired {
        Ok(desired) => desired,
        Err(_) if body.is_ready() => return judge(body, seen, at),
        Err(unresolved) => {
            let waiting = subject.unmet.cloned();
            return Step::Wait(waiting.unwrap_or_else(|| unresolved_words(&unresolved)));
        }
    };
    let ours = seen.applied == desired.digest;
    let drifted = drifted(body, seen);
    if ours && !drifted {
        return judge(body, seen, at);
    }
    if drifted && let Some(step) = note_drift(body, seen, at) {
        return step;
    }
    if drifted && subject.accepts_drift && !seen.lacking {
        return Step::Record(Command::AcceptDrift { at });
    }
    if let Some(contest) = body.contest.as_ref().filter(|contest| drifted && contest.is_fight()) {
        return unready(body, &fight(contest), at);
    }
    let done = success(body, ActionName::Update, at);
    act(subject, body, ActionName::Update, Call::Update(desired), done)
}

/// Setting it right once more would only be answered in kind: a person has to say whose it is.
fn fight(contest: &Contest) -> String {
    let Contest { detail, by, .. } = contest;
    format!(
        "{by} and Cairn both write the same: {detail}, again after each of {CONTEST_MAX} times that it was set right; \
         nothing more is written. Stop {by}, then pause and resume this; or accept the drift"
    )
}

/// Says how it differs, once.
fn note_drift(body: &Body, seen: &Seen, at: domain::Time) -> Option<Step<Call>> {
    let changed = seen.changed.as_ref();
    let detail = changed.map_or("it was changed", |changed| changed.detail.as_str());
    let by = changed.and_then(|changed| changed.by.clone());
    let found = Some(seen.actual.to_hex());
    let known = body
        .drift
        .as_ref()
        .is_some_and(|drift| drift.detail == detail && drift.by == by && drift.found == found);
    (!known).then(|| {
        let detail = detail.to_owned();
        Step::Record(Command::ObserveDrift { uid: body.uid, detail, by, found, at })
    })
}

/// It is what we asked for: is it well?
fn judge(body: &Body, seen: &Seen, at: domain::Time) -> Step<Call> {
    let fails = matches!(seen.state, SeenState::Failed(_));
    let unsaid = |action: &&Action| !action.done || (action.failure.is_some() && !fails);
    if let Some(action) = body.action.as_ref().filter(unsaid) {
        return Step::Record(Command::RecordSuccess {
            uid: body.uid,
            action: action.name,
            generation: action.generation,
            external: seen.external.clone(),
            at,
        });
    }
    match &seen.state {
        SeenState::Ready
            if body.is_ready() && body.outputs == seen.outputs && body.drift.is_none() =>
        {
            Step::Settled
        }
        SeenState::Ready => Step::Record(Command::ObserveReady {
            uid: body.uid,
            generation: body.generation,
            external: seen.external.clone(),
            outputs: seen.outputs.clone(),
            at,
        }),
        SeenState::Failed(_) | SeenState::Pending(_) if is_news(body, seen) => {
            let notices = body.new_notices(&seen.notices);
            Step::Record(Command::ObserveNotices { uid: body.uid, notices })
        }
        SeenState::Failed(reason) => failed(body, reason, at),
        SeenState::Pending(reason) => unready(body, reason, at),
        SeenState::Deleting => unready(body, "somebody else is deleting it", at),
    }
}

/// Its world warns of something that is not noted yet. What is ready is well, whatever is said of it.
fn is_news(body: &Body, seen: &Seen) -> bool {
    !body.is_ready() && !body.new_notices(&seen.notices).is_empty()
}

pub(crate) fn unready(body: &Body, reason: &str, at: domain::Time) -> Step<Call> {
    if body.readiness.ready {
        return Step::Record(Command::ObserveUnready {
            uid: body.uid,
            reason: reason.to_owned(),
            at,
        });
    }
    Step::Wait(Waiting::because(reason))
}

/// A thing that will not get well by itself: a failure of the action that made it so.
pub(crate) fn failed(body: &Body, reason: &str, at: domain::Time) -> Step<Call> {
    let failure = Failure { class: FailureClass::Terminal, message: reason.to_owned() };
    match &body.action {
        Some(action) if action.failure.as_ref() != Some(&failure) => {
            Step::Record(Command::RecordFailure {
                uid: body.uid,
                action: action.name,
                generation: action.generation,
                failure,
                at,
            })
        }
        Some(_) | None => unready(body, reason, at),
    }
}

/// Acts, once that it is about to act is in the log (invariant 8).
pub(crate) fn act<K: Reconcile>(
    subject: &Subject<'_, K>,
    body: &Body,
    name: ActionName,
    call: Call,
    done: Command,
) -> Step<Call> {
    let open = body.action.as_ref().is_some_and(|action| {
        action.name == name && action.generation == body.generation && !action.done
    });
    if open {
        return Step::PerformThenRecord(call, done);
    }
    Step::Record(Command::StartAction {
        uid: body.uid,
        action: name,
        generation: body.generation,
        at: subject.at,
    })
}

pub(crate) fn success(body: &Body, action: ActionName, at: domain::Time) -> Command {
    Command::RecordSuccess {
        uid: body.uid,
        action,
        generation: body.generation,
        external: None,
        at,
    }
}

fn unresolved_words(unresolved: &Unresolved) -> Waiting {
    match unresolved {
        Unresolved::Missing(reference) => {
            Waiting::on(reference.resource.clone(), unresolved.to_string())
        }
        Unresolved::SecretInText(_) => Waiting::because(unresolved.to_string()),
    }
}
