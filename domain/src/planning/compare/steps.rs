//! The order of a plan's steps.

use std::collections::BTreeMap;

use super::super::graph;
use crate::lifecycle::Resources;
use crate::name::ResourceId;
use crate::plan::{Step, StepAction};

/// Puts every step after those it waits for, and says which these are.
///
/// What is made or changed comes after what it needs. What is deleted comes after everything that used it has been
/// changed or deleted. What was left behind is removed first: it waits for nothing, and may be in the way.
pub(super) fn ordered(steps: Vec<Step>, live: &Resources) -> Vec<Step> {
    let cleans = |step: &Step| matches!(step.action, StepAction::CleanUp { .. });
    let (mut first, rest): (Vec<Step>, Vec<Step>) = steps.into_iter().partition(cleans);
    let shift = u32::try_from(first.len()).unwrap_or(u32::MAX);
    first.extend(in_order(rest, live).into_iter().map(|mut step| {
        step.after.iter_mut().for_each(|index| *index = index.saturating_add(shift));
        step
    }));
    first
}

fn in_order(mut steps: Vec<Step>, live: &Resources) -> Vec<Step> {
    // Creation first, then deletion, each by id: the order among those that do not wait for each other.
    steps.sort_by(|a, b| (is_delete(a), &a.resource).cmp(&(is_delete(b), &b.resource)));
    let index: BTreeMap<&ResourceId, usize> =
        steps.iter().map(|step| &step.resource).zip(0..).collect();
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    for (at, step) in steps.iter().enumerate() {
        let deletes = |other: &usize| steps.get(*other).is_some_and(is_delete);
        let at_of = |id: &ResourceId| index.get(id).copied().filter(|other| *other != at);
        for need in step.spec.iter().flat_map(crate::kinds::Spec::needs) {
            let made = at_of(&need.resource).filter(|other| !deletes(other));
            if let (Some(made), Some(firsts)) = (made, before.get_mut(at)) {
                firsts.push(made);
            }
        }
        let used = live.get(&step.resource).and_then(|state| state.body());
        for need in used.iter().flat_map(|body| body.spec.needs()) {
            if let Some(firsts) =
                at_of(&need.resource).filter(deletes).and_then(|other| before.get_mut(other))
            {
                firsts.push(at);
            }
        }
    }
    for firsts in &mut before {
        firsts.sort_unstable();
        firsts.dedup();
    }
    let order = break_cycles(&mut before);
    rearrange(steps, &before, &order)
}

fn is_delete(step: &Step) -> bool {
    step.action.ends()
}

/// What is wanted has no cycles ([`super::super::expand`]); what is left of half-done rollouts might. One edge of
/// each cycle is dropped: deletions must never be stuck in planning.
fn break_cycles(before: &mut [Vec<usize>]) -> Vec<usize> {
    loop {
        match graph::order(before) {
            Ok(order) => return order,
            Err(cycle) => {
                let (Some(node), Some(first)) = (cycle.first(), cycle.get(1).or(cycle.first()))
                else {
                    return (0..before.len()).collect();
                };
                if let Some(firsts) = before.get_mut(*node) {
                    firsts.retain(|other| other != first);
                }
            }
        }
    }
}

fn rearrange(steps: Vec<Step>, before: &[Vec<usize>], order: &[usize]) -> Vec<Step> {
    let mut place = vec![0_u32; steps.len()];
    for (new, old) in (0_u32..).zip(order) {
        if let Some(place) = place.get_mut(*old) {
            *place = new;
        }
    }
    let mut steps: Vec<Option<Step>> = steps.into_iter().map(Some).collect();
    let taken = order.iter().filter_map(|old| {
        let mut step = steps.get_mut(*old)?.take()?;
        let firsts = before.get(*old).into_iter().flatten();
        step.after = firsts.filter_map(|first| place.get(*first).copied()).collect();
        step.after.sort_unstable();
        Some(step)
    });
    taken.collect()
}
