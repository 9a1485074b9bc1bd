//! A cloud account that Cairn may act in: who and where, never a key.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decider::{Decider, Rejection};
use crate::time::Time;

/// The aggregate's kind in streams.
pub const KIND: &str = "account";

/// What is said of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// The provider: `sim`, `aws`.
    pub provider: String,
    /// The provider's id of the account, such as 12 digits on AWS. Cannot change.
    pub account_id: String,
    /// The region that is meant when none is named.
    pub region: String,
    /// The role that Cairn assumes there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// A cloud account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Account {
    /// Never registered.
    #[default]
    Absent,
    /// In use.
    Registered(Registration),
    /// No longer used.
    Removed(Registration),
}

/// What a platform team wants of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the fields are those of the events they lead to")]
pub enum Command {
    /// Puts it to use, or changes how.
    Register { registration: Registration, at: Time },
    /// Uses it no longer.
    Remove { at: Time },
}

/// What happened to an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the fields are those of the state they lead to")]
pub enum Event {
    /// It is in use, this way.
    Registered { registration: Registration, at: Time },
    /// It is no longer used.
    Removed { at: Time },
}

/// Why a command is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Register the other account under another name.
    #[error("the account is {registered}, not {given}, and cannot become another")]
    OtherAccount {
        /// The one it is.
        registered: String,
        /// The one asked for.
        given: String,
    },
    /// Name the account.
    #[error("the account id must not be empty")]
    NoId,
    /// There is none of this name.
    #[error("there is no such account")]
    NotFound,
}

impl Rejection for Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::OtherAccount { .. } => "OTHER_ACCOUNT",
            Self::NoId => "INVALID_ACCOUNT",
            Self::NotFound => "NOT_FOUND",
        }
    }
}

impl Decider for Account {
    type State = Self;
    type Command = Command;
    type Event = Event;
    type Rejection = Refused;

    fn decide(state: &Self, command: Command) -> Result<Vec<Event>, Refused> {
        match (state, command) {
            (_, Command::Register { registration, .. }) if registration.account_id.is_empty() => {
                Err(Refused::NoId)
            }
            (
                Self::Registered(old) | Self::Removed(old),
                Command::Register { registration, .. },
            ) if old.account_id != registration.account_id
                || old.provider != registration.provider =>
            {
                Err(Refused::OtherAccount {
                    registered: old.account_id.clone(),
                    given: registration.account_id,
                })
            }
            (Self::Registered(old), Command::Register { registration, .. })
                if *old == registration =>
            {
                Ok(Vec::new())
            }
            (_, Command::Register { registration, at }) => {
                Ok(vec![Event::Registered { registration, at }])
            }
            (Self::Registered(_), Command::Remove { at }) => Ok(vec![Event::Removed { at }]),
            (Self::Removed(_), Command::Remove { .. }) => Ok(Vec::new()),
            (Self::Absent, Command::Remove { .. }) => Err(Refused::NotFound),
        }
    }

    fn evolve(state: Self, event: Event) -> Self {
        match (state, event) {
            (_, Event::Registered { registration, .. }) => Self::Registered(registration),
            (
                Self::Registered(registration) | Self::Removed(registration),
                Event::Removed { .. },
            ) => Self::Removed(registration),
            (Self::Absent, Event::Removed { .. }) => Self::Absent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decider::testing::given;

    const NOW: Time = Time::from_micros(1);

    fn registration(account_id: &str) -> Registration {
        Registration {
            provider: "sim".into(),
            account_id: account_id.into(),
            region: "eu".into(),
            role: None,
        }
    }

    #[test]
    fn an_account_cannot_become_another() {
        let registered = Event::Registered { registration: registration("1"), at: NOW };
        let other = Command::Register { registration: registration("2"), at: NOW };
        given::<Account>([registered]).when(other).then_refused("OTHER_ACCOUNT");
    }

    #[test]
    fn registering_twice_changes_nothing() {
        let registered = Event::Registered { registration: registration("1"), at: NOW };
        given::<Account>([registered])
            .when(Command::Register { registration: registration("1"), at: NOW })
            .then_nothing();
    }
}
