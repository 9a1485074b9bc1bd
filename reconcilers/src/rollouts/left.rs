//! What a rollout leaves behind in a cluster that is lost, and what it removes of what was left: pure.

use domain::deployment::{Deployment, LeftBehind};
use domain::lifecycle::{Command, Resources};
use domain::plan::{Plan, StepAction};
use domain::{KindName, Resource, ResourceId, Tenant, Time};
use uuid::Uuid;

use super::steps::{Status, intend};
use crate::reconcile::Target;

/// What is to be noted before it is given up: from then on nobody removes it because it is found.
pub(super) fn to_note(
    plan: &Plan,
    deployment: &Deployment,
    states: &Resources,
    now: Time,
) -> Vec<LeftBehind> {
    let left = plan.steps.iter().filter_map(|step| {
        let (cluster, uid) = step.action.leaves()?;
        let body = states.get(&step.resource)?.body().filter(|body| body.uid == uid)?;
        let needs = body.spec.needs().into_iter().map(|need| need.resource);
        let new = !deployment.has_left_behind(uid);
        new.then(|| LeftBehind {
            resource: step.resource.clone(),
            uid,
            cluster: cluster.clone(),
            needs: needs.filter(|id| id.kind == KindName::SupportService).collect(),
            since: now,
        })
    });
    left.collect()
}

/// What is to be removed of what was left behind. What lives now is never taken for it.
pub(super) fn to_remove(
    plan: &Plan,
    deployment: &Deployment,
    states: &Resources,
    tenant: &Tenant,
) -> Vec<Target> {
    let targets = plan.steps.iter().filter_map(|step| {
        let StepAction::CleanUp { uid, .. } = step.action else { return None };
        let lives = states.get(&step.resource).and_then(Resource::uid) == Some(uid);
        let id = step.resource.clone();
        (deployment.has_left_behind(uid) && !lives).then(|| Target {
            tenant: tenant.clone(),
            id,
            uid,
        })
    });
    targets.collect()
}

/// How far the giving up of an incarnation has come; none where it is done.
pub(super) fn giving_up(
    state: &Resource,
    uid: Uuid,
    cluster: &ResourceId,
    at: Time,
) -> Option<Status> {
    state.body().filter(|body| body.uid == uid)?;
    let reason = format!("{cluster} is lost: what is there is left behind");
    Some(intend(Command::LeaveBehind { uid, reason, at }))
}
