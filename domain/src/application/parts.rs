//! The parts that Score and `app.yaml` share: names, ports, annotations and resources.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::findings::Place;
use super::model::{OnDelete, ResourceRequest};
use super::pattern::{is_annotation, is_id, is_score_name, is_type};
use super::reader::{Reader, Spot, Use};
use super::scalar::{Meaning, json, meaning};
use super::yaml::{Entry, Node, Value};
use super::{charts, manifests};
use crate::kinds::workload::{Port, Protocol};

/// The most resources of one application.
pub(super) const RESOURCES_MAX: usize = 3_000;
/// What the names of workloads, containers, ports and resources look like.
const NAME_RULE: &str = "use 1 to 63 of a-z, 0-9 and `-`, not starting or ending with `-`";
const ON_DELETE: &[(&str, OnDelete)] =
    &[("protect", OnDelete::Protect), ("snapshot", OnDelete::Snapshot), ("allow", OnDelete::Allow)];

/// The resources of a workload or of an application, and where each is written.
#[derive(Default)]
pub(super) struct Resources {
    pub(super) requests: BTreeMap<String, ResourceRequest>,
    pub(super) places: BTreeMap<String, Place>,
}

/// What may be written in short.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Nothing: the Score specification.
    Score,
    /// `db: postgres` and `http: 8080`, and keys that Score does not have.
    App,
}

impl Reader<'_> {
    /// Checks a key that names something.
    pub(super) fn name(&mut self, entry: &Entry, what: &str, rule: fn(&str) -> bool) {
        self.named(&entry.key, entry.key_place, what, rule);
    }

    pub(super) fn named(&mut self, name: &str, place: Place, what: &str, rule: fn(&str) -> bool) {
        if rule(name) {
            return;
        }
        let shown: String = name.chars().take(80).collect();
        let found = self.findings.error(place, format!("`{shown}` cannot name {what}"));
        let better: String = name
            .to_lowercase()
            .chars()
            .map(|c| if matches!(c, '_' | ' ' | '.') { '-' } else { c })
            .collect();
        let hint =
            if rule(&better) { format!("write `{better}`: {NAME_RULE}") } else { NAME_RULE.into() };
        found.hint(hint);
    }

    /// Checks a text against a rule.
    pub(super) fn check(
        &mut self,
        entry: &Entry,
        spot: &Spot,
        text: &str,
        rule: fn(&str) -> bool,
        what: &str,
    ) {
        if !rule(text) {
            let path = spot.key(entry).path;
            let message = format!("`{path}` must be {what}, not {text:?}");
            self.findings.error(entry.value.place, message);
        }
    }

    pub(super) fn port_number(&mut self, node: &Node, spot: &Spot) -> Option<u16> {
        self.integer(node, spot, 1..=65535).and_then(|port| u16::try_from(port).ok())
    }

    /// Port name → port.
    pub(super) fn ports(
        &mut self,
        entry: &Entry,
        spot: &Spot,
        form: Form,
    ) -> BTreeMap<String, Port> {
        let spot = spot.key(entry);
        let mut ports = BTreeMap::new();
        for entry in self.mapping(&entry.value, &spot).entries() {
            self.name(entry, "a port", is_score_name);
            let short = form == Form::App && matches!(entry.value.value, Value::Scalar(_));
            let port = if short {
                self.port_number(&entry.value, &spot.key(entry)).map(tcp)
            } else {
                self.port(entry, &spot)
            };
            ports.extend(port.map(|port| (entry.key.clone(), port)));
        }
        ports
    }

    fn port(&mut self, entry: &Entry, spot: &Spot) -> Option<Port> {
        let spot = spot.key(entry);
        let fields = self.fields(&entry.value, &spot, &["port", "protocol", "targetPort"]);
        let port = self.required(fields, "port", &spot, "8080");
        let port = port.and_then(|entry| self.port_number(&entry.value, &spot.key(entry)));
        let target = fields.get("targetPort");
        let target = target.and_then(|entry| self.port_number(&entry.value, &spot.key(entry)));
        let protocols = [("TCP", Protocol::TCP), ("UDP", Protocol::UDP)];
        let protocol = fields.get("protocol");
        let protocol = protocol.and_then(|e| self.choice(&e.value, &spot.key(e), &protocols));
        let port = port?;
        let protocol = protocol.unwrap_or(Protocol::TCP);
        Some(Port { port, target_port: target.unwrap_or(port), protocol })
    }

    /// Annotation → text.
    pub(super) fn annotations(&mut self, entry: &Entry, spot: &Spot) -> BTreeMap<String, String> {
        let spot = spot.key(entry);
        let mut annotations = BTreeMap::new();
        for entry in self.mapping(&entry.value, &spot).entries() {
            if !is_annotation(&entry.key) {
                let message = format!("`{}` cannot name an annotation", entry.key);
                self.findings.error(entry.key_place, message).hint(
                    "write `name` or `example.com/name`, of 2 to 63 letters, digits, `.`, `_` and `-`",
                );
            }
            if let Some(text) = self.literal(&entry.value, &spot.key(entry)) {
                annotations.insert(entry.key.clone(), text);
            }
        }
        annotations
    }

    /// Resource name → request.
    pub(super) fn resources(&mut self, entry: &Entry, spot: &Spot, form: Form) -> Resources {
        let spot = spot.key(entry);
        let mut resources = Resources::default();
        for entry in self.mapping(&entry.value, &spot).entries() {
            self.name(entry, "a resource", is_score_name);
            if let Some(request) = self.resource(entry, &spot, form) {
                resources.requests.insert(entry.key.clone(), request);
            }
            resources.places.insert(entry.key.clone(), entry.key_place);
        }
        resources
    }

    fn resource(&mut self, entry: &Entry, spot: &Spot, form: Form) -> Option<ResourceRequest> {
        let name = entry.key.as_str();
        if let (Form::App, Value::Scalar(_)) = (form, &entry.value.value) {
            let resource_type = self.text(&entry.value, &spot.key(entry))?;
            self.check(
                entry,
                spot,
                &resource_type,
                is_type,
                "the name of a type, such as postgres",
            );
            return Some(request(resource_type));
        }
        let spot = spot.key(entry);
        let known: &[&str] = match form {
            Form::Score => &["type", "class", "id", "metadata", "params"],
            Form::App => &["type", "class", "id", "metadata", "params", "delete"],
        };
        let fields = self.fields(&entry.value, &spot, known);
        let mut word = |key: &str, rule, what| {
            let entry = fields.get(key)?;
            let text = self.text(&entry.value, &spot.key(entry))?;
            self.check(entry, &spot, &text, rule, what);
            Some(text)
        };
        let resource_type = word("type", is_type, "the name of a type, such as postgres");
        let class = word("class", is_type, "the name of a class, such as large");
        let id = word("id", is_id, "labels of a-z, 0-9 and `-`, joined by `.`");
        self.required(fields, "type", &spot, "postgres");
        let mut request = request(resource_type?);
        request.class = class;
        request.id = id;
        if let Some(entry) = fields.get("metadata") {
            let spot = spot.key(entry);
            if let Some(entry) = self.mapping(&entry.value, &spot).get("annotations") {
                request.annotations = self.annotations(entry, &spot);
            }
        }
        if request.resource_type == manifests::TYPE {
            request.params = self.manifests(fields.get("params"), &spot, name);
        } else if request.resource_type == charts::TYPE {
            request.params = self.chart(fields.get("params"), &spot, name);
        } else if let Some(entry) = fields.get("params") {
            request.params = self.params(entry, &spot, name);
        }
        if let Some(entry) = fields.get("delete") {
            request.delete = self.on_delete(entry, &spot);
        }
        Some(request)
    }

    pub(super) fn on_delete(&mut self, entry: &Entry, spot: &Spot) -> Option<OnDelete> {
        self.choice(&entry.value, &spot.key(entry), ON_DELETE)
    }

    /// Parameters of a resource, with the placeholders in them noted.
    pub(super) fn params(
        &mut self,
        entry: &Entry,
        spot: &Spot,
        resource: &str,
    ) -> Map<String, Json> {
        let spot = spot.key(entry);
        let fields = self.mapping(&entry.value, &spot);
        self.param_texts(&entry.value, resource);
        fields.entries().iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect()
    }

    fn param_texts(&mut self, node: &Node, resource: &str) {
        match &node.value {
            Value::Sequence(items) => {
                items.iter().for_each(|item| self.param_texts(item, resource))
            }
            Value::Mapping(entries) => {
                entries.iter().for_each(|entry| self.param_texts(&entry.value, resource));
            }
            Value::Scalar(scalar) => {
                if let (true, Meaning::Disputed(other)) = (scalar.plain, meaning(&scalar.text)) {
                    let text = &scalar.text;
                    let message = format!(
                        "`{text}` is taken as text; older YAML readers take it for {other}"
                    );
                    self.findings
                        .warning(node.place, message)
                        .hint(format!("quote it: \"{text}\""));
                }
                let text = scalar.text.clone();
                self.uses.push(Use {
                    place: node.place,
                    text,
                    param_of: Some(resource.to_owned()),
                });
            }
        }
    }
}

/// A request for the class that is meant when none is named.
fn request(resource_type: String) -> ResourceRequest {
    ResourceRequest {
        resource_type,
        class: None,
        id: None,
        annotations: BTreeMap::new(),
        params: Map::new(),
        delete: None,
    }
}

/// A TCP port that is the same inside and outside.
pub(super) const fn tcp(port: u16) -> Port {
    Port { port, target_port: port, protocol: Protocol::TCP }
}
