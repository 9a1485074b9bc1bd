//! The way out of a cluster that is lost, as a plan like any other.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::commit::{Actor, ActorSort, Context};
use domain::deployment::Deployment;
use domain::environment::{Environment, Failover};
use domain::kinds::{TypedSpec as _, Workload};
use domain::plan::{self, Plan, Purpose};
use domain::planning::{self, Options};
use domain::{Name, Resource, ResourceId, StreamId, environment};
use futures::future::BoxFuture;
use journal::{ExecuteError, Executor};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::roll_back::in_words;
use super::{Hints, PlanError, Planner, Request};
use crate::clock::Clock;
use crate::rollouts::failover::{FailOver, Loss, Occupied, Way, revision};

/// How often the way out of one loss is planned anew because what it was computed from moved before it started.
const ATTEMPTS_MAX: u32 = 64;

/// Brings deployments out of clusters that are lost.
pub struct WayOut {
    executor: Executor,
    clock: Arc<dyn Clock>,
    /// One after the other, so that each sees where those before it go: deployment → cluster and workloads. Only until
    /// they are seen there; it helps to place them, and nothing stands on it.
    sent: Mutex<BTreeMap<Name, (ResourceId, u32)>>,
}

impl WayOut {
    /// Plans and starts with the same executor as everybody.
    #[must_use]
    pub fn new(executor: Executor, clock: Arc<dyn Clock>) -> Self {
        Self { executor, clock, sent: Mutex::default() }
    }

    async fn go(
        &self,
        stream: &StreamId,
        loss: &Loss,
        occupied: Occupied,
    ) -> Result<Way, PlanError> {
        let mut sent = self.sent.lock().await;
        let deployment = self.executor.load_state::<Deployment>(stream).await?.state;
        let planner = Planner::new(self.executor.clone(), stream.tenant().clone());
        let Some(policy) = self.policy(stream, &deployment).await? else { return Ok(Way::None) };
        if !self.is_so(stream, loss).await? {
            return Ok(Way::None);
        }
        let occupied = without(occupied, &mut sent, stream.name());
        let request = self.request(stream, &deployment, policy, occupied).await?;
        let Some(request) = request else { return Ok(Way::None) };
        let mut outcome = Ok(Way::None);
        for attempt in 0..ATTEMPTS_MAX {
            let context = self.context(stream, loss, attempt);
            let planned = match planner.plan(&request, &context).await {
                Ok(planned) => planned,
                Err(refused @ PlanError::Refused(_)) => return Ok(Way::Shut(in_words(refused))),
                Err(error) => return Err(error),
            };
            let last = deployment.rollout.as_ref().filter(|last| last.plan == planned.id);
            if last.is_some() || planned.plan.steps.is_empty() {
                // It runs, or it came to an end that is a person's matter; or nothing is there to be brought out.
                let runs = last.is_some() && deployment.outcome.is_none();
                return Ok(if runs { Way::Begun } else { Way::None });
            }
            match planner.start(planned.id, &context).await {
                Ok(_) => {
                    sent.extend(destination(&planned.plan));
                    return Ok(Way::Begun);
                }
                Err(moved @ PlanError::Moved(_)) => outcome = Err(moved),
                Err(error) => match refusal(&error) {
                    Some(plan::Refused::NotApproved) => {
                        return Ok(Way::Shut(format!(
                            "its plan has to be approved: cairn approve {}",
                            planned.id
                        )));
                    }
                    Some(plan::Refused::Executed(_)) => return Ok(Way::None),
                    Some(_) | None => return Err(error),
                },
            }
        }
        outcome
    }

    async fn policy(
        &self,
        stream: &StreamId,
        deployment: &Deployment,
    ) -> Result<Option<Failover>, PlanError> {
        let Some(name) = &deployment.environment else { return Ok(None) };
        let stream = StreamId::new(stream.tenant().clone(), environment::KIND, name.clone())?;
        let state = self.executor.load_state::<Environment>(&stream).await?.state;
        Ok(state.definition.as_ref().and_then(|definition| definition.failover))
    }

    /// The cluster is still lost, without a break since then.
    async fn is_so(&self, stream: &StreamId, loss: &Loss) -> Result<bool, PlanError> {
        let cluster = loss.cluster.stream(stream.tenant());
        let state = self.executor.load_state::<Resource>(&cluster).await?.state;
        let same = state.uid() == Some(loss.uid);
        Ok(planning::lost(&state).is_some_and(|lost| same && lost.since == loss.since))
    }

    async fn request(
        &self,
        stream: &StreamId,
        deployment: &Deployment,
        policy: Failover,
        occupied: BTreeMap<ResourceId, u32>,
    ) -> Result<Option<Request>, PlanError> {
        let (Some(application), Some(environment), Some(revision)) =
            (&deployment.application, &deployment.environment, revision(deployment))
        else {
            return Ok(None);
        };
        Ok(Some(Request {
            application: application.clone(),
            environment: environment.clone(),
            revision: Some(revision),
            images: self.images(stream, deployment, revision).await?,
            cluster: None,
            options: Options {
                purpose: Purpose::Failover,
                allow_replace: policy.allow_replace,
                allow_delete: false,
                allow_mass_delete: true,
            },
            hints: Hints { occupied, ..Hints::default() },
        }))
    }

    /// The images that run, where the last rollout was of this revision and succeeded: a build that came since is not
    /// brought along.
    async fn images(
        &self,
        stream: &StreamId,
        deployment: &Deployment,
        revision: u64,
    ) -> Result<BTreeMap<String, String>, PlanError> {
        let mut images = BTreeMap::new();
        let settled = deployment.outcome == Some(domain::deployment::Outcome::Succeeded);
        if !settled || deployment.good_revision != Some(revision) {
            return Ok(images);
        }
        let prefix = format!("{}_", stream.name());
        for id in &deployment.members {
            let state = self.executor.load_state::<Resource>(&id.stream(stream.tenant())).await?;
            let spec = state.state.body().and_then(|body| Workload::of(&body.spec));
            let workload = id.name.as_str().strip_prefix(&prefix);
            if let (Some(spec), Some(workload)) = (spec, workload) {
                let containers = spec.containers.iter();
                images.extend(containers.map(|(container, body)| {
                    (format!("{workload}/{container}"), body.image.clone())
                }));
            }
        }
        Ok(images)
    }

    /// Ids that follow from the loss: a repetition, here or by another, finds what the first try made.
    fn context(&self, stream: &StreamId, loss: &Loss, attempt: u32) -> Context {
        let name = format!("failover/{stream}/{}/{attempt}", loss.since.as_micros());
        let commit_id = Uuid::new_v5(&loss.uid, name.as_bytes());
        Context {
            commit_id,
            time: self.clock.now(),
            actor: Actor::new(ActorSort::Reconciler, "failover"),
            causation_id: None,
            correlation_id: commit_id,
            traceparent: None,
        }
    }
}

impl FailOver for WayOut {
    fn fail_over<'a>(
        &'a self,
        deployment: &'a StreamId,
        loss: &'a Loss,
        occupied: Occupied,
    ) -> BoxFuture<'a, Result<Way, String>> {
        Box::pin(async move { self.go(deployment, loss, occupied).await.map_err(in_words) })
    }
}

/// The workloads of others on each cluster, with those that are on their way there.
fn without(
    occupied: Occupied,
    sent: &mut BTreeMap<Name, (ResourceId, u32)>,
    own: &Name,
) -> BTreeMap<ResourceId, u32> {
    sent.retain(|deployment, (cluster, _)| {
        !occupied.get(cluster).is_some_and(|counts| counts.contains_key(deployment))
    });
    let mut total: BTreeMap<ResourceId, u32> = BTreeMap::new();
    for (cluster, counts) in occupied {
        let others = counts.iter().filter(|(deployment, _)| *deployment != own);
        total.insert(cluster, others.map(|(_, count)| count).sum());
    }
    for (_, (cluster, count)) in sent.iter().filter(|(deployment, _)| *deployment != own) {
        *total.entry(cluster.clone()).or_default() += count;
    }
    total
}

fn destination(plan: &Plan) -> Option<(Name, (ResourceId, u32))> {
    let placement = plan.header.placement.as_ref()?;
    let is_workload = |id: &ResourceId| id.kind == domain::KindName::Workload;
    let workloads = plan.steps.iter().filter(|step| is_workload(&step.resource)).count();
    let workloads = u32::try_from(workloads).unwrap_or(u32::MAX);
    Some((plan.header.deployment.clone(), (placement.cluster.clone(), workloads)))
}

/// What speaks against starting a plan, where something does and it was not merely not to be found out.
fn refusal(error: &PlanError) -> Option<&plan::Refused> {
    let PlanError::Plan(error) = error else { return None };
    if let ExecuteError::Rejected(refused) = &**error { Some(refused) } else { None }
}
