//! The proof that leaves the house: commits, and what leads from them to a signed anchor.
//!
//! # Format
//! Text, one thing a line:
//! ```text
//! cairn bundle 1
//! {"from":5,"to":9,"stream":null,"commits":5,"earlier":true}
//! the anchor before the range, if there is one
//! the first anchor that covers the range
//! {"leaves":[…],"growth":[…]}                 hashes: the rest of the tree, and how it grew from one to the other
//! 5 {"commit_id":…,"hash":"…"}                the position and the exact bytes of each commit
//! ```
//! [`check`] needs the public key and nothing else.

mod check;
mod export;

use domain::StreamId;
use domain::commit::Hash;
use journal::Position;
use serde::{Deserialize, Serialize};

pub use check::{Proven, check};
pub use export::{Request, export};

/// The first line.
const MAGIC: &str = "cairn bundle 1";
/// The most bytes of commits in a bundle: what both sides hold in memory.
pub const BUNDLE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What the bundle says that it holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    from: Position,
    to: Position,
    stream: Option<StreamId>,
    commits: usize,
    earlier: bool,
}

/// The hashes that lead from the commits to the anchors.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Proof {
    leaves: Vec<Hash>,
    growth: Vec<Hash>,
}
