//! The archive as its users meet it: kept, checked, restored from, tampered with.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on ends"
)]

mod bucket;
mod crash;
mod keep;
mod place;
mod restore;
mod tampering;
mod world;
