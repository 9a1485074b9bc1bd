//! What a deployment is told of, and what it keeps from being removed.

use domain::ResourceId;
use domain::StreamId;
use domain::deployment::Deployment;
use domain::environment::Definition;
use domain::plan::{self, Plan, Proposal};

use super::{beyond, sibling};
use crate::decision::StepError;
use crate::driver::Driver;

impl Driver {
    /// Keeps what a deployment's running rollout relies on, though its steps are another replica's.
    ///
    /// # Errors
    /// [`StepError`]: try again soon, before what it relies on has been unneeded for long.
    pub async fn keep_what_it_relies_on(&self, stream: &StreamId) -> Result<(), StepError> {
        let deployment = self.executor.load_state::<Deployment>(stream).await?.state;
        let Some(running) = deployment.running() else {
            self.watch_at_rest(stream, &deployment, None, None);
            return Ok(());
        };
        let plan = sibling(stream, plan::KIND, &running.plan.to_string())?;
        let proposal = self.executor.load_state::<Proposal>(&plan).await?.state;
        if let Proposal::Proposed(recorded) = &*proposal {
            self.watch(stream, &recorded.plan, &deployment, None);
        }
        Ok(())
    }

    /// Keeps what the plan relies on, and is told when it or a member changes.
    pub(super) fn watch(
        &self,
        stream: &StreamId,
        plan: &Plan,
        deployment: &Deployment,
        environment: Option<&Definition>,
    ) {
        let mut ids = beyond::relied_on(plan);
        ids.extend(plan.steps.iter().map(|step| step.resource.clone()));
        ids.extend(deployment.members.iter().cloned());
        let mut streams: Vec<_> = ids.iter().map(|id| id.stream(stream.tenant())).collect();
        streams.extend(Self::interests(stream, deployment, environment, None));
        self.index.watch(stream, &streams, self.clock.now());
    }

    /// The same where nothing runs.
    pub(super) fn watch_at_rest(
        &self,
        stream: &StreamId,
        deployment: &Deployment,
        environment: Option<&Definition>,
        host: Option<&ResourceId>,
    ) {
        let streams = Self::interests(stream, deployment, environment, host);
        self.index.watch(stream, &streams, self.clock.now());
    }
}
