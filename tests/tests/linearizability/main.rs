//! What many clients see of one stream could have happened one thing after another.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    unreachable_pub,
    reason = "these are tests"
)]

mod generated;
mod jetstream;
mod journals;
