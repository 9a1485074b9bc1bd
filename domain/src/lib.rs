//! What things *mean*: the pure half of Cairn.
//!
//! Everything here is a total, synchronous function of its arguments: no IO, no clock, no randomness,
//! no async (`clippy.toml` bans them). Time and ids arrive inside commands. Read in this order:
//! [`decider`] (the one shape of every decision), [`lifecycle`] (the one life of every resource),
//! [`kinds`] (the registry), [`planning`] (from an application file to a graph).

pub mod account;
pub mod application;
pub mod catalogue;
pub mod class;
pub mod commit;
pub mod content;
pub mod decider;
pub mod deployment;
pub mod diagnostic;
pub mod environment;
pub mod kind;
pub mod kinds;
pub mod lifecycle;
pub mod name;
pub mod plan;
pub mod planning;
pub mod request;
pub mod rollout;
pub mod schema;
pub mod secrecy;
pub mod text;
pub mod time;

pub use commit::{Actor, Commit, EventRecord};
pub use decider::{Decider, Rejection};
pub use kind::{Change, Kind, Need, Violation};
pub use kinds::{KindName, Spec};
pub use lifecycle::Resource;
pub use name::{Name, ResourceId, StreamId, Tenant};
pub use text::{OutputMap, OutputValue, SecretRef, Text};
pub use time::Time;
