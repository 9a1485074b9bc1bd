//! What a look comes to, and what may become of it.

use domain::lifecycle::{Command, FailureClass};
use domain::{StreamId, Time};
use journal::LoadError;

use crate::index::FollowError;
use crate::providers::Effect;
use crate::reconcile::{CallError, Target};

/// What a look came to.
pub struct Decision {
    /// What was looked at.
    pub stream: StreamId,
    /// When to look again though nothing happens.
    pub again_at: Option<Time>,
    pub(crate) act: Act,
}

pub(crate) enum Act {
    Settled,
    Waits,
    Record(Command),
    Perform {
        effect: Effect,
        target: Target,
        tried: Option<Tried>,
        then: Option<Command>,
    },
    /// Records, whatever the graph says.
    Disown(Command),
    Rollout(crate::rollouts::Move),
}

/// The action that a call belongs to: where its failure is noted.
pub(crate) struct Tried {
    pub(crate) action: domain::lifecycle::ActionName,
    pub(crate) generation: u64,
}

/// What to do after an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A step was taken: look again now.
    Again,
    /// A call was made whose effect is to be looked at: look again now, later and later if there is no end to it.
    Called,
    /// Nothing is to be done until something happens.
    Rest,
    /// A call failed: look again later.
    Later(FailureClass),
}

/// A step could not be looked for or taken. Nothing is lost: look again later.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The log is not available, or is damaged.
    #[error("the log cannot be read")]
    Load(#[from] LoadError),
    /// The log cannot be followed.
    #[error("the graph is not up to date")]
    Follow(#[from] FollowError),
    /// The world cannot be seen.
    #[error("the world cannot be observed")]
    Observe(#[source] CallError),
    /// The command may not have been recorded.
    #[error("a step could not be recorded")]
    Record(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StepError {
    /// How soon to look again.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Observe(error) => error.class,
            Self::Load(_) | Self::Follow(_) | Self::Record(_) => FailureClass::Retry,
        }
    }
}

impl std::fmt::Debug for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", self.stream)?;
        match &self.act {
            Act::Settled => f.write_str("Settled"),
            Act::Waits => f.write_str("Waits"),
            Act::Record(command) => write!(f, "Record {command:?}"),
            Act::Disown(command) => write!(f, "Disown {command:?}"),
            Act::Perform { effect, target, .. } => {
                write!(f, "Perform {} on {}", effect.what, target.uid)
            }
            Act::Rollout(step) => write!(f, "{step:?}"),
        }
    }
}

impl Decision {
    /// Nothing would be done.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        matches!(self.act, Act::Settled)
    }

    pub(crate) const fn new(stream: StreamId, act: Act) -> Self {
        Self { stream, again_at: None, act }
    }
}
