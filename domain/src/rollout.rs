//! A rollout: one execution of a plan, step by step, with health gates.
//!
//! It records only what cannot be read off the resources themselves: that it started, which step it is stuck
//! on, and how it ended. Whether a step is done is always asked of the resource.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::decider::{Decider, Rejection};
use crate::deployment::Outcome;
use crate::name::{InvalidName, Name, ResourceId};
use crate::time::Time;

/// The aggregate's kind in streams.
pub const KIND: &str = "rollout";

/// The name of a rollout: `<deployment>_<number>`.
///
/// # Errors
/// [`InvalidName`] when the whole is too long for a name.
pub fn name_of(deployment: &Name, number: u64) -> Result<Name, InvalidName> {
    format!("{deployment}_{number}").parse()
}

/// One execution of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rollout {
    /// Not started.
    #[default]
    Absent,
    /// Started.
    Started(Body),
}

/// What is known of a started rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// Whose.
    pub deployment: Name,
    /// The plan it runs.
    pub plan: Uuid,
    /// The number of steps.
    pub steps_total: u32,
    /// When it started.
    pub started_at: Time,
    /// The step it waits for longest.
    pub waiting: Option<Waiting>,
    /// How and when it ended; none while it runs.
    pub ended: Option<(Outcome, Time)>,
}

/// A step that is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Waiting {
    /// The resource.
    pub resource: ResourceId,
    /// Why it is not done.
    pub reason: String,
}

/// What is wanted of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the fields are those of the events they lead to")]
pub enum Command {
    /// Begins.
    Start { deployment: Name, plan: Uuid, steps_total: u32, at: Time },
    /// Notes what it waits for.
    ObserveWaiting { waiting: Waiting, at: Time },
    /// Ends.
    End { outcome: Outcome, at: Time },
}

/// What happened to a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the fields are those of the state they lead to")]
pub enum Event {
    /// It began.
    Started { deployment: Name, plan: Uuid, steps_total: u32, at: Time },
    /// It waits.
    Stalled { waiting: Waiting, at: Time },
    /// It ended.
    Ended { outcome: Outcome, at: Time },
}

/// Why a command is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Start it first.
    #[error("there is no such rollout")]
    NotFound,
}

impl Rejection for Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "NOT_FOUND",
        }
    }
}

impl Decider for Rollout {
    type State = Self;
    type Command = Command;
    type Event = Event;
    type Rejection = Refused;

    fn decide(state: &Self, command: Command) -> Result<Vec<Event>, Refused> {
        match (state, command) {
            (Self::Absent, Command::Start { deployment, plan, steps_total, at }) => {
                Ok(vec![Event::Started { deployment, plan, steps_total, at }])
            }
            (Self::Absent, Command::ObserveWaiting { .. } | Command::End { .. }) => {
                Err(Refused::NotFound)
            }
            (Self::Started(_), Command::Start { .. }) => Ok(Vec::new()),
            (Self::Started(body), _) if body.ended.is_some() => Ok(Vec::new()),
            (Self::Started(body), Command::ObserveWaiting { waiting, at }) => {
                let same = body.waiting.as_ref() == Some(&waiting);
                Ok(if same { Vec::new() } else { vec![Event::Stalled { waiting, at }] })
            }
            (Self::Started(_), Command::End { outcome, at }) => {
                Ok(vec![Event::Ended { outcome, at }])
            }
        }
    }

    fn evolve(state: Self, event: Event) -> Self {
        match (state, event) {
            (_, Event::Started { deployment, plan, steps_total, at }) => Self::Started(Body {
                deployment,
                plan,
                steps_total,
                started_at: at,
                waiting: None,
                ended: None,
            }),
            (Self::Started(body), Event::Stalled { waiting, .. }) => {
                Self::Started(Body { waiting: Some(waiting), ..body })
            }
            (Self::Started(body), Event::Ended { outcome, at }) => {
                Self::Started(Body { waiting: None, ended: Some((outcome, at)), ..body })
            }
            (Self::Absent, Event::Stalled { .. } | Event::Ended { .. }) => Self::Absent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decider::testing::given;

    const NOW: Time = Time::from_micros(1);

    fn started() -> Event {
        Event::Started {
            deployment: "dev_shop".parse().unwrap(),
            plan: Uuid::nil(),
            steps_total: 1,
            at: NOW,
        }
    }

    #[test]
    fn a_rollout_ends_once() {
        let end = || Command::End { outcome: Outcome::Succeeded, at: NOW };
        let ended = Event::Ended { outcome: Outcome::Succeeded, at: NOW };
        given::<Rollout>([started()]).when(end()).then([ended.clone()]);
        given::<Rollout>([started(), ended]).when(end()).then_nothing();
    }
}
