//! What was left in clusters that were lost, and what a plan does about it.

use std::collections::BTreeMap;

use super::Context;
use crate::deployment::LeftBehind;
use crate::lifecycle::Lifetime;
use crate::lifecycle::Resource;
use crate::name::ResourceId;
use crate::plan::{Step, StepAction};

/// What a plan removes of it: what is in clusters that are ready. Who fails over removes only what would be in the way
/// where it goes. The rest is told of.
pub(super) fn within_reach(
    context: &Context<'_>,
    chosen: &ResourceId,
    notes: &mut Vec<String>,
) -> Vec<LeftBehind> {
    let (mut within, mut beyond) = (Vec::new(), BTreeMap::new());
    for left in context.left_behind {
        let ready = context.clusters.get(&left.cluster).is_some_and(Resource::is_ready);
        if ready && (!context.failing_over || left.cluster == *chosen) {
            within.push(left.clone());
        } else {
            *beyond.entry(&left.cluster).or_insert(0_u32) += 1;
        }
    }
    notes.extend(beyond.into_iter().map(|(cluster, count)| {
        let (things, are) = if count == 1 { ("thing", "is") } else { ("things", "are") };
        format!("{count} {things} left behind in {cluster} {are} there until a plan finds it ready")
    }));
    within
}

/// The step that removes one.
pub(super) fn clean_up(left: &LeftBehind, lifetime: Lifetime) -> Step {
    Step {
        resource: left.resource.clone(),
        action: StepAction::CleanUp { cluster: left.cluster.clone(), uid: left.uid },
        spec: None,
        class: None,
        lifetime,
        protected: false,
        after: Vec::new(),
        why: vec![format!("left behind in {} at {}", left.cluster, left.since)],
        changes: Vec::new(),
    }
}
