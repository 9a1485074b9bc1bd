//! YAML documents that are read by their types alone, with mistakes shown where they are: classes and environments.

use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use serde_path_to_error::{Path, Segment};

use super::findings::{Findings, Place};
use super::scalar::json;
use super::yaml::{self, Node, Value};
use crate::diagnostic::{Diagnostic, Severity, plain};

/// A document of a file.
pub(crate) struct Document<'a> {
    file: &'a str,
    text: &'a str,
    node: Node,
}

/// Reads the documents of a file.
///
/// # Errors
/// What is wrong with the YAML itself.
pub(crate) fn documents<'a>(
    file: &'a str,
    text: &'a str,
) -> Result<Vec<Document<'a>>, Vec<Diagnostic>> {
    let mut findings = Findings::new([(file, text)]);
    let nodes = yaml::documents(0, &mut findings);
    findings.finish()?;
    Ok(nodes.into_iter().map(|node| Document { file, text, node }).collect())
}

impl Document<'_> {
    /// The text under a key at the top, if there is one.
    pub(crate) fn text_of(&self, key: &str) -> Option<&str> {
        match &self.node.get(key)?.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    /// Something wrong at a dotted path of keys, or as near to it as there is anything.
    pub(crate) fn error(&self, path: &str, message: String) -> Diagnostic {
        let keys = path.split('.').filter(|key| !key.is_empty());
        let mut place = self.node.place;
        let mut node = Some(&self.node);
        for key in keys {
            let Some((at, inner)) = node.and_then(|node| child(node, key)) else { break };
            (place, node) = (at, Some(inner));
        }
        self.diagnostic(place, message)
    }

    /// Reads the document without the key `kind`, which told its type.
    ///
    /// # Errors
    /// The first thing that does not fit, where it stands.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Box<Diagnostic>> {
        let mut value = json(&self.node);
        if let Json::Object(fields) = &mut value {
            fields.remove("kind");
        }
        serde_path_to_error::deserialize(value).map_err(|error| {
            let message = error.inner().to_string();
            Box::new(self.mismatch(error.path(), message))
        })
    }

    fn mismatch(&self, path: &Path, message: String) -> Diagnostic {
        let mut place = self.node.place;
        let mut node = &self.node;
        for segment in path {
            let found = match segment {
                Segment::Map { key } | Segment::Enum { variant: key } => child(node, key),
                Segment::Seq { index } => item(node, *index),
                Segment::Unknown => None,
            };
            let Some((at, inner)) = found else { break };
            (place, node) = (at, inner);
        }
        let written = match &node.value {
            Value::Scalar(scalar) => Some(scalar.text.as_str()),
            Value::Sequence(_) | Value::Mapping(_) => None,
        };
        let plain = plain(&message, written);
        let unknown = plain.unknown.as_deref().and_then(|unknown| child(node, unknown));
        // What stands there is shown, not what it stands under.
        let own = written.map_or(place, |_| node.place);
        let place = unknown.map_or(own, |(at, _)| at);
        Diagnostic { hint: plain.hint, ..self.diagnostic(place, plain.message) }
    }

    fn diagnostic(&self, place: Place, message: String) -> Diagnostic {
        Diagnostic::new(Severity::Error, self.file, self.text, place.range(), message)
    }
}

/// The value under a key of a mapping, and where the key stands.
fn child<'n>(node: &'n Node, key: &str) -> Option<(Place, &'n Node)> {
    match &node.value {
        Value::Mapping(entries) => {
            let entry = entries.iter().find(|entry| entry.key == key)?;
            Some((entry.key_place, &entry.value))
        }
        Value::Sequence(_) | Value::Scalar(_) => None,
    }
}

fn item(node: &Node, index: usize) -> Option<(Place, &Node)> {
    match &node.value {
        Value::Sequence(items) => items.get(index).map(|item| (item.place, item)),
        Value::Mapping(_) | Value::Scalar(_) => None,
    }
}
