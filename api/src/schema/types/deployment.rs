//! A deployment: one application in one environment, and the rollout under way.

use async_graphql::{ComplexObject, Context, ID, SimpleObject};
use domain::deployment::{Outcome, RolloutRef};
use domain::plan::Purpose;
use domain::rollout::{self, Rollout as Run};
use projections::{AsOf, Row, State};

use super::plan::Plan;
use super::tree::{TreeNode, nodes};
use super::{Moment, Position, Timestamp};
use crate::fault::Fault;
use crate::schema::{plane, shown};

/// One application in one environment.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct Deployment {
    /// `<environment>_<application>`.
    name: String,
    /// The application.
    application: Option<String>,
    /// The environment.
    environment: Option<String>,
    /// rolling, succeeded, failed, superseded or deleted.
    phase: String,
    /// The last rollout succeeded. Whether everything is ready now is asked of the tree.
    ready: bool,
    /// The revision of the last rollout.
    revision: Option<u64>,
    /// The revision last rolled out with success.
    good_revision: Option<u64>,
    /// Its own resources, by id.
    members: Vec<ID>,
    /// The last change of the deployment itself.
    changed_at: Timestamp,
    /// The commit that led to this state.
    position: Position,
    #[graphql(skip)]
    rollout: Option<RolloutRef>,
    #[graphql(skip)]
    outcome: Option<Outcome>,
    #[graphql(skip)]
    as_of: Option<AsOf>,
}

/// The execution of a plan.
#[derive(SimpleObject)]
pub(crate) struct Rollout {
    /// `<deployment>_<number>`.
    name: String,
    /// Counts the deployment's rollouts, from 1.
    number: u64,
    /// The plan it runs.
    plan_id: ID,
    /// The application's revision.
    revision: u64,
    /// deploy, rollback or delete.
    purpose: String,
    /// running, succeeded, failed or superseded.
    outcome: String,
    /// How it failed.
    reason: Option<String>,
    /// The number of steps.
    steps_total: Option<u32>,
    /// When it started.
    started_at: Option<Timestamp>,
    /// When it ended.
    ended_at: Option<Timestamp>,
    /// The resource it waits for longest.
    waiting_on: Option<ID>,
    /// Why that one is not done.
    waiting_reason: Option<String>,
}

#[ComplexObject]
impl Deployment {
    /// The last rollout.
    #[graphql(complexity = "5 + child_complexity")]
    async fn rollout(&self, ctx: &Context<'_>) -> Option<async_graphql::Result<Rollout>> {
        shown(self.last_rollout(ctx).await)
    }

    /// The plan of the last rollout.
    #[graphql(complexity = "20 + child_complexity")]
    async fn plan(&self, ctx: &Context<'_>) -> Option<async_graphql::Result<Plan>> {
        let rollout = self.rollout.as_ref()?;
        shown(Plan::find(ctx, &rollout.plan.to_string()).await)
    }

    /// Its resources and all that they need, in the order of kind and name.
    #[graphql(complexity = "50 + 20 * child_complexity")]
    async fn tree(&self, ctx: &Context<'_>) -> Option<async_graphql::Result<Vec<TreeNode>>> {
        shown(self.nodes(ctx).await.map(Some))
    }
}

/// A purpose, as it is written.
pub(crate) const fn purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Deploy => "deploy",
        Purpose::Rollback => "rollback",
        Purpose::Delete => "delete",
    }
}

fn outcome(outcome: Option<&Outcome>) -> (&'static str, Option<String>) {
    match outcome {
        None => ("running", None),
        Some(Outcome::Succeeded) => ("succeeded", None),
        Some(Outcome::Failed { reason }) => ("failed", Some(reason.clone())),
        Some(Outcome::Superseded) => ("superseded", None),
    }
}

impl Deployment {
    pub(crate) fn of(row: Row, as_of: Option<AsOf>) -> Result<Self, Fault> {
        let State::Deployment(state) = row.state()? else {
            return Err(Fault::bad_input(format!("{} is not a deployment", row.stream)));
        };
        Ok(Self {
            name: row.stream.name().to_string(),
            application: state.application.map(|name| name.to_string()),
            environment: state.environment.map(|name| name.to_string()),
            phase: row.phase,
            ready: row.ready,
            revision: state.rollout.as_ref().map(|rollout| rollout.revision),
            good_revision: state.good_revision,
            members: state.members.iter().map(|member| ID(member.to_string())).collect(),
            changed_at: Timestamp(row.time),
            position: Position(row.position),
            rollout: state.rollout,
            outcome: state.outcome,
            as_of,
        })
    }

    pub(crate) async fn find(
        ctx: &Context<'_>,
        name: &str,
        as_of: Option<Moment>,
    ) -> Result<Option<Self>, Fault> {
        let plane = plane(ctx);
        let Some(stream) = plane.stream(domain::deployment::KIND, name) else { return Ok(None) };
        let as_of = as_of.map(|moment| moment.0);
        let row = plane.views.get(&stream, as_of).await?;
        row.map(|row| Self::of(row, as_of)).transpose()
    }

    async fn nodes(&self, ctx: &Context<'_>) -> Result<Vec<TreeNode>, Fault> {
        let plane = plane(ctx);
        let name = self.name.parse().map_err(Fault::bad_input)?;
        let rows = plane.views.tree(&plane.tenant, &name, self.as_of).await?;
        nodes(rows, &self.name, self.as_of)
    }

    async fn last_rollout(&self, ctx: &Context<'_>) -> Result<Option<Rollout>, Fault> {
        let Some(last) = &self.rollout else { return Ok(None) };
        let plane = plane(ctx);
        let name = format!("{}_{}", self.name, last.number);
        let row = match plane.stream(rollout::KIND, &name) {
            Some(stream) => plane.views.get(&stream, self.as_of).await?,
            None => None,
        };
        let body = match row.map(|row| row.state()).transpose()? {
            Some(State::Rollout(Run::Started(body))) => Some(body),
            _ => None,
        };
        let (outcome, reason) = outcome(self.outcome.as_ref());
        let waiting = body.as_ref().and_then(|body| body.waiting.as_ref());
        let ended = body.as_ref().and_then(|body| body.ended.as_ref());
        Ok(Some(Rollout {
            name,
            number: last.number,
            plan_id: ID(last.plan.to_string()),
            revision: last.revision,
            purpose: purpose(last.purpose).to_owned(),
            outcome: outcome.to_owned(),
            reason,
            steps_total: body.as_ref().map(|body| body.steps_total),
            started_at: body.as_ref().map(|body| Timestamp(body.started_at)),
            ended_at: ended.map(|(_, at)| Timestamp(*at)),
            waiting_on: waiting.map(|waiting| ID(waiting.resource.to_string())),
            waiting_reason: waiting.map(|waiting| waiting.reason.clone()),
        }))
    }
}
