//! The main job in the simulated world.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "these are tests")]

mod deliver;
mod failover;
