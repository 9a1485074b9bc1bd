//! The state of an aggregate of whatever kind: what a view row is made of.

use domain::account::{self, Account};
use domain::application::{self, Application};
use domain::class::{self, Class};
use domain::commit::{EventRecord, UnreadableEvent};
use domain::content::{self, Content};
use domain::deployment::{self, Deployment};
use domain::environment::{self, Environment};
use domain::plan::{self, Proposal};
use domain::request::{self, Request};
use domain::rollout::{self, Rollout};
use domain::{Decider, KindName, Resource};

/// The state of one aggregate.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// A resource of any kind.
    Resource(Box<Resource>),
    /// See [`domain::account`].
    Account(Account),
    /// See [`domain::application`].
    Application(Box<Application>),
    /// See [`domain::class`].
    Class(Class),
    /// See [`domain::content`]: how much is kept, not what.
    Content(Content),
    /// See [`domain::deployment`].
    Deployment(Deployment),
    /// See [`domain::environment`].
    Environment(Environment),
    /// See [`domain::plan`].
    Plan(Box<Proposal>),
    /// See [`domain::request`].
    Request(Request),
    /// See [`domain::rollout`].
    Rollout(Rollout),
}

impl State {
    /// The state before anything happened; none when the kind of aggregate is unknown.
    #[must_use]
    pub fn before_all(kind: &str) -> Option<Self> {
        if KindName::parse(kind).is_some() {
            return Some(Self::Resource(Box::default()));
        }
        match kind {
            account::KIND => Some(Self::Account(Account::default())),
            application::KIND => Some(Self::Application(Box::default())),
            class::KIND => Some(Self::Class(Class::default())),
            content::KIND => Some(Self::Content(Content::default())),
            deployment::KIND => Some(Self::Deployment(Deployment::default())),
            environment::KIND => Some(Self::Environment(Environment::default())),
            plan::KIND => Some(Self::Plan(Box::default())),
            request::KIND => Some(Self::Request(Request::default())),
            rollout::KIND => Some(Self::Rollout(Rollout::default())),
            _ => None,
        }
    }

    /// Applies what happened in one commit.
    ///
    /// # Errors
    /// [`UnreadableEvent`] when one is unknown; the caller stops, for a view without it would be false.
    pub fn apply(self, kind: &str, events: &[EventRecord]) -> Result<Self, UnreadableEvent> {
        Ok(match self {
            Self::Resource(state) => {
                Self::Resource(Box::new(fold::<Resource>(*state, kind, events)?))
            }
            Self::Account(state) => Self::Account(fold::<Account>(state, kind, events)?),
            Self::Application(state) => {
                Self::Application(Box::new(fold::<Application>(*state, kind, events)?))
            }
            Self::Class(state) => Self::Class(fold::<Class>(state, kind, events)?),
            Self::Content(state) => Self::Content(fold::<Content>(state, kind, events)?),
            Self::Deployment(state) => Self::Deployment(fold::<Deployment>(state, kind, events)?),
            Self::Environment(state) => {
                Self::Environment(fold::<Environment>(state, kind, events)?)
            }
            Self::Plan(state) => Self::Plan(Box::new(fold::<Proposal>(*state, kind, events)?)),
            Self::Request(state) => Self::Request(fold::<Request>(state, kind, events)?),
            Self::Rollout(state) => Self::Rollout(fold::<Rollout>(state, kind, events)?),
        })
    }

    /// The number of the last revision of what is defined under numbers: applications, classes, environments.
    pub(crate) fn revision(&self) -> u64 {
        match self {
            Self::Application(application) => application.number,
            Self::Class(class) => class.version,
            Self::Environment(environment) => environment.version,
            Self::Resource(_)
            | Self::Account(_)
            | Self::Content(_)
            | Self::Deployment(_)
            | Self::Plan(_)
            | Self::Request(_)
            | Self::Rollout(_) => 0,
        }
    }

    /// The state as a JSON document.
    ///
    /// # Errors
    /// When a state cannot be written as JSON: a mistake in its definition.
    pub fn to_doc(&self) -> Result<String, serde_json::Error> {
        match self {
            Self::Resource(state) => serde_json::to_string(state),
            Self::Account(state) => serde_json::to_string(state),
            Self::Application(state) => serde_json::to_string(state),
            Self::Class(state) => serde_json::to_string(state),
            Self::Content(state) => serde_json::to_string(state),
            Self::Deployment(state) => serde_json::to_string(state),
            Self::Environment(state) => serde_json::to_string(state),
            Self::Plan(state) => serde_json::to_string(state),
            Self::Request(state) => serde_json::to_string(state),
            Self::Rollout(state) => serde_json::to_string(state),
        }
    }

    /// Reads back what [`State::to_doc`] wrote.
    ///
    /// # Errors
    /// When the document is not of this kind; rebuild the views then.
    pub fn from_doc(kind: &str, doc: &str) -> Result<Self, serde_json::Error> {
        let unknown = || serde::de::Error::custom(format!("there is no kind `{kind}`"));
        Ok(match Self::before_all(kind).ok_or_else(unknown)? {
            Self::Resource(_) => Self::Resource(serde_json::from_str(doc)?),
            Self::Account(_) => Self::Account(serde_json::from_str(doc)?),
            Self::Application(_) => Self::Application(serde_json::from_str(doc)?),
            Self::Class(_) => Self::Class(serde_json::from_str(doc)?),
            Self::Content(_) => Self::Content(serde_json::from_str(doc)?),
            Self::Deployment(_) => Self::Deployment(serde_json::from_str(doc)?),
            Self::Environment(_) => Self::Environment(serde_json::from_str(doc)?),
            Self::Plan(_) => Self::Plan(serde_json::from_str(doc)?),
            Self::Request(_) => Self::Request(serde_json::from_str(doc)?),
            Self::Rollout(_) => Self::Rollout(serde_json::from_str(doc)?),
        })
    }
}

fn fold<D: Decider<State = D>>(
    state: D,
    kind: &str,
    events: &[EventRecord],
) -> Result<D, UnreadableEvent> {
    events.iter().try_fold(state, |state, record| {
        let event = domain::schema::upcast(kind, record.clone()).decode()?;
        Ok(D::evolve(state, event))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_aggregate_that_the_log_may_hold_has_a_view() {
        let contracts = domain::schema::contracts();
        let kinds = contracts.keys().filter_map(|path| path.split_once('/')).map(|(kind, _)| kind);
        for kind in kinds.filter(|kind| *kind != "resource") {
            assert!(State::before_all(kind).is_some(), "`{kind}` would stop the views");
        }
    }
}
