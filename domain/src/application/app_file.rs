//! `app.yaml`: several workloads in one file, with what Score does not say; or one workload in three lines.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::containers::CONTAINER;
use super::findings::Place;
use super::keys::suggest;
use super::model::{Container, Migrate, Overrides, ResourceOverride, Workload, WorkloadOverride};
use super::parts::{Form, tcp};
use super::pattern::{is_score_name, is_type};
use super::reader::{Fields, Reader, Spot};
use super::scalar;
use super::score::{Draft, Drafts, places};
use super::settings::SETTINGS;
use super::yaml::{Entry, Node, Value};
use crate::kinds::workload::{Mode, Port};
use crate::name::is_label;

/// The container of a workload written in short.
const MAIN: &str = "main";
/// The port of a workload written in short.
const HTTP: &str = "http";
const TOP: &[&str] = &["name", "application", "workloads", "resources", "environments", "delete"];
/// What a container says, written right in the workload.
const SHORT: &[&str] = &[
    "image",
    "command",
    "args",
    "variables",
    "files",
    "volumes",
    "livenessProbe",
    "readinessProbe",
    "limits",
    "requests",
];
const WORKLOAD: &[&str] =
    &["containers", "service", "port", "ports", "migrate", "after", "delegated", "metadata"];
const MIGRATE: &[&str] = &["container", "image", "command", "args"];
const OVERRIDE: &[&str] = &["replicas", "scale", "strategy", "schedule", "variables"];

impl Reader<'_> {
    /// A document of `app.yaml`, but for its environments.
    pub(super) fn app(&mut self, document: &Node, drafts: &mut Drafts) {
        let top = Spot { path: String::new(), place: document.place };
        if self.is_another_file(document) {
            return;
        }
        let many = document.get("workloads").is_some();
        let known = if many { TOP.to_vec() } else { [TOP, SHORT, WORKLOAD, SETTINGS].concat() };
        let fields = self.fields(document, &top, &known);
        let name = self.app_name(fields, &top);
        if let Some(entry) = fields.get("resources") {
            drafts.resources = self.resources(entry, &top, Form::App);
            drafts.uses = std::mem::take(&mut self.uses);
        }
        if let Some(entry) = fields.get("delete") {
            drafts.model.delete = self.on_delete(entry, &top);
        }
        if let Some(entry) = fields.get("workloads") {
            let spot = top.key(entry);
            for entry in self.mapping(&entry.value, &spot).entries() {
                self.name(entry, "a workload", is_score_name);
                let known = [SHORT, WORKLOAD, SETTINGS, &["resources"]].concat();
                let spot = spot.key(entry);
                let fields = self.fields(&entry.value, &spot, &known);
                let draft = self.workload(&entry.key, &spot, (&entry.value, fields), Form::Score);
                drafts.workloads.push(draft);
            }
        } else if fields.entries().iter().any(|entry| !TOP.contains(&entry.key.as_str())) {
            let of = name.as_ref().map_or("", |(name, _)| name);
            drafts.workloads.push(self.workload(of, &top, (document, fields), Form::App));
        }
        drafts.name = name;
    }

    /// Files of environments and classes say what they are; an application's says its name alone.
    fn is_another_file(&mut self, document: &Node) -> bool {
        let Some(kind) = document.get("kind") else { return false };
        let Value::Scalar(text) = &kind.value else { return false };
        let (what, command) = match text.text.as_str() {
            "environment" => ("an environment", "cairn env apply"),
            "class" => ("a class", "cairn class apply"),
            _ => return false,
        };
        self.findings
            .error(kind.place, format!("this is {what}, not an application"))
            .hint(format!("define it with `{command}`"));
        true
    }

    fn app_name(&mut self, fields: Fields<'_>, top: &Spot) -> Option<(String, Place)> {
        if let (Some(name), Some(_)) = (fields.get("name"), fields.get("application")) {
            self.findings
                .error(name.key_place, "both `name` and `application` are set")
                .hint("keep one of them; they mean the same");
        }
        let entry = match fields.get("application") {
            Some(entry) => entry,
            None => self.required(fields, "name", top, "my-app")?,
        };
        let name = self.text(&entry.value, &top.key(entry))?;
        self.named(&name, entry.value.place, "an application", is_label);
        Some((name, entry.value.place))
    }

    /// A workload: in a file of one ([`Form::App`]) its resources are the application's.
    fn workload(
        &mut self,
        name: &str,
        spot: &Spot,
        (node, fields): (&Node, Fields<'_>),
        file: Form,
    ) -> Draft {
        let mut metadata = match fields.get("metadata") {
            Some(entry) => match scalar::json(&entry.value) {
                Json::Object(values) => values,
                Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
                    Map::new()
                }
            },
            None => Map::new(),
        };
        metadata.insert("name".into(), Json::String(name.to_owned()));
        let metadata = Json::Object(metadata);
        let annotations = match fields.get("metadata") {
            Some(entry) => {
                let spot = spot.key(entry);
                let fields = self.mapping(&entry.value, &spot);
                fields.get("annotations").map(|entry| self.annotations(entry, &spot))
            }
            None => None,
        };
        let settings = self.settings(fields, spot);
        let ports = self.app_ports(fields, spot);
        let containers = self.app_containers(fields, spot, &metadata);
        let resources = match fields.get("resources") {
            Some(entry) if file == Form::Score => self.resources(entry, spot, Form::App),
            Some(_) | None => Default::default(),
        };
        let migrate = fields.get("migrate").and_then(|e| self.migrate(e, spot, &containers));
        let after = fields.get("after").map(|entry| self.after(entry, spot)).unwrap_or_default();
        let delegated = fields.get("delegated").map(|entry| self.after(entry, spot));
        let delegated = delegated.into_iter().flatten().map(|(path, _)| path).collect();
        let mode = self.mode(&settings, ports.len(), spot.place);
        let workload = Workload {
            mode,
            containers,
            ports,
            resources: resources.requests,
            scale: settings.scale,
            strategy: settings.strategy.unwrap_or_default(),
            migrate,
            after: after.iter().map(|(name, _)| name.clone()).collect(),
            delegated,
            annotations: annotations.unwrap_or_default(),
            metadata,
        };
        Draft {
            name: name.to_owned(),
            place: spot.place,
            workload,
            uses: std::mem::take(&mut self.uses),
            containers: places(node.get("containers")),
            resources: resources.places,
            after,
        }
    }

    fn app_ports(&mut self, fields: Fields<'_>, spot: &Spot) -> BTreeMap<String, Port> {
        let mut ports = BTreeMap::new();
        let mut given = Vec::new();
        if let Some(entry) = fields.get("service") {
            let spot = spot.key(entry);
            let fields = self.fields(&entry.value, &spot, &["ports"]);
            ports.extend(
                fields.get("ports").map(|e| self.ports(e, &spot, Form::App)).unwrap_or_default(),
            );
            given.push(entry);
        }
        if let Some(entry) = fields.get("ports") {
            ports.extend(self.ports(entry, spot, Form::App));
            given.push(entry);
        }
        if let Some(entry) = fields.get("port") {
            let port = self.port_number(&entry.value, &spot.key(entry));
            ports.extend(port.map(|port| (HTTP.to_owned(), tcp(port))));
            given.push(entry);
        }
        if let [_, second, ..] = given.as_slice() {
            self.findings
                .error(second.key_place, format!("ports are given twice, here by `{}`", second.key))
                .hint("keep one of `port`, `ports` and `service`");
        }
        ports
    }

    fn app_containers(
        &mut self,
        fields: Fields<'_>,
        spot: &Spot,
        metadata: &Json,
    ) -> BTreeMap<String, Container> {
        let short = SHORT.iter().find_map(|key| fields.get(key));
        if let Some(entry) = fields.get("containers") {
            if let Some(short) = short {
                let message = format!("`{}` stands beside `containers`", short.key);
                let hint =
                    format!("move it into a container: `containers.<name>.{}`", home(&short.key));
                self.findings.error(short.key_place, message).hint(hint);
            }
            return self.containers(entry, spot, metadata);
        }
        self.required(fields, "image", spot, "registry/name:tag");
        let mut container = self.container(fields, spot, metadata);
        self.quantities(fields, spot, &mut container);
        BTreeMap::from([(MAIN.to_owned(), container)])
    }

    fn migrate(
        &mut self,
        entry: &Entry,
        spot: &Spot,
        containers: &BTreeMap<String, Container>,
    ) -> Option<Migrate> {
        let spot = spot.key(entry);
        let main = containers.get_key_value(MAIN).or_else(|| containers.iter().next());
        let container = main.map(|(name, _)| name.clone())?;
        let mut migrate = Migrate { container, image: None, command: Vec::new(), args: Vec::new() };
        if !matches!(entry.value.value, Value::Mapping(_)) {
            migrate.command = self.literals(&entry.value, &spot);
            return Some(migrate);
        }
        let fields = self.fields(&entry.value, &spot, MIGRATE);
        if let Some(entry) = fields.get("container") {
            let name = self.text(&entry.value, &spot.key(entry))?;
            if !containers.contains_key(&name) {
                let known: Vec<&str> = containers.keys().map(String::as_str).collect();
                let message = format!("there is no container `{name}` in this workload");
                self.findings.error(entry.value.place, message).hint(suggest(&name, &known));
            }
            migrate.container = name;
        } else if containers.len() > 1 && !containers.contains_key(MAIN) {
            self.findings
                .error(spot.place, "`migrate` does not say which container it runs as")
                .hint("add `container: <name>`");
        }
        migrate.image = fields.get("image").and_then(|entry| self.image(entry, &spot));
        if let Some(entry) = fields.get("command") {
            migrate.command = self.literals(&entry.value, &spot.key(entry));
        }
        if let Some(entry) = fields.get("args") {
            migrate.args = self.literals(&entry.value, &spot.key(entry));
        }
        if !fields.has("command") && !fields.has("args") {
            self.findings
                .error(spot.place, format!("{} says nothing to run", spot.words()))
                .hint("add `command: [\"/app/migrate\"]`");
        }
        Some(migrate)
    }

    fn after(&mut self, entry: &Entry, spot: &Spot) -> Vec<(String, Place)> {
        let mut names = Vec::new();
        for (item, spot) in self.spots(&entry.value, &spot.key(entry)) {
            names.extend(self.text(item, &spot).map(|name| (name, item.place)));
        }
        names
    }

    /// `environments`, once every workload and resource is known.
    pub(super) fn environments(&mut self, document: &Node, drafts: &mut Drafts) {
        let top = Spot { path: String::new(), place: document.place };
        let Some(entry) = Fields::of(document).get("environments") else { return };
        let spot = top.key(entry);
        for entry in self.mapping(&entry.value, &spot).entries() {
            self.name(entry, "an environment", is_label);
            let overrides = self.overrides(entry, &spot, drafts);
            drafts.model.environments.insert(entry.key.clone(), overrides);
        }
    }

    fn overrides(&mut self, entry: &Entry, spot: &Spot, drafts: &mut Drafts) -> Overrides {
        let spot = spot.key(entry);
        let single = drafts.workloads.len() == 1;
        let known = if single {
            [&["workloads", "resources"], OVERRIDE].concat()
        } else {
            vec!["workloads", "resources"]
        };
        let fields = self.fields(&entry.value, &spot, &known);
        let mut overrides = Overrides::default();
        if let (true, Some(draft)) = (single, drafts.workloads.first_mut())
            && OVERRIDE.iter().any(|key| fields.has(key))
        {
            let change = self.workload_override(fields, &spot, draft);
            overrides.workloads.insert(draft.name.clone(), change);
        }
        if let Some(entry) = fields.get("workloads") {
            let spot = spot.key(entry);
            for entry in self.mapping(&entry.value, &spot).entries() {
                let names: Vec<String> = drafts.workloads.iter().map(|d| d.name.clone()).collect();
                let Some(draft) = drafts.workloads.iter_mut().find(|d| d.name == entry.key) else {
                    let known: Vec<&str> = names.iter().map(String::as_str).collect();
                    let message = format!("there is no workload `{}`", entry.key);
                    self.findings.error(entry.key_place, message).hint(suggest(&entry.key, &known));
                    continue;
                };
                let spot = spot.key(entry);
                let known = [&["resources"], OVERRIDE].concat();
                let fields = self.fields(&entry.value, &spot, &known);
                let mut change = self.workload_override(fields, &spot, draft);
                if let Some(entry) = fields.get("resources") {
                    let known: Vec<String> = draft.workload.resources.keys().cloned().collect();
                    change.resources = self.resource_overrides(entry, &spot, &known);
                    draft.uses.append(&mut self.uses);
                }
                overrides.workloads.insert(entry.key.clone(), change);
            }
        }
        if let Some(entry) = fields.get("resources") {
            let known: Vec<String> = drafts.resources.requests.keys().cloned().collect();
            overrides.resources = self.resource_overrides(entry, &spot, &known);
            drafts.uses.append(&mut self.uses);
        }
        overrides
    }

    fn workload_override(
        &mut self,
        fields: Fields<'_>,
        spot: &Spot,
        draft: &mut Draft,
    ) -> WorkloadOverride {
        let settings = self.settings(fields, spot);
        if let (Some(entry), false) =
            (fields.get("schedule"), matches!(draft.workload.mode, Mode::Cron { .. }))
        {
            let message = format!("`{}` has no schedule to change", draft.name);
            self.findings
                .error(entry.key_place, message)
                .hint("add `schedule` to the workload itself");
        }
        let variables = fields.get("variables").map(|entry| self.variables(entry, spot));
        draft.uses.append(&mut self.uses);
        WorkloadOverride {
            scale: settings.scale,
            strategy: settings.strategy,
            schedule: settings.schedule,
            variables: variables.unwrap_or_default(),
            resources: BTreeMap::new(),
        }
    }

    fn resource_overrides(
        &mut self,
        entry: &Entry,
        spot: &Spot,
        names: &[String],
    ) -> BTreeMap<String, ResourceOverride> {
        let spot = spot.key(entry);
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut overrides = BTreeMap::new();
        for entry in self.mapping(&entry.value, &spot).entries() {
            if !known.contains(&entry.key.as_str()) {
                let message = format!("there is no resource `{}` here", entry.key);
                let hint = match known.is_empty() {
                    true => "a workload's own resources are changed in environments.<name>.workloads.<workload>.resources".into(),
                    false => suggest(&entry.key, &known),
                };
                self.findings.error(entry.key_place, message).hint(hint);
            }
            let spot = spot.key(entry);
            let fields = self.fields(&entry.value, &spot, &["class", "params", "delete"]);
            let mut change = ResourceOverride::default();
            if let Some(class) = fields.get("class") {
                change.class = self.text(&class.value, &spot.key(class));
                if let Some(text) = &change.class {
                    self.check(class, &spot, text, is_type, "the name of a class, such as large");
                }
            }
            if let Some(params) = fields.get("params") {
                change.params = self.params(params, &spot, &entry.key);
            }
            if let Some(delete) = fields.get("delete") {
                change.delete = self.on_delete(delete, &spot);
            }
            overrides.insert(entry.key.clone(), change);
        }
        overrides
    }
}

/// Where a key of the short form stands in a container.
fn home(key: &str) -> String {
    if CONTAINER.contains(&key) { key.to_owned() } else { format!("resources.{key}") }
}
