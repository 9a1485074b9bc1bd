//! Intents about one resource, and faults in the simulated world.

use domain::ResourceId;
use domain::lifecycle::{Command, Lifetime, Resource};

use crate::fault::UserError;
use crate::once::{Answer, Stop, Work};
use crate::plane::{SimulateError, WorldFault};
use crate::schema::types::subject;

/// What somebody wants of one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Cairn takes no action on it.
    Pause,
    /// Cairn takes actions on it again.
    Resume,
    /// How the world differs is taken as wanted.
    AcceptDrift,
    /// What is tried of it is good enough: past its step, or past all.
    Promote(bool),
    /// Its deletion is refused, or no longer.
    Protect(bool),
    /// It goes.
    Delete,
}

/// Says what is wanted of a resource.
pub(crate) async fn intend(work: &mut Work<'_>, id: &str, intent: Intent) -> Result<Answer, Stop> {
    let id = resource_id(id)?;
    let stream = id.stream(&work.plane.tenant);
    let at = work.at;
    let command = match intent {
        Intent::Pause => Command::Pause { at },
        Intent::Resume => Command::Resume { at },
        Intent::AcceptDrift => Command::AcceptDrift { at },
        Intent::Promote(full) => Command::Promote { full, at },
        Intent::Protect(on) => Command::Protect { on, at },
        Intent::Delete => {
            let state = work.plane.probed.executor.load_state::<Resource>(&stream).await?.state;
            if let Some(Lifetime::Deployment(name)) = state.body().map(|body| &body.lifetime) {
                let error = UserError::new(
                    "BELONGS_TO_DEPLOYMENT",
                    "input.id",
                    format!("{id} belongs to {name}"),
                );
                let hint = format!(
                    "take it out of the application, or delete the deployment: cairn delete {name}"
                );
                return Err(error.with_hint(hint).into());
            }
            if state.body().is_none() {
                return Err(not_there(&id, &state));
            }
            refuse_used(work, &id).await?;
            Command::RequestDeletion { uid: state.uid(), replacement: false, at }
        }
    };
    let executed = work.execute::<Resource>(&stream, command).await?;
    let accepted = executed.state.body().and_then(|body| body.accepted.as_ref());
    if intent == Intent::AcceptDrift && accepted.is_none() {
        let message = format!("{id} has not drifted: there is nothing to accept");
        return Err(UserError::new("NOTHING_TO_ACCEPT", "input.id", message).into());
    }
    Ok(Answer {
        resource: Some(id.to_string()),
        unchanged: executed.events.is_empty(),
        ..Answer::default()
    })
}

/// Decides that nobody waits for its removal any longer. The decision and its reason are in the log.
pub(crate) async fn abandon(work: &mut Work<'_>, id: &str, reason: String) -> Result<Answer, Stop> {
    let id = resource_id(id)?;
    let stream = id.stream(&work.plane.tenant);
    let command = Command::Abandon { reason, at: work.at };
    let executed = work.execute::<Resource>(&stream, command).await?;
    Ok(Answer {
        resource: Some(id.to_string()),
        unchanged: executed.events.is_empty(),
        ..Answer::default()
    })
}

/// What is gone is said to be gone: whoever deletes it may have meant another.
fn not_there(id: &ResourceId, state: &Resource) -> Stop {
    let Resource::Gone(grave) = state else {
        return UserError::missing("input.id", id.kind.as_str(), id.name.as_str()).into();
    };
    let message = format!("{id} is gone since {}", grave.at);
    let hint = format!("see what became of it: cairn history {id}");
    UserError::new("NOT_FOUND", "input.id", message).with_hint(hint).into()
}

/// What others need is not deleted under them: it would wait for them, and whatever is new for it.
async fn refuse_used(work: &Work<'_>, id: &ResourceId) -> Result<(), Stop> {
    let edges = work.plane.views.edges_of(&id.stream(&work.plane.tenant), None).await?;
    let users = edges.needed_by.iter().map(|edge| subject(&edge.source));
    let mut users: Vec<String> = users.collect();
    users.dedup();
    let Some(first) = users.first() else { return Ok(()) };
    let message = match users.len() {
        1 => format!("{first} needs {id}"),
        count => format!("{first} and {} more need {id}", count - 1),
    };
    let hint = "delete the deployments that need it first: cairn get deployments";
    Err(UserError::new("IN_USE", "input.id", message).with_hint(hint).into())
}

/// Does something to the simulated world.
pub(crate) async fn fault(
    work: &mut Work<'_>,
    id: &str,
    fault: WorldFault,
) -> Result<Answer, Stop> {
    let id = resource_id(id)?;
    let Some(simulator) = &work.plane.simulator else {
        let error = UserError::new("NOT_SIMULATED", "", "the world is not simulated");
        return Err(error
            .with_hint(
                "faults can only be planted on a server that was started with a simulated world",
            )
            .into());
    };
    match simulator.fault(&id, fault).await {
        Ok(()) => Ok(Answer { resource: Some(id.to_string()), ..Answer::default() }),
        Err(SimulateError::NotFound(id)) => {
            let missing = UserError::missing("input.id", id.kind.as_str(), id.name.as_str());
            let message = format!("there is no {id} in the simulated world");
            Err(UserError { message, ..missing }.into())
        }
        Err(error @ SimulateError::World(_)) => {
            Err(Stop::Fault(crate::fault::Fault::unavailable(error)))
        }
    }
}

fn resource_id(text: &str) -> Result<ResourceId, Stop> {
    text.parse().map_err(|error| UserError::new("INVALID_ID", "input.id", error).into())
}
