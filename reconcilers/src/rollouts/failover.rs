//! Leaving a cluster that is lost.
//!
//! ```text
//!   the cluster is not ready any more ─▶ its deployments are woken, each waits until the policy's time is over
//!   … ready again before that         ─▶ woken again, and nothing was done
//!   … still not                       ─▶ a plan, whose id follows from the loss, is made and started
//!   the plan                          ─▶ notes what is left behind, gives it up, makes it anew elsewhere
//! ```
//! What was left behind is held by its deployment: neither a look at it nor the sweep removes it before a plan says so.

use std::collections::BTreeMap;

use domain::deployment::{self, Deployment, LeftBehind, Outcome, Stranded};
use domain::environment::Definition;
use domain::lifecycle::{Grave, Lifetime};
use domain::planning::lost;
use domain::{Name, Resource, ResourceId, StreamId, Time};
use futures::future::BoxFuture;
use tracing::{info, warn};
use uuid::Uuid;

use super::{Move, sibling};
use crate::decision::{Next, StepError};
use crate::driver::Driver;
use crate::reconcile::{Performed, Target};

/// How long a rollout insists on the removal of what was left behind. The sweep goes on after that.
const CLEAN_UP_MICROS: i64 = 60 * 1_000_000;

/// A cluster that is lost, and a deployment that is to leave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The cluster.
    pub cluster: ResourceId,
    /// Its incarnation.
    pub uid: Uuid,
    /// Since when it is lost, without a break.
    pub since: Time,
}

/// The workloads of each deployment on each cluster.
pub type Occupied = BTreeMap<ResourceId, BTreeMap<Name, u32>>;

/// Plans and starts the way out of a cluster that is lost.
pub trait FailOver: Send + Sync + 'static {
    /// Does so, once for each deployment and loss.
    ///
    /// # Errors
    /// In words, when that could not be found out: it is tried again when something moves.
    fn fail_over<'a>(
        &'a self,
        deployment: &'a StreamId,
        loss: &'a Loss,
        occupied: Occupied,
    ) -> BoxFuture<'a, Result<Way, String>>;
}

/// What a way out of a cluster came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// The deployment leaves.
    Begun,
    /// It need not: the cluster is back, nothing is there to be brought out, or it left and what became of that is a
    /// person's matter.
    None,
    /// It cannot, for this reason, until somebody does something.
    Shut(String),
}

/// When a deployment leaves its cluster.
pub(super) enum Leaving {
    Not,
    At(Time),
    Now(Loss),
}

impl Driver {
    /// Whether a deployment is to leave the cluster that it runs on.
    pub(super) async fn leaving(
        &self,
        stream: &StreamId,
        environment: Option<&Definition>,
        host: Option<&ResourceId>,
    ) -> Result<Leaving, StepError> {
        let policy = environment.and_then(|environment| environment.failover);
        let (Some(policy), Some(host), Some(_)) = (policy, host, &self.fail_over) else {
            return Ok(Leaving::Not);
        };
        let cluster = host.stream(stream.tenant());
        let state = self.executor.load_state::<Resource>(&cluster).await?.state;
        let (Some(lost), Resource::Live(body)) = (lost(&state), &*state) else {
            return Ok(Leaving::Not);
        };
        // Whoever pauses a cluster is at work on it, and says when that is over.
        if body.paused {
            return Ok(Leaving::Not);
        }
        let due = policy.due(lost.since);
        if due > self.clock.now() {
            return Ok(Leaving::At(due));
        }
        Ok(Leaving::Now(Loss { cluster: host.clone(), uid: body.uid, since: lost.since }))
    }

    /// The cluster that a deployment without a running rollout lives in.
    pub(super) async fn host(
        &self,
        stream: &StreamId,
        deployment: &Deployment,
    ) -> Result<Option<ResourceId>, StepError> {
        // Workloads come last by kind, and nearly every deployment has one.
        for id in deployment.members.iter().rev() {
            let member = id.stream(stream.tenant());
            let state = self.executor.load_state::<Resource>(&member).await?.state;
            if let Some(cluster) = state.body().and_then(|body| body.spec.cluster()) {
                return Ok(Some(cluster));
            }
        }
        Ok(None)
    }

    /// What a deployment has to be told of, though no rollout of its own looks at it: its cluster, where else it could go,
    /// and what holds up what it left behind.
    pub(super) fn interests(
        stream: &StreamId,
        deployment: &Deployment,
        environment: Option<&Definition>,
        host: Option<&ResourceId>,
    ) -> Vec<StreamId> {
        let fails_over = environment.filter(|it| it.failover.is_some());
        let others = fails_over.into_iter().flat_map(Definition::offered);
        let held = deployment
            .left_behind
            .iter()
            .flat_map(|left| left.needs.iter().chain(std::iter::once(&left.cluster)).cloned());
        let all = host.cloned().into_iter().chain(others).chain(held);
        all.map(|id| id.stream(stream.tenant())).collect()
    }

    /// Somebody's incarnation that is gone, and was left behind.
    pub(crate) async fn is_left_behind(
        &self,
        resource: &StreamId,
        grave: &Grave,
    ) -> Result<bool, StepError> {
        let Lifetime::Deployment(owner) = &grave.lifetime else { return Ok(false) };
        let owner = sibling(resource, deployment::KIND, owner.as_str())?;
        let state = self.executor.load_state::<Deployment>(&owner).await?.state;
        Ok(state.has_left_behind(grave.uid))
    }

    pub(super) async fn leave(&self, stream: &StreamId, loss: &Loss) -> Result<Next, StepError> {
        let Some(fail_over) = &self.fail_over else { return Ok(Next::Rest) };
        self.index.keep_up().await?;
        let occupied = self.index.occupied(stream.tenant());
        match fail_over.fail_over(stream, loss, occupied).await {
            Ok(Way::Begun) => {
                info!(%stream, cluster = %loss.cluster, since = %loss.since, "fails over");
                Ok(Next::Again)
            }
            Ok(Way::None) => Ok(Next::Rest),
            // Whatever could change that wakes it: another cluster, another plan, the environment.
            Ok(Way::Shut(reason)) => {
                warn!(%stream, cluster = %loss.cluster, reason, "it cannot leave its cluster");
                let stranded =
                    Stranded { cluster: loss.cluster.clone(), since: loss.since, reason };
                let at = self.clock.now();
                let note = deployment::Command::Strand { stranded, at };
                self.command::<Deployment>(stream, stream, note).await?;
                Ok(Next::Rest)
            }
            Err(reason) => {
                warn!(%stream, cluster = %loss.cluster, reason, "no way out of its cluster was found");
                Ok(Next::Rest)
            }
        }
    }

    /// Notes that it need not leave its cluster any more.
    pub(super) async fn relieve(&self, stream: &StreamId) -> Result<Next, StepError> {
        let relieve = deployment::Command::Relieve { at: self.clock.now() };
        self.command::<Deployment>(stream, stream, relieve).await?;
        Ok(Next::Again)
    }

    pub(super) async fn note_left_behind(
        &self,
        stream: &StreamId,
        number: u64,
        left: Vec<LeftBehind>,
    ) -> Result<Next, StepError> {
        let at = self.clock.now();
        let note = deployment::Command::LeaveBehind { number, left, at };
        self.command::<Deployment>(stream, stream, note).await?;
        Ok(Next::Again)
    }

    /// Has what was left behind removed. What does not go in time is released all the same: the sweep removes what is gone
    /// in the log wherever it is found, for as long as it takes.
    pub(super) async fn clean_up(
        &self,
        stream: &StreamId,
        number: u64,
        targets: Vec<Target>,
        began: Time,
    ) -> Result<Next, StepError> {
        let mut finished = true;
        for target in &targets {
            match self.providers.of(target.id.kind).removal(target).run().await {
                Ok(performed) => finished &= performed == Performed::Finished,
                Err(error) => {
                    warn!(stream = %target.stream(), uid = %target.uid, %error, "cannot be removed yet");
                    finished = false;
                }
            }
        }
        let at = self.clock.now();
        if !finished && began.plus_micros(CLEAN_UP_MICROS) > at {
            return Ok(Next::Called);
        }
        let uids = targets.into_iter().map(|target| target.uid).collect();
        let clean = deployment::Command::CleanUp { number, uids, at };
        self.command::<Deployment>(stream, stream, clean).await?;
        Ok(Next::Again)
    }

    /// What a deployment does about its cluster where nothing else is to be done; none, and when to look again.
    pub(super) async fn leave_or_stay(
        &self,
        stream: &StreamId,
        deployment: &Deployment,
        environment: Option<&Definition>,
        host: Option<&ResourceId>,
    ) -> Result<(Option<Move>, Option<Time>), StepError> {
        let relieved = deployment.stranded.is_some().then_some(Move::Relieve);
        Ok(match self.leaving(stream, environment, host).await? {
            Leaving::Not => (relieved, None),
            Leaving::At(due) => (relieved, Some(due)),
            Leaving::Now(loss) => (Some(Move::FailOver(loss)), None),
        })
    }
}

/// The revision that a deployment fails over with: what is under way or ran last, but not what failed where another ran.
#[must_use]
pub fn revision(deployment: &Deployment) -> Option<u64> {
    let last = deployment.rollout.as_ref()?.revision;
    match (&deployment.outcome, deployment.good_revision) {
        (Some(Outcome::Failed { .. }), Some(good)) => Some(good),
        (Some(_) | None, _) => Some(last),
    }
}
