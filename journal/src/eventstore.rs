//! The log on EventStoreDB (or KurrentDB): a stream per aggregate, an event per commit, one order of all.
//!
//! ```text
//!  append ──▶ what is known of the stream ──▶ append, if it still has that many commits ──▶ leader
//!     ▲            ▲                           │ wrong revision, no answer, connection lost
//!     │ place      └──── read back by id ◀─────┘
//!  the order of all the log's streams, counted ◀── one filtered subscription to `$all`
//!     ▼ place
//!  load, find ◀── leader: the stream    follow ◀── a subscription to `$all` from a place on
//! ```
//! Positions count the log's commits in the order of `$all`; why, and what was rejected: `docs/adr/0014`. What it
//! needs and what it does not do: `docs/eventstore.md`.
//!
//! The client is compiled in with the cargo feature `eventstore`; without it [`open`] says so.

#[cfg(feature = "eventstore")]
mod append;
#[cfg(feature = "eventstore")]
mod asking;
#[cfg(feature = "eventstore")]
mod log;
#[cfg(feature = "eventstore")]
mod places;
#[cfg(feature = "eventstore")]
mod reading;
#[cfg(feature = "eventstore")]
mod tail;
#[cfg(feature = "eventstore")]
mod wire;

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::{Journal, JournalError};

#[cfg(feature = "eventstore")]
pub use log::EventStoreJournal;

/// How a log on EventStoreDB is named.
pub const ADDRESS: &str = "esdb://[USER:PASSWORD@]HOST:2113[,HOST:2113...][?tls=false&log=NAME]";
/// The longest name of a log: the names of streams begin with it.
const NAME_MAX: usize = 40;

/// How a log on EventStoreDB is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where the servers are, and how they are reached: a connection string of EventStoreDB's.
    pub servers: String,
    /// The name of the log: letters, digits and `_`. A server can hold several.
    pub log: String,
    /// How long an append or a question is tried before the outcome is told as unknown, or the log as unavailable:
    /// longer than the servers take to elect a leader.
    pub deadline: Duration,
}

/// The text does not name a log on EventStoreDB.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a log on EventStoreDB: write {ADDRESS}")]
pub struct InvalidAddress(String);

impl Options {
    /// The log `cairn` on these servers.
    #[must_use]
    pub fn new(servers: impl Into<String>) -> Self {
        let deadline = Duration::from_secs(12);
        Self { servers: servers.into(), log: "cairn".into(), deadline }
    }

    /// The servers without the password, for people.
    #[must_use]
    pub fn place(&self) -> String {
        let (scheme, rest) = self.servers.split_once("://").unwrap_or(("esdb", &self.servers));
        let rest = rest.split(['?', '/']).next().unwrap_or_default();
        let hosts = rest.rsplit_once('@').map_or(rest, |(_, hosts)| hosts);
        format!("{scheme}://{hosts}, log `{}`", self.log)
    }
}

impl FromStr for Options {
    type Err = InvalidAddress;

    /// Reads a connection string; `log` is ours, every other parameter is the client's.
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = |what: &str| InvalidAddress(what.chars().take(80).collect());
        let (servers, query) = text.split_once('?').unwrap_or((text, ""));
        let hosts = ["esdb://", "esdb+discover://"].iter().find_map(|s| servers.strip_prefix(s));
        if hosts.is_none_or(|hosts| hosts.rsplit('@').next().is_none_or(str::is_empty)) {
            return Err(invalid(servers.rsplit('@').next().unwrap_or_default()));
        }
        let mut options = Self::new(servers);
        let mut kept = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("log", name)) if is_name(name) => name.clone_into(&mut options.log),
                Some(("log", _)) | None => return Err(invalid(pair)),
                Some(_) => kept.push(pair),
            }
        }
        if !kept.is_empty() {
            options.servers = format!("{servers}?{}", kept.join("&"));
        }
        Ok(options)
    }
}

/// Without a hyphen: up to the first one is what EventStoreDB takes for a category, so the log is one.
fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (1..=NAME_MAX).contains(&name.len()) && name.chars().all(letter)
}

/// The log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Build with `--features eventstore`: the client is left out by default.
    #[error("this program was built without EventStoreDB")]
    NotBuilt,
    /// Correct the connection string.
    #[error("the connection string cannot be used: {reason}")]
    Address {
        /// In the client's words, without the password.
        reason: String,
    },
    /// Use a user who may read `$all`, and append to the log's streams.
    #[error("the user may not {what}")]
    Denied {
        /// What was refused.
        what: &'static str,
    },
    /// See there.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Opens a log, and counts what it holds.
///
/// # Errors
/// [`OpenError`] says where, why, and what to do.
#[cfg(feature = "eventstore")]
pub async fn open(options: &Options) -> Result<Arc<dyn Journal>, OpenError> {
    Ok(Arc::new(EventStoreJournal::open(options).await?))
}

/// Says that the client is not compiled in.
///
/// # Errors
/// [`OpenError::NotBuilt`], always.
#[cfg(not(feature = "eventstore"))]
pub async fn open(_options: &Options) -> Result<Arc<dyn Journal>, OpenError> {
    std::future::ready(Err(OpenError::NotBuilt)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_named_by_its_servers_and_its_name() {
        let plain: Options = "esdb://localhost:2113".parse().unwrap();
        assert_eq!(plain, Options::new("esdb://localhost:2113"));
        let text = "esdb://me:secret@a:1,b:2?tls=false&log=plant_7&nodePreference=leader";
        let options: Options = text.parse().unwrap();
        assert_eq!(options.servers, "esdb://me:secret@a:1,b:2?tls=false&nodePreference=leader");
        assert_eq!(options.log, "plant_7");
        assert_eq!(options.place(), "esdb://a:1,b:2, log `plant_7`");
        for wrong in [
            "",
            "esdb:",
            "esdb://",
            "esdb://me:secret@",
            "http://a",
            "esdb://a?log=a-b",
            "esdb://a?x",
        ] {
            let error = wrong.parse::<Options>().unwrap_err().to_string();
            assert!(error.contains("write esdb://") && !error.contains("secret"), "{error}");
        }
    }

    #[cfg(not(feature = "eventstore"))]
    #[test]
    fn without_the_feature_opening_says_so() {
        let opened = futures::executor::block_on(open(&Options::new("esdb://localhost:2113")));
        assert!(matches!(opened, Err(OpenError::NotBuilt)));
    }
}
