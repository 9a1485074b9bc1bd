//! Plans, and what becomes of them.

use std::collections::BTreeMap;

use domain::commit::Hash;
use domain::deployment::{self, Deployment, Outcome};
use domain::plan::{self, Proposal, Purpose};
use domain::planning::Options;
use domain::{Name, application, environment, rollout};
use journal::ExecuteError;
use projections::Filter;
use reconcilers::planner::{Hints, PlanError, Planned, Request};
use uuid::Uuid;

use super::{name, not_found, optional_name};
use crate::fault::{Fault, UserError};
use crate::once::{Answer, Stop, Work};
use crate::plane::Plane;
use crate::schema::mutation::{
    DeploymentDeleteInput, DeploymentDeployInput, DeploymentRollbackInput, PlanApproveInput,
    PlanExecuteInput,
};

/// The most classes that hints are taken from.
const HINTS_MAX: u32 = 500;

/// Makes a plan.
pub(crate) async fn plan(
    work: &mut Work<'_>,
    input: DeploymentDeployInput,
) -> Result<Answer, Stop> {
    let planned = planned(work, request(work, input).await?).await?;
    Ok(answer(&planned))
}

/// Makes a plan and runs it, unless there is nothing to do.
pub(crate) async fn deploy(
    work: &mut Work<'_>,
    input: DeploymentDeployInput,
) -> Result<Answer, Stop> {
    let planned = planned(work, request(work, input).await?).await?;
    run(work, &planned).await
}

/// Runs a plan.
pub(crate) async fn execute(work: &mut Work<'_>, input: PlanExecuteInput) -> Result<Answer, Stop> {
    let id = plan_id(&input.plan)?;
    let proposal = work.plane.planner.load_plan(id).await.map_err(stopped)?;
    let (Proposal::Proposed(recorded) | Proposal::Draft(recorded)) = &*proposal else {
        return Err(UserError::missing("input.plan", plan::KIND, &id.to_string()).into());
    };
    let header = &recorded.plan.header;
    let answer = Answer {
        plan: Some(id),
        deployment: Some(header.deployment.to_string()),
        number: Some(header.revision),
        ..Answer::default()
    };
    start(work, id, answer).await
}

/// Agrees to a plan.
pub(crate) async fn approve(work: &mut Work<'_>, input: PlanApproveInput) -> Result<Answer, Stop> {
    let id = plan_id(&input.plan)?;
    let hash = Hash::from_hex(&input.hash)
        .ok_or_else(|| UserError::new("INVALID_HASH", "input.hash", "a hash is 64 hex digits"))?;
    let stream = work
        .plane
        .stream(plan::KIND, &id.to_string())
        .ok_or_else(|| not_found("input.plan", "such plan"))?;
    let command = plan::Command::Approve { hash, by: work.actor().clone(), at: work.at };
    let executed = work.execute::<Proposal>(&stream, command).await?;
    let deployment = match &*executed.state {
        Proposal::Draft(recorded) | Proposal::Proposed(recorded) => {
            Some(recorded.plan.header.deployment.to_string())
        }
        Proposal::Absent => None,
    };
    Ok(Answer {
        plan: Some(id),
        deployment,
        unchanged: executed.events.is_empty(),
        ..Answer::default()
    })
}

/// Plans the way back to an earlier revision, and goes it.
pub(crate) async fn roll_back(
    work: &mut Work<'_>,
    input: DeploymentRollbackInput,
) -> Result<Answer, Stop> {
    let (deployment, names) = load(work, &input.deployment).await?;
    let current = deployment.rollout.as_ref().map(|rollout| rollout.revision);
    let good = good_revisions(work, &input.deployment).await?;
    let revision = match input.revision {
        Some(revision) if good.contains(&revision) => revision,
        Some(revision) => return Err(never_ran(revision).into()),
        None => good.into_iter().rev().find(|good| Some(*good) != current).ok_or_else(|| {
            UserError::new(
                "NO_EARLIER_REVISION",
                "input.deployment",
                "no other revision was rolled out with success before",
            )
            .with_hint("apply what is wanted")
        })?,
    };
    let options = Options {
        purpose: Purpose::Rollback,
        allow_replace: input.allow_replace.unwrap_or_default(),
        allow_delete: input.allow_delete.unwrap_or_default(),
        allow_mass_delete: input.allow_mass_delete.unwrap_or_default(),
    };
    let request = Request {
        application: names.0,
        environment: names.1,
        revision: Some(revision),
        images: BTreeMap::new(),
        cluster: None,
        options,
        hints: Hints::default(),
    };
    let planned = planned(work, request).await?;
    run(work, &planned).await
}

/// Takes a deployment down.
pub(crate) async fn delete(
    work: &mut Work<'_>,
    input: DeploymentDeleteInput,
) -> Result<Answer, Stop> {
    let (_, names) = load(work, &input.deployment).await?;
    let request = Request {
        application: names.0,
        environment: names.1,
        revision: None,
        images: BTreeMap::new(),
        cluster: None,
        options: Options {
            purpose: Purpose::Delete,
            allow_replace: false,
            allow_delete: true,
            allow_mass_delete: true,
        },
        hints: Hints::default(),
    };
    let planned = planned(work, request).await?;
    let answer = answer(&planned);
    start(work, planned.id, answer).await
}

async fn request(work: &Work<'_>, input: DeploymentDeployInput) -> Result<Request, Stop> {
    let application = name("input.application", &input.application)?;
    let environment = name("input.environment", &input.environment)?;
    let images =
        input.images.into_iter().flatten().map(|image| (image.name, image.image)).collect();
    let options = Options {
        purpose: Purpose::Deploy,
        allow_replace: input.allow_replace.unwrap_or_default(),
        allow_delete: input.allow_delete.unwrap_or_default(),
        allow_mass_delete: input.allow_mass_delete.unwrap_or_default(),
    };
    let hints = hints(work.plane, &environment, &application).await?;
    let cluster = optional_name("input.cluster", input.cluster.as_deref())?;
    let revision = input.revision;
    Ok(Request { application, environment, revision, images, cluster, options, hints })
}

/// What views know and plans are better with: the names of the classes, for suggestions alone, and how full the clusters
/// are without this deployment, to spread over them. A view may lag behind.
pub(crate) async fn hints(
    plane: &Plane,
    environment: &Name,
    application: &Name,
) -> Result<Hints, Fault> {
    let filter = Filter::of(plane.tenant.clone(), &[domain::class::KIND]);
    let page = plane.views.list(&filter, projections::Sort::Name, None, HINTS_MAX, None).await?;
    let known_classes = page.items.into_iter().map(|row| row.stream.name().clone()).collect();
    let own = deployment::name_of(environment.as_str(), application.as_str()).ok();
    let occupied = plane.views.workloads_by_cluster(&plane.tenant, own.as_ref()).await?;
    Ok(Hints { known_classes, occupied })
}

async fn planned(work: &mut Work<'_>, request: Request) -> Result<Planned, Stop> {
    let planned =
        work.plane.planner.plan(&request, &work.context("plan")).await.map_err(stopped)?;
    settled(work).await?;
    Ok(planned)
}

fn answer(planned: &Planned) -> Answer {
    Answer {
        plan: Some(planned.id),
        deployment: Some(planned.plan.header.deployment.to_string()),
        application: Some(planned.plan.header.application.to_string()),
        environment: Some(planned.plan.header.environment.to_string()),
        number: Some(planned.plan.header.revision),
        unchanged: planned.plan.steps.is_empty(),
        ..Answer::default()
    }
}

async fn run(work: &mut Work<'_>, planned: &Planned) -> Result<Answer, Stop> {
    let answer = answer(planned);
    if planned.plan.steps.is_empty() {
        let stream = stream(work, planned.plan.header.deployment.as_str())?;
        let state = work.plane.probed.executor.load_state::<Deployment>(&stream).await?.state;
        let last = state.rollout.as_ref();
        if let Some(last) = last.filter(|last| last.revision == planned.plan.header.revision) {
            match &state.outcome {
                // The same again, and it is so already.
                Some(Outcome::Succeeded) => return Ok(answer),
                // The same again, and it is under way: whoever asks again waits for that.
                None => {
                    let rollout = rollout::name_of(stream.name(), last.number);
                    let rollout = rollout.map_err(|error| Fault::unavailable(&error))?;
                    let rollout = Some(rollout.to_string());
                    return Ok(Answer { rollout, unchanged: false, ..answer });
                }
                // What failed is tried again.
                Some(Outcome::Failed { .. } | Outcome::Superseded) => {}
            }
        }
    }
    start(work, planned.id, answer).await
}

async fn start(work: &mut Work<'_>, id: Uuid, answer: Answer) -> Result<Answer, Stop> {
    let started = work.plane.planner.start(id, &work.context("start")).await;
    settled(work).await?;
    match started {
        Ok(rollout) => {
            Ok(Answer { rollout: Some(rollout.to_string()), unchanged: false, ..answer })
        }
        // The plan is worth having even so: somebody may approve it.
        Err(error) => match stopped(error) {
            Stop::Refused(user_errors) => Ok(Answer { user_errors, ..answer }),
            fault @ Stop::Fault(_) => Err(fault),
        },
    }
}

/// What the planner wrote is in the log: the answer shows it.
async fn settled(work: &mut Work<'_>) -> Result<(), Fault> {
    let head = work.plane.probed.executor.journal().head().await?;
    work.reached(head);
    Ok(())
}

async fn load(work: &Work<'_>, deployment: &str) -> Result<(Deployment, (Name, Name)), Stop> {
    let stream = stream(work, deployment)?;
    let state = work.plane.probed.executor.load_state::<Deployment>(&stream).await?.state;
    match (&state.application, &state.environment) {
        (Some(application), Some(environment)) if !state.deleted => {
            let names = (application.clone(), environment.clone());
            Ok((Deployment::clone(&state), names))
        }
        _ => Err(UserError::missing("input.deployment", deployment::KIND, deployment).into()),
    }
}

fn stream(work: &Work<'_>, deployment: &str) -> Result<domain::StreamId, Stop> {
    let name = name("input.deployment", deployment)?;
    work.plane
        .stream(deployment::KIND, name.as_str())
        .ok_or_else(|| UserError::missing("input.deployment", deployment::KIND, deployment).into())
}

/// The revisions that were rolled out with success, as they followed each other. Others were only recorded, for a plan
/// say, and nobody may have approved them.
async fn good_revisions(work: &Work<'_>, name: &str) -> Result<Vec<u64>, Stop> {
    let (stream, mut good) = (stream(work, name)?, Vec::new());
    let executor = &work.plane.probed.executor;
    let folded = executor.fold_until::<Deployment>(&stream, |state, _| {
        good.extend(state.good_revision.filter(|revision| good.last() != Some(revision)));
        false
    });
    folded.await?;
    Ok(good)
}

fn never_ran(revision: u64) -> UserError {
    let message = format!("revision {revision} was never rolled out with success");
    UserError::new("NEVER_ROLLED_OUT", "input.revision", message)
        .with_hint("go back to one that was, or apply what is wanted")
}

fn plan_id(text: &str) -> Result<Uuid, Stop> {
    text.parse().map_err(|_| {
        UserError::new("INVALID_ID", "input.plan", format!("`{text}` is not the id of a plan"))
            .into()
    })
}

/// Sorts a planner's failure: refusals are the answer, outages are not.
pub(crate) fn stopped(error: PlanError) -> Stop {
    let missing = |kind, name: &str| Stop::from(UserError::missing("", kind, name));
    match &error {
        PlanError::NoApplication(name) => return missing(application::KIND, name.as_str()),
        PlanError::NoEnvironment(name) => return missing(environment::KIND, name.as_str()),
        PlanError::NoDeployment(name) => return missing(deployment::KIND, name.as_str()),
        PlanError::NoPlan(id) => return missing(plan::KIND, &id.to_string()),
        PlanError::Refused(_)
        | PlanError::NoRevision { .. }
        | PlanError::Moved(_)
        | PlanError::Abandoned
        | PlanError::Name(_)
        | PlanError::Plan(_)
        | PlanError::Deployment(_)
        | PlanError::Load(_) => {}
    }
    let refused = match &error {
        PlanError::Plan(inner) => matches!(**inner, ExecuteError::Rejected(_)),
        PlanError::Deployment(inner) => matches!(**inner, ExecuteError::Rejected(_)),
        PlanError::Load(_) => false,
        PlanError::Refused(_)
        | PlanError::NoApplication(_)
        | PlanError::NoRevision { .. }
        | PlanError::NoEnvironment(_)
        | PlanError::NoDeployment(_)
        | PlanError::NoPlan(_)
        | PlanError::Moved(_)
        | PlanError::Abandoned
        | PlanError::Name(_) => true,
    };
    if let PlanError::Refused(refusals) = error {
        return Stop::Refused(refusals.into_iter().map(UserError::from).collect());
    }
    if refused {
        let (code, hint) = (error.code(), error.hint());
        return UserError { hint, ..UserError::new(code, "", error) }.into();
    }
    Stop::Fault(Fault::unavailable(&error))
}
