//! Containers that run together: a service, a worker, a job or a cron job.

mod strategy;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::KindName;
use crate::kind::{Change, Kind, Need, OutputDeclaration, Violation};
use crate::name::{ResourceId, is_label};
use crate::text::Text;

pub use strategy::{
    CHECKS_MAX, Canary, CanaryStep, Check, DRAIN_SECONDS, PAUSE_SECONDS_MAX, STEPS_MAX, Strategy,
};

/// Under this name a workload says, beside what it publishes, which share of the traffic its new revision gets, in
/// percent, while that is tried.
pub const CANARY: &str = "canary";
/// The most fields that are left to others.
const DELEGATED_MAX: usize = 20;
/// The most replicas of one workload.
pub const REPLICAS_MAX: u32 = 10_000;

/// The `workload` kind.
pub struct Workload;

/// How a workload lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Runs always and answers on its ports.
    Service,
    /// Runs always and answers nobody.
    Worker,
    /// Runs always; each replica keeps its name, and has a disk of its own for every volume that is mounted.
    Stateful,
    /// Runs once for each revision of its spec, to the end.
    Job,
    /// Runs at times.
    Cron {
        /// Five fields, UTC.
        schedule: String,
    },
}

/// How many replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Always as many.
    Fixed(u32),
    /// As many as the load asks for.
    Auto {
        /// The fewest.
        min: u32,
        /// The most.
        max: u32,
        /// The average CPU use aimed at, in percent of the request, 1..=100.
        cpu_percent: u32,
    },
}

/// What is wanted of a workload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// How it lives.
    pub mode: Mode,
    /// Where.
    pub cluster: ResourceId,
    /// Container name → container.
    pub containers: BTreeMap<String, Container>,
    /// Port name → port.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<String, Port>,
    /// How many replicas.
    pub scale: Scale,
    /// How a new revision replaces the old.
    #[serde(default)]
    pub strategy: Strategy,
    /// What else must be ready first, such as other workloads or a migration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<ResourceId>,
    /// What its identity may use, such as buckets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<ResourceId>,
    /// Dotted paths of fields of the object that runs it which are left to others, such as `spec.replicas`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delegated: Vec<String>,
    /// Annotations, as the developer wrote them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A port that other workloads reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// The port others connect to.
    pub port: u16,
    /// The port inside the container.
    pub target_port: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
}

/// A transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(clippy::upper_case_acronyms, reason = "the names in Score and Kubernetes")]
pub enum Protocol {
    /// TCP.
    TCP,
    /// UDP.
    UDP,
}

/// One container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// The image.
    pub image: String,
    /// Overrides the entrypoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<Text>,
    /// Overrides the arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Text>,
    /// The environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Text>,
    /// Path → file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, File>,
    /// Path → mount.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Mount>,
    /// The most it may use.
    #[serde(default, skip_serializing_if = "Quantities::is_empty")]
    pub limits: Quantities,
    /// What it is promised.
    #[serde(default, skip_serializing_if = "Quantities::is_empty")]
    pub requests: Quantities,
    /// Restarted when this fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness: Option<Probe>,
    /// Not sent traffic while this fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Probe>,
    /// Container → the state this one must reach before that one starts (Score: `before`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub before: BTreeMap<String, Readiness>,
}

/// A state of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    /// Running.
    Started,
    /// Its probe succeeds.
    Healthy,
    /// Ended without error.
    Complete,
}

/// CPU and memory, in Kubernetes' notation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quantities {
    /// Such as `250m` or `0.5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// Such as `256Mi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
}

impl Quantities {
    /// Says nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.cpu.is_none() && self.memory.is_none()
    }
}

/// A file inside a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// What is in it.
    pub content: FileContent,
    /// Access in octal, such as `0644`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

/// What is in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FileContent {
    /// UTF-8 with references.
    Text(Text),
    /// Anything, in base64.
    Base64(String),
}

/// A volume inside a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// Which volume: the `source` output of one, or a name that the cluster knows.
    pub source: Text,
    /// A path inside the volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// No writes.
    #[serde(default)]
    pub read_only: bool,
}

/// A question that tells whether a container is well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    /// A command that ends with 0.
    Exec(Vec<Text>),
    /// A GET that answers 2xx or 3xx.
    Http {
        /// The path.
        path: String,
        /// The port inside the container.
        port: u16,
        /// The Host header; the pod's address when none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        /// HTTP or HTTPS.
        #[serde(default = "http")]
        scheme: String,
        /// More headers, in order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        headers: Vec<(String, String)>,
    },
}

fn http() -> String {
    "HTTP".to_owned()
}

impl Spec {
    fn wrong_delegated(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        if self.mode == Mode::Job && !self.delegated.is_empty() {
            found.push(Violation::new("delegated", "a job is made anew each time: nothing of it is others'"));
        }
        if self.delegated.len() > DELEGATED_MAX {
            let words = format!("must be {DELEGATED_MAX} paths at most");
            found.push(Violation::new("delegated", words));
        }
        for (index, path) in self.delegated.iter().enumerate() {
            // Which pods it has, and all that runs in them, is what is delivered.
            let own = ["spec.selector", "spec.template", "spec.jobTemplate"];
            let is_own = own.iter().any(|own| {
                path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            });
            if is_own || !path.starts_with("spec.") || path.split('.').any(str::is_empty) {
                let words = format!("`{path}` is no field that can be left to others, as spec.replicas can");
                found.push(Violation::new(format!("delegated[{index}]"), words));
            }
        }
        found
    }

    /// The volumes of ours that its containers mount.
    #[must_use]
    pub fn managed_volumes(&self) -> BTreeSet<ResourceId> {
        let mounts = self.containers.values().flat_map(|container| container.volumes.values());
        let references = mounts.flat_map(|mount| mount.source.references());
        let volumes = references.map(|reference| &reference.resource);
        volumes.filter(|id| id.kind == KindName::Volume).cloned().collect()
    }
}

impl Container {
    /// Every text in it that may refer to outputs.
    pub fn texts(&self) -> impl Iterator<Item = &Text> {
        let files = self.files.values().filter_map(|file| match &file.content {
            FileContent::Text(text) => Some(text),
            FileContent::Base64(_) => None,
        });
        self.variables.values().chain(files).chain(self.volumes.values().map(|mount| &mount.source))
    }
}

impl Kind for Workload {
    const NAME: &'static str = "workload";
    type Spec = Spec;

    fn validate(spec: &Spec) -> Vec<Violation> {
        let mut violations = Vec::new();
        if spec.containers.is_empty() {
            violations.push(Violation::new("containers", "must hold at least one container"));
        }
        for (name, container) in &spec.containers {
            if !is_label(name) {
                violations.push(Violation::new(format!("containers.{name}"), "must be a DNS label"));
            }
            if container.image.is_empty() || container.image == "." {
                violations.push(Violation::new(format!("containers.{name}.image"), "no image was supplied"));
            }
        }
        let (min, max) = match spec.scale {
            Scale::Fixed(replicas) => (replicas, replicas),
            Scale::Auto { min, max, .. } => (min, max),
        };
        if min > max || max > REPLICAS_MAX {
            violations.push(Violation::new("scale", format!("must be min <= max <= {REPLICAS_MAX}")));
        }
        if spec.mode == Mode::Stateful && matches!(spec.scale, Scale::Auto { .. }) {
            let words = "must be a fixed number where each replica has disks of its own";
            violations.push(Violation::new("scale", words));
        }
        if spec.mode == Mode::Stateful && spec.strategy == Strategy::Recreate {
            let words = "must be rolling where each replica has disks of its own: one is replaced after the other";
            violations.push(Violation::new("strategy", words));
        }
        violations.extend(spec.wrong_delegated());
        violations.extend(spec.canary().map(|canary| canary.validate(&spec.mode)).unwrap_or_default());
        violations
    }

    fn needs(spec: &Spec) -> Vec<Need> {
        let ready = std::iter::once(&spec.cluster).chain(&spec.after).chain(&spec.grants).cloned().map(Need::ready);
        let texts = spec.containers.values().flat_map(Container::texts).flat_map(Text::needs);
        ready.chain(texts).collect()
    }

    fn outputs(spec: &Spec) -> Vec<OutputDeclaration> {
        let names: &[_] = match spec.mode {
            Mode::Stateful => &["name", "hostname", "port", "peers"],
            Mode::Service | Mode::Worker | Mode::Job | Mode::Cron { .. } => &["name", "hostname", "port"],
        };
        OutputDeclaration::plain(names)
    }

    fn change(old: &Spec, new: &Spec) -> Change {
        let same_mode = std::mem::discriminant(&old.mode) == std::mem::discriminant(&new.mode);
        if !same_mode {
            return Change::Replace { why: "mode cannot change in place (Kubernetes: another kind of object)".into() };
        }
        if new.mode == Mode::Stateful && old.managed_volumes() != new.managed_volumes() {
            let why = "the volumes of a stateful workload cannot change in place (Kubernetes: volumeClaimTemplates)";
            return Change::Replace { why: why.into() };
        }
        Change::forces("cluster", &old.cluster, &new.cluster).unwrap_or_else(|| Change::in_place(old, new))
    }
}
