//! A plan: an immutable value that says what will be created, changed, replaced and deleted, and why.
//!
//! It is pinned to what it was computed from; approvals sign its hash; it runs only if nothing it was computed
//! from has moved (invariant 15). Large plans are recorded in several commits and count once complete.

mod commands;
mod step;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::commit::{Actor, Hash};
use crate::decider::{Decider, Rejection};
use crate::name::{Name, ResourceId};
use crate::time::Time;

pub use step::{FieldChange, Step, StepAction};

/// The aggregate's kind in streams. The name is the plan's id, a UUID.
pub const KIND: &str = "plan";
/// The most bytes of one event, but for a single larger step, so that a commit stays below its own limit.
pub const CHUNK_BYTES_MAX: usize = 160 * 1024;

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Bring a revision up.
    Deploy,
    /// Go back to an earlier revision.
    Rollback,
    /// Leave a cluster that is lost, with the revision that runs.
    Failover,
    /// Take everything down.
    Delete,
}

/// Everything of a plan but its steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Header {
    /// The deployment, `<environment>_<application>`.
    pub deployment: Name,
    /// The application.
    pub application: Name,
    /// The environment.
    pub environment: Name,
    /// The application's revision.
    pub revision: u64,
    /// What it is for.
    pub purpose: Purpose,
    /// What it was computed from.
    pub pins: Pins,
    /// Where workloads go, and why there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// Things worth knowing that stop nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What a plan was computed from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pins {
    /// The environment's version.
    pub environment: u64,
    /// Class → version.
    pub classes: BTreeMap<Name, u64>,
    /// Live resource → incarnation and generation. A resource that must not exist has a generation of 0.
    pub resources: BTreeMap<ResourceId, ResourcePin>,
    /// How many pins of resources follow in commits of their own; none in a complete plan.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub to_follow: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A resource at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResourcePin {
    /// The incarnation; none for one that does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<Uuid>,
    /// The generation of its spec.
    pub generation: u64,
}

/// Where workloads go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Placement {
    /// The cluster chosen.
    pub cluster: ResourceId,
    /// Every candidate, best first.
    pub scores: Vec<Score>,
}

/// One candidate's score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Score {
    /// The candidate.
    pub cluster: ResourceId,
    /// The sum; none when it cannot be chosen at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<i64>,
    /// What added to it or ruled it out.
    pub reasons: Vec<String>,
}

/// A whole plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Everything but its steps.
    pub header: Header,
    /// What is done, in an order in which every step comes after those it waits for.
    pub steps: Vec<Step>,
}

impl Plan {
    /// The digest that approvals sign.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(&serde_json::to_vec(self).unwrap_or_default())
    }
}

/// What became of a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Proposal {
    /// There is none of this id.
    #[default]
    Absent,
    /// Recorded in part: a crash came between, or the rest is still coming.
    Draft(Recorded),
    /// Complete.
    Proposed(Recorded),
}

/// A plan in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// The plan, as far as it is recorded.
    pub plan: Plan,
    /// The hash of the whole.
    pub hash: Hash,
    /// The number of steps of the whole.
    pub steps_total: u32,
    /// When it was proposed.
    pub at: Time,
    /// Who approved it, if somebody did.
    pub approved_by: Option<Actor>,
    /// The rollout that runs or ran it.
    pub rollout: Option<Name>,
}

/// What is wanted of a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the fields are those of the events they lead to")]
pub enum Command {
    /// Records the header and the first chunk.
    Propose { header: Box<Header>, hash: Hash, steps_total: u32, steps: Vec<Step>, at: Time },
    /// Records further pins.
    AddPins { pins: BTreeMap<ResourceId, ResourcePin>, at: Time },
    /// Records a further chunk.
    AddSteps { from: u32, steps: Vec<Step>, at: Time },
    /// Agrees to exactly this plan.
    Approve { hash: Hash, by: Actor, at: Time },
    /// Hands it to a rollout.
    Execute { rollout: Name, approval_required: bool, at: Time },
}

/// What happened to a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the fields are those of the state they lead to")]
pub enum Event {
    /// The header and the first steps.
    Proposed { header: Box<Header>, hash: String, steps_total: u32, steps: Vec<Step>, at: Time },
    /// Further pins.
    PinsAdded { pins: BTreeMap<ResourceId, ResourcePin>, at: Time },
    /// Further steps.
    StepsAdded { steps: Vec<Step>, at: Time },
    /// Somebody agreed to it.
    Approved { by: Actor, at: Time },
    /// A rollout runs it.
    Executed { rollout: Name, at: Time },
}

/// Why a command is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is none of this id.
    #[error("there is no such plan")]
    NotFound,
    /// Plan again.
    #[error("the plan is not completely recorded")]
    Incomplete,
    /// Read the plan again, then approve what you read.
    #[error("the plan's hash is {actual}, not {given}")]
    OtherHash {
        /// The plan's.
        actual: Hash,
        /// The one approved.
        given: Hash,
    },
    /// Approve it first.
    #[error("the environment wants this plan approved before it runs")]
    NotApproved,
    /// A plan runs once.
    #[error("the plan was run already, by {0}")]
    Executed(Name),
}

impl Rejection for Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "NOT_FOUND",
            Self::Incomplete => "PLAN_INCOMPLETE",
            Self::OtherHash { .. } => "PLAN_HASH_MISMATCH",
            Self::NotApproved => "NOT_APPROVED",
            Self::Executed(_) => "PLAN_ALREADY_EXECUTED",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotApproved => Some(
                "whoever answers for it reads and approves it with `cairn approve <plan>`".into(),
            ),
            Self::Executed(_) | Self::Incomplete => Some("plan again".into()),
            Self::NotFound | Self::OtherHash { .. } => None,
        }
    }
}

impl Decider for Proposal {
    type State = Self;
    type Command = Command;
    type Event = Event;
    type Rejection = Refused;

    fn decide(state: &Self, command: Command) -> Result<Vec<Event>, Refused> {
        match (state, command) {
            (Self::Absent, Command::Propose { header, hash, steps_total, steps, at }) => {
                Ok(vec![Event::Proposed { header, hash: hash.to_hex(), steps_total, steps, at }])
            }
            (Self::Absent, _) => Err(Refused::NotFound),
            (_, Command::Propose { .. }) => Ok(Vec::new()),
            (Self::Draft(recorded), Command::AddPins { mut pins, at }) => {
                pins.retain(|id, _| !recorded.plan.header.pins.resources.contains_key(id));
                Ok(if pins.is_empty() { Vec::new() } else { vec![Event::PinsAdded { pins, at }] })
            }
            (Self::Draft(recorded), Command::AddSteps { from, steps, at }) => {
                let next = u32::try_from(recorded.plan.steps.len()).unwrap_or(u32::MAX);
                Ok(if from == next { vec![Event::StepsAdded { steps, at }] } else { Vec::new() })
            }
            (Self::Draft(_), _) => Err(Refused::Incomplete),
            (Self::Proposed(_), Command::AddPins { .. } | Command::AddSteps { .. }) => {
                Ok(Vec::new())
            }
            (Self::Proposed(recorded), Command::Approve { hash, .. }) if hash != recorded.hash => {
                Err(Refused::OtherHash { actual: recorded.hash, given: hash })
            }
            (Self::Proposed(recorded), Command::Approve { .. })
                if recorded.approved_by.is_some() =>
            {
                Ok(Vec::new())
            }
            (Self::Proposed(_), Command::Approve { by, at, .. }) => {
                Ok(vec![Event::Approved { by, at }])
            }
            (Self::Proposed(recorded), Command::Execute { rollout, approval_required, at }) => {
                match &recorded.rollout {
                    Some(before) if *before == rollout => Ok(Vec::new()),
                    Some(before) => Err(Refused::Executed(before.clone())),
                    None if approval_required && recorded.approved_by.is_none() => {
                        Err(Refused::NotApproved)
                    }
                    None => Ok(vec![Event::Executed { rollout, at }]),
                }
            }
        }
    }

    fn evolve(state: Self, event: Event) -> Self {
        match (state, event) {
            (_, Event::Proposed { header, hash, steps_total, steps, at }) => complete(Recorded {
                plan: Plan { header: *header, steps },
                hash: Hash::from_hex(&hash).unwrap_or_default(),
                steps_total,
                at,
                approved_by: None,
                rollout: None,
            }),
            (Self::Draft(mut recorded), Event::PinsAdded { mut pins, .. }) => {
                let known = &mut recorded.plan.header.pins;
                let count = u32::try_from(pins.len()).unwrap_or(u32::MAX);
                known.to_follow = known.to_follow.saturating_sub(count);
                known.resources.append(&mut pins);
                complete(recorded)
            }
            (Self::Draft(mut recorded), Event::StepsAdded { mut steps, .. }) => {
                recorded.plan.steps.append(&mut steps);
                complete(recorded)
            }
            (Self::Proposed(recorded), Event::Approved { by, .. }) => {
                Self::Proposed(Recorded { approved_by: Some(by), ..recorded })
            }
            (Self::Proposed(recorded), Event::Executed { rollout, .. }) => {
                Self::Proposed(Recorded { rollout: Some(rollout), ..recorded })
            }
            (
                state,
                Event::PinsAdded { .. }
                | Event::StepsAdded { .. }
                | Event::Approved { .. }
                | Event::Executed { .. },
            ) => state,
        }
    }
}

fn complete(recorded: Recorded) -> Proposal {
    let pinned = recorded.plan.header.pins.to_follow == 0;
    if pinned && recorded.plan.steps.len() as u64 >= u64::from(recorded.steps_total) {
        Proposal::Proposed(recorded)
    } else {
        Proposal::Draft(recorded)
    }
}
