//! What is done to applications of every sort, while requests go wrong.

use std::path::{Path, PathBuf};

use domain::StreamId;
use domain::environment::{self, Environment};
use domain::plan::Purpose;
use serde_json::{Value, json};
use tests::samples::root;
use tests::{Plane, now};
use walkdir::WalkDir;

use super::found::group;
use super::trial;

/// A sort of application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scenario {
    /// Workloads alone.
    Workloads,
    /// A name, a certificate, and routes on the gateway that all share.
    Entry,
    /// A workload whose replicas keep their disks, and one with a disk of its own.
    Disks,
    /// Objects that somebody wrote: definitions, objects of them, and others.
    Objects,
    /// A chart with a definition, hooks, a secret that is drawn, and a part that can be left out.
    Chart,
    /// Revisions that are tried before they replace what runs.
    Trial,
}

impl Scenario {
    pub(super) const ALL: [Self; 6] =
        [Self::Workloads, Self::Entry, Self::Disks, Self::Objects, Self::Chart, Self::Trial];

    /// Whether that is done to applications of this sort.
    pub(super) fn has(self, operation: &str) -> bool {
        self == Self::Trial || !["fix", "back"].contains(&operation)
    }

    /// An application of this sort.
    pub(super) fn called(self, name: &str) -> Application {
        Application { scenario: self, name: format!("{self:?}-{name}").to_lowercase() }
    }
}

/// An application of a sort.
#[derive(Clone, Debug)]
pub(super) struct Application {
    pub(super) scenario: Scenario,
    pub(super) name: String,
}

impl Application {
    /// Does that to it, and waits until it is done.
    pub(super) async fn operate(&self, plane: &Plane, folder: &Path, operation: &str) {
        let name = &self.name;
        if self.scenario == Scenario::Trial {
            return trial::operate(plane, folder, name, operation).await;
        }
        if operation == "delete" {
            return plane.delete(name).await;
        }
        let file = self.write(folder, operation);
        plane.apply(name, &[&file], &[]).await;
        plane.begin(name, Purpose::Deploy).await;
        plane.ready(name).await;
    }

    /// Writes its file, and what that refers to.
    fn write(&self, folder: &Path, operation: &str) -> PathBuf {
        let name = &self.name;
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let text = match self.scenario {
            Scenario::Workloads | Scenario::Trial => workloads(operation),
            Scenario::Entry => entry(name, operation),
            Scenario::Disks => disks(operation),
            Scenario::Objects => {
                std::fs::write(folder.join("objects.yaml"), objects(name, operation)).unwrap();
                "resources:\n  objects: {type: manifests, class: cluster, params: {files: [objects.yaml]}}\n"
                    .to_owned()
            }
            Scenario::Chart => {
                write_chart(&folder.join("shop"), name);
                chart(operation)
            }
        };
        let file = folder.join("app.yaml");
        std::fs::write(&file, format!("name: {name}\n{text}")).unwrap();
        file
    }
}

/// Has the routes of `dev` have certificates.
pub(super) async fn certify(plane: &Plane) {
    let dev = "dev".parse().unwrap();
    let stream = StreamId::new(plane.tenant().clone(), environment::KIND, dev).unwrap();
    let state = plane.executor.load_state::<Environment>(&stream).await.unwrap().state;
    let definition = environment::Definition { tls: true, ..state.definition.clone().unwrap() };
    let command = environment::Command::Define { definition, at: now() };
    plane.put::<Environment>(environment::KIND, &"dev".parse().unwrap(), command).await;
}

/// The first version, or the next.
fn version(operation: &str) -> u32 {
    if operation == "create" { 1 } else { 2 }
}

fn workloads(operation: &str) -> String {
    let image = version(operation);
    let mut text =
        format!("workloads:\n  web: {{image: registry.example/web:{image}, port: 8080}}\n");
    if operation != "shrink" {
        text += "  jobs: {image: registry.example/jobs:1, variables: {LEVEL: debug}}\n";
    }
    text
}

fn entry(name: &str, operation: &str) -> String {
    let (image, host) = (version(operation), format!("{name}.test"));
    let web = format!("workloads:\n  web: {{image: registry.example/web:{image}, port: 8080}}\n");
    let route = |key: &str, host: &str, path: &str| {
        format!(
            "  {key}: {{type: route, params: {{workload: web, host: '{host}', path: {path}}}}}\n"
        )
    };
    if operation == "shrink" {
        return format!("{web}resources:\n{}", route("all", &host, "/"));
    }
    let (dns, path) =
        ("${resources.dns.host}", if operation == "create" { "/cart" } else { "/basket" });
    let routes = route("all", dns, "/") + &route("cart", dns, path);
    format!("{web}resources:\n  dns: {{type: dns, params: {{host: {host}}}}}\n{routes}")
}

fn disks(operation: &str) -> String {
    let version = version(operation);
    let (replicas, size) = match operation {
        "create" => (1, 5),
        "change" => (2, 8),
        _ => (1, 8),
    };
    let disk = |name: &str, size: u32| {
        format!(
            "resources: {{{name}: {{type: volume, delete: allow, params: {{size_gib: {size}}}}}}}"
        )
    };
    let mut text = format!(
        "workloads:\n  db:\n    kind: stateful\n    image: registry.example/db:{version}\n    port: 5432\n    \
         replicas: {replicas}\n    volumes: {{/data: {{source: '${{resources.data}}'}}}}\n    {}\n",
        disk("data", size)
    );
    if operation != "shrink" {
        text += &format!(
            "  web:\n    image: registry.example/web:{version}\n    \
             volumes: {{/cache: {{source: '${{resources.cache}}'}}}}\n    {}\n",
            disk("cache", 1)
        );
    }
    text
}

fn objects(name: &str, operation: &str) -> String {
    let (group, version) = (group(name), version(operation));
    let defined = |kind: &str| {
        let plural = format!("{}s", kind.to_lowercase());
        let object = json!({
            "apiVersion": format!("{group}/v1"),
            "kind": kind,
            "metadata": { "name": "one" },
            "spec": { "size": version },
        });
        let sizes = json!({ "type": "object", "properties": { "size": { "type": "integer" } } });
        let schema = json!({ "type": "object", "properties": { "spec": sizes } });
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("{plural}.{group}") },
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": { "kind": kind, "plural": plural, "singular": kind.to_lowercase() },
                "versions": [{
                    "name": "v1",
                    "served": true,
                    "storage": true,
                    "schema": { "openAPIV3Schema": schema },
                }],
            },
        });
        [definition, object]
    };
    let config = |name: &str| {
        let data = json!({ "version": version.to_string() });
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": data })
    };
    let mut all: Vec<Value> = defined("Widget").into();
    all.push(config("settings"));
    if operation != "shrink" {
        all.extend(defined("Gadget"));
        all.push(config("more"));
    }
    // JSON is YAML.
    all.iter().map(Value::to_string).collect::<Vec<_>>().join("\n---\n")
}

fn chart(operation: &str) -> String {
    let values = match operation {
        "create" => json!({ "message": "hello", "cache": { "enabled": true } }),
        "change" => json!({ "message": "bonjour", "replicas": 2, "cache": { "enabled": true } }),
        _ => json!({ "message": "bonjour" }),
    };
    let params = json!({ "chart": "shop", "release": "shop", "values": values });
    let resources = json!({ "web": { "type": "helm", "class": "cluster", "params": params } });
    format!("resources: {resources}\n")
}

/// The chart of the tests, whose definition is of a group of its own.
fn write_chart(folder: &Path, name: &str) {
    let from = root().join("tests/charts/shop");
    for entry in WalkDir::new(&from) {
        let entry = entry.unwrap();
        let place = folder.join(entry.path().strip_prefix(&from).unwrap());
        if entry.file_type().is_dir() {
            std::fs::create_dir_all(place).unwrap();
        } else {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            std::fs::write(place, text.replace("shop.example.com", &group(name))).unwrap();
        }
    }
}
