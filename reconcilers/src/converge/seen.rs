//! What was seen of a thing.

use domain::commit::Hash;
use domain::lifecycle::Notice;
use domain::text::OutputMap;
use serde::{Deserialize, Serialize};

/// A thing in the world that carries our uid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// The digest of what we last asked for.
    pub applied: Hash,
    /// The digest of what it is.
    pub actual: Hash,
    /// How it is.
    pub state: SeenState,
    /// What it publishes.
    pub outputs: OutputMap,
    /// The provider's name for it.
    pub external: Option<String>,
    /// Who last changed it besides us, and what, where the provider can say.
    pub changed: Option<Changed>,
    /// What its world warns of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
    /// A part of it was deleted, or is not ours any more.
    #[serde(default)]
    pub lacking: bool,
    /// It is somebody else's, and only used: it stays when it is no longer wanted.
    #[serde(default)]
    pub borrowed: bool,
    /// What runs beside it as a canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Box<Seen>>,
}

impl Seen {
    /// A thing of ours that is as it was asked for, in a state; nothing else is known of it.
    #[must_use]
    pub const fn new(applied: Hash, state: SeenState) -> Self {
        Self {
            applied,
            actual: applied,
            state,
            outputs: OutputMap::new(),
            external: None,
            changed: None,
            notices: Vec::new(),
            lacking: false,
            borrowed: false,
            canary: None,
        }
    }
}

/// How a thing is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeenState {
    /// On its way, or not well.
    Pending(String),
    /// As asked.
    Ready,
    /// It will not get well by itself.
    Failed(String),
    /// On its way out.
    Deleting,
}

/// A change that we did not ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// What differs.
    pub detail: String,
    /// Who did it.
    pub by: Option<String>,
}
