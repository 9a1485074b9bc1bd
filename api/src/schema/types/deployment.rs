//! A deployment: one application in one environment, and the rollout under way.

use async_graphql::{ComplexObject, Context, ID, SimpleObject};
use domain::deployment::{Deployment as State, Outcome, RolloutRef};
use domain::environment;
use domain::plan::Purpose;
use domain::rollout::{self, Rollout as Run};
use projections::{AsOf, Row, State as Any};

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
    /// What it left in clusters that were lost. It is there until a plan removes it.
    left_behind: Vec<LeftBehind>,
    /// Why it is still in a cluster that is lost, though the environment wants it to leave.
    stranded: Option<Stranded>,
    /// The last change of the deployment itself.
    changed_at: Timestamp,
    /// The commit that led to this state.
    position: Position,
    #[graphql(skip)]
    state: Box<State>,
    #[graphql(skip)]
    as_of: Option<AsOf>,
}

/// An incarnation that was given up without being removed, for nobody could reach it.
#[derive(SimpleObject)]
pub(crate) struct LeftBehind {
    /// What it was, by id.
    resource: ID,
    /// Which incarnation.
    uid: ID,
    /// Where it is, by id.
    cluster: ID,
    /// Since when.
    since: Timestamp,
}

/// Why a deployment cannot leave a cluster that is lost.
#[derive(SimpleObject)]
pub(crate) struct Stranded {
    /// The cluster, by id.
    cluster: ID,
    /// Since when that is lost.
    since: Timestamp,
    /// Why it cannot leave, and what to do.
    reason: String,
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
    /// deploy, rollback, failover or delete.
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
    /// The last rollout, or one of those before.
    #[graphql(complexity = "5 + child_complexity")]
    async fn rollout(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which, counted from 1; the last when none is given.")] number: Option<
            u64,
        >,
    ) -> Option<async_graphql::Result<Rollout>> {
        shown(match number {
            Some(number)
                if self.state.rollout.as_ref().is_none_or(|last| last.number != number) =>
            {
                self.earlier_rollout(ctx, number).await
            }
            Some(_) | None => self.last_rollout(ctx).await,
        })
    }

    /// The last rollout failed, and a rollback to `goodRevision` is about to start.
    #[graphql(complexity = "5")]
    async fn rollback_pending(&self, ctx: &Context<'_>) -> Option<async_graphql::Result<bool>> {
        shown(self.is_to_be_taken_back(ctx).await.map(Some))
    }

    /// The plan of the last rollout.
    #[graphql(complexity = "20 + child_complexity")]
    async fn plan(&self, ctx: &Context<'_>) -> Option<async_graphql::Result<Plan>> {
        let rollout = self.state.rollout.as_ref()?;
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
        Purpose::Failover => "failover",
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

impl LeftBehind {
    fn of(left: &domain::deployment::LeftBehind) -> Self {
        Self {
            resource: ID(left.resource.to_string()),
            uid: ID(left.uid.to_string()),
            cluster: ID(left.cluster.to_string()),
            since: Timestamp(left.since),
        }
    }
}

impl Stranded {
    fn of(stranded: &domain::deployment::Stranded) -> Self {
        Self {
            cluster: ID(stranded.cluster.to_string()),
            since: Timestamp(stranded.since),
            reason: stranded.reason.clone(),
        }
    }
}

impl Deployment {
    pub(crate) fn of(row: Row, as_of: Option<AsOf>) -> Result<Self, Fault> {
        let Any::Deployment(state) = row.state()? else {
            return Err(Fault::bad_input(format!("{} is not a deployment", row.stream)));
        };
        Ok(Self {
            name: row.stream.name().to_string(),
            application: state.application.as_ref().map(ToString::to_string),
            environment: state.environment.as_ref().map(ToString::to_string),
            phase: row.phase,
            ready: row.ready,
            revision: state.rollout.as_ref().map(|rollout| rollout.revision),
            good_revision: state.good_revision,
            members: state.members.iter().map(|member| ID(member.to_string())).collect(),
            left_behind: state.left_behind.iter().map(LeftBehind::of).collect(),
            stranded: state.stranded.as_ref().map(Stranded::of),
            changed_at: Timestamp(row.time),
            position: Position(row.position),
            state: Box::new(state),
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
        let as_of = Moment::past(as_of, plane).await?;
        let row = plane.views.get(&stream, as_of).await?;
        row.map(|row| Self::of(row, as_of)).transpose()
    }

    async fn nodes(&self, ctx: &Context<'_>) -> Result<Vec<TreeNode>, Fault> {
        let plane = plane(ctx);
        let name = self.name.parse().map_err(Fault::bad_input)?;
        let rows = plane.views.tree(&plane.tenant, &name, self.as_of).await?;
        nodes(rows, &self.name, self.as_of)
    }

    async fn is_to_be_taken_back(&self, ctx: &Context<'_>) -> Result<bool, Fault> {
        let (plane, failed) =
            (plane(ctx), matches!(self.state.outcome, Some(Outcome::Failed { .. })));
        let name = self.state.environment.as_ref().filter(|_| failed);
        let stream = name.and_then(|name| plane.stream(environment::KIND, name.as_str()));
        let Some(stream) = stream else { return Ok(false) };
        let row = plane.views.get(&stream, self.as_of).await?;
        let Some(Any::Environment(environment)) = row.map(|row| row.state()).transpose()? else {
            return Ok(false);
        };
        let definition = environment.definition.as_ref();
        Ok(definition.is_some_and(|rules| self.state.to_be_taken_back(rules).is_some()))
    }

    async fn last_rollout(&self, ctx: &Context<'_>) -> Result<Option<Rollout>, Fault> {
        let Some(last) = &self.state.rollout else { return Ok(None) };
        let name = format!("{}_{}", self.name, last.number);
        let body = self.rollout_body(ctx, &name).await?;
        Ok(Some(Rollout::of(name, last, self.state.outcome.as_ref(), body.as_ref())))
    }

    async fn earlier_rollout(
        &self,
        ctx: &Context<'_>,
        number: u64,
    ) -> Result<Option<Rollout>, Fault> {
        let name = format!("{}_{number}", self.name);
        let Some(body) = self.rollout_body(ctx, &name).await? else { return Ok(None) };
        let Some(plan) = Plan::find(ctx, &body.plan.to_string()).await? else { return Ok(None) };
        let header = plan.header();
        let (revision, purpose) = (header.revision, header.purpose);
        let known = RolloutRef { number, plan: body.plan, revision, purpose };
        let outcome = body.ended.as_ref().map(|(outcome, _)| outcome);
        Ok(Some(Rollout::of(name, &known, outcome, Some(&body))))
    }

    async fn rollout_body(
        &self,
        ctx: &Context<'_>,
        name: &str,
    ) -> Result<Option<rollout::Body>, Fault> {
        let plane = plane(ctx);
        let Some(stream) = plane.stream(rollout::KIND, name) else { return Ok(None) };
        let row = plane.views.get(&stream, self.as_of).await?;
        Ok(match row.map(|row| row.state()).transpose()? {
            Some(Any::Rollout(Run::Started(body))) => Some(body),
            _ => None,
        })
    }
}

impl Rollout {
    fn of(
        name: String,
        known: &RolloutRef,
        came_to: Option<&Outcome>,
        body: Option<&rollout::Body>,
    ) -> Self {
        let (outcome, reason) = outcome(came_to);
        let waiting = body.and_then(|body| body.waiting.as_ref());
        let ended = body.and_then(|body| body.ended.as_ref());
        Self {
            name,
            number: known.number,
            plan_id: ID(known.plan.to_string()),
            revision: known.revision,
            purpose: purpose(known.purpose).to_owned(),
            outcome: outcome.to_owned(),
            reason,
            steps_total: body.map(|body| body.steps_total),
            started_at: body.map(|body| Timestamp(body.started_at)),
            ended_at: ended.map(|(_, at)| Timestamp(*at)),
            waiting_on: waiting.map(|waiting| ID(waiting.resource.to_string())),
            waiting_reason: waiting.map(|waiting| waiting.reason.clone()),
        }
    }
}
