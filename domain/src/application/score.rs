//! A Score document: `score.dev/v1b1`, every valid one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::findings::Place;
use super::keys::suggest;
use super::model::{Model, Workload};
use super::parts::{Form, Resources};
use super::pattern::is_score_name;
use super::reader::{Fields, Reader, Spot, Use};
use super::scalar;
use super::settings::{Settings, without_settings};
use super::yaml::Node;

/// The version of the specification that is read.
const API_VERSION: &str = "score.dev/v1b1";
const SCORE: &[&str] = &["apiVersion", "metadata", "service", "containers", "resources"];

/// A workload with what must still be checked about it.
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) workload: Workload,
    /// Texts with placeholders.
    pub(super) uses: Vec<Use>,
    /// Where each container is written.
    pub(super) containers: BTreeMap<String, Place>,
    /// Where each resource is written.
    pub(super) resources: BTreeMap<String, Place>,
    /// Names of other workloads, and where they are written.
    pub(super) after: Vec<(String, Place)>,
}

/// All that was read so far.
#[derive(Default)]
pub(super) struct Drafts {
    /// The name that the file gives to the application.
    pub(super) name: Option<(String, Place)>,
    pub(super) workloads: Vec<Draft>,
    pub(super) resources: Resources,
    /// Texts with placeholders in the application's own resources.
    pub(super) uses: Vec<Use>,
    /// What is neither workload nor resource.
    pub(super) model: Model,
}

/// Where each entry of a mapping is written.
pub(super) fn places(node: Option<&Node>) -> BTreeMap<String, Place> {
    match node.map(|node| &node.value) {
        Some(super::yaml::Value::Mapping(entries)) => {
            entries.iter().map(|entry| (entry.key.clone(), entry.key_place)).collect()
        }
        _ => BTreeMap::new(),
    }
}

/// What the metadata of a Score document says.
#[derive(Default)]
struct Metadata {
    name: Option<(String, Place)>,
    annotations: BTreeMap<String, String>,
    values: Value,
    settings: Settings,
}

impl Reader<'_> {
    /// A Score document.
    pub(super) fn score(&mut self, document: &Node) -> Option<Draft> {
        let top = Spot { path: String::new(), place: document.place };
        let fields = self.fields(document, &top, SCORE);
        if let Some(entry) = self.required(fields, "apiVersion", &top, API_VERSION) {
            let version = self.text(&entry.value, &top.key(entry));
            if let Some(version) = version.filter(|version| version != API_VERSION) {
                let message = format!("`{version}` is not a version of Score that is known");
                self.findings
                    .error(entry.value.place, message)
                    .hint(suggest(&version, &[API_VERSION]));
            }
        }
        let Metadata { name, annotations, values, settings } = self.metadata(fields, &top);
        let ports = match fields.get("service") {
            Some(entry) => {
                let spot = top.key(entry);
                let fields = self.fields(&entry.value, &spot, &["ports"]);
                fields.get("ports").map(|entry| self.ports(entry, &spot, Form::Score))
            }
            None => None,
        }
        .unwrap_or_default();
        let containers =
            match self.required(fields, "containers", &top, "{main: {image: registry/name:tag}}") {
                Some(entry) => self.containers(entry, &top, &values),
                None => BTreeMap::new(),
            };
        let resources =
            fields.get("resources").map(|entry| self.resources(entry, &top, Form::Score));
        let resources = resources.unwrap_or_default();
        let (name, place) = name.unwrap_or((String::new(), document.place));
        let mode = self.mode(&settings, ports.len(), place);
        let workload = Workload {
            mode,
            containers,
            ports,
            resources: resources.requests,
            scale: settings.scale,
            strategy: settings.strategy.unwrap_or_default(),
            migrate: None,
            delegated: Vec::new(),
            after: Vec::new(),
            annotations,
            metadata: values,
        };
        let uses = std::mem::take(&mut self.uses);
        let containers = places(document.get("containers"));
        Some(Draft {
            name,
            place,
            workload,
            uses,
            containers,
            resources: resources.places,
            after: Vec::new(),
        })
    }

    fn metadata(&mut self, fields: Fields<'_>, top: &Spot) -> Metadata {
        let mut metadata = Metadata { values: json!({}), ..Metadata::default() };
        let Some(entry) = self.required(fields, "metadata", top, "{name: my-workload}") else {
            return metadata;
        };
        let spot = top.key(entry);
        let fields = self.mapping(&entry.value, &spot);
        metadata.values = scalar::json(&entry.value);
        if let Some(entry) = self.required(fields, "name", &spot, "my-workload")
            && let Some(text) = self.text(&entry.value, &spot.key(entry))
        {
            self.named(&text, entry.value.place, "a workload", is_score_name);
            metadata.name = Some((text, entry.value.place));
        }
        if let Some(entry) = fields.get("annotations") {
            metadata.annotations = without_settings(self.annotations(entry, &spot));
            metadata.settings = self.annotated(&entry.value, &spot.key(entry));
        }
        metadata
    }
}
