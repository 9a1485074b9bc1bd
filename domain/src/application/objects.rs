//! One Kubernetes object, read as Kubernetes' own tools read it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value as Json, json};

use super::findings::Place;
use super::reader::Reader;
use super::scalar::{Meaning, json as plain_json, meaning};
use super::yaml::{Node, Value};
use crate::commit::Hash;

/// The largest object as JSON: etcd takes 1.5 MiB in one request.
pub(super) const OBJECT_BYTES_MAX: usize = 1_500_000;
/// What of an object is the server's to say.
const SERVERS_OWN: [&str; 6] =
    ["creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"];

impl Reader<'_> {
    /// A text that every object has.
    pub(super) fn word(&mut self, node: &Node, key: &str, example: &str) -> Option<String> {
        match node.get(key).map(|node| &node.value) {
            Some(Value::Scalar(scalar)) if !scalar.text.is_empty() => Some(scalar.text.clone()),
            Some(_) | None => {
                self.findings
                    .error(start(node), format!("this object has no `{key}`"))
                    .hint(format!("add `{key}: {example}`, or take out what is no object"));
                None
            }
        }
    }

    /// Its name. One that the server is to choose is chosen here, by what the object says: applying it twice must
    /// find it again.
    pub(super) fn object_name(&mut self, node: &Node, body: &mut Json) -> Option<String> {
        let text = |body: &Json, pointer: &str| {
            body.pointer(pointer).and_then(Json::as_str).map(str::to_owned)
        };
        if let Some(name) = text(body, "/metadata/name").filter(|name| !name.is_empty()) {
            return Some(name);
        }
        let Some(start_of_name) = text(body, "/metadata/generateName") else {
            self.findings
                .error(start(node), "this object has no `metadata.name`")
                .hint("add `metadata: {name: …}`; a number needs quotes");
            return None;
        };
        let digits: String =
            Hash::of(body.to_string().as_bytes()).to_hex().chars().take(8).collect();
        let name = format!("{start_of_name}{digits}");
        let metadata = body.get_mut("metadata")?.as_object_mut()?;
        metadata.remove("generateName");
        metadata.insert("name".into(), json!(name));
        Some(name)
    }

    /// A node as Kubernetes' own tools read it: by YAML 1.1, where they differ.
    pub(super) fn kubernetes_json(&mut self, node: &Node) -> Json {
        match &node.value {
            Value::Sequence(items) => items.iter().map(|item| self.kubernetes_json(item)).collect(),
            Value::Mapping(entries) => {
                let fields = entries
                    .iter()
                    .map(|entry| (entry.key.clone(), self.kubernetes_json(&entry.value)));
                Json::Object(fields.collect())
            }
            Value::Scalar(scalar) => {
                if let (true, Meaning::Disputed(other)) = (scalar.plain, meaning(&scalar.text)) {
                    return self.disputed(node, &scalar.text, other);
                }
                plain_json(node)
            }
        }
    }

    fn disputed(&mut self, node: &Node, text: &str, other: &'static str) -> Json {
        let taken = match other {
            "a boolean" => json!(matches!(text.to_ascii_lowercase().as_str(), "y" | "yes" | "on")),
            "an octal number" => match i64::from_str_radix(text.trim_start_matches('0'), 8) {
                Ok(number) => json!(number),
                Err(_) => return json!(text),
            },
            _ => return json!(text),
        };
        let message = format!("`{text}` is taken for {other}, {taken}, as Kubernetes does");
        self.findings
            .warning(node.place, message)
            .hint(format!("write {taken}, or \"{text}\" for the text"));
        taken
    }
}

/// Where an object begins.
pub(super) fn start(node: &Node) -> Place {
    match &node.value {
        Value::Mapping(entries) => entries.first().map_or(node.place, |entry| entry.key_place),
        Value::Sequence(_) | Value::Scalar(_) => node.place,
    }
}

/// Takes out what only the server says, and writes what it rewrites as it will.
pub(super) fn strip(body: &mut Json) {
    let is =
        |body: &Json, field: &str, text: &str| body.get(field).and_then(Json::as_str) == Some(text);
    let is_secret = is(body, "kind", "Secret") && is(body, "apiVersion", "v1");
    let is_job = is(body, "kind", "Job");
    let Some(fields) = body.as_object_mut() else { return };
    fields.remove("status");
    if let Some(metadata) = fields.get_mut("metadata").and_then(Json::as_object_mut) {
        SERVERS_OWN.iter().for_each(|field| {
            metadata.remove(*field);
        });
    }
    // A job that removes itself would look as if somebody had deleted it.
    if let (true, Some(spec)) = (is_job, fields.get_mut("spec").and_then(Json::as_object_mut)) {
        spec.remove("ttlSecondsAfterFinished");
    }
    if is_secret && let Some(Json::Object(texts)) = fields.remove("stringData") {
        let data = fields.entry("data").or_insert_with(|| json!({}));
        if let Some(data) = data.as_object_mut() {
            let encode = |value: &Json| BASE64_STANDARD.encode(value.as_str().unwrap_or_default());
            data.extend(texts.iter().map(|(key, value)| (key.clone(), json!(encode(value)))));
        }
    }
}
