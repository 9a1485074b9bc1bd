//! Applies what happened in a resource's life.

use super::canary;
use super::{Action, Blocker, Body, Contest, Deletion, Event, Grave, Readiness, Resource};

#[allow(clippy::wildcard_enum_match_arm, reason = "`change` names every event that moves no state")]
pub(super) fn evolve(state: Resource, event: Event) -> Resource {
    match event {
        Event::Declared { uid, spec, class, lifetime, protected, at } => Resource::Live(Body {
            uid,
            generation: 1,
            spec,
            class,
            lifetime,
            declared_at: at,
            revised_at: at,
            paused: false,
            protected,
            action: None,
            external: None,
            outputs: Default::default(),
            readiness: Readiness { generation: 0, ready: false, since: at, reason: None },
            blocker: None,
            drift: None,
            accepted: None,
            contest: None,
            notices: Vec::new(),
            canary: None,
        }),
        Event::DeletionRequested { uid, replacement, at } => match state {
            Resource::Live(mut body) if body.uid == uid => {
                body.blocker = None;
                // What is going away is not as wanted, whatever it was before.
                body.readiness =
                    Readiness { ready: false, since: at, reason: None, ..body.readiness };
                Resource::Deleting(body, Deletion { since: at, replacement })
            }
            Resource::Deleting(body, deletion) => {
                let replacement = deletion.replacement && replacement;
                Resource::Deleting(body, Deletion { since: deletion.since, replacement })
            }
            other @ (Resource::Absent | Resource::Live(_) | Resource::Gone(_)) => other,
        },
        Event::Deleted { uid, at } => match state {
            Resource::Live(body) | Resource::Deleting(body, _) => {
                Resource::Gone(Grave { uid, spec: body.spec, lifetime: body.lifetime, at })
            }
            other @ (Resource::Absent | Resource::Gone(_)) => other,
        },
        event => match state {
            Resource::Live(body) => Resource::Live(change(body, event)),
            Resource::Deleting(body, deletion) => Resource::Deleting(change(body, event), deletion),
            other @ (Resource::Absent | Resource::Gone(_)) => other,
        },
    }
}

/// Another revision is wanted: what was seen of the one before says nothing of it.
fn anew(body: Body, at: crate::Time) -> Body {
    Body {
        readiness: Readiness { ready: false, since: at, reason: None, ..body.readiness },
        blocker: None,
        drift: None,
        accepted: None,
        contest: None,
        notices: Vec::new(),
        ..body
    }
}

/// Since when it has waited for this, whatever the words: a count that ticks is not a new wait.
fn blocked(before: Option<Blocker>, blocker: Blocker) -> Blocker {
    let before = before.filter(|before| before.on == blocker.on);
    Blocker { since: before.map_or(blocker.since, |before| before.since), ..blocker }
}

fn change(mut body: Body, event: Event) -> Body {
    match event {
        Event::Revised { generation, spec, class, at } => {
            body = Body { generation, spec, class, revised_at: at, ..anew(body, at) };
        }
        Event::Paused { .. } => body.paused = true,
        Event::Resumed { .. } => {
            body.paused = false;
            body.contest = None;
        }
        Event::Protected { .. } => body.protected = true,
        Event::Unprotected { .. } => body.protected = false,
        Event::ActionStarted { action, generation, at, .. } => {
            body.blocker = None;
            body.accepted = None;
            body.action =
                Some(Action { name: action, generation, since: at, done: false, failure: None });
        }
        Event::ActionSucceeded { external, .. } => {
            body.external = external.or(body.external);
            body.blocker = None;
            if let Some(action) = &mut body.action {
                action.done = true;
                action.failure = None;
            }
        }
        Event::ActionFailed { failure, .. } => {
            if let Some(action) = &mut body.action {
                action.failure = Some(failure);
            }
        }
        Event::OutputsPublished { outputs, .. } => body.outputs = outputs,
        Event::BecameReady { generation, external, at, .. } => {
            body.readiness = Readiness { generation, ready: true, since: at, reason: None };
            body.external = external.or(body.external);
            body.blocker = None;
            body.drift = None;
            body.notices.clear();
        }
        Event::BecameUnready { reason, at, .. } => {
            let since = if body.readiness.ready { at } else { body.readiness.since };
            body.readiness =
                Readiness { ready: false, since, reason: Some(reason), ..body.readiness };
        }
        Event::Blocked { blocker, .. } => {
            body.blocker = Some(blocked(body.blocker.take(), blocker))
        }
        Event::DriftDetected { drift, .. } => {
            body.contest = Contest::after(body.contest.take(), &drift);
            body.drift = Some(drift);
        }
        Event::DriftCleared { .. } => body.drift = None,
        Event::DriftAccepted { found, .. } => {
            body.drift = None;
            body.contest = None;
            body.accepted = Some(found);
        }
        Event::Noticed { notices, .. } => body.notices.extend(notices),
        event @ (Event::CanaryStepped { .. }
        | Event::CanaryShifted { .. }
        | Event::CanaryMeasured { .. }
        | Event::CanaryFailed { .. }
        | Event::CanaryPromoted { .. }
        | Event::CanaryEnded { .. }) => body.canary = canary::evolve(body.canary.take(), event),
        Event::Declared { .. }
        | Event::DeletionRequested { .. }
        | Event::Abandoned { .. }
        | Event::Deleted { .. } => {}
    }
    body
}
