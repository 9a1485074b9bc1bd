//! What lives in a cluster that is lost, and is wanted elsewhere or no more: it is left behind, for nobody can remove it.

use super::super::refusal::{Refusal, RefusalCode};
use super::super::{Lost, Wanted, fields};
use super::{Comparison, holds_data, wanted_step};
use crate::lifecycle::{Body, Resource};
use crate::name::ResourceId;
use crate::plan::{Step, StepAction};

impl Comparison<'_> {
    /// The incarnation that cannot be reached, and where it is. What others need is not the deployment's to move.
    fn beyond<'s>(&self, state: &'s Resource) -> Option<(&'s Body, ResourceId, &Lost)> {
        let body = state.body()?;
        let own = body.deployment() == Some(&self.desired.deployment);
        let cluster = body.spec.cluster().filter(|_| own)?;
        let lost = self.desired.lost.get(&cluster)?;
        Some((body, cluster, lost))
    }

    /// Makes anew elsewhere what is wanted elsewhere; says whether it is so.
    pub(super) fn relocates(&mut self, id: &ResourceId, wanted: &Wanted, state: &Resource) -> bool {
        let Some((body, from, lost)) = self.beyond(state) else { return false };
        if wanted.spec.cluster().as_ref() == Some(&from) {
            return false;
        }
        if holds_data(&body.spec) && !self.options.allow_replace {
            let message = format!(
                "{id} holds data in {from}, which {}: elsewhere it would begin empty",
                lost.words()
            );
            let refusal = Refusal::new(RefusalCode::ReplacementNotAllowed, &wanted.place, message);
            self.refusals.push(refusal);
            return true;
        }
        let changes = fields::differences(&body.spec.to_value(), &wanted.spec.to_value());
        let action = StepAction::Relocate { from, uid: body.uid };
        self.steps.push(Step { changes, ..wanted_step(id, wanted, action) });
        true
    }

    /// Leaves behind what is not wanted any more; says whether it is so.
    pub(super) fn leaves(&mut self, id: &ResourceId, state: Option<&Resource>) -> bool {
        let Some((body, from, _)) = state.and_then(|state| self.beyond(state)) else {
            return false;
        };
        let (uid, lifetime) = (body.uid, body.lifetime.clone());
        self.steps.push(Step {
            resource: id.clone(),
            action: StepAction::Leave { from, uid },
            spec: None,
            class: None,
            lifetime,
            protected: false,
            after: Vec::new(),
            why: vec!["no longer wanted".to_owned()],
            changes: Vec::new(),
        });
        true
    }

    /// Removes what was left behind and is within reach. What lives now is never taken for it, and what holds data goes
    /// only where that is allowed.
    pub(super) fn clean_up(&mut self, live: &crate::lifecycle::Resources, notes: &mut Vec<String>) {
        let lifetime = crate::lifecycle::Lifetime::Deployment(self.desired.deployment.clone());
        for left in &self.desired.to_clean_up {
            let id = &left.resource;
            let current = live.get(id).and_then(Resource::body);
            if current.is_some_and(|body| body.uid == left.uid) {
                continue;
            }
            if id.kind.is_stateful() && !self.options.allow_delete {
                notes.push(format!(
                    "{id} is left behind in {} with its data: remove it with --allow-delete",
                    left.cluster
                ));
                continue;
            }
            self.steps.push(super::super::left_behind::clean_up(left, lifetime.clone()));
        }
    }
}
