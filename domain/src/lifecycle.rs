//! The one life that every resource lives.
//!
//! ```text
//!            Declare                RequestDeletion             ObserveGone
//!   Absent ───────────▶ Live ──────────────────────▶ Deleting ─────────────▶ Gone
//!                        ▲  Declare: a new incarnation, with a new uid          │
//!                        └──────────────────────────────────────────────────────┘
//! ```
//! *Intents* (declare, revise, pause, protect, request deletion, …) say what is wanted. *Observations* (an action
//! started, failed or succeeded; ready, unready, blocked, drifted, gone) say what a reconciler saw; each names the
//! incarnation it is about and is dropped when that one is not the current one: a late word harms nobody.
//! A kind adds data to this life, never a second life.

mod body;
mod canary;
mod decide;
mod evolve;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::decider::{Decider, Rejection};
use crate::kinds::Spec;
use crate::name::ResourceId;
use crate::text::OutputMap;
use crate::time::Time;

pub use body::{
    Action, ActionName, Blocker, Body, CONTEST_MAX, CONTEST_MICROS, ClassRef, Contest, Deletion,
    Drift, Failure, FailureClass, Grave, Lifetime, NOTICES_MAX, Notice, Readiness,
};

pub use canary::{CanaryStatus, CheckStatus, Measured, Promotion};

/// The longest reason of an abandonment, in characters.
pub const REASON_MAX: usize = 500;

/// The state of a resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Resource {
    /// Nothing was ever declared under this name.
    #[default]
    Absent,
    /// Wanted.
    Live(Body),
    /// No longer wanted; not yet gone.
    Deleting(Body, Deletion),
    /// Gone. The name is free; anything that still carries this uid is to be deleted.
    Gone(Grave),
}

/// Intents and observations. Every one carries its time; observations carry the incarnation they saw.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the fields are those of the events they lead to")]
pub enum Command {
    /// Wants it, as a new incarnation where there is none.
    Declare {
        uid: Uuid,
        spec: Spec,
        class: Option<ClassRef>,
        lifetime: Lifetime,
        protected: bool,
        at: Time,
    },
    /// Wants it otherwise, in place. `generation` limits it to the one that was looked at: a late word is dropped.
    Revise { spec: Spec, class: Option<ClassRef>, generation: Option<u64>, at: Time },
    /// Takes no action until resumed.
    Pause { at: Time },
    /// Takes actions again.
    Resume { at: Time },
    /// Refuses deletion, or no longer.
    Protect { on: bool, at: Time },
    /// Wants it no longer. `uid` limits it to one incarnation.
    RequestDeletion { uid: Option<Uuid>, replacement: bool, at: Time },
    /// Takes the world's difference as wanted, until the spec changes or the thing differs in another way.
    AcceptDrift { at: Time },
    /// About to act.
    StartAction { uid: Uuid, action: ActionName, generation: u64, at: Time },
    /// The provider acknowledged.
    RecordSuccess {
        uid: Uuid,
        action: ActionName,
        generation: u64,
        external: Option<String>,
        at: Time,
    },
    /// The provider refused, or did not answer.
    RecordFailure { uid: Uuid, action: ActionName, generation: u64, failure: Failure, at: Time },
    /// It is as wanted, and publishes these.
    ObserveReady {
        uid: Uuid,
        generation: u64,
        external: Option<String>,
        outputs: OutputMap,
        at: Time,
    },
    /// It is not as wanted.
    ObserveUnready { uid: Uuid, reason: String, at: Time },
    /// It waits. None: no longer.
    ObserveBlocker { uid: Uuid, on: Option<ResourceId>, reason: String, at: Time },
    /// The world differs though we were done.
    ObserveDrift { uid: Uuid, detail: String, by: Option<String>, found: Option<String>, at: Time },
    /// Its removal was acknowledged.
    ObserveGone { uid: Uuid, at: Time },
    /// Its world warns of something while it is not ready.
    ObserveNotices { uid: Uuid, notices: Vec<Notice> },
    /// Waits no longer for the removal of what is being deleted: whoever decides so says why.
    Abandon { reason: String, at: Time },
    /// Gives up an incarnation that cannot be reached, wanted or not: its deployment has noted where it is.
    LeaveBehind { uid: Uuid, reason: String, at: Time },
    /// Takes the revision that is tried for good enough: past this step, or past all.
    Promote { full: bool, at: Time },
    /// Begins the next step of trying the current revision, or the first.
    StepCanary { uid: Uuid, generation: u64, step: u32, at: Time },
    /// Leads so much of the traffic to it, in percent.
    ShiftCanary { uid: Uuid, step: u32, weight: u32, at: Time },
    /// It was measured.
    MeasureCanary { uid: Uuid, generation: u64, step: u32, measured: Vec<Measured>, at: Time },
    /// It is no good.
    FailCanary { uid: Uuid, generation: u64, reason: String, at: Time },
    /// Nothing of it is left.
    EndCanary { uid: Uuid, at: Time },
}

/// What happened in a resource's life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the fields are those of the state they lead to")]
pub enum Event {
    /// A new incarnation is wanted.
    Declared {
        uid: Uuid,
        spec: Spec,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<ClassRef>,
        lifetime: Lifetime,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        protected: bool,
        at: Time,
    },
    /// It is wanted otherwise.
    Revised {
        generation: u64,
        spec: Spec,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<ClassRef>,
        at: Time,
    },
    /// No action is taken until resumed.
    Paused { at: Time },
    /// Actions are taken again.
    Resumed { at: Time },
    /// Deletion is refused from now on.
    Protected { at: Time },
    /// Deletion is allowed from now on.
    Unprotected { at: Time },
    /// It is no longer wanted.
    DeletionRequested { uid: Uuid, replacement: bool, at: Time },
    /// The world's difference was taken as wanted.
    DriftAccepted { found: String, at: Time },
    /// An action is about to be tried.
    ActionStarted { uid: Uuid, action: ActionName, generation: u64, at: Time },
    /// The provider acknowledged it.
    ActionSucceeded {
        uid: Uuid,
        action: ActionName,
        generation: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        external: Option<String>,
        at: Time,
    },
    /// The provider refused it, or did not answer.
    ActionFailed { uid: Uuid, action: ActionName, generation: u64, failure: Failure, at: Time },
    /// It published values.
    OutputsPublished { uid: Uuid, outputs: OutputMap, at: Time },
    /// It is as wanted.
    BecameReady {
        uid: Uuid,
        generation: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        external: Option<String>,
        at: Time,
    },
    /// It is not as wanted.
    BecameUnready { uid: Uuid, reason: String, at: Time },
    /// It waits for something.
    Blocked { uid: Uuid, blocker: Blocker },
    /// The world differs though we were done.
    DriftDetected { uid: Uuid, drift: Drift },
    /// The world is as wanted again.
    DriftCleared { uid: Uuid, at: Time },
    /// Its world warned of something while it was not ready; each once a revision.
    Noticed { uid: Uuid, notices: Vec<Notice> },
    /// Nobody waits for its removal any longer. What is left of it is removed if it is ever found, unless its deployment
    /// left it behind: then by a plan.
    Abandoned { uid: Uuid, reason: String, at: Time },
    /// Its removal was acknowledged, or it was abandoned.
    Deleted { uid: Uuid, at: Time },
    /// A step of trying a revision began, with the traffic of the one before.
    CanaryStepped { uid: Uuid, generation: u64, step: u32, at: Time },
    /// So much of the traffic is led to it, in percent.
    CanaryShifted { uid: Uuid, weight: u32, at: Time },
    /// It was measured.
    CanaryMeasured {
        uid: Uuid,
        #[serde(default)]
        measured: Vec<Measured>,
        at: Time,
    },
    /// It is no good, and gets no more traffic.
    CanaryFailed { uid: Uuid, reason: String, at: Time },
    /// Somebody took it for good enough: past this step, or past all.
    CanaryPromoted { full: bool, at: Time },
    /// Nothing of it is left.
    CanaryEnded { uid: Uuid, at: Time },
}

/// Why an intent is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The name is taken by something else that is wanted.
    #[error("it exists already, declared by {0}")]
    Exists(String),
    /// A new incarnation must wait until the old one is gone.
    #[error("it is being deleted")]
    BeingDeleted,
    /// There is nothing to act on.
    #[error("it does not exist")]
    NotFound,
    /// Deletion is refused while it is protected.
    #[error("it is protected against deletion")]
    Protected,
    /// The spec breaks its kind's rules.
    #[error("the spec is not valid: {0}")]
    Invalid(String),
    /// The change cannot be made in place.
    #[error("this change needs a replacement: {0}")]
    NeedsReplacement(String),
    /// What somebody deleted cannot be taken as wanted.
    #[error("it is gone from the world: there is nothing to accept")]
    NothingToAccept,
    /// The change cannot be made.
    #[error("this change cannot be made: {0}")]
    ChangeRefused(String),
    /// Only what is being deleted can be abandoned.
    #[error("it is not being deleted: there is nothing to abandon")]
    NotBeingDeleted,
    /// Whoever reads the log later wants to know why.
    #[error("why it is abandoned is not said in 1 to {REASON_MAX} characters")]
    NoReason,
    /// Only what is tried can be promoted.
    #[error("no new revision of it is being tried: there is nothing to promote")]
    NothingTried,
}

impl Rejection for Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::Exists(_) => "ALREADY_EXISTS",
            Self::BeingDeleted => "BEING_DELETED",
            Self::NotFound => "NOT_FOUND",
            Self::Protected => "PROTECTED",
            Self::Invalid(_) => "INVALID_SPEC",
            Self::NeedsReplacement(_) => "NEEDS_REPLACEMENT",
            Self::NothingToAccept => "NOTHING_TO_ACCEPT",
            Self::ChangeRefused(_) => "CHANGE_REFUSED",
            Self::NotBeingDeleted => "NOT_BEING_DELETED",
            Self::NoReason => "NO_REASON",
            Self::NothingTried => "NOTHING_TRIED",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Protected => Some("lift the protection first".into()),
            Self::BeingDeleted => Some("wait until it is gone, then declare it again".into()),
            Self::NeedsReplacement(_) => Some("plan with --allow-replace".into()),
            Self::NothingToAccept => Some("resume it, and it is made again".into()),
            Self::NotBeingDeleted => {
                Some("delete it, and abandon it only if that cannot end".into())
            }
            Self::NoReason => Some("say what has become of it".into()),
            Self::NothingTried => Some("see how it is: cairn trace".into()),
            Self::Exists(_) | Self::NotFound | Self::Invalid(_) | Self::ChangeRefused(_) => None,
        }
    }
}

impl Decider for Resource {
    type State = Self;
    type Command = Command;
    type Event = Event;
    type Rejection = Refused;

    fn decide(state: &Self, command: Command) -> Result<Vec<Event>, Refused> {
        decide::decide(state, command)
    }

    fn evolve(state: Self, event: Event) -> Self {
        evolve::evolve(state, event)
    }
}

impl Resource {
    /// The current incarnation, wanted or being deleted.
    #[must_use]
    pub const fn body(&self) -> Option<&Body> {
        match self {
            Self::Live(body) | Self::Deleting(body, _) => Some(body),
            Self::Absent | Self::Gone(_) => None,
        }
    }

    /// The uid of the last incarnation.
    #[must_use]
    pub const fn uid(&self) -> Option<Uuid> {
        match self {
            Self::Live(body) | Self::Deleting(body, _) => Some(body.uid),
            Self::Gone(grave) => Some(grave.uid),
            Self::Absent => None,
        }
    }

    /// Wanted, and as wanted.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        matches!(self, Self::Live(body) if body.is_ready())
    }
}

/// States of resources, by id.
pub type Resources = BTreeMap<ResourceId, Resource>;
