//! The archive: the log once more, somewhere else, where it can be checked, signed and restored from.
//!
//! ```text
//!  journal ──follow──▶ segments of exact bytes, each with a manifest that names the one before
//!                        └─▶ anchors: signed roots of the Merkle tree over all commits
//! ```
//! [`run`] keeps an archive up to date; [`backup`] brings one up to date once. [`verify()`] checks a log, an archive, or
//! one against the other. [`copy`] fills a new log from either. [`bundle`] is the proof that leaves the house.
//!
//! What an archive does not do: it holds no views, no secrets, no tokens, and it never changes the log.

pub mod anchor;
mod archiver;
pub mod bundle;
mod chains;
pub mod copy;
mod error;
mod key;
mod manifest;
pub mod merkle;
pub mod mirror;
mod outline;
mod segment;
mod shelf;
pub mod target;
mod verify;

pub use anchor::Anchor;
pub use archiver::{Progress, Settings, backup, run};
pub use error::{ArchiveError, Finding, Place};
pub use key::{KeyError, PublicKey, Signer};
pub use manifest::Manifest;
pub use segment::SEGMENT_BYTES_MAX;
pub use target::{Bucket, Folder, Target};
pub use verify::{Subject, Verified, verify};
