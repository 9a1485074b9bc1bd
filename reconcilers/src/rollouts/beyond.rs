//! What a plan has no step for, and its rollout answers for all the same.

use std::collections::BTreeSet;

use domain::lifecycle::{Command, Lifetime};
use domain::plan::{Plan, StepAction};
use domain::rollout::Waiting;
use domain::{Resource, ResourceId, Spec};

use super::steps::{Run, Status, Verdict, Waits, deleted, incarnation, progress};

/// What the plan's resources need and the plan found there, in no step of it.
pub(super) fn relied_on(plan: &Plan) -> BTreeSet<ResourceId> {
    let steps: BTreeSet<_> = plan.steps.iter().map(|step| &step.resource).collect();
    let specs = plan.steps.iter().filter_map(|step| step.spec.as_ref());
    let needs = specs.flat_map(Spec::needs).map(|need| need.resource);
    needs.filter(|id| !steps.contains(id)).collect()
}

/// Shared things that went since the plan was made are made again, as they were.
pub(super) fn missing(run: &Run<'_>) -> Vec<(ResourceId, Command)> {
    let gone = relied_on(run.plan).into_iter().filter_map(|id| match run.states.get(&id) {
        Some(Resource::Gone(grave)) if !matches!(grave.lifetime, Lifetime::Deployment(_)) => {
            let command = Command::Declare {
                uid: incarnation(run, &id, grave.uid),
                spec: grave.spec.clone(),
                class: None,
                lifetime: grave.lifetime.clone(),
                protected: false,
                at: run.now,
            };
            Some((id, command))
        }
        Some(Resource::Gone(_) | Resource::Live(_) | Resource::Deleting(..) | Resource::Absent)
        | None => None,
    });
    gone.collect()
}

/// A plan that takes everything down also takes what came after it was made.
pub(super) fn leftovers(run: &Run<'_>) -> Verdict {
    let mut intents = Vec::new();
    let mut waiting = None;
    for id in run.members {
        match deleted(run.states.get(id).unwrap_or(&Resource::Absent), run.now) {
            Status::Intend(command) => intents.push((id.clone(), *command)),
            Status::Failed(reason) => return Verdict::Failed(format!("{id}: {reason}")),
            Status::Waiting { reason, .. } => {
                waiting.get_or_insert(Waiting { resource: id.clone(), reason });
            }
            Status::Done { .. } => {}
        }
    }
    match waiting {
        _ if !intents.is_empty() => Verdict::Intend(intents),
        Some(waiting) => Verdict::Wait { waiting, deadline: None },
        None => Verdict::Done,
    }
}

/// What an earlier rollout began and nobody saw ready is finished by this one: a rollout succeeds when what its revision
/// wants is there, not when there was nothing left to say. What was ready and broke since is no rollout's.
pub(super) fn unfinished(run: &Run<'_>) -> Verdict {
    let planned = run.plan.steps.iter().filter(|step| {
        // What is cleaned up has the name of what lives, and is not that.
        !matches!(step.action, StepAction::CleanUp { .. })
    });
    let planned: BTreeSet<_> = planned.map(|step| &step.resource).collect();
    let mut waits = Waits::default();
    for id in run.members.iter().filter(|id| !planned.contains(id)) {
        let Some(Resource::Live(body)) = run.states.get(id) else { continue };
        if body.readiness.generation == body.generation {
            continue;
        }
        match progress(body) {
            Status::Failed(reason) => return Verdict::Failed(format!("{id}: {reason}")),
            Status::Waiting { reason, since } => {
                if let Err(late) = waits.add(run, id, reason, since) {
                    return Verdict::Failed(late);
                }
            }
            Status::Done { .. } | Status::Intend(_) => {}
        }
    }
    let deadline = waits.deadline;
    waits.first.map_or(Verdict::Done, |waiting| Verdict::Wait { waiting, deadline })
}
