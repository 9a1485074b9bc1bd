//! What a plan does to one resource.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::kinds::Spec;
use crate::lifecycle::{ClassRef, Lifetime};
use crate::name::ResourceId;

/// What is done to one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Which.
    pub resource: ResourceId,
    /// What.
    pub action: StepAction,
    /// What is wanted of it; none for a deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Spec>,
    /// The class it is made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ClassRef>,
    /// Why it exists.
    pub lifetime: Lifetime,
    /// Refuses deletion afterwards.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protected: bool,
    /// The steps that must be done before, by index.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<u32>,
    /// Why it is there, such as `resource db of workload api`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
    /// What changes, field by field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<FieldChange>,
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepAction {
    /// It is made.
    Create,
    /// It is changed in place.
    Change,
    /// It is deleted, then made anew.
    Replace {
        /// What forces it.
        why: String,
    },
    /// It is deleted.
    Delete,
    /// It is made anew in another cluster, for its own is lost: what is there is left behind.
    Relocate {
        /// The cluster that is lost.
        from: ResourceId,
        /// The incarnation that is left behind.
        uid: Uuid,
    },
    /// It is no longer wanted, and its cluster is lost: what is there is left behind.
    Leave {
        /// The cluster that is lost.
        from: ResourceId,
        /// The incarnation that is left behind.
        uid: Uuid,
    },
    /// What was left behind in a cluster that is back is removed.
    CleanUp {
        /// The cluster.
        cluster: ResourceId,
        /// The incarnation.
        uid: Uuid,
    },
}

impl StepAction {
    /// What it leaves behind: in which cluster, and which incarnation.
    #[must_use]
    pub const fn leaves(&self) -> Option<(&ResourceId, Uuid)> {
        match self {
            Self::Relocate { from, uid } | Self::Leave { from, uid } => Some((from, *uid)),
            Self::Create
            | Self::Change
            | Self::Replace { .. }
            | Self::Delete
            | Self::CleanUp { .. } => None,
        }
    }

    /// Afterwards the deployment does not have the resource any more.
    #[must_use]
    pub const fn ends(&self) -> bool {
        matches!(self, Self::Delete | Self::Leave { .. })
    }

    /// It brings the resource to what is wanted.
    #[must_use]
    pub const fn brings(&self) -> bool {
        matches!(self, Self::Create | Self::Change | Self::Replace { .. } | Self::Relocate { .. })
    }
}

/// One field's change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FieldChange {
    /// The dotted path into the spec.
    pub path: String,
    /// Before; none where it was not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// After; none where it is no longer set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
}
