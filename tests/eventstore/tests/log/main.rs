//! The log on EventStoreDB: on a server in this process, always; and on a real one, where `EVENTSTORE_URL` names it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    clippy::print_stderr,
    reason = "these are tests"
)]

mod appending;
mod damage;
mod following;
mod place;
mod real;

/// The contract on a server in this process.
mod fake {
    journal::conformance!(crate::place::Place::new());
}
