//! The views against the log: whatever happened, they are its fold.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

mod asking;
mod full;
mod past;
mod place;
mod planted;
mod poison;
mod rebuilding;
mod running;
mod server;
mod watching;
mod world;
