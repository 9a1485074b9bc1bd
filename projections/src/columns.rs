//! What is lifted out of a state so that lists can filter by it.

use domain::account::Account;
use domain::deployment::Outcome;
use domain::lifecycle::{Body, Lifetime};
use domain::plan::{Proposal, Recorded};
use domain::request::Request;
use domain::rollout::Rollout;
use domain::{Name, Resource, StreamId};
use serde::{Deserialize, Serialize};

use crate::state::State;

/// The columns of a version row that come from the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) phase: &'static str,
    pub(crate) ready: bool,
    pub(crate) deployment: Option<String>,
    pub(crate) environment: Option<String>,
    pub(crate) application: Option<String>,
    pub(crate) class: Option<String>,
    pub(crate) uid: Option<String>,
    pub(crate) external: Option<String>,
    /// Since when a resource is as ready as it is, in microseconds since 1970; 0 for what is no resource.
    pub(crate) since: i64,
    /// Of what is wanted; 0 when nothing is.
    pub(crate) generation: i64,
    /// What lists show in place of the document, where that may be large.
    pub(crate) summary: Option<String>,
}

/// Every phase, by the kind that has it, for those who offer a filter.
pub const PHASES: &[(&str, &[&str])] = &[
    ("resource", &["working", "blocked", "failing", "paused", "ready", "deleting", "gone"]),
    ("account", &["registered", "removed"]),
    ("application", &["offered", "deleted"]),
    ("class", &["offered", "withdrawn"]),
    ("deployment", &["rolling", "succeeded", "failed", "superseded", "deleted"]),
    ("environment", &["offered", "removed"]),
    ("plan", &["draft", "proposed", "approved", "executed"]),
    ("request", &["received", "answered"]),
    ("rollout", &["rolling", "succeeded", "failed", "superseded"]),
];

/// What a list shows of a plan: everything but its steps and pins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSummary {
    /// `<environment>_<application>`.
    pub deployment: Name,
    /// The application's revision.
    pub revision: u64,
    /// What it is for.
    pub purpose: domain::plan::Purpose,
    /// What approvals sign.
    pub hash: String,
    /// The number of steps.
    pub steps_total: u32,
    /// When it was proposed.
    pub at: domain::Time,
    /// Who approved it, if somebody did.
    pub approved_by: Option<domain::Actor>,
    /// The rollout that runs or ran it.
    pub rollout: Option<Name>,
}

impl Columns {
    /// What the aggregate belongs to, by the name of the filter that asks for it.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let groups = [
            ("deployment", &self.deployment),
            ("environment", &self.environment),
            ("application", &self.application),
            ("class", &self.class),
        ];
        groups.into_iter().filter_map(|(grouping, value)| Some((grouping, value.as_deref()?)))
    }

    pub(crate) fn of(stream: &StreamId, state: &State) -> Self {
        match state {
            State::Resource(resource) => of_resource(resource),
            State::Account(account) => Self { phase: account_phase(account), ..Self::default() },
            State::Application(application) => {
                let phase = if application.model.is_some() { "offered" } else { "deleted" };
                let application = Some(stream.name().to_string());
                Self { phase, ready: phase == "offered", application, ..Self::default() }
            }
            State::Class(class) => {
                let phase = if class.definition.is_some() { "offered" } else { "withdrawn" };
                let class = Some(stream.name().to_string());
                Self { phase, ready: phase == "offered", class, ..Self::default() }
            }
            State::Content(content) => {
                let ready = content.stored == content.of;
                Self { phase: if ready { "kept" } else { "arriving" }, ready, ..Self::default() }
            }
            State::Environment(environment) => {
                let phase = if environment.definition.is_some() { "offered" } else { "removed" };
                let environment = Some(stream.name().to_string());
                Self { phase, ready: phase == "offered", environment, ..Self::default() }
            }
            State::Deployment(deployment) => {
                let phase = if deployment.deleted {
                    "deleted"
                } else {
                    outcome_phase(deployment.outcome.as_ref())
                };
                Self { phase, ready: phase == "succeeded", ..within(stream.name()) }
            }
            State::Plan(proposal) => of_plan(proposal),
            State::Request(Request::Absent | Request::Received(_)) => {
                Self { phase: "received", ..Self::default() }
            }
            State::Request(Request::Answered(..)) => {
                Self { phase: "answered", ready: true, ..Self::default() }
            }
            State::Rollout(Rollout::Absent) => Self { phase: "rolling", ..Self::default() },
            State::Rollout(Rollout::Started(body)) => {
                let phase = outcome_phase(body.ended.as_ref().map(|(outcome, _)| outcome));
                Self { phase, ready: phase == "succeeded", ..within(&body.deployment) }
            }
        }
    }
}

fn account_phase(account: &Account) -> &'static str {
    match account {
        Account::Registered(_) => "registered",
        Account::Absent | Account::Removed(_) => "removed",
    }
}

fn of_resource(resource: &Resource) -> Columns {
    let uid = resource.uid().map(|uid| uid.to_string());
    let columns = match resource {
        Resource::Absent => Columns::default(),
        Resource::Live(body) | Resource::Deleting(body, _) => Columns {
            class: body.class.as_ref().map(|class| class.name.to_string()),
            external: body.external.clone(),
            since: body.readiness.since.as_micros(),
            generation: i64::try_from(body.generation).unwrap_or(i64::MAX),
            ..of_lifetime(&body.lifetime)
        },
        Resource::Gone(grave) => {
            Columns { since: grave.at.as_micros(), ..of_lifetime(&grave.lifetime) }
        }
    };
    Columns { phase: resource_phase(resource), ready: resource.is_ready(), uid, ..columns }
}

fn resource_phase(resource: &Resource) -> &'static str {
    match resource {
        Resource::Absent | Resource::Gone(_) => "gone",
        Resource::Deleting(..) => "deleting",
        Resource::Live(body) if body.paused => "paused",
        Resource::Live(body) if body.is_ready() => "ready",
        Resource::Live(body) if is_failing(body) => "failing",
        Resource::Live(body) if body.blocker.is_some() => "blocked",
        Resource::Live(_) => "working",
    }
}

fn is_failing(body: &Body) -> bool {
    body.action.as_ref().is_some_and(|action| action.failure.is_some())
}

fn of_lifetime(lifetime: &Lifetime) -> Columns {
    match lifetime {
        Lifetime::Deployment(deployment) => within(deployment),
        Lifetime::WhileNeeded | Lifetime::Kept => Columns::default(),
    }
}

/// A deployment is named `<environment>_<application>`, and an environment's name has no `_`.
fn within(deployment: &Name) -> Columns {
    let (environment, application) = deployment.as_str().split_once('_').unzip();
    Columns {
        deployment: Some(deployment.to_string()),
        environment: environment.map(str::to_owned),
        application: application.map(str::to_owned),
        ..Columns::default()
    }
}

fn outcome_phase(outcome: Option<&Outcome>) -> &'static str {
    match outcome {
        None => "rolling",
        Some(Outcome::Succeeded) => "succeeded",
        Some(Outcome::Failed { .. }) => "failed",
        Some(Outcome::Superseded) => "superseded",
    }
}

fn of_plan(proposal: &Proposal) -> Columns {
    let (phase, recorded) = match proposal {
        Proposal::Absent => return Columns { phase: "draft", ..Columns::default() },
        Proposal::Draft(recorded) => ("draft", recorded),
        Proposal::Proposed(recorded) if recorded.rollout.is_some() => ("executed", recorded),
        Proposal::Proposed(recorded) if recorded.approved_by.is_some() => ("approved", recorded),
        Proposal::Proposed(recorded) => ("proposed", recorded),
    };
    let header = &recorded.plan.header;
    Columns {
        phase,
        ready: phase != "draft",
        environment: Some(header.environment.to_string()),
        application: Some(header.application.to_string()),
        summary: serde_json::to_string(&summary(recorded)).ok(),
        ..within(&header.deployment)
    }
}

fn summary(recorded: &Recorded) -> PlanSummary {
    let header = &recorded.plan.header;
    PlanSummary {
        deployment: header.deployment.clone(),
        revision: header.revision,
        purpose: header.purpose,
        hash: recorded.hash.to_hex(),
        steps_total: recorded.steps_total,
        at: recorded.at,
        approved_by: recorded.approved_by.clone(),
        rollout: recorded.rollout.clone(),
    }
}
