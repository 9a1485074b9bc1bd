//! Containers, with their files, volumes and probes.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::keys::listed;
use super::model::{Container, Content, File, Mount};
use super::pattern::{is_cpu, is_memory, is_mode, is_score_name};
use super::placeholder::{Piece, metadata_value, pieces};
use super::reader::{Fields, Reader, Spot, Use};
use super::yaml::{Entry, Value};
use crate::kinds::workload::{Quantities, Readiness};
use crate::secrecy;

/// The keys of a container.
pub(super) const CONTAINER: &[&str] = &[
    "image",
    "command",
    "args",
    "variables",
    "files",
    "volumes",
    "before",
    "resources",
    "livenessProbe",
    "readinessProbe",
];
const FILE: &[&str] = &["source", "content", "binaryContent", "mode", "noExpand"];
const FILE_ITEM: &[&str] = &["target", "source", "content", "binaryContent", "mode", "noExpand"];
const VOLUME: &[&str] = &["source", "path", "readOnly"];
const VOLUME_ITEM: &[&str] = &["target", "source", "path", "readOnly"];

impl Reader<'_> {
    /// `containers`: at least one.
    pub(super) fn containers(
        &mut self,
        entry: &Entry,
        spot: &Spot,
        metadata: &serde_json::Value,
    ) -> BTreeMap<String, Container> {
        let spot = spot.key(entry);
        let fields = self.mapping(&entry.value, &spot);
        if fields.is_mapping() && fields.entries().is_empty() {
            self.findings
                .error(spot.place, format!("{} holds no container", spot.words()))
                .hint("add one, such as `main: {image: registry/name:tag}`, indented below it");
        }
        let mut containers = BTreeMap::new();
        for entry in fields.entries() {
            let spot = spot.key(entry);
            self.name(entry, "a container", is_score_name);
            let fields = self.fields(&entry.value, &spot, CONTAINER);
            let mut container = self.container(fields, &spot, metadata);
            if let Some(resources) = fields.get("resources") {
                let spot = spot.key(resources);
                let fields = self.fields(&resources.value, &spot, &["limits", "requests"]);
                self.quantities(fields, &spot, &mut container);
            }
            if self.required(fields, "image", &spot, "registry/name:tag").is_some()
                || !container.image.is_empty()
            {
                containers.insert(entry.key.clone(), container);
            }
        }
        containers
    }

    /// What a container says; also the shorthand that stands right in a workload.
    pub(super) fn container(
        &mut self,
        fields: Fields<'_>,
        spot: &Spot,
        metadata: &serde_json::Value,
    ) -> Container {
        let mut container = Container::default();
        if let Some(entry) = fields.get("image") {
            container.image = self.image(entry, spot).unwrap_or_default();
        }
        if let Some(entry) = fields.get("command") {
            container.command = self.literals(&entry.value, &spot.key(entry));
        }
        if let Some(entry) = fields.get("args") {
            container.args = self.literals(&entry.value, &spot.key(entry));
        }
        if let Some(entry) = fields.get("variables") {
            container.variables = self.variables(entry, spot);
        }
        if let Some(entry) = fields.get("files") {
            container.files = self.files(entry, spot, metadata);
        }
        if let Some(entry) = fields.get("volumes") {
            container.volumes = self.volumes(entry, spot);
        }
        if let Some(entry) = fields.get("livenessProbe") {
            container.liveness = self.probe(entry, spot);
        }
        if let Some(entry) = fields.get("readinessProbe") {
            container.readiness = self.probe(entry, spot);
        }
        if let Some(entry) = fields.get("before") {
            container.before = self.before(entry, spot);
        }
        container
    }

    pub(super) fn image(&mut self, entry: &Entry, spot: &Spot) -> Option<String> {
        let spot = spot.key(entry);
        let image = self.literal(&entry.value, &spot)?;
        if image.is_empty() || image.contains(char::is_whitespace) {
            let message = format!("{} must name an image, not {image:?}", spot.words());
            self.findings
                .error(entry.value.place, message)
                .hint("write registry/name:tag, or `.` for an image supplied at deploy");
        }
        Some(image)
    }

    pub(super) fn variables(&mut self, entry: &Entry, spot: &Spot) -> BTreeMap<String, String> {
        let spot = spot.key(entry);
        if let Value::Sequence(_) = entry.value.value {
            self.findings
                .error(entry.value.place, format!("{} must be a mapping, not a list", spot.words()))
                .hint("write `NAME: value` instead of `- NAME=value`");
            return BTreeMap::new();
        }
        let fields = self.mapping(&entry.value, &spot);
        let mut variables = BTreeMap::new();
        for entry in fields.entries() {
            if entry.key.is_empty() || entry.key.contains('=') {
                let message = format!("`{}` cannot name a variable", entry.key);
                self.findings.error(entry.key_place, message).hint("use a name without `=`");
            }
            if let Some(text) = self.raw(&entry.value, &spot.key(entry)) {
                self.warn_of_secret(entry, &text);
                variables.insert(entry.key.clone(), text);
            }
        }
        variables
    }

    fn warn_of_secret(&mut self, entry: &Entry, text: &str) {
        if secrecy::is_in_clear(&entry.key, text) {
            let message = format!(
                "`{}` looks like a secret in clear: it is recorded as it is, for good",
                entry.key
            );
            let hint = "declare a resource that publishes it and refer to that, such as `${resources.NAME.password}`";
            self.findings.warning(entry.value.place, message).hint(hint);
        }
    }

    /// The entries of a mapping from paths, or of the deprecated list with `target`.
    fn targets<'n>(
        &mut self,
        entry: &'n Entry,
        spot: &Spot,
        keys: (&[&str], &[&str]),
    ) -> Vec<(String, Fields<'n>, Spot)> {
        let spot = spot.key(entry);
        let Value::Sequence(_) = entry.value.value else {
            let entries = self.mapping(&entry.value, &spot).entries().iter();
            return entries
                .map(|entry| {
                    let spot = spot.key(entry);
                    (entry.key.clone(), self.fields(&entry.value, &spot, keys.0), spot)
                })
                .collect();
        };
        let mut found: Vec<(String, Fields<'n>, Spot)> = Vec::new();
        for (item, spot) in self.spots(&entry.value, &spot) {
            let fields = self.fields(item, &spot, keys.1);
            let Some(target) = self.required(fields, "target", &spot, "/path/in/the/container")
            else {
                continue;
            };
            let Some(path) = self.text(&target.value, &spot.key(target)) else { continue };
            if found.iter().any(|(other, ..)| *other == path) {
                let message = format!("`{path}` stands here twice");
                self.findings.error(target.value.place, message).hint("remove one of them");
            }
            found.push((path, fields, spot));
        }
        found
    }

    fn files(
        &mut self,
        entry: &Entry,
        spot: &Spot,
        metadata: &serde_json::Value,
    ) -> BTreeMap<String, File> {
        let mut files = BTreeMap::new();
        for (path, fields, spot) in self.targets(entry, spot, (FILE, FILE_ITEM)) {
            let mode = fields.get("mode").and_then(|entry| {
                let text = self.text(&entry.value, &spot.key(entry))?;
                self.check(entry, &spot, &text, is_mode, "an octal file mode such as \"0644\"");
                Some(text)
            });
            if let Some(content) = self.content(fields, &spot, metadata) {
                files.insert(path, File { content, mode });
            }
        }
        files
    }

    fn content(
        &mut self,
        fields: Fields<'_>,
        spot: &Spot,
        metadata: &serde_json::Value,
    ) -> Option<Content> {
        let literal = fields
            .get("noExpand")
            .and_then(|entry| self.boolean(&entry.value, &spot.key(entry)))
            .unwrap_or(false);
        let forms = ["source", "content", "binaryContent"];
        let given: Vec<&Entry> = forms.iter().filter_map(|key| fields.get(key)).collect();
        let [entry] = given.as_slice() else {
            let message = format!("{} needs exactly one of {}", spot.words(), listed(&forms));
            let hint = if given.is_empty() { "add `content: …`" } else { "keep one of them" };
            self.findings.error(spot.place, message).hint(hint);
            return None;
        };
        let here = spot.key(entry);
        match entry.key.as_str() {
            "source" => self.companion(entry, &here, literal, metadata),
            "content" if literal => self.text(&entry.value, &here).map(Content::Literal),
            "content" => self.raw(&entry.value, &here).map(Content::Text),
            _ => {
                let text = self.text(&entry.value, &here)?;
                let encoded: String = text.split_whitespace().collect();
                if STANDARD.decode(&encoded).is_err() {
                    self.findings
                        .error(entry.value.place, format!("{} is not base64", here.words()))
                        .hint("encode it with `base64 <file>`, or use `content` for text");
                }
                Some(Content::Base64(encoded))
            }
        }
    }

    /// The content of a file that stands beside the application file.
    fn companion(
        &mut self,
        entry: &Entry,
        spot: &Spot,
        literal: bool,
        metadata: &serde_json::Value,
    ) -> Option<Content> {
        let place = entry.value.place;
        let source = self.text(&entry.value, spot)?;
        let mut path = String::new();
        for piece in pieces(&source).unwrap_or_default() {
            match piece {
                Piece::Literal(text) => path.push_str(&text),
                Piece::Metadata(keys) => {
                    path.push_str(&metadata_value(metadata, &keys).unwrap_or_default());
                }
                Piece::Resource { .. } => {
                    let message = format!("{} is read before any resource exists", spot.words());
                    self.findings
                        .error(place, message)
                        .hint("name a file, and refer to resources inside it");
                    return None;
                }
            }
        }
        self.uses.push(Use { place, text: source, param_of: None });
        if path.is_empty() {
            self.findings
                .error(place, format!("{} names no file", spot.words()))
                .hint("write a path relative to this file");
            return None;
        }
        let path = self.beside(&path, place);
        self.sources.push(path.clone());
        let Some(bytes) = self.companions.get(&path) else {
            let message = format!("there is no file `{path}`");
            self.findings.error(place, message).hint("paths are relative to this file");
            return None;
        };
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Some(Content::Base64(STANDARD.encode(bytes)));
        };
        if literal {
            return Some(Content::Literal(text.to_owned()));
        }
        let file = self.findings.add_file(path, text);
        let place = super::findings::Place::new(file, 0..text.len());
        self.uses.push(Use { place, text: text.to_owned(), param_of: None });
        Some(Content::Text(text.to_owned()))
    }

    /// A path relative to the file that names it.
    pub(super) fn beside(&self, path: &str, place: super::findings::Place) -> String {
        let directory = self.findings.path(place.file()).rsplit_once('/').map(|(dir, _)| dir);
        match directory {
            Some(directory) if !path.starts_with('/') => format!("{directory}/{path}"),
            _ => path.to_owned(),
        }
    }

    fn volumes(&mut self, entry: &Entry, spot: &Spot) -> BTreeMap<String, Mount> {
        let mut volumes = BTreeMap::new();
        for (target, fields, spot) in self.targets(entry, spot, (VOLUME, VOLUME_ITEM)) {
            let source = self.required(fields, "source", &spot, "${resources.<name>}");
            let source = source.and_then(|entry| self.raw(&entry.value, &spot.key(entry)));
            let path = fields.get("path").and_then(|e| self.text(&e.value, &spot.key(e)));
            let read_only =
                fields.get("readOnly").and_then(|e| self.boolean(&e.value, &spot.key(e)));
            if let Some(source) = source {
                let read_only = read_only.unwrap_or(false);
                volumes.insert(target, Mount { source, path, read_only });
            }
        }
        volumes
    }

    /// `limits` and `requests`.
    pub(super) fn quantities(
        &mut self,
        fields: Fields<'_>,
        spot: &Spot,
        container: &mut Container,
    ) {
        for (key, into) in
            [("limits", &mut container.limits), ("requests", &mut container.requests)]
        {
            let Some(entry) = fields.get(key) else { continue };
            let spot = spot.key(entry);
            let fields = self.fields(&entry.value, &spot, &["cpu", "memory"]);
            let mut quantity = |key, check: fn(&str) -> bool, what| {
                let entry = fields.get(key)?;
                let text = self.text(&entry.value, &spot.key(entry))?;
                self.check(entry, &spot, &text, check, what);
                Some(text)
            };
            let cpu = quantity("cpu", is_cpu, "a number of CPUs such as \"0.5\" or 250m");
            let memory = quantity("memory", is_memory, "an amount of memory such as 256Mi");
            *into = Quantities { cpu, memory };
        }
    }

    fn before(&mut self, entry: &Entry, spot: &Spot) -> BTreeMap<String, Readiness> {
        let states = [
            ("started", Readiness::Started),
            ("healthy", Readiness::Healthy),
            ("complete", Readiness::Complete),
        ];
        let spot = spot.key(entry);
        let mut before = BTreeMap::new();
        for entry in self.mapping(&entry.value, &spot).entries() {
            let spot = spot.key(entry);
            let fields = self.fields(&entry.value, &spot, &["ready"]);
            let Some(ready) = self.required(fields, "ready", &spot, "started") else { continue };
            if let Some(state) = self.choice(&ready.value, &spot.key(ready), &states) {
                before.insert(entry.key.clone(), state);
            }
        }
        before
    }
}
