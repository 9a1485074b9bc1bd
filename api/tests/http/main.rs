//! The API as a client meets it: a real server on a real port, before a real log and real views.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on ends"
)]

mod changes;
mod guards;
mod quarantine;
mod server;
mod streams;
