//! What a plan was computed from, and whether it still is so (invariant 15).

use std::collections::BTreeMap;

use super::Desired;
use crate::lifecycle::{Lifetime, Resource, Resources};
use crate::name::{Name, ResourceId};
use crate::plan::{Pins, ResourcePin};

/// The inputs of a plan as they are now.
#[derive(Clone, Copy, Debug)]
pub struct Current<'a> {
    /// The environment's version.
    pub environment: u64,
    /// The versions of the classes that were pinned; a withdrawn one keeps its version.
    pub classes: &'a BTreeMap<Name, u64>,
    /// The states of the resources that were pinned.
    pub resources: &'a Resources,
}

/// What has moved since a plan was computed, one sentence each; nothing if the plan may run.
#[must_use]
pub fn pins_moved(pins: &Pins, current: &Current<'_>) -> Vec<String> {
    let mut moved = Vec::new();
    if pins.environment != current.environment {
        moved.push(format!(
            "the environment went from version {} to {}",
            pins.environment, current.environment
        ));
    }
    for (class, version) in &pins.classes {
        let now = current.classes.get(class).copied().unwrap_or_default();
        if now != *version {
            moved.push(format!("class {class} went from version {version} to {now}"));
        }
    }
    for (id, pin) in &pins.resources {
        let now = current.resources.get(id).map(pin_of).unwrap_or(ABSENT);
        moved.extend(describe(id, pin, &now));
    }
    moved
}

fn describe(id: &ResourceId, pin: &ResourcePin, now: &ResourcePin) -> Option<String> {
    match (pin.uid, now.uid) {
        (None, None) => None,
        (None, Some(_)) => Some(format!("{id} exists by now")),
        (Some(_), None) => Some(format!("{id} is no longer there")),
        (Some(old), Some(new)) if old != new => Some(format!("{id} was deleted and made anew")),
        (Some(_), Some(_)) => (pin.generation != now.generation).then(|| {
            format!("{id} was revised, from generation {} to {}", pin.generation, now.generation)
        }),
    }
}

const ABSENT: ResourcePin = ResourcePin { uid: None, generation: 0 };

/// The pin of a state. One that is going away counts as absent: what is made in its place waits for that.
fn pin_of(state: &Resource) -> ResourcePin {
    match state {
        Resource::Live(body) => ResourcePin { uid: Some(body.uid), generation: body.generation },
        Resource::Absent | Resource::Deleting(..) | Resource::Gone(_) => ABSENT,
    }
}

/// Pins every state that was looked at. A shared thing that does not exist is not pinned: whoever makes it first
/// makes it for all.
pub(super) fn pins(desired: &Desired, looked_at: &Resources) -> Pins {
    let shared = |id: &ResourceId| {
        let wanted = desired.resources.get(id);
        wanted.is_some_and(|wanted| !matches!(wanted.lifetime, Lifetime::Deployment(_)))
    };
    let absent = desired.resources.keys().filter(|id| !looked_at.contains_key(*id));
    let pins = looked_at
        .iter()
        .map(|(id, state)| (id, pin_of(state)))
        .chain(absent.map(|id| (id, ABSENT)));
    let pins = pins.filter(|(id, pin)| pin.uid.is_some() || !shared(id));
    Pins {
        environment: desired.environment_version,
        classes: desired.classes.clone(),
        resources: pins.map(|(id, pin)| (id.clone(), pin)).collect(),
        to_follow: 0,
    }
}

/// Pins states alone, for a plan that only deletes.
pub(super) fn pins_of_states(environment: u64, looked_at: &Resources) -> Pins {
    let resources = looked_at.iter().map(|(id, state)| (id.clone(), pin_of(state)));
    Pins { environment, resources: resources.collect(), ..Pins::default() }
}
