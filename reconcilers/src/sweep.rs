//! What nobody wants any more: things in the world whose incarnation is gone, and resources that no deployment
//! owns up to. Both come of a worker that slept through a deletion and then did what it had decided before.

use domain::deployment::{self, Deployment};
use domain::lifecycle::Command;
use domain::{Resource, StreamId};
use tracing::warn;

use crate::decision::{Act, Decision, StepError};
use crate::driver::Driver;
use crate::reconcile::Target;

impl Driver {
    /// Lists what nobody wants; each decision removes one.
    ///
    /// # Errors
    /// [`StepError`]; what could be listed until then is listed again next time.
    pub async fn sweep(&self) -> Result<Vec<Decision>, StepError> {
        self.sweep_where(|_| true).await
    }

    /// The same, of the streams that it may work on.
    ///
    /// # Errors
    /// [`StepError`]; what could be listed until then is listed again next time.
    pub async fn sweep_where(
        &self,
        is_ours: impl Fn(&StreamId) -> bool + Send + Sync,
    ) -> Result<Vec<Decision>, StepError> {
        let mut decisions = self.sweep_world(&is_ours).await?;
        decisions.extend(self.sweep_log(&is_ours).await?);
        Ok(decisions)
    }

    async fn sweep_world(
        &self,
        is_ours: &(impl Fn(&StreamId) -> bool + Send + Sync),
    ) -> Result<Vec<Decision>, StepError> {
        let mut decisions = Vec::new();
        for (_, provider) in self.providers.each() {
            for target in provider.sweep().await.map_err(StepError::Observe)? {
                if is_ours(&target.stream()) && self.is_gone(&target).await? {
                    warn!(stream = %target.stream(), uid = %target.uid, "gone, yet there: removed");
                    let effect = provider.removal(&target);
                    let act =
                        Act::Perform { effect, target: target.clone(), tried: None, then: None };
                    decisions.push(Decision::new(target.stream(), act));
                }
            }
        }
        Ok(decisions)
    }

    /// This incarnation was in the log, and is gone. What the log never knew is not ours to touch (invariant 7).
    async fn is_gone(&self, target: &Target) -> Result<bool, StepError> {
        let stream = target.stream();
        let state = self.executor.load_state::<Resource>(&stream).await?.state;
        if let Some(body) = state.body()
            && body.uid == target.uid
        {
            return Ok(false);
        }
        let grave =
            |state: &Resource, _| matches!(state, Resource::Gone(grave) if grave.uid == target.uid);
        let found = self.executor.fold_until::<Resource>(&stream, grave).await?;
        if found.is_none() {
            warn!(%stream, uid = %target.uid, "tagged by nobody we know: left alone");
        }
        // What was left behind in a cluster that was lost is removed by a plan.
        match found.as_ref().map(|folded| &*folded.state) {
            Some(Resource::Gone(grave)) => Ok(!self.is_left_behind(&stream, grave).await?),
            Some(Resource::Absent | Resource::Live(_) | Resource::Deleting(..)) | None => Ok(false),
        }
    }

    async fn sweep_log(
        &self,
        is_ours: &(impl Fn(&StreamId) -> bool + Send + Sync),
    ) -> Result<Vec<Decision>, StepError> {
        self.index.keep_up().await?;
        let mut decisions = Vec::new();
        for (stream, deployment) in self.index.owned() {
            if !is_ours(&stream) {
                continue;
            }
            if let Some(command) = self.disown(&stream, &deployment).await? {
                warn!(%stream, %deployment, "belongs to a deployment that does not know it: deleted");
                decisions.push(Decision::new(stream, Act::Disown(command)));
            }
        }
        Ok(decisions)
    }

    /// The deletion of a resource whose deployment has nothing running and does not count it as its own.
    ///
    /// A rollout names its members before it declares them, so what is not named was declared too late.
    async fn disown(
        &self,
        stream: &StreamId,
        deployment: &domain::Name,
    ) -> Result<Option<Command>, StepError> {
        let resource = self.executor.load_state::<Resource>(stream).await?.state;
        let (Resource::Live(body), Some(id)) = (&*resource, stream.resource()) else {
            return Ok(None);
        };
        let owner = StreamId::new(stream.tenant().clone(), deployment::KIND, deployment.clone())
            .map_err(|error| StepError::Record(Box::new(error)))?;
        let state = self.executor.load_state::<Deployment>(&owner).await?.state;
        let known = state.running().is_some() || state.members.contains(&id);
        let at = self.clock.now();
        Ok((!known).then_some(Command::RequestDeletion {
            uid: Some(body.uid),
            replacement: false,
            at,
        }))
    }
}
