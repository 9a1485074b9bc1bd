//! Loads what a plan is computed from, out of the log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::application::{self, Application, Model};
use domain::class::{self, Class, Definition};
use domain::deployment::Deployment;
use domain::environment::{self, Environment};
use domain::lifecycle::{Resource, Resources};
use domain::plan::{self, Plan};
use domain::{Name, ResourceId, StreamId, planning};
use futures::{StreamExt as _, TryStreamExt as _};
use uuid::Uuid;

use super::{PlanError, Planner, Request, with_images};

/// How many streams are read at the same time: enough to keep every reader of the log busy.
const LOADS_AT_ONCE: usize = 16;

impl Planner {
    pub(super) fn stream(&self, kind: &str, name: &Name) -> Result<StreamId, PlanError> {
        Ok(StreamId::new(self.tenant.clone(), kind, name.clone())?)
    }

    pub(super) fn plan_stream(&self, id: Uuid) -> Result<StreamId, PlanError> {
        self.stream(plan::KIND, &id.to_string().parse()?)
    }

    pub(super) async fn load_environment(
        &self,
        name: &Name,
    ) -> Result<Arc<Environment>, PlanError> {
        let stream = self.stream(environment::KIND, name)?;
        let folded = self.executor.load_state::<Environment>(&stream).await?;
        if folded.state.version == 0 {
            return Err(PlanError::NoEnvironment(name.clone()));
        }
        Ok(folded.state)
    }

    /// The revision asked for, with its images.
    pub(super) async fn load_model(&self, request: &Request) -> Result<(u64, Model), PlanError> {
        let name = &request.application;
        let stream = self.stream(application::KIND, name)?;
        let last = self.executor.load_state::<Application>(&stream).await?.state;
        if last.model.is_none() {
            return Err(PlanError::NoApplication(name.clone()));
        }
        let revision = request.revision.unwrap_or(last.number);
        let missing = || PlanError::NoRevision { application: name.clone(), revision };
        let model = if revision == last.number {
            last.model.clone()
        } else {
            let reached = |state: &Application, _: u64| state.number == revision;
            let folded = self.executor.fold_until::<Application>(&stream, reached).await?;
            folded.and_then(|folded| folded.state.model.clone())
        };
        let model = with_images(*model.ok_or_else(missing)?, &last, &request.images);
        Ok((revision, model))
    }

    pub(super) async fn load_classes(
        &self,
        names: BTreeSet<Name>,
    ) -> Result<BTreeMap<Name, (u64, Definition)>, PlanError> {
        let mut classes = BTreeMap::new();
        for name in names {
            let stream = self.stream(class::KIND, &name)?;
            let class = self.executor.load_state::<Class>(&stream).await?.state;
            if let Some(definition) = &class.definition {
                classes.insert(name, (class.version, definition.clone()));
            }
        }
        Ok(classes)
    }

    pub(super) async fn load_class_versions(
        &self,
        names: impl Iterator<Item = &Name>,
    ) -> Result<BTreeMap<Name, u64>, PlanError> {
        let mut versions = BTreeMap::new();
        for name in names {
            let stream = self.stream(class::KIND, name)?;
            let class = self.executor.load_state::<Class>(&stream).await?.state;
            versions.insert(name.clone(), class.version);
        }
        Ok(versions)
    }

    /// The clusters that the environment offers, and those that the deployment has to do with.
    pub(super) async fn load_clusters(
        &self,
        environment: &Environment,
        deployment: &Deployment,
        members: &Resources,
    ) -> Result<Resources, PlanError> {
        let mut ids = planning::offered_clusters(environment);
        let hosts = members.values().filter_map(|state| state.body()?.spec.cluster());
        ids.extend(hosts.chain(deployment.left_behind.iter().map(|left| left.cluster.clone())));
        self.load_resources(ids).await
    }

    /// The clusters that a plan leaves things behind in, and that are not lost any more: what is there can be removed.
    pub(super) async fn found_again(&self, plan: &Plan) -> Result<Vec<String>, PlanError> {
        let left = plan.steps.iter().filter_map(|step| Some(step.action.leaves()?.0.clone()));
        let clusters = self.load_resources(left.collect::<BTreeSet<_>>()).await?;
        let found = clusters.iter().filter(|(_, state)| planning::lost(state).is_none());
        Ok(found.map(|(id, _)| format!("{id} is not lost any more")).collect())
    }

    pub(super) async fn load_resources(
        &self,
        ids: impl IntoIterator<Item = ResourceId>,
    ) -> Result<Resources, PlanError> {
        let loads = ids.into_iter().map(|id| async move {
            let stream = id.stream(&self.tenant);
            let folded = self.executor.load_state::<Resource>(&stream).await?;
            Ok::<_, PlanError>((id, Resource::clone(&folded.state)))
        });
        futures::stream::iter(loads).buffer_unordered(LOADS_AT_ONCE).try_collect().await
    }
}
