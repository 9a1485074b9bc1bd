//! Plans and starts them: the shell around [`domain::planning`], which is pure.
//!
//! Everything a plan is computed from is loaded from the log, never from a view. A plan is recorded before anybody
//! can approve or start it, and starts only if nothing it was computed from has moved (invariant 15).

mod error;
mod fail_over;
mod load;
mod roll_back;

use std::collections::{BTreeMap, BTreeSet};

use domain::application::{self, Application, Model};
use domain::commit::{Context, Hash};
use domain::deployment::{self, Deployment};
use domain::environment::Environment;
use domain::lifecycle::Lifetime;
use domain::plan::{self, Plan, Proposal, Purpose, Recorded};
use domain::planning::{self, Current, Options};
use domain::{Name, ResourceId, StreamId, Tenant, rollout};
use journal::Executor;
use uuid::Uuid;

pub use error::PlanError;
pub use fail_over::WayOut;
pub use roll_back::WayBack;

/// How many plans of one request may be left half-recorded by crashes before it is given up.
const ATTEMPTS_MAX: u32 = 8;

/// Plans what becomes of an application, and starts it.
#[derive(Clone)]
pub struct Planner {
    executor: Executor,
    tenant: Tenant,
}

/// What is to be planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which application.
    pub application: Name,
    /// Where.
    pub environment: Name,
    /// Which revision; none for the last. Without meaning for a deletion.
    pub revision: Option<u64>,
    /// `workload/container`, `workload` or `container` → the image to use instead of the file's.
    pub images: BTreeMap<String, String>,
    /// Which of the environment's clusters; none for where it runs, or the best one. Without meaning for a deletion.
    pub cluster: Option<Name>,
    /// What for, and what is allowed.
    pub options: Options,
    /// What only a view knows, and only helps.
    pub hints: Hints,
}

/// What a view knows. It may lag behind: no decision stands on it alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Every class there is, to suggest the one that was meant.
    pub known_classes: Vec<Name>,
    /// Workloads of other applications, by cluster.
    pub occupied: BTreeMap<ResourceId, u32>,
}

/// A recorded plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// Names it.
    pub id: Uuid,
    /// What approvals sign.
    pub hash: Hash,
    /// What it says.
    pub plan: Plan,
}

impl Planner {
    /// Plans for one tenant.
    #[must_use]
    pub const fn new(executor: Executor, tenant: Tenant) -> Self {
        Self { executor, tenant }
    }

    /// Computes a plan and records it. The same context gives the same plan again, for ever.
    ///
    /// # Errors
    /// [`PlanError::Refused`] with every reason why there is no such plan; else see the variants.
    pub async fn plan(&self, request: &Request, context: &Context) -> Result<Planned, PlanError> {
        let mut computed = None;
        for attempt in 0..ATTEMPTS_MAX {
            let id = Uuid::new_v5(&context.commit_id, format!("plan/{attempt}").as_bytes());
            let recorded = match &*self.load_plan(id).await? {
                Proposal::Proposed(recorded) => return Ok(planned(id, recorded)),
                Proposal::Draft(recorded) => Some(recorded.hash),
                Proposal::Absent => None,
            };
            let plan = match computed.take() {
                Some(plan) => plan,
                None => self.compute(request).await?,
            };
            // A crash left the first part of another plan: what it was computed from has moved since.
            if recorded.is_some_and(|hash| hash != plan.hash()) {
                computed = Some(plan);
                continue;
            }
            return self.record(id, plan, context).await;
        }
        Err(PlanError::Abandoned)
    }

    /// Computes the plan that a deployment of this model would have, and records nothing: neither the plan, nor the
    /// model as a revision of the application.
    ///
    /// # Errors
    /// As [`Planner::plan`].
    pub async fn preview(&self, request: &Request, model: &Model) -> Result<Plan, PlanError> {
        let name = deployment::name_of(request.environment.as_str(), request.application.as_str())?;
        let stream = self.stream(deployment::KIND, &name)?;
        let deployment = self.executor.load_state::<Deployment>(&stream).await?.state;
        let environment = self.load_environment(&request.environment).await?;
        let stream = self.stream(application::KIND, &request.application)?;
        let last = self.executor.load_state::<Application>(&stream).await?.state;
        let said_already = last.model.as_deref() == Some(model);
        let revision = if said_already { last.number } else { last.number + 1 };
        self.compute_deployment(request, &deployment, &environment, revision, model).await
    }

    /// Starts a recorded plan as a rollout of its deployment, and gives the rollout's name. Starting it again is
    /// starting it once.
    ///
    /// The rollout is started first and the plan marked after: both have ids that follow from the plan's, so a crash
    /// between the two is undone by starting once more.
    ///
    /// # Errors
    /// [`PlanError::Moved`] with what has moved since it was computed; [`PlanError::Plan`] when it is not approved
    /// or was run before.
    pub async fn start(&self, id: Uuid, context: &Context) -> Result<Name, PlanError> {
        let proposal = self.load_plan(id).await?;
        let recorded = match &*proposal {
            Proposal::Proposed(recorded) => recorded,
            Proposal::Draft(_) => return Err(rejected(plan::Refused::Incomplete)),
            Proposal::Absent => return Err(PlanError::NoPlan(id)),
        };
        let header = &recorded.plan.header;
        let stream = self.stream(deployment::KIND, &header.deployment)?;
        let deployment = self.executor.load_state::<Deployment>(&stream).await?.state;
        let current = deployment.rollout.as_ref().filter(|rollout| rollout.plan == id);
        let name = match (current, &recorded.rollout) {
            (Some(rollout), _) => rollout::name_of(&header.deployment, rollout.number)?,
            (None, Some(before)) => return Err(rejected(plan::Refused::Executed(before.clone()))),
            (None, None) => {
                self.check(recorded).await?;
                self.start_rollout(&stream, id, recorded, context).await?
            }
        };
        let execute = plan::Command::Execute {
            rollout: name.clone(),
            approval_required: false,
            at: context.time,
        };
        let stream = self.plan_stream(id)?;
        let context = follow_up(context, Uuid::new_v5(&id, b"execute"));
        self.executor.execute_keyed::<Proposal>(&stream, execute, context, recorded.hash).await?;
        Ok(name)
    }

    /// A plan as it is recorded.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn load_plan(&self, id: Uuid) -> Result<std::sync::Arc<Proposal>, PlanError> {
        Ok(self.executor.load_state::<Proposal>(&self.plan_stream(id)?).await?.state)
    }

    async fn compute(&self, request: &Request) -> Result<Plan, PlanError> {
        let name = deployment::name_of(request.environment.as_str(), request.application.as_str())?;
        let stream = self.stream(deployment::KIND, &name)?;
        let deployment = self.executor.load_state::<Deployment>(&stream).await?.state;
        let environment = self.load_environment(&request.environment).await?;
        match request.options.purpose {
            Purpose::Deploy | Purpose::Rollback | Purpose::Failover => {
                let (revision, model) = self.load_model(request).await?;
                self.compute_deployment(request, &deployment, &environment, revision, &model).await
            }
            Purpose::Delete => {
                self.compute_deletion(request, &name, &deployment, &environment).await
            }
        }
    }

    async fn compute_deployment(
        &self,
        request: &Request,
        deployment: &Deployment,
        environment: &Environment,
        revision: u64,
        model: &Model,
    ) -> Result<Plan, PlanError> {
        if environment.definition.is_none() {
            return Err(PlanError::NoEnvironment(request.environment.clone()));
        }
        let classes = self.load_classes(planning::required_classes(model, environment)).await?;
        let mut live = self.load_resources(deployment.members.iter().cloned()).await?;
        let clusters = self.load_clusters(environment, deployment, &live).await?;
        let current = planning::runs_on(live.values(), &clusters);
        let desired = planning::expand(&planning::Context {
            application: &request.application,
            environment,
            model,
            revision,
            classes: &classes,
            clusters: &clusters,
            known_classes: &request.hints.known_classes,
            current: current.as_ref(),
            asked: request.cluster.as_ref(),
            occupied: &request.hints.occupied,
            left_behind: &deployment.left_behind,
            failing_over: request.options.purpose == Purpose::Failover,
        })?;
        let missing: BTreeSet<ResourceId> =
            desired.ids().filter(|id| !live.contains_key(id)).cloned().collect();
        live.extend(self.load_resources(missing).await?);
        Ok(planning::compare(&desired, &live, &deployment.members, &request.options)?)
    }

    async fn compute_deletion(
        &self,
        request: &Request,
        name: &Name,
        deployment: &Deployment,
        environment: &Environment,
    ) -> Result<Plan, PlanError> {
        let Some(rollout) = deployment.rollout.as_ref().filter(|_| !deployment.deleted) else {
            return Err(PlanError::NoDeployment(name.clone()));
        };
        let live = self.load_resources(deployment.members.iter().cloned()).await?;
        let deletion = planning::Deletion {
            deployment: name,
            application: &request.application,
            environment: &request.environment,
            environment_version: environment.version,
            revision: rollout.revision,
        };
        Ok(planning::delete(&deletion, &live, &deployment.members)?)
    }

    /// Records a plan in as many commits as it takes. Each has an id that follows from the plan's id and hash.
    async fn record(&self, id: Uuid, plan: Plan, context: &Context) -> Result<Planned, PlanError> {
        let hash = plan.hash();
        let stream = self.plan_stream(id)?;
        for (index, command) in plan.commands(hash, context.time).into_iter().enumerate() {
            let commit_id = Uuid::new_v5(&id, format!("{}/{index}", hash.to_hex()).as_bytes());
            let context = follow_up(context, commit_id);
            self.executor.execute_keyed::<Proposal>(&stream, command, context, hash).await?;
        }
        Ok(Planned { id, hash, plan })
    }

    /// Refuses a plan that nobody approved where that is wanted, or whose inputs have moved.
    async fn check(&self, recorded: &Recorded) -> Result<(), PlanError> {
        let header = &recorded.plan.header;
        let environment = self.load_environment(&header.environment).await?;
        let wants_approval = environment.definition.as_ref().is_some_and(|it| it.approval);
        // Going back is going to what was approved before.
        let approved = recorded.approved_by.is_some() || header.purpose == Purpose::Rollback;
        let classes = self.load_class_versions(header.pins.classes.keys()).await?;
        let resources = self.load_resources(header.pins.resources.keys().cloned()).await?;
        let current =
            Current { environment: environment.version, classes: &classes, resources: &resources };
        let mut moved = planning::pins_moved(&header.pins, &current);
        moved.extend(self.found_again(&recorded.plan).await?);
        if !moved.is_empty() {
            return Err(PlanError::Moved(moved));
        }
        if wants_approval && !approved {
            return Err(rejected(plan::Refused::NotApproved));
        }
        Ok(())
    }

    async fn start_rollout(
        &self,
        stream: &StreamId,
        id: Uuid,
        recorded: &Recorded,
        context: &Context,
    ) -> Result<Name, PlanError> {
        let header = &recorded.plan.header;
        let command = deployment::Command::StartRollout {
            application: header.application.clone(),
            environment: header.environment.clone(),
            plan: id,
            revision: header.revision,
            purpose: header.purpose,
            members: members(&recorded.plan),
            at: context.time,
        };
        let context = follow_up(context, Uuid::new_v5(&id, b"start"));
        let started = self
            .executor
            .execute_keyed::<Deployment>(stream, command, context, recorded.hash)
            .await?;
        let number = started.events.iter().find_map(|event| match event {
            deployment::Event::RolloutStarted { rollout, .. } => Some(rollout.number),
            deployment::Event::RolloutEnded { .. }
            | deployment::Event::LeftBehind { .. }
            | deployment::Event::CleanedUp { .. }
            | deployment::Event::Stranded { .. }
            | deployment::Event::Relieved { .. }
            | deployment::Event::Deleted { .. } => None,
        });
        let now = started.state.rollout.as_ref().map(|rollout| rollout.number);
        Ok(rollout::name_of(&header.deployment, number.or(now).unwrap_or_default())?)
    }
}

fn planned(id: Uuid, recorded: &Recorded) -> Planned {
    Planned { id, hash: recorded.hash, plan: recorded.plan.clone() }
}

fn rejected(refused: plan::Refused) -> PlanError {
    PlanError::Plan(Box::new(journal::ExecuteError::Rejected(refused)))
}

/// The resources of a plan that are or will be the deployment's own.
fn members(plan: &Plan) -> Vec<ResourceId> {
    let own = plan
        .steps
        .iter()
        .filter(|step| step.action.brings() && matches!(step.lifetime, Lifetime::Deployment(_)));
    own.map(|step| step.resource.clone()).collect()
}

/// A further commit of the same consequence.
fn follow_up(context: &Context, commit_id: Uuid) -> Context {
    Context { commit_id, ..context.clone() }
}

/// The model with other images.
fn with_images(
    mut model: Model,
    application: &Application,
    images: &BTreeMap<String, String>,
) -> Model {
    for (workload, body) in &mut model.workloads {
        for (container, body) in &mut body.containers {
            let given = [format!("{workload}/{container}"), workload.clone(), container.clone()];
            let given = given.iter().find_map(|key| images.get(key));
            let built = || {
                let built = application.builds.get(workload)?.get(container)?;
                (body.image == ".").then_some(&built.image)
            };
            if let Some(image) = given.or_else(built) {
                body.image.clone_from(image);
            }
        }
    }
    model
}

impl From<Vec<planning::Refusal>> for PlanError {
    fn from(refusals: Vec<planning::Refusal>) -> Self {
        Self::Refused(refusals)
    }
}
