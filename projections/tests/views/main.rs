//! The views against the log: whatever happened, they are its fold.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

mod past;
mod rebuilding;
mod world;
