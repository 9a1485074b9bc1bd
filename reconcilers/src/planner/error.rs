//! Why there is no plan, or why it does not run.

use domain::decider::Rejection as _;
use domain::name::InvalidName;
use domain::planning::Refusal;
use domain::{Name, deployment, plan};
use journal::{ExecuteError, LoadError};
use uuid::Uuid;

/// Why there is no plan, or why it does not run.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Change the application, or ask with another permission: each reason says what.
    #[error("there is no such plan, for {} reason{}", .0.len(), if .0.len() == 1 { "" } else { "s" })]
    Refused(Vec<Refusal>),
    /// Apply it first.
    #[error("there is no application `{0}`")]
    NoApplication(Name),
    /// Choose one that there is.
    #[error("application `{application}` has no revision {revision}")]
    NoRevision {
        /// The application.
        application: Name,
        /// The revision asked for.
        revision: u64,
    },
    /// Define it first.
    #[error("there is no environment `{0}`")]
    NoEnvironment(Name),
    /// Nothing is to be deleted.
    #[error("there is no deployment `{0}`")]
    NoDeployment(Name),
    /// Plan first.
    #[error("there is no plan {0}")]
    NoPlan(Uuid),
    /// Plan again, and approve what is planned then.
    #[error("what the plan was computed from has moved: {}", .0.join("; "))]
    Moved(Vec<String>),
    /// Plan again, under a new key.
    #[error("the plan was begun too often and never recorded completely")]
    Abandoned,
    /// An application and an environment that make no name together.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The plan refuses, or cannot be written.
    #[error(transparent)]
    Plan(Box<ExecuteError<plan::Refused>>),
    /// The deployment refuses, or cannot be written.
    #[error(transparent)]
    Deployment(Box<ExecuteError<deployment::Refused>>),
    /// The log cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl PlanError {
    /// A stable code for programs. Refusals have one each, which counts more.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(_) => "PLAN_REFUSED",
            Self::NoApplication(_)
            | Self::NoRevision { .. }
            | Self::NoEnvironment(_)
            | Self::NoDeployment(_)
            | Self::NoPlan(_) => "NOT_FOUND",
            Self::Moved(_) => "PLAN_MOVED",
            Self::Abandoned => "PLAN_ABANDONED",
            Self::Name(_) => "INVALID_NAME",
            Self::Plan(error) => rejection(error).map_or("UNAVAILABLE", |refused| refused.code()),
            Self::Deployment(error) => {
                rejection(error).map_or("UNAVAILABLE", |refused| refused.code())
            }
            Self::Load(_) => "UNAVAILABLE",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Moved(_) => Some("plan again, and read what has changed".into()),
            Self::Abandoned => Some("plan again".into()),
            Self::NoApplication(name) => Some(format!("apply the file of `{name}` first")),
            Self::NoEnvironment(_) => Some("see `cairn get environments`".into()),
            Self::NoRevision { application, .. } => {
                Some(format!("see which is the last: cairn get application {application}"))
            }
            Self::Plan(error) => rejection(error).and_then(|refused| refused.hint()),
            Self::Deployment(error) => rejection(error).and_then(|refused| refused.hint()),
            Self::Refused(_)
            | Self::NoDeployment(_)
            | Self::NoPlan(_)
            | Self::Name(_)
            | Self::Load(_) => None,
        }
    }
}

/// The domain's word, if that is what it was.
fn rejection<R>(error: &ExecuteError<R>) -> Option<&R> {
    if let ExecuteError::Rejected(refused) = error { Some(refused) } else { None }
}

impl From<ExecuteError<plan::Refused>> for PlanError {
    fn from(error: ExecuteError<plan::Refused>) -> Self {
        Self::Plan(Box::new(error))
    }
}

impl From<ExecuteError<deployment::Refused>> for PlanError {
    fn from(error: ExecuteError<deployment::Refused>) -> Self {
        Self::Deployment(Box::new(error))
    }
}
