//! An application: the developer's file, kept as numbered revisions.
//!
//! [`parse`] makes a [`Model`] of the file's text, with every mistake in it named at once; [`Application`] keeps models
//! as revisions, and the images that were built for them. What a revision becomes in an environment is
//! [`crate::planning`]'s matter.

mod app_file;
mod charts;
mod check;
mod containers;
mod document;
mod findings;
mod keys;
mod manifests;
mod model;
mod objects;
mod parse;
mod parts;
mod pattern;
mod placeholder;
mod places;
mod probes;
mod reader;
mod rendered;
mod scalar;
mod schema;
mod score;
mod settings;
mod strategy;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use document::{Document, documents};
pub(crate) use keys::suggest;
pub use model::{
    Container, Content, File, MODEL_BYTES_MAX, Migrate, Model, Mount, OnDelete, Overrides,
    ResourceOverride, ResourceRequest, Workload, WorkloadOverride,
};
pub use parse::{Parsed, Source, SourceFile, companions, parse, parse_whole};
pub use placeholder::{Piece, PlaceholderError, Reason, metadata_value, pieces};
pub use places::{Part, Places};
pub use rendered::{Rendered, rendered};
pub use schema::schema;

use crate::decider::{Decider, Rejection};
use crate::name::is_label;
use crate::time::Time;

/// The aggregate's kind in streams.
pub const KIND: &str = "application";
/// The most files of one revision that are named in the log.
pub const SOURCES_MAX: usize = 256;

/// A file that a revision was read from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceRef {
    /// Its path, as given.
    pub path: String,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// An image that was built for a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Build {
    /// Such as `registry/name@sha256:…`.
    pub image: String,
    /// What it was built from, such as a commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// When it was reported.
    pub at: Time,
}

/// An application, as of its last revision. Earlier ones are in the log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Application {
    /// The number of the last revision; 0 before the first.
    pub number: u64,
    /// What it says; none before the first revision and after deletion.
    pub model: Option<Box<Model>>,
    /// Workload → container → the last image built for it.
    #[serde(default)]
    pub builds: BTreeMap<String, BTreeMap<String, Build>>,
}

/// What a developer or a pipeline wants of an application.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the fields are those of the events they lead to")]
pub enum Command {
    /// Makes it so: a new revision, unless the last one says the same.
    Apply { model: Box<Model>, sources: Vec<SourceRef>, at: Time },
    /// Names the image that was built for a container.
    ReportBuild {
        workload: String,
        container: String,
        image: String,
        origin: Option<String>,
        at: Time,
    },
    /// Forgets it. The caller has seen that no deployment of it is left.
    Delete { at: Time },
}

/// What happened to an application.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the fields are those of the state they lead to")]
pub enum Event {
    /// A revision, numbered from 1.
    RevisionApplied { number: u64, model: Box<Model>, sources: Vec<SourceRef>, at: Time },
    /// An image was built for a container.
    BuildReported { workload: String, container: String, build: Build },
    /// It is no longer.
    Deleted { at: Time },
}

/// Why a command is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Choose another name.
    #[error("`{0}` cannot name an application: use 1 to 63 of a-z, 0-9 and `-`")]
    InvalidName(String),
    /// Move large files out of the application file.
    #[error("the application is {bytes} bytes long; at most {MODEL_BYTES_MAX} can be kept")]
    TooLarge {
        /// Of its JSON form.
        bytes: usize,
    },
    /// Split the application.
    #[error("the application was read from {0} files; at most {SOURCES_MAX} can be kept")]
    TooManySources(usize),
    /// Report it for one that is there.
    #[error("the application has no container `{workload}/{container}`")]
    NoSuchContainer {
        /// As given.
        workload: String,
        /// As given.
        container: String,
        /// The nearest one that is there.
        nearest: Option<String>,
    },
    /// Name the image in full.
    #[error("`{0}` is not an image")]
    InvalidImage(String),
    /// Apply it first.
    #[error("there is no such application")]
    NotFound,
}

impl Rejection for Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::InvalidName(_) => "INVALID_NAME",
            Self::TooLarge { .. } => "APPLICATION_TOO_LARGE",
            Self::TooManySources(_) => "TOO_MANY_SOURCES",
            Self::NoSuchContainer { .. } => "NO_SUCH_CONTAINER",
            Self::InvalidImage(_) => "INVALID_IMAGE",
            Self::NotFound => "NOT_FOUND",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::TooLarge { .. } => Some(
                "move large file contents into the image or a bucket, or split the application"
                    .into(),
            ),
            Self::TooManySources(_) => Some("split the application".into()),
            Self::NoSuchContainer { nearest, .. } => {
                nearest.as_ref().map(|name| format!("did you mean `{name}`?"))
            }
            Self::InvalidImage(_) => Some("write registry/name@sha256:…".into()),
            Self::NotFound => Some("apply its file first: cairn apply <file>".into()),
            Self::InvalidName(_) => None,
        }
    }
}

impl Decider for Application {
    type State = Self;
    type Command = Command;
    type Event = Event;
    type Rejection = Refused;

    fn decide(state: &Self, command: Command) -> Result<Vec<Event>, Refused> {
        match (command, &state.model) {
            (Command::Apply { model, .. }, Some(latest)) if *latest == model => Ok(Vec::new()),
            (Command::Apply { model, sources, at }, _) => {
                admit(&model, &sources)?;
                Ok(vec![Event::RevisionApplied { number: state.number + 1, model, sources, at }])
            }
            (Command::ReportBuild { .. }, None) => Err(Refused::NotFound),
            (Command::ReportBuild { workload, container, image, origin, at }, Some(model)) => {
                find(model, &workload, &container)?;
                if image.len() < 2 || image.contains(char::is_whitespace) {
                    return Err(Refused::InvalidImage(image.chars().take(200).collect()));
                }
                let known = state.builds.get(&workload).and_then(|of| of.get(&container));
                if known.is_some_and(|build| build.image == image && build.origin == origin) {
                    return Ok(Vec::new());
                }
                let build = Build { image, origin, at };
                Ok(vec![Event::BuildReported { workload, container, build }])
            }
            (Command::Delete { at }, Some(_)) => Ok(vec![Event::Deleted { at }]),
            (Command::Delete { .. }, None) if state.number > 0 => Ok(Vec::new()),
            (Command::Delete { .. }, None) => Err(Refused::NotFound),
        }
    }

    fn evolve(mut state: Self, event: Event) -> Self {
        match event {
            Event::RevisionApplied { number, model, .. } => {
                state.builds.retain(|workload, of| {
                    let containers = model.workloads.get(workload).map(|w| &w.containers);
                    of.retain(|name, _| containers.is_some_and(|all| all.contains_key(name)));
                    !of.is_empty()
                });
                Self { number, model: Some(model), ..state }
            }
            Event::BuildReported { workload, container, build } => {
                state.builds.entry(workload).or_default().insert(container, build);
                state
            }
            Event::Deleted { .. } => Self { number: state.number, ..Self::default() },
        }
    }
}

fn admit(model: &Model, sources: &[SourceRef]) -> Result<(), Refused> {
    if !is_label(&model.name) {
        return Err(Refused::InvalidName(model.name.chars().take(80).collect()));
    }
    if sources.len() > SOURCES_MAX {
        return Err(Refused::TooManySources(sources.len()));
    }
    let bytes = serde_json::to_vec(model).map_or(usize::MAX, |json| json.len());
    if bytes > MODEL_BYTES_MAX { Err(Refused::TooLarge { bytes }) } else { Ok(()) }
}

fn find(model: &Model, workload: &str, container: &str) -> Result<(), Refused> {
    if model.workloads.get(workload).is_some_and(|w| w.containers.contains_key(container)) {
        return Ok(());
    }
    let given = format!("{workload}/{container}");
    let nearest = model
        .workloads
        .iter()
        .flat_map(|(name, w)| w.containers.keys().map(move |c| format!("{name}/{c}")))
        .min_by_key(|name| strsim::damerau_levenshtein(name, &given));
    Err(Refused::NoSuchContainer {
        workload: workload.into(),
        container: container.into(),
        nearest,
    })
}
