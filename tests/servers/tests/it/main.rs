//! The servers start, survive what is done to them, and leave nothing behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on ends"
)]

mod client;
mod clock;
mod demo;
mod leaving;
mod nats;
mod postgres;
mod proxy;
