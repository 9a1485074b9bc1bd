//! The binary as a person meets it: text in, text out, against a real `cairn up`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on ends"
)]

mod archive;
mod bucket;
mod json;
mod kill;
mod logs;
mod mirror;
mod plane;
mod quarantine;
mod startup;
mod stores;
mod told;
mod transcript;
