//! The way back after a failed rollout, as a plan like any other.

use std::sync::Arc;

use domain::StreamId;
use domain::commit::{Actor, ActorSort, Context};
use domain::deployment::{Deployment, RolloutRef};
use domain::plan::Purpose;
use domain::planning::Options;
use futures::future::BoxFuture;
use journal::Executor;
use uuid::Uuid;

use super::{Hints, PlanError, Planner, Request};
use crate::clock::Clock;
use crate::rollouts::RollBack;

/// How often the way back is planned anew because what it was computed from moved before it started.
const ATTEMPTS_MAX: u32 = 8;

/// Goes back to a deployment's last good revision.
pub struct WayBack {
    executor: Executor,
    clock: Arc<dyn Clock>,
}

impl WayBack {
    /// Plans and starts with the same executor as everybody.
    #[must_use]
    pub fn new(executor: Executor, clock: Arc<dyn Clock>) -> Self {
        Self { executor, clock }
    }

    async fn go(&self, stream: &StreamId, failed: &RolloutRef) -> Result<(), PlanError> {
        let deployment = self.executor.load_state::<Deployment>(stream).await?.state;
        let last = deployment.rollout.as_ref().map(|rollout| rollout.number);
        let (Some(application), Some(environment), Some(good)) =
            (&deployment.application, &deployment.environment, deployment.good_revision)
        else {
            return Ok(());
        };
        if last != Some(failed.number) {
            return Ok(()); // something newer was started: by a repetition of this, or by a person
        }
        let request = Request {
            application: application.clone(),
            environment: environment.clone(),
            revision: Some(good),
            images: Default::default(),
            cluster: None,
            // What it deletes is what the failed rollout brought; what holds data is never replaced by itself.
            options: Options {
                purpose: Purpose::Rollback,
                allow_replace: false,
                allow_delete: true,
                allow_mass_delete: true,
            },
            hints: Hints::default(),
        };
        let planner = Planner::new(self.executor.clone(), stream.tenant().clone());
        let mut outcome = Ok(());
        for attempt in 0..ATTEMPTS_MAX {
            let context = self.context(stream, failed, attempt);
            let planned = planner.plan(&request, &context).await?;
            match planner.start(planned.id, &context).await {
                Ok(_) => return Ok(()),
                Err(moved @ PlanError::Moved(_)) => outcome = Err(moved),
                Err(error) => return Err(error),
            }
        }
        outcome
    }

    /// Ids that follow from the rollout that failed: a repetition finds what the first try made.
    fn context(&self, stream: &StreamId, failed: &RolloutRef, attempt: u32) -> Context {
        let name = format!("{stream}/{}/{attempt}", failed.number);
        let commit_id = Uuid::new_v5(&failed.plan, name.as_bytes());
        Context {
            commit_id,
            time: self.clock.now(),
            actor: Actor::new(ActorSort::Reconciler, "rollback"),
            causation_id: None,
            correlation_id: commit_id,
            traceparent: None,
        }
    }
}

impl RollBack for WayBack {
    fn roll_back<'a>(
        &'a self,
        deployment: &'a StreamId,
        failed: &'a RolloutRef,
    ) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move { self.go(deployment, failed).await.map_err(in_words) })
    }
}

pub(super) fn in_words(error: PlanError) -> String {
    if let PlanError::Refused(refusals) = &error {
        return refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    }
    error.to_string()
}
