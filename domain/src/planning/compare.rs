//! What must be done so that what is live becomes what is wanted.

mod relocation;
mod steps;

use std::collections::BTreeSet;

use super::pins::{pins, pins_of_states};
use super::refusal::{Refusal, RefusalCode};
use super::{Desired, Options, Wanted, fields};
use crate::environment::Guardrails;
use crate::kind::Change;
use crate::kinds::Spec;
use crate::lifecycle::{Body, Lifetime, Resource, Resources};
use crate::name::{Name, ResourceId};
use crate::plan::{Header, Plan, Purpose, Step, StepAction};

/// Compares what is wanted with what is live.
///
/// `live` holds the states of [`Desired::ids`] and of `members`; what is missing in it counts as absent.
///
/// # Errors
/// Every reason why it cannot be brought about, at once.
pub fn compare(
    desired: &Desired,
    live: &Resources,
    members: &BTreeSet<ResourceId>,
    options: &Options,
) -> Result<Plan, Vec<Refusal>> {
    let mut comparison = Comparison { desired, options, steps: Vec::new(), refusals: Vec::new() };
    let mut notes = desired.notes.clone();
    for (id, wanted) in &desired.resources {
        if live.get(id).is_some_and(|state| comparison.relocates(id, wanted, state)) {
            continue;
        }
        match live.get(id) {
            Some(Resource::Live(body)) if body.lifetime == wanted.lifetime => {
                if body.deployment().is_some() {
                    comparison.existing(id, wanted, body);
                } else if !wanted.as_found {
                    notes.extend(comparison.shared(id, wanted, body));
                }
                if body.protected && !wanted.protected && body.deployment().is_some() {
                    notes.push(format!(
                        "{id} stays protected against deletion: lift it with `cairn unprotect {id}`"
                    ));
                }
            }
            Some(Resource::Live(body)) => comparison.foreign(id, wanted, body),
            Some(Resource::Absent | Resource::Deleting(..) | Resource::Gone(_)) | None => {
                comparison.steps.push(wanted_step(id, wanted, StepAction::Create));
            }
        }
    }
    let unwanted = members.iter().filter(|id| !desired.resources.contains_key(*id));
    for id in unwanted {
        if !comparison.leaves(id, live.get(id)) {
            comparison.unwanted(id, live.get(id));
        }
    }
    comparison.clean_up(live, &mut notes);
    comparison.check_deletions(&desired.guardrails);
    let Comparison { steps, refusals, .. } = comparison;
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let looked_at: Resources = live
        .iter()
        .filter(|(id, _)| desired.resources.contains_key(*id) || members.contains(*id))
        .map(|(id, state)| (id.clone(), state.clone()))
        .collect();
    let header = Header {
        deployment: desired.deployment.clone(),
        application: desired.application.clone(),
        environment: desired.environment.clone(),
        revision: desired.revision,
        purpose: options.purpose,
        pins: pins(desired, &looked_at),
        placement: Some(desired.placement.clone()),
        notes,
    };
    Ok(Plan { header, steps: steps::ordered(steps, live) })
}

/// Which deployment is taken down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deletion<'a> {
    /// The deployment.
    pub deployment: &'a Name,
    /// Its application.
    pub application: &'a Name,
    /// Its environment.
    pub environment: &'a Name,
    /// The environment's version.
    pub environment_version: u64,
    /// The application's revision that is rolled out now.
    pub revision: u64,
}

/// Takes a whole deployment down, in the reverse order of needs.
///
/// # Errors
/// When something in it is protected against deletion.
pub fn delete(
    deletion: &Deletion<'_>,
    live: &Resources,
    members: &BTreeSet<ResourceId>,
) -> Result<Plan, Vec<Refusal>> {
    let mut steps = Vec::new();
    let mut refusals = Vec::new();
    for id in members {
        judge_deletion(id, live.get(id), deletion.deployment, &mut steps, &mut refusals);
    }
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let looked_at = live.iter().filter(|(id, _)| members.contains(*id));
    let looked_at: Resources = looked_at.map(|(id, state)| (id.clone(), state.clone())).collect();
    let header = Header {
        deployment: deletion.deployment.clone(),
        application: deletion.application.clone(),
        environment: deletion.environment.clone(),
        revision: deletion.revision,
        purpose: Purpose::Delete,
        pins: pins_of_states(deletion.environment_version, &looked_at),
        placement: None,
        notes: Vec::new(),
    };
    Ok(Plan { header, steps: steps::ordered(steps, live) })
}

struct Comparison<'a> {
    desired: &'a Desired,
    options: &'a Options,
    steps: Vec<Step>,
    refusals: Vec<Refusal>,
}

impl Comparison<'_> {
    /// Judges something shared that is there and wanted: what others need may change, and is not made anew under them.
    fn shared(&mut self, id: &ResourceId, wanted: &Wanted, body: &Body) -> Option<String> {
        match body.spec.change(&wanted.spec) {
            Change::None => None,
            Change::InPlace => {
                self.revision(id, wanted, body);
                None
            }
            Change::Replace { why } | Change::Refused { why } => Some(format!(
                "{id} is not as environment {} wants it, and others may need it as it is: {why}",
                self.desired.environment
            )),
        }
    }

    /// Judges something of the deployment's own that is there and wanted.
    fn existing(&mut self, id: &ResourceId, wanted: &Wanted, body: &Body) {
        match body.spec.change(&wanted.spec) {
            Change::None if wanted.protected && !body.protected => {
                self.steps.push(wanted_step(id, wanted, StepAction::Change));
            }
            Change::None => {}
            Change::InPlace => self.revision(id, wanted, body),
            Change::Replace { why } => self.replacement(id, wanted, body, why),
            Change::Refused { why } => {
                let message = format!("{id} cannot be changed so: {why}");
                self.refusals.push(Refusal::new(
                    RefusalCode::ChangeRefused,
                    &wanted.place,
                    message,
                ));
            }
        }
    }

    fn revision(&mut self, id: &ResourceId, wanted: &Wanted, body: &Body) {
        let changes = fields::differences(&body.spec.to_value(), &wanted.spec.to_value());
        let step = wanted_step(id, wanted, StepAction::Change);
        self.steps.push(Step { changes, ..step });
    }

    fn replacement(&mut self, id: &ResourceId, wanted: &Wanted, body: &Body, why: String) {
        let place = &wanted.place;
        if body.protected {
            let message = format!("{id} would have to be replaced ({why}), but is protected");
            self.refusals.push(
                Refusal::new(RefusalCode::DeletionProtected, place, message)
                    .hint(format!("lift the protection first: `cairn unprotect {id}`")),
            );
        } else if holds_data(&body.spec) && !self.options.allow_replace {
            let message =
                format!("{id} would have to be replaced, and what is in it would be lost: {why}");
            self.refusals.push(Refusal::new(RefusalCode::ReplacementNotAllowed, place, message));
        } else {
            let changes = fields::differences(&body.spec.to_value(), &wanted.spec.to_value());
            let step = wanted_step(id, wanted, StepAction::Replace { why });
            self.steps.push(Step { changes, ..step });
        }
    }

    /// Refuses what has the right name but is somebody else's. What is shared may be shared on other terms.
    fn foreign(&mut self, id: &ResourceId, wanted: &Wanted, body: &Body) {
        if !matches!(wanted.lifetime, Lifetime::Deployment(_)) && body.deployment().is_none() {
            return;
        }
        let owner = match &body.lifetime {
            Lifetime::Deployment(name) => format!("deployment {name}"),
            Lifetime::WhileNeeded | Lifetime::Kept => "no deployment".to_owned(),
        };
        let place = &wanted.place;
        let message = format!("{id} exists already and belongs to {owner}");
        self.refusals.push(Refusal::new(RefusalCode::NameTaken, place, message));
    }

    /// Judges something that is there and no longer wanted.
    fn unwanted(&mut self, id: &ResourceId, state: Option<&Resource>) {
        if let Some(Resource::Live(body)) = state {
            let own = body.deployment() == Some(&self.desired.deployment);
            if own && !body.protected && holds_data(&body.spec) && !self.options.allow_delete {
                let message = format!(
                    "{id} is no longer declared: it would be deleted, and what is in it would be lost"
                );
                let refusal = Refusal::new(RefusalCode::DeletionNotAllowed, "", message);
                self.refusals.push(refusal.hint("declare it again, or plan with --allow-delete"));
                return;
            }
        }
        judge_deletion(id, state, &self.desired.deployment, &mut self.steps, &mut self.refusals);
    }

    fn check_deletions(&mut self, rules: &Guardrails) {
        let destroys =
            |step: &&Step| matches!(step.action, StepAction::Delete | StepAction::Replace { .. });
        let count = self.steps.iter().filter(destroys).count();
        let Some(most) = rules.deletions_max.filter(|most| count as u64 > u64::from(*most)) else {
            return;
        };
        if self.options.allow_mass_delete {
            return;
        }
        let message = format!(
            "the plan deletes or replaces {count} resources, and environment {} allows {most} at a time",
            self.desired.environment
        );
        self.refusals.push(Refusal::new(RefusalCode::MassDeletion, "", message));
    }
}

/// Deletes a member that is there and the deployment's own. One that is going away already is waited for.
fn judge_deletion(
    id: &ResourceId,
    state: Option<&Resource>,
    deployment: &Name,
    steps: &mut Vec<Step>,
    refusals: &mut Vec<Refusal>,
) {
    let Some((body, live)) = (match state {
        Some(Resource::Live(body)) => Some((body, true)),
        Some(Resource::Deleting(body, _)) => Some((body, false)),
        Some(Resource::Absent | Resource::Gone(_)) | None => None,
    }) else {
        return;
    };
    if body.deployment() != Some(deployment) {
        return;
    }
    if live && body.protected {
        let message = format!("{id} would be deleted, but is protected");
        refusals.push(
            Refusal::new(RefusalCode::DeletionProtected, "", message)
                .hint(format!("lift the protection first: `cairn unprotect {id}`")),
        );
        return;
    }
    steps.push(Step {
        resource: id.clone(),
        action: StepAction::Delete,
        spec: None,
        class: None,
        lifetime: body.lifetime.clone(),
        protected: false,
        after: Vec::new(),
        why: vec!["no longer wanted".to_owned()],
        changes: Vec::new(),
    });
}

fn wanted_step(id: &ResourceId, wanted: &Wanted, action: StepAction) -> Step {
    Step {
        resource: id.clone(),
        action,
        spec: Some(wanted.spec.clone()),
        class: wanted.class.clone(),
        lifetime: wanted.lifetime.clone(),
        protected: wanted.protected,
        after: Vec::new(),
        why: wanted.why.clone(),
        changes: Vec::new(),
    }
}

fn holds_data(spec: &Spec) -> bool {
    if let Spec::Extension(extension) = spec {
        extension.stateful
    } else {
        spec.kind().is_stateful()
    }
}
