//! Kubernetes: what runs on real clusters.
//!
//! Read in this order: [`kubeconfig`] (how a cluster is reached: data, never a program), [`objects`] (what a workload
//! becomes; pure), [`ownership`] (what of an object is ours, and who took it; pure), [`health`] (how an object is;
//! pure), [`cluster`] (one cluster: its client, and what its watches saw), [`provider`] (who acts on each kind),
//! `logs` (what pods write, for whoever asks).
//!
//! # Guarantees
//! - Every object carries the uid of the incarnation that it belongs to, from its first moment; nothing else is
//!   changed or deleted.
//! - One field manager for all that Cairn applies, by server-side apply. What it applied and does not own any more is
//!   drift, and has the name of whoever owns it now.
//! - Once the watches of a cluster are warm, looking costs it no request; a crash costs one, for its last words.

pub mod beside;
mod blot;
mod checks;
pub mod cluster;
mod differences;
pub mod health;
mod helm;
pub mod kubeconfig;
pub mod labels;
mod logs;
mod manifests;
pub mod objects;
pub mod ownership;
pub mod provider;

pub use beside::Beside;
pub use cluster::{Cluster, Clusters};
pub use helm::Charts;
pub use provider::Kubernetes;
