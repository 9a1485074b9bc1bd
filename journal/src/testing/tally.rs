//! The smallest aggregate: it adds numbers, up to a limit.

use std::sync::Arc;

use domain::commit::{Actor, ActorSort, Commit, Context, EventRecord, Hash, Sealed};
use domain::{Decider, Rejection, StreamId, Time};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Recorded;

/// A sum of at most 1 000.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// The sum.
    pub sum: u64,
    /// How many numbers it was made of.
    pub count: u64,
}

/// Changes a tally.
#[derive(Clone, Debug, Serialize)]
pub enum TallyCommand {
    /// Adds a number.
    Add {
        /// The number.
        number: u64,
    },
    /// Makes the sum at least this.
    Reach {
        /// The least sum.
        sum: u64,
    },
}

/// What happened to a tally.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TallyEvent {
    /// A number was added.
    Added {
        /// The number.
        number: u64,
    },
}

/// The sum would be more than 1 000.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tally would be more than 1000")]
pub struct TallyFull;

impl Rejection for TallyFull {
    fn code(&self) -> &'static str {
        "TALLY_FULL"
    }
}

impl Decider for Tally {
    type State = Self;
    type Command = TallyCommand;
    type Event = TallyEvent;
    type Rejection = TallyFull;

    fn decide(state: &Self, command: TallyCommand) -> Result<Vec<TallyEvent>, TallyFull> {
        let number = match command {
            TallyCommand::Add { number } => number,
            TallyCommand::Reach { sum } => sum.saturating_sub(state.sum),
        };
        match number {
            0 => Ok(Vec::new()),
            _ if state.sum + number > 1_000 => Err(TallyFull),
            _ => Ok(vec![TallyEvent::Added { number }]),
        }
    }

    fn evolve(state: Self, event: TallyEvent) -> Self {
        let TallyEvent::Added { number } = event;
        Self { sum: state.sum + number, count: state.count + 1 }
    }
}

/// The command that adds a number.
#[must_use]
pub const fn add(number: u64) -> TallyCommand {
    TallyCommand::Add { number }
}

/// The context of a command with this id.
#[must_use]
pub fn context(id: u128) -> Context {
    let id = Uuid::from_u128(id);
    Context {
        commit_id: id,
        time: Time::from_micros(1),
        actor: Actor::new(ActorSort::System, "test"),
        causation_id: None,
        correlation_id: id,
        traceparent: None,
    }
}

/// The stream of a tally.
///
/// # Panics
/// When `name` is not a name.
#[must_use]
pub fn stream(name: &str) -> StreamId {
    format!("ev.acme.tally.{name}").parse().unwrap()
}

/// A commit of `numbers` that continues `before`.
///
/// # Panics
/// When there are none, or more than a commit holds.
#[must_use]
pub fn commit(
    stream: &StreamId,
    id: u128,
    before: Option<&Recorded>,
    numbers: &[u64],
) -> Arc<Sealed> {
    let context = context(id);
    let encode = |&number| EventRecord::encode(&TallyEvent::Added { number }).unwrap();
    let commit = Commit {
        commit_id: context.commit_id,
        stream: stream.clone(),
        first_version: before.map_or(0, Recorded::last_version) + 1,
        time: context.time,
        actor: context.actor,
        command: "Add".into(),
        command_hash: Hash::of(&id.to_be_bytes()),
        causation_id: None,
        correlation_id: context.correlation_id,
        traceparent: None,
        prev_hash: before.map(|b| b.sealed.hash).unwrap_or_default(),
        events: numbers.iter().map(encode).collect(),
    };
    Arc::new(commit.seal().unwrap())
}
