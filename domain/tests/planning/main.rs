//! Planning, the whole way: application, environment and classes in; plan out.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "these are tests")]

mod clusters;
mod disks;
mod golden;
mod properties;
mod rules;
mod shared;
mod world;
