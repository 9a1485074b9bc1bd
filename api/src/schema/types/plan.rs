//! A plan: what will be done, and why.

use async_graphql::{ComplexObject, Context, Enum, ID, Json, SimpleObject};
use domain::Time;
use domain::plan::{self, Proposal, Recorded, StepAction};
use domain::secrecy::hide;
use projections::State;
use serde_json::Value;

use super::deployment::purpose;
use super::{Position, Timestamp};
use crate::fault::Fault;
use crate::schema::plane;

/// What will be created, changed, replaced and deleted, and why. It never changes.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct Plan {
    /// Its id; none for a preview, which is not recorded.
    id: Option<ID>,
    /// The deployment it is for.
    deployment: String,
    /// The application.
    application: String,
    /// The environment.
    environment: String,
    /// The application's revision.
    revision: u64,
    /// deploy, rollback, failover or delete.
    purpose: String,
    /// What approvals sign.
    hash: String,
    /// When it was made.
    proposed_at: Timestamp,
    /// Who approved it.
    approved_by: Option<String>,
    /// The rollout that runs or ran it.
    rollout: Option<String>,
    /// Things worth knowing that stop nothing.
    notes: Vec<String>,
    /// Where workloads go, and why there; none for a deletion.
    placement: Option<PlanPlacement>,
    /// How many steps of each sort there are.
    counts: PlanCounts,
    /// The commit that led to this state.
    position: Position,
    #[graphql(skip)]
    recorded: Box<Recorded>,
}

/// How many steps of each sort a plan has.
#[derive(Clone, Copy, Default, SimpleObject)]
pub(crate) struct PlanCounts {
    /// Made.
    create: u32,
    /// Changed in place.
    change: u32,
    /// Deleted, then made anew.
    replace: u32,
    /// Deleted, or removed from where it was left behind.
    delete: u32,
    /// Made anew in another cluster, for its own is lost.
    relocate: u32,
    /// Left behind in a cluster that is lost.
    leave: u32,
}

/// Where workloads go.
#[derive(SimpleObject)]
pub(crate) struct PlanPlacement {
    /// The cluster chosen, by id.
    cluster: ID,
    /// Every candidate, best first.
    scores: Vec<PlanScore>,
}

/// What speaks for a cluster and against it.
#[derive(SimpleObject)]
pub(crate) struct PlanScore {
    /// The candidate, by id.
    cluster: ID,
    /// The sum; none when it cannot be chosen at all.
    total: Option<i64>,
    /// What added to it or ruled it out.
    reasons: Vec<String>,
}

/// What is done to one resource.
#[derive(SimpleObject)]
pub(crate) struct PlanStep {
    /// Which, by id.
    resource: ID,
    /// What.
    action: StepName,
    /// What forces a replacement, and where something is left behind or was.
    forced_by: Option<String>,
    /// The class it is made from, `<type>_<class>`.
    class: Option<String>,
    /// Which version of it.
    class_version: Option<u64>,
    /// Its deletion is refused afterwards.
    protected: bool,
    /// Why the resource is there.
    why: Vec<String>,
    /// The steps that must be done before, by index.
    after: Vec<u32>,
    /// What changes, field by field.
    changes: Vec<FieldChange>,
    /// What is wanted of a resource that is made, without what looks like a secret in clear.
    spec: Option<Json<Value>>,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum StepName {
    /// It is made.
    Create,
    /// It is changed in place.
    Change,
    /// It is deleted, then made anew.
    Replace,
    /// It is deleted.
    Delete,
    /// It is made anew in another cluster, for its own is lost: what is there is left behind.
    Relocate,
    /// It is no longer wanted, and its cluster is lost: what is there is left behind.
    Leave,
    /// What was left behind in a cluster that is back is removed.
    CleanUp,
}

/// One field's change.
#[derive(SimpleObject)]
pub(crate) struct FieldChange {
    /// The dotted path into what is wanted.
    path: String,
    /// Before.
    old: Option<Json<Value>>,
    /// After.
    new: Option<Json<Value>>,
}

#[ComplexObject]
impl Plan {
    /// What is done, in an order in which every step comes after those it waits for.
    #[graphql(complexity = "20 + 20 * child_complexity")]
    async fn steps(&self) -> Vec<PlanStep> {
        self.recorded.plan.steps.iter().map(PlanStep::of).collect()
    }

    /// The whole plan as a person reads it.
    #[graphql(complexity = "50")]
    async fn text(&self) -> String {
        domain::planning::render(&self.recorded.plan)
    }
}

impl Plan {
    pub(crate) const fn header(&self) -> &plan::Header {
        &self.recorded.plan.header
    }

    pub(crate) async fn find(ctx: &Context<'_>, id: &str) -> Result<Option<Self>, Fault> {
        let plane = plane(ctx);
        let Some(stream) = plane.stream(plan::KIND, id) else { return Ok(None) };
        let Some(row) = plane.views.get(&stream, None).await? else { return Ok(None) };
        let State::Plan(proposal) = row.state()? else { return Ok(None) };
        Ok(match *proposal {
            Proposal::Draft(recorded) | Proposal::Proposed(recorded) => {
                Some(Self::of(Some(id), Position(row.position), recorded))
            }
            Proposal::Absent => None,
        })
    }

    /// A plan that is recorded nowhere, as of now.
    pub(crate) fn preview(plan: plan::Plan, at: Time, position: Position) -> Self {
        let hash = plan.hash();
        let steps_total = u32::try_from(plan.steps.len()).unwrap_or(u32::MAX);
        let recorded = Recorded { plan, hash, steps_total, at, approved_by: None, rollout: None };
        Self::of(None, position, recorded)
    }

    fn of(id: Option<&str>, position: Position, recorded: Recorded) -> Self {
        let mut counts = PlanCounts::default();
        for step in &recorded.plan.steps {
            match step.action {
                StepAction::Create => counts.create += 1,
                StepAction::Change => counts.change += 1,
                StepAction::Replace { .. } => counts.replace += 1,
                StepAction::Delete | StepAction::CleanUp { .. } => counts.delete += 1,
                StepAction::Relocate { .. } => counts.relocate += 1,
                StepAction::Leave { .. } => counts.leave += 1,
            }
        }
        let header = &recorded.plan.header;
        let placement = header.placement.as_ref().map(PlanPlacement::of);
        Self {
            id: id.map(|id| ID(id.to_owned())),
            deployment: header.deployment.to_string(),
            application: header.application.to_string(),
            environment: header.environment.to_string(),
            revision: header.revision,
            purpose: purpose(header.purpose).to_owned(),
            hash: recorded.hash.to_hex(),
            proposed_at: Timestamp(recorded.at),
            approved_by: recorded.approved_by.as_ref().map(ToString::to_string),
            rollout: recorded.rollout.as_ref().map(ToString::to_string),
            notes: header.notes.clone(),
            placement,
            counts,
            position,
            recorded: Box::new(recorded),
        }
    }
}

fn is_lost(cluster: &domain::ResourceId) -> String {
    format!("{cluster} is lost")
}

impl PlanPlacement {
    fn of(placement: &plan::Placement) -> Self {
        let score = |score: &plan::Score| PlanScore {
            cluster: ID(score.cluster.to_string()),
            total: score.total,
            reasons: score.reasons.clone(),
        };
        Self {
            cluster: ID(placement.cluster.to_string()),
            scores: placement.scores.iter().map(score).collect(),
        }
    }
}

impl PlanStep {
    fn of(step: &plan::Step) -> Self {
        let (action, forced_by) = match &step.action {
            StepAction::Create => (StepName::Create, None),
            StepAction::Change => (StepName::Change, None),
            StepAction::Replace { why } => (StepName::Replace, Some(why.clone())),
            StepAction::Delete => (StepName::Delete, None),
            StepAction::Relocate { from, .. } => (StepName::Relocate, Some(is_lost(from))),
            StepAction::Leave { from, .. } => (StepName::Leave, Some(is_lost(from))),
            StepAction::CleanUp { cluster, .. } => {
                (StepName::CleanUp, Some(format!("it was left behind in {cluster}")))
            }
        };
        let change = |change: &plan::FieldChange| FieldChange {
            path: change.path.clone(),
            old: change.old.as_ref().map(|old| Json(hide(&change.path, old))),
            new: change.new.as_ref().map(|new| Json(hide(&change.path, new))),
        };
        let made = step.spec.as_ref().filter(|_| step.action == StepAction::Create);
        Self {
            resource: ID(step.resource.to_string()),
            action,
            forced_by,
            class: step.class.as_ref().map(|class| class.name.to_string()),
            class_version: step.class.as_ref().map(|class| class.version),
            protected: step.protected,
            why: step.why.clone(),
            after: step.after.clone(),
            changes: step.changes.iter().map(change).collect(),
            spec: made.map(|spec| Json(hide("", &spec.to_value()))),
        }
    }
}
