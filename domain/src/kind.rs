//! All that a new kind must say.

use std::fmt;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::name::ResourceId;

/// A type of managed thing: data and its rules. It never has a lifecycle of its own ([`crate::lifecycle`]).
pub trait Kind: Sized + Send + Sync + 'static {
    /// The name in streams, files and on the command line: one DNS label.
    const NAME: &'static str;
    /// Replacing it loses data: a plan that does so needs an explicit permission.
    const STATEFUL: bool = false;
    /// What is wanted.
    type Spec: Clone
        + fmt::Debug
        + PartialEq
        + Serialize
        + DeserializeOwned
        + JsonSchema
        + Send
        + Sync
        + 'static;

    /// What is wrong with the spec; empty when nothing is.
    fn validate(spec: &Self::Spec) -> Vec<Violation>;
    /// What must be ready before this can be made, and what must outlive it.
    fn needs(spec: &Self::Spec) -> Vec<Need>;
    /// The values it will publish.
    fn outputs(spec: &Self::Spec) -> Vec<OutputDeclaration>;
    /// How the way from one spec to another can be gone.
    fn change(old: &Self::Spec, new: &Self::Spec) -> Change;
}

/// "I require output X of resource Y": an edge of the graph.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Need {
    /// Y.
    pub resource: ResourceId,
    /// X; none when it is enough that Y is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

impl Need {
    /// It is enough that the resource is ready.
    #[must_use]
    pub const fn ready(resource: ResourceId) -> Self {
        Self { resource, output: None }
    }

    /// One of its outputs is used.
    #[must_use]
    pub const fn output(resource: ResourceId, output: String) -> Self {
        Self { resource, output: Some(output) }
    }
}

/// A value that a kind publishes, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutputDeclaration {
    /// The name in placeholders.
    pub name: String,
    /// Published only as a reference into a secret store.
    #[serde(default)]
    pub secret: bool,
}

impl OutputDeclaration {
    /// Declares values in clear.
    #[must_use]
    pub fn plain(names: &[&str]) -> Vec<Self> {
        names.iter().map(|name| Self { name: (*name).to_owned(), secret: false }).collect()
    }

    /// Declares values in clear, then secret ones.
    #[must_use]
    pub fn with_secrets(names: &[&str], secrets: &[&str]) -> Vec<Self> {
        let secrets = secrets.iter().map(|name| Self { name: (*name).to_owned(), secret: true });
        Self::plain(names).into_iter().chain(secrets).collect()
    }
}

/// One thing wrong with a spec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Violation {
    /// Where, as a dotted path into the spec.
    pub path: String,
    /// What, and what to do.
    pub message: String,
}

impl Violation {
    /// Names a violation.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// How the way from one spec to another can be gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// They mean the same.
    None,
    /// The thing itself is changed.
    InPlace,
    /// Only a new thing can be so.
    Replace {
        /// The field that forces it, and why.
        why: String,
    },
    /// Not even a new thing may be so.
    Refused {
        /// The field that forbids it, and why.
        why: String,
    },
}

impl Change {
    /// In place if the specs differ, else none.
    #[must_use]
    pub fn in_place<T: PartialEq>(old: &T, new: &T) -> Self {
        if old == new { Self::None } else { Self::InPlace }
    }

    /// A replacement when `old` and `new` of a field that cannot change in place differ.
    pub fn forces<T: PartialEq + fmt::Debug>(field: &str, old: &T, new: &T) -> Option<Self> {
        (old != new).then(|| Self::Replace {
            why: format!("{field} cannot change in place ({old:?} -> {new:?})"),
        })
    }
}
