//! On a real Kubernetes: a real API server, its controllers and scheduler; nodes and pods pretend.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "these are tests")]

mod access;
mod behaviour;
mod chaos;
mod delegated;
mod delivered;
mod entry;
mod failover;
mod faults;
mod helm;
mod manifests;
mod seen;
mod sequences;
mod server;
mod shown;
mod stateful;
