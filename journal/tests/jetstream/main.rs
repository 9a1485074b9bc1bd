//! The log on JetStream, on real servers: one, and three.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "these are tests"
)]

mod conflicts;
mod faults;
mod following;
mod opening;
mod place;
mod snapshots;

/// The contract on one server.
mod alone {
    journal::conformance!(crate::place::alone());
}

/// The contract on three servers.
mod cluster {
    journal::conformance!(crate::place::cluster());
}
