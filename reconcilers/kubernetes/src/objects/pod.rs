//! The pods of a workload: its containers, and what they read.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::kinds::KindName;
use domain::kinds::workload::{Container, FileContent, Mode, Probe, Quantities, Readiness, Spec};
use domain::text::{Inputs, OutputValue, Unresolved};
use domain::{SecretRef, Text};
use reconcilers::Target;
use serde_json::{Map, Value, json};

use super::network::port_name;
use super::{Names, Object, plain};
use crate::labels;

/// What a container is promised when nobody says: little, so that many fit, and not nothing, so that they are counted.
const CPU_REQUEST: &str = "50m";
const MEMORY_REQUEST: &str = "64Mi";
/// Probes wait so many seconds before they count as failed.
const PROBE_SECONDS: u32 = 5;

/// The template of its pods, and the objects that they read from.
pub(super) struct Pod {
    pub(super) template: Value,
    pub(super) reads: Vec<Object>,
    /// Volumes of which each replica has one of its own, by name.
    pub(super) own: BTreeSet<String>,
}

/// What is put together while containers are rendered.
struct Builder<'a> {
    target: &'a Target,
    names: &'a Names,
    inputs: &'a Inputs,
    volumes: BTreeMap<String, Value>,
    reads: Vec<Object>,
    /// Each replica has volumes of its own.
    stateful: bool,
    own: BTreeSet<String>,
}

/// A file or variable, wherever its value comes from.
enum Content {
    Plain(String),
    Bytes(Vec<u8>),
    Secret(SecretRef),
}

pub(super) fn pod(
    target: &Target,
    names: &Names,
    spec: &Spec,
    inputs: &Inputs,
    restart: Option<&str>,
) -> Result<Pod, Unresolved> {
    let stateful = spec.mode == Mode::Stateful;
    let (volumes, reads, own) = (BTreeMap::new(), Vec::new(), BTreeSet::new());
    let mut builder = Builder { target, names, inputs, volumes, reads, stateful, own };
    let (mut containers, mut before) = (Vec::new(), Vec::new());
    for (name, container) in ordered(&spec.containers) {
        let mut rendered = builder.container(name, container)?;
        match stage(container) {
            None => containers.push(with_ports(rendered, spec, containers.is_empty())),
            Some(Readiness::Complete) => before.push(rendered),
            Some(state @ (Readiness::Started | Readiness::Healthy)) => {
                // A sidecar: what comes after it starts once it runs, or once its startup probe succeeds (Kubernetes:
                // sidecar containers).
                set(&mut rendered, "restartPolicy", json!("Always"));
                let probe = container.readiness.as_ref().or(container.liveness.as_ref());
                if let (Readiness::Healthy, Some(ready)) = (state, probe) {
                    set(&mut rendered, "startupProbe", probe_json(ready, inputs)?);
                }
                before.push(rendered);
            }
        }
    }
    let mut pod = json!({
        "serviceAccountName": names.name,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "securityContext": {
            "runAsNonRoot": true,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "containers": containers,
    });
    if !before.is_empty() {
        set(&mut pod, "initContainers", json!(before));
    }
    if !builder.volumes.is_empty() {
        let volumes: Vec<&Value> = builder.volumes.values().collect();
        set(&mut pod, "volumes", json!(volumes));
    }
    if let Some(restart) = restart {
        set(&mut pod, "restartPolicy", json!(restart));
    }
    let mut annotations: BTreeMap<String, String> = spec.annotations.clone();
    annotations.extend(labels::annotations(target));
    let metadata = json!({ "labels": labels::labels(target), "annotations": annotations });
    let template = json!({ "metadata": metadata, "spec": pod });
    Ok(Pod { template, reads: builder.reads, own: builder.own })
}

/// Those that something waits for come first, each before what waits for it.
fn ordered(containers: &BTreeMap<String, Container>) -> Vec<(&String, &Container)> {
    let mut all: Vec<_> = containers.iter().collect();
    all.sort_by_key(|(_, container)| std::cmp::Reverse(chain(containers, container)));
    all
}

/// How many wait for it, one after the other. A cycle was refused when the file was read; here it would end at the
/// number of containers.
fn chain(containers: &BTreeMap<String, Container>, container: &Container) -> usize {
    let (mut longest, mut open) = (0, vec![(container, 0)]);
    while let Some((container, depth)) = open.pop() {
        longest = longest.max(depth);
        if depth < containers.len() {
            let waiting = container.before.keys().filter_map(|name| containers.get(name));
            open.extend(waiting.map(|waiting| (waiting, depth + 1)));
        }
    }
    longest
}

/// What others wait for, the most that any of them does; none where nobody does.
fn stage(container: &Container) -> Option<Readiness> {
    let rank = |state: &Readiness| match state {
        Readiness::Started => 0,
        Readiness::Healthy => 1,
        Readiness::Complete => 2,
    };
    container.before.values().copied().max_by_key(rank)
}

fn set(value: &mut Value, field: &str, content: Value) {
    if let Some(fields) = value.as_object_mut() {
        fields.insert(field.to_owned(), content);
    }
}

/// Ports belong to the workload: they are told on its first container.
fn with_ports(mut container: Value, spec: &Spec, first: bool) -> Value {
    if first && !spec.ports.is_empty() {
        let mut ports = BTreeMap::new();
        for (name, port) in &spec.ports {
            let port_json = json!({
                "name": port_name(name),
                "containerPort": port.target_port,
                "protocol": format!("{:?}", port.protocol),
            });
            // Two service ports may lead to one port of the container, which is told once.
            ports.entry((port.target_port, format!("{:?}", port.protocol))).or_insert(port_json);
        }
        set(&mut container, "ports", json!(ports.into_values().collect::<Vec<_>>()));
    }
    container
}

impl Builder<'_> {
    fn container(&mut self, name: &str, container: &Container) -> Result<Value, Unresolved> {
        let mut json = json!({
            "name": name,
            "image": container.image,
            "resources": resources(container),
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "capabilities": { "drop": ["ALL"] },
            },
        });
        let texts = |texts: &[Text]| {
            texts.iter().map(|text| plain(text, self.inputs)).collect::<Result<Vec<_>, _>>()
        };
        if !container.command.is_empty() {
            set(&mut json, "command", json!(texts(&container.command)?));
        }
        if !container.args.is_empty() {
            set(&mut json, "args", json!(texts(&container.args)?));
        }
        for (field, probe) in
            [("livenessProbe", &container.liveness), ("readinessProbe", &container.readiness)]
        {
            if let Some(probe) = probe {
                set(&mut json, field, probe_json(probe, self.inputs)?);
            }
        }
        let variables = self.variables(name, container)?;
        if !variables.is_empty() {
            set(&mut json, "env", json!(variables));
        }
        let mut mounts = self.files(name, container)?;
        mounts.extend(self.mounts(container)?);
        if !mounts.is_empty() {
            set(&mut json, "volumeMounts", json!(mounts));
        }
        Ok(json)
    }

    fn variables(&mut self, name: &str, container: &Container) -> Result<Vec<Value>, Unresolved> {
        let mut secrets = BTreeMap::new();
        let mut values = Vec::new();
        for (variable, text) in &container.variables {
            match text.resolve(self.inputs)? {
                OutputValue::Plain(value) => values.push((variable, Some(value))),
                OutputValue::Secret(secret) => {
                    secrets.insert(variable.clone(), secret);
                    values.push((variable, None));
                }
            }
        }
        let secret = self.secret(&format!("{}-{name}-env", self.names.name), secrets);
        let variable = |(variable, value): (&String, Option<String>)| match value {
            Some(value) => json!({ "name": variable, "value": value }),
            None => {
                let key = json!({ "name": secret, "key": variable });
                json!({ "name": variable, "valueFrom": { "secretKeyRef": key } })
            }
        };
        Ok(values.into_iter().map(variable).collect())
    }

    /// Makes a secret whose name tells its content, and gives that name.
    fn secret(&mut self, name: &str, secrets: BTreeMap<String, SecretRef>) -> Option<String> {
        if secrets.is_empty() {
            return None;
        }
        let name = labels::with_digest(name, json!(secrets).to_string().as_bytes());
        let key = self.names.called("v1", "Secret", name.clone());
        let object = Object::new(&key, self.target, json!({ "type": "Opaque" }));
        self.reads.push(Object { secrets, ..object });
        Some(name)
    }

    /// Each file is mounted alone, so that what is beside it in the image stays.
    fn files(&mut self, name: &str, container: &Container) -> Result<Vec<Value>, Unresolved> {
        let (mut mounts, mut secrets) = (Vec::new(), BTreeMap::new());
        let (mut texts, mut binaries, mut modes) = (Map::new(), Map::new(), Vec::new());
        for (number, (path, file)) in container.files.iter().enumerate() {
            let key = format!("file{number}");
            let content = match &file.content {
                FileContent::Base64(text) => {
                    Content::Bytes(BASE64_STANDARD.decode(text).unwrap_or_default())
                }
                FileContent::Text(text) => match text.resolve(self.inputs)? {
                    OutputValue::Plain(value) => Content::Plain(value),
                    OutputValue::Secret(secret) => Content::Secret(secret),
                },
            };
            let volume = match content {
                Content::Secret(secret) => {
                    secrets.insert(key.clone(), secret);
                    format!("{name}-secrets")
                }
                Content::Plain(text) => {
                    texts.insert(key.clone(), json!(text));
                    format!("{name}-files")
                }
                Content::Bytes(bytes) => {
                    binaries.insert(key.clone(), json!(BASE64_STANDARD.encode(bytes)));
                    format!("{name}-files")
                }
            };
            let mode = file.mode.as_deref().and_then(|mode| u32::from_str_radix(mode, 8).ok());
            modes.push((volume.clone(), key.clone(), mode));
            mounts.push(
                json!({ "name": volume, "mountPath": path, "subPath": key, "readOnly": true }),
            );
        }
        let items = |volume: &str| -> Vec<Value> {
            let of = modes.iter().filter(|(of, _, _)| of == volume);
            of.map(|(_, key, mode)| match mode {
                Some(mode) => json!({ "key": key, "path": key, "mode": mode }),
                None => json!({ "key": key, "path": key }),
            })
            .collect()
        };
        let stem = format!("{}-{name}", self.names.name);
        if let Some(secret) = self.secret(&format!("{stem}-secrets"), secrets) {
            let volume = format!("{name}-secrets");
            let source = json!({ "secretName": secret, "items": items(&volume) });
            self.volumes.insert(volume.clone(), json!({ "name": volume, "secret": source }));
        }
        if !texts.is_empty() || !binaries.is_empty() {
            let volume = format!("{name}-files");
            let map = self.config_map(&format!("{stem}-files"), texts, binaries);
            let source = json!({ "name": map, "items": items(&volume) });
            self.volumes.insert(volume.clone(), json!({ "name": volume, "configMap": source }));
        }
        Ok(mounts)
    }

    fn config_map(
        &mut self,
        name: &str,
        texts: Map<String, Value>,
        binaries: Map<String, Value>,
    ) -> String {
        let mut data = Map::new();
        for (field, content) in [("data", texts), ("binaryData", binaries)] {
            if !content.is_empty() {
                data.insert(field.into(), Value::Object(content));
            }
        }
        let data = Value::Object(data);
        let name = labels::with_digest(name, data.to_string().as_bytes());
        let key = self.names.called("v1", "ConfigMap", name.clone());
        self.reads.push(Object::new(&key, self.target, data));
        name
    }

    fn mounts(&mut self, container: &Container) -> Result<Vec<Value>, Unresolved> {
        let mut mounts = Vec::new();
        for (path, mount) in &container.volumes {
            let claim = plain(&mount.source, self.inputs)?;
            let is_managed =
                mount.source.references().any(|it| it.resource.kind == KindName::Volume);
            let name = if self.stateful && is_managed {
                self.own.insert(claim.clone());
                claim
            } else {
                let name = labels::with_digest("volume", claim.as_bytes());
                let source = json!({ "claimName": claim });
                let volume = json!({ "name": name, "persistentVolumeClaim": source });
                self.volumes.insert(name.clone(), volume);
                name
            };
            let mut json = json!({ "name": name, "mountPath": path, "readOnly": mount.read_only });
            if let Some(inside) = &mount.path {
                set(&mut json, "subPath", json!(inside.trim_start_matches('/')));
            }
            mounts.push(json);
        }
        Ok(mounts)
    }
}

/// Requests are always told. A limit alone is its own request, as in Kubernetes.
fn resources(container: &Container) -> Value {
    let (requests, limits) = (&container.requests, &container.limits);
    let or = |request: &Option<String>, limit: &Option<String>, default: &str| {
        request.clone().or_else(|| limit.clone()).unwrap_or_else(|| default.to_owned())
    };
    let mut json = json!({ "requests": {
        "cpu": or(&requests.cpu, &limits.cpu, CPU_REQUEST),
        "memory": or(&requests.memory, &limits.memory, MEMORY_REQUEST),
    } });
    if !limits.is_empty() {
        set(&mut json, "limits", quantities(limits));
    }
    json
}

fn quantities(quantities: &Quantities) -> Value {
    let fields = [("cpu", &quantities.cpu), ("memory", &quantities.memory)];
    let told = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), json!(value.as_ref()?))));
    Value::Object(told.collect())
}

fn probe_json(probe: &Probe, inputs: &Inputs) -> Result<Value, Unresolved> {
    let mut json = match probe {
        Probe::Exec(command) => {
            let command: Result<Vec<_>, _> =
                command.iter().map(|text| plain(text, inputs)).collect();
            json!({ "exec": { "command": command? } })
        }
        Probe::Http { path, port, host, scheme, headers } => {
            let mut get = json!({ "path": path, "port": port, "scheme": scheme });
            if let Some(host) = host {
                set(&mut get, "host", json!(host));
            }
            if !headers.is_empty() {
                let header =
                    |(name, value): &(String, String)| json!({ "name": name, "value": value });
                set(&mut get, "httpHeaders", headers.iter().map(header).collect());
            }
            json!({ "httpGet": get })
        }
    };
    set(&mut json, "timeoutSeconds", json!(PROBE_SECONDS));
    Ok(json)
}
