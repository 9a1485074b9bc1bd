//! Judges the commands of a resource's life.

use super::canary;
use super::{Action, Blocker, Body, Command, Drift, Event, REASON_MAX, Refused, Resource};
use crate::kind::Change;
use crate::kinds::Spec;

#[allow(clippy::wildcard_enum_match_arm, reason = "what is no intent is an observation: `observe`")]
pub(super) fn decide(state: &Resource, command: Command) -> Result<Vec<Event>, Refused> {
    match command {
        Command::Declare { uid, spec, class, lifetime, protected, at } => match state {
            // An incarnation lives once: this one did, and is gone.
            Resource::Gone(grave) if grave.uid == uid => Ok(Vec::new()),
            Resource::Absent | Resource::Gone(_) => {
                check(&spec)?;
                Ok(vec![Event::Declared { uid, spec, class, lifetime, protected, at }])
            }
            Resource::Live(body) if body.uid == uid => Ok(Vec::new()),
            Resource::Live(body) => Err(Refused::Exists(format!("{:?}", body.lifetime))),
            Resource::Deleting(..) => Err(Refused::BeingDeleted),
        },
        Command::Revise { generation: Some(seen), .. } if live(state)?.generation != seen => {
            Ok(Vec::new())
        }
        Command::Revise { spec, class, generation: _, at } => revise(live(state)?, spec, class, at),
        Command::Pause { at } => Ok(when(!live(state)?.paused, Event::Paused { at })),
        Command::Resume { at } => {
            let body = state.body().ok_or(Refused::NotFound)?;
            Ok(when(body.paused, Event::Resumed { at }))
        }
        Command::Protect { on: true, at } => {
            Ok(when(!live(state)?.protected, Event::Protected { at }))
        }
        Command::Protect { on: false, at } => {
            Ok(when(live(state)?.protected, Event::Unprotected { at }))
        }
        Command::RequestDeletion { uid, replacement, at } => match state {
            Resource::Live(body) if uid.is_some_and(|uid| uid != body.uid) => Ok(Vec::new()),
            Resource::Live(body) if body.protected => Err(Refused::Protected),
            Resource::Live(body) => {
                Ok(vec![Event::DeletionRequested { uid: body.uid, replacement, at }])
            }
            // A deletion for good outranks a replacement; the reverse is not so.
            Resource::Deleting(body, deletion) if deletion.replacement && !replacement => {
                Ok(vec![Event::DeletionRequested { uid: body.uid, replacement, at }])
            }
            Resource::Deleting(..) | Resource::Gone(_) | Resource::Absent => Ok(Vec::new()),
        },
        Command::AcceptDrift { at } => match &live(state)?.drift {
            None => Ok(Vec::new()),
            Some(Drift { found: None, .. }) => Err(Refused::NothingToAccept),
            Some(Drift { found: Some(found), .. }) => {
                Ok(vec![Event::DriftAccepted { found: found.clone(), at }])
            }
        },
        Command::Abandon { reason, at } => abandon(state, reason, at),
        Command::LeaveBehind { uid, reason, at } => Ok(leave_behind(state, uid, reason, at)),
        Command::Promote { full, at } => canary::promote(live(state)?, full, at),
        observation => Ok(observe(state, observation)),
    }
}

/// A decision of somebody who knows more than can be seen; that it is gone is its consequence.
fn abandon(state: &Resource, reason: String, at: crate::Time) -> Result<Vec<Event>, Refused> {
    match state {
        Resource::Gone(_) => Ok(Vec::new()),
        Resource::Absent => Err(Refused::NotFound),
        Resource::Live(_) => Err(Refused::NotBeingDeleted),
        Resource::Deleting(..) if reason.trim().is_empty() => Err(Refused::NoReason),
        Resource::Deleting(..) if reason.chars().count() > REASON_MAX => Err(Refused::NoReason),
        Resource::Deleting(body, _) => {
            let uid = body.uid;
            Ok(vec![Event::Abandoned { uid, reason, at }, Event::Deleted { uid, at }])
        }
    }
}

/// A decision of whoever makes it anew elsewhere. Protection is against removal, and nothing is removed.
fn leave_behind(
    state: &Resource,
    uid: uuid::Uuid,
    mut reason: String,
    at: crate::Time,
) -> Vec<Event> {
    let current = state.body().is_some_and(|body| body.uid == uid);
    if let Some((end, _)) = reason.char_indices().nth(REASON_MAX) {
        reason.truncate(end);
    }
    if !current {
        return Vec::new();
    }
    vec![Event::Abandoned { uid, reason, at }, Event::Deleted { uid, at }]
}

fn live(state: &Resource) -> Result<&Body, Refused> {
    match state {
        Resource::Live(body) => Ok(body),
        Resource::Deleting(..) => Err(Refused::BeingDeleted),
        Resource::Absent | Resource::Gone(_) => Err(Refused::NotFound),
    }
}

fn when(condition: bool, event: Event) -> Vec<Event> {
    if condition { vec![event] } else { Vec::new() }
}

fn check(spec: &Spec) -> Result<(), Refused> {
    let violations = spec.validate();
    if violations.is_empty() {
        return Ok(());
    }
    Err(Refused::Invalid(violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))
}

fn revise(
    body: &Body,
    spec: Spec,
    class: Option<super::ClassRef>,
    at: crate::Time,
) -> Result<Vec<Event>, Refused> {
    check(&spec)?;
    match body.spec.change(&spec) {
        Change::None if body.class == class => Ok(Vec::new()),
        Change::None | Change::InPlace => {
            Ok(vec![Event::Revised { generation: body.generation + 1, spec, class, at }])
        }
        Change::Replace { why } => Err(Refused::NeedsReplacement(why)),
        Change::Refused { why } => Err(Refused::ChangeRefused(why)),
    }
}

/// An observation of another incarnation, or one that says nothing new, yields nothing.
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "the guards leave all that is of another incarnation"
)]
fn observe(state: &Resource, observation: Command) -> Vec<Event> {
    let Some(body) = state.body() else { return Vec::new() };
    match observation {
        Command::StartAction { uid, action, generation, at } if uid == body.uid => {
            let started = body
                .action
                .as_ref()
                .is_some_and(|a| a.name == action && a.generation == generation);
            let again = started && body.action.as_ref().is_some_and(|a| a.done);
            when(!started || again, Event::ActionStarted { uid, action, generation, at })
        }
        Command::RecordSuccess { uid, action, generation, external, at } if uid == body.uid => {
            // A failure that is told late, of another try, does not hold against what is there.
            let open = body
                .action
                .as_ref()
                .is_some_and(|a| is(a, action, generation) && (!a.done || a.failure.is_some()));
            when(open, Event::ActionSucceeded { uid, action, generation, external, at })
        }
        Command::RecordFailure { uid, action, generation, failure, at } if uid == body.uid => {
            let new = body
                .action
                .as_ref()
                .is_some_and(|a| is(a, action, generation) && a.failure.as_ref() != Some(&failure));
            when(new, Event::ActionFailed { uid, action, generation, failure, at })
        }
        Command::ObserveReady { uid, generation, external, outputs, at } if uid == body.uid => {
            let live = matches!(state, Resource::Live(_)) && generation == body.generation;
            let mut events =
                when(live && outputs != body.outputs, Event::OutputsPublished { uid, outputs, at });
            let cured = body.is_ready() && body.drift.is_some();
            events.extend(when(live && cured, Event::DriftCleared { uid, at }));
            events.extend(when(
                live && !body.is_ready(),
                Event::BecameReady { uid, generation, external, at },
            ));
            events
        }
        Command::ObserveUnready { uid, reason, at } if uid == body.uid => {
            let news = body.readiness.ready || body.readiness.reason.as_ref() != Some(&reason);
            when(news, Event::BecameUnready { uid, reason, at })
        }
        Command::ObserveBlocker { uid, on, reason, at } if uid == body.uid => {
            let same = body.blocker.as_ref().is_some_and(|b| b.on == on && b.reason == reason);
            when(!same, Event::Blocked { uid, blocker: Blocker { on, reason, since: at } })
        }
        Command::ObserveDrift { uid, detail, by, found, at } if uid == body.uid => {
            let drift = Drift { detail, by, found, since: at };
            let same = |known: &Drift| *known == Drift { since: known.since, ..drift.clone() };
            when(!body.drift.as_ref().is_some_and(same), Event::DriftDetected { uid, drift })
        }
        Command::ObserveGone { uid, at } if uid == body.uid => {
            when(matches!(state, Resource::Deleting(..)), Event::Deleted { uid, at })
        }
        Command::ObserveNotices { uid, notices } if uid == body.uid && !body.is_ready() => {
            let notices = body.new_notices(&notices);
            when(!notices.is_empty(), Event::Noticed { uid, notices })
        }
        Command::StepCanary { uid, .. }
        | Command::ShiftCanary { uid, .. }
        | Command::MeasureCanary { uid, .. }
        | Command::FailCanary { uid, .. }
        | Command::EndCanary { uid, .. }
            if uid == body.uid =>
        {
            canary::observe(state, body, observation)
        }
        _ => Vec::new(),
    }
}

fn is(action: &Action, name: super::ActionName, generation: u64) -> bool {
    action.name == name && action.generation == generation
}
