//! What an application file says, once it is read: one model for Score and `app.yaml`.
//!
//! Places where placeholders are allowed keep the developer's raw text; [`super::pieces`] takes it apart when a plan
//! is made. All other text is literal.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::kinds::workload::{Mode, Port, Probe, Quantities, Readiness, Scale, Strategy};
use crate::text::Text;

/// The longest model in bytes of JSON: a revision is one event, and a commit holds at most 256 KiB.
pub const MODEL_BYTES_MAX: usize = 200 * 1024;

/// An application.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Model {
    /// Its name, one DNS label.
    pub name: String,
    /// Workload name → workload.
    pub workloads: BTreeMap<String, Workload>,
    /// Resources that every workload may refer to, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<String, ResourceRequest>,
    /// Environment name → what differs there. [`Model::in_environment`] applies it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environments: BTreeMap<String, Overrides>,
    /// What happens to resources that do not say it themselves, when they are no longer wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<OnDelete>,
}

/// Containers that run together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Workload {
    /// How it lives.
    pub mode: Mode,
    /// Container name → container.
    pub containers: BTreeMap<String, Container>,
    /// Port name → port.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<String, Port>,
    /// What only this workload refers to, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<String, ResourceRequest>,
    /// How many replicas; the environment decides when none is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// How a new revision replaces the old.
    #[serde(default)]
    pub strategy: Strategy,
    /// Runs to the end once before each rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migrate: Option<Migrate>,
    /// Workloads that must be ready first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Fields that are left to others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delegated: Vec<String>,
    /// Annotations, as the developer wrote them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// All metadata, for `${metadata.a.b}`; `name` is always in it.
    #[serde(default)]
    pub metadata: Value,
}

/// One container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Container {
    /// The image; `.` while none was supplied, which planning refuses.
    pub image: String,
    /// Overrides the entrypoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<Text>,
    /// Overrides the arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Text>,
    /// The environment, with placeholders.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
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
    /// Container → the state this one must reach before that one starts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub before: BTreeMap<String, Readiness>,
}

/// A file inside a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct File {
    /// What is in it; a file named by `source` is read when the application is.
    pub content: Content,
    /// Access in octal, such as `0644`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

/// What is in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// UTF-8 with placeholders.
    Text(String),
    /// UTF-8 as it is (`noExpand`).
    Literal(String),
    /// Anything, in base64.
    Base64(String),
}

/// A volume inside a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mount {
    /// Which volume, with placeholders.
    pub source: String,
    /// A path inside the volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// No writes.
    #[serde(default)]
    pub read_only: bool,
}

/// A command that runs to the end once before each rollout, such as a change of a database's schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Migrate {
    /// The container whose image, variables, files and volumes it takes.
    pub container: String,
    /// Another image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Overrides the entrypoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<Text>,
    /// Overrides the arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Text>,
}

/// Something a workload depends on, in the developer's terms. An environment's classes say what it becomes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceRequest {
    /// Such as `postgres`.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// A specialisation of the type, such as `large`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Requests of the same type, class and id are the same resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Annotations, as the developer wrote them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Parameters; strings in it may hold placeholders.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
    /// What happens to it when it is no longer wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<OnDelete>,
}

/// What happens to a resource when it is no longer wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnDelete {
    /// Deletion is refused.
    Protect,
    /// A last snapshot is kept.
    Snapshot,
    /// It goes, with what is in it.
    Allow,
}

/// What differs in one environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Overrides {
    /// Workload name → what differs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub workloads: BTreeMap<String, WorkloadOverride>,
    /// Name of a resource of the application → what differs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<String, ResourceOverride>,
}

/// What differs of a workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkloadOverride {
    /// How many replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// How a new revision replaces the old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// When it runs, if it runs at times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Added to every container's variables, or in the place of those of the same name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// Name of a resource of the workload → what differs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<String, ResourceOverride>,
}

/// What differs of a resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceOverride {
    /// Another class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Added to the parameters, or in the place of those of the same name.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
    /// What happens to it when it is no longer wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<OnDelete>,
}

impl Model {
    /// The model as it is in one environment: what differs there is applied, and nothing of other environments is left.
    ///
    /// # Guarantees
    /// Applied to its own result it changes nothing.
    #[must_use]
    pub fn in_environment(&self, environment: &str) -> Self {
        let mut model = self.clone();
        let overrides =
            std::mem::take(&mut model.environments).remove(environment).unwrap_or_default();
        for (name, change) in overrides.workloads {
            if let Some(workload) = model.workloads.get_mut(&name) {
                workload.apply(change);
            }
        }
        apply_all(&mut model.resources, overrides.resources);
        model
    }
}

impl Workload {
    fn apply(&mut self, change: WorkloadOverride) {
        self.scale = change.scale.or(self.scale.take());
        self.strategy = change.strategy.unwrap_or_else(|| std::mem::take(&mut self.strategy));
        if let (Mode::Cron { schedule }, Some(other)) = (&mut self.mode, change.schedule) {
            *schedule = other;
        }
        for container in self.containers.values_mut() {
            container.variables.extend(change.variables.clone());
        }
        apply_all(&mut self.resources, change.resources);
    }
}

fn apply_all(
    resources: &mut BTreeMap<String, ResourceRequest>,
    changes: BTreeMap<String, ResourceOverride>,
) {
    for (name, change) in changes {
        if let Some(resource) = resources.get_mut(&name) {
            resource.class = change.class.or(resource.class.take());
            resource.delete = change.delete.or(resource.delete);
            resource.params.extend(change.params);
        }
    }
}
