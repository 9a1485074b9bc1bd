//! A deployment: one application in one environment, the root of a resource graph.
//!
//! It remembers which resources are its own and which rollout is under way. A newer rollout supersedes the one
//! before: a fix is never refused because something else is still running.

mod left_behind;
mod stranded;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::decider::{Decider, Rejection};
use crate::environment::Definition;
use crate::name::{InvalidName, Name, ResourceId};
use crate::plan::Purpose;
use crate::time::Time;

pub use left_behind::LeftBehind;
pub use stranded::Stranded;

/// The aggregate's kind in streams.
pub const KIND: &str = "deployment";

/// The name of a deployment: `<environment>_<application>`.
///
/// # Errors
/// [`InvalidName`] when the whole is not a name.
pub fn name_of(environment: &str, application: &str) -> Result<Name, InvalidName> {
    Name::join(&[environment, application])
}

/// What a rollout came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything is as planned.
    Succeeded,
    /// A step failed or took too long.
    Failed {
        /// Which, and how.
        reason: String,
    },
    /// A newer rollout took its place.
    Superseded,
}

/// A rollout, as the deployment knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RolloutRef {
    /// Counts the deployment's rollouts, from 1.
    pub number: u64,
    /// The plan it runs.
    pub plan: Uuid,
    /// The application's revision.
    pub revision: u64,
    /// What the plan is for.
    pub purpose: Purpose,
}

/// One application in one environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// The application; none before the first rollout.
    pub application: Option<Name>,
    /// The environment; none before the first rollout.
    pub environment: Option<Name>,
    /// The resources that are its own, present or on their way.
    pub members: BTreeSet<ResourceId>,
    /// The last rollout.
    pub rollout: Option<RolloutRef>,
    /// What it came to; none while it runs.
    pub outcome: Option<Outcome>,
    /// The revision last rolled out with success.
    pub good_revision: Option<u64>,
    /// Everything was taken down.
    pub deleted: bool,
    /// What it left in clusters that were lost. It is removed by a plan, never because it is found.
    #[serde(default)]
    pub left_behind: Vec<LeftBehind>,
    /// Its cluster is lost, and it cannot leave. Until it can, or the cluster is back.
    #[serde(default)]
    pub stranded: Option<Stranded>,
}

/// What is wanted of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the fields are those of the events they lead to")]
pub enum Command {
    /// Runs a plan. `members` are the resources of the plan that will be its own.
    StartRollout {
        application: Name,
        environment: Name,
        plan: Uuid,
        revision: u64,
        purpose: Purpose,
        members: Vec<ResourceId>,
        at: Time,
    },
    /// Notes what the rollout came to. `removed` are gone for good.
    EndRollout { number: u64, outcome: Outcome, removed: Vec<ResourceId>, at: Time },
    /// A rollout leaves incarnations behind: noted before they are given up.
    LeaveBehind { number: u64, left: Vec<LeftBehind>, at: Time },
    /// A rollout has what was left behind removed.
    CleanUp { number: u64, uids: Vec<Uuid>, at: Time },
    /// It should leave its cluster and cannot.
    Strand { stranded: Stranded, at: Time },
    /// It need not leave any more.
    Relieve { at: Time },
}

/// What happened to a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the fields are those of the state they lead to")]
pub enum Event {
    /// A plan is being run.
    RolloutStarted {
        application: Name,
        environment: Name,
        rollout: RolloutRef,
        members: Vec<ResourceId>,
        at: Time,
    },
    /// It came to an end.
    RolloutEnded { number: u64, outcome: Outcome, removed: Vec<ResourceId>, at: Time },
    /// A rollout left incarnations behind in a cluster that is lost.
    LeftBehind { number: u64, left: Vec<LeftBehind>, at: Time },
    /// What was left behind is wanted by nobody any more: it is removed wherever it is found.
    CleanedUp { number: u64, uids: Vec<Uuid>, at: Time },
    /// Its cluster is lost, and it cannot leave it.
    Stranded { stranded: Stranded, at: Time },
    /// It need not leave its cluster any more.
    Relieved { at: Time },
    /// Nothing of it is left.
    Deleted { at: Time },
}

/// Why a command is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Deploy it first.
    #[error("there is no such deployment")]
    NotFound,
}

impl Rejection for Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "NOT_FOUND",
        }
    }
}

impl Deployment {
    /// The rollout under way.
    #[must_use]
    pub const fn running(&self) -> Option<&RolloutRef> {
        match (&self.rollout, &self.outcome) {
            (Some(rollout), None) => Some(rollout),
            _ => None,
        }
    }

    /// The rollout that failed and is to be taken back to the last good revision, where the environment wants that.
    #[must_use]
    pub const fn to_be_taken_back(&self, environment: &Definition) -> Option<&RolloutRef> {
        match (&self.rollout, &self.outcome, self.good_revision) {
            (Some(rollout), Some(Outcome::Failed { .. }), Some(_))
                if environment.rollback_on_failure
                    && matches!(rollout.purpose, Purpose::Deploy) =>
            {
                Some(rollout)
            }
            _ => None,
        }
    }
}

impl Decider for Deployment {
    type State = Self;
    type Command = Command;
    type Event = Event;
    type Rejection = Refused;

    fn decide(state: &Self, command: Command) -> Result<Vec<Event>, Refused> {
        match command {
            Command::StartRollout { purpose: Purpose::Delete, .. } if state.rollout.is_none() => {
                Err(Refused::NotFound)
            }
            Command::StartRollout {
                application,
                environment,
                plan,
                revision,
                purpose,
                members,
                at,
            } => {
                if state.rollout.as_ref().is_some_and(|rollout| rollout.plan == plan) {
                    return Ok(Vec::new());
                }
                let number = state.rollout.as_ref().map_or(0, |rollout| rollout.number) + 1;
                let superseded = state.running().map(|rollout| Event::RolloutEnded {
                    number: rollout.number,
                    outcome: Outcome::Superseded,
                    removed: Vec::new(),
                    at,
                });
                let rollout = RolloutRef { number, plan, revision, purpose };
                let started =
                    Event::RolloutStarted { application, environment, rollout, members, at };
                Ok(superseded.into_iter().chain([started]).collect())
            }
            Command::EndRollout { number, outcome, removed, at } => {
                let Some(running) = state.running().filter(|rollout| rollout.number == number)
                else {
                    return Ok(Vec::new());
                };
                let over = running.purpose == Purpose::Delete && outcome == Outcome::Succeeded;
                let ended = Event::RolloutEnded { number, outcome, removed, at };
                Ok(std::iter::once(ended).chain(over.then_some(Event::Deleted { at })).collect())
            }
            Command::LeaveBehind { number, left, at } => Ok(state.leave_behind(number, left, at)),
            Command::CleanUp { number, uids, at } => Ok(state.clean_up(number, uids, at)),
            Command::Strand { stranded, at } => Ok(state.strand(stranded, at)),
            Command::Relieve { at } => Ok(state.relieve(at)),
        }
    }

    fn evolve(mut state: Self, event: Event) -> Self {
        match event {
            Event::RolloutStarted { application, environment, rollout, members, .. } => {
                state.members.extend(members);
                Self {
                    application: Some(application),
                    environment: Some(environment),
                    rollout: Some(rollout),
                    outcome: None,
                    deleted: false,
                    stranded: None,
                    ..state
                }
            }
            Event::RolloutEnded { outcome, removed, .. } => {
                for resource in &removed {
                    state.members.remove(resource);
                }
                if outcome == Outcome::Succeeded {
                    state.good_revision = state.rollout.as_ref().map(|rollout| rollout.revision);
                }
                Self { outcome: Some(outcome), ..state }
            }
            Event::LeftBehind { left, .. } => {
                state.left_behind.extend(left);
                state
            }
            Event::CleanedUp { uids, .. } => {
                state.left_behind.retain(|left| !uids.contains(&left.uid));
                state
            }
            Event::Stranded { stranded, .. } => Self { stranded: Some(stranded), ..state },
            Event::Relieved { .. } => Self { stranded: None, ..state },
            Event::Deleted { .. } => Self {
                deleted: true,
                stranded: None,
                good_revision: None,
                members: BTreeSet::new(),
                left_behind: Vec::new(),
                ..state
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decider::testing::given;

    const NOW: Time = Time::from_micros(1);

    fn start(plan: u128, purpose: Purpose) -> Command {
        Command::StartRollout {
            application: "shop".parse().unwrap(),
            environment: "dev".parse().unwrap(),
            plan: Uuid::from_u128(plan),
            revision: 1,
            purpose,
            members: vec!["bucket/dev_shop_a".parse().unwrap()],
            at: NOW,
        }
    }

    fn started(number: u64, plan: u128, purpose: Purpose) -> Event {
        Event::RolloutStarted {
            application: "shop".parse().unwrap(),
            environment: "dev".parse().unwrap(),
            rollout: RolloutRef { number, plan: Uuid::from_u128(plan), revision: 1, purpose },
            members: vec!["bucket/dev_shop_a".parse().unwrap()],
            at: NOW,
        }
    }

    #[test]
    fn a_newer_rollout_supersedes_the_running_one() {
        given::<Deployment>([started(1, 1, Purpose::Deploy)]).when(start(2, Purpose::Deploy)).then(
            [
                Event::RolloutEnded {
                    number: 1,
                    outcome: Outcome::Superseded,
                    removed: vec![],
                    at: NOW,
                },
                started(2, 2, Purpose::Deploy),
            ],
        );
    }

    #[test]
    fn the_same_plan_starts_once() {
        given::<Deployment>([started(1, 1, Purpose::Deploy)])
            .when(start(1, Purpose::Deploy))
            .then_nothing();
    }

    #[test]
    fn a_deployment_that_never_was_cannot_be_deleted() {
        given::<Deployment>([]).when(start(1, Purpose::Delete)).then_refused("NOT_FOUND");
    }

    #[test]
    fn a_finished_deletion_leaves_nothing() {
        let end = Command::EndRollout {
            number: 1,
            outcome: Outcome::Succeeded,
            removed: vec![],
            at: NOW,
        };
        let state = given::<Deployment>([started(1, 1, Purpose::Delete)]).when(end).then([
            Event::RolloutEnded {
                number: 1,
                outcome: Outcome::Succeeded,
                removed: vec![],
                at: NOW,
            },
            Event::Deleted { at: NOW },
        ]);
        assert!(state.deleted && state.members.is_empty());
    }
}
