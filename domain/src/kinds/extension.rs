//! Whatever a platform team teaches Cairn by a class alone: `mongodb`, `kafka-topic`, `llm-model`, ….

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kind::{Change, Kind, Need, OutputDeclaration, Violation};
use crate::name::{ResourceId, is_label};
use crate::text::json_needs;

/// The `extension` kind.
pub struct Extension;

/// What is wanted of an extension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The resource type that the class defines, such as `mongodb`.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// The parameters, checked against the class. Texts in them may refer to outputs.
    #[serde(default)]
    pub params: BTreeMap<String, Value>,
    /// The outputs that the class promises.
    #[serde(default)]
    pub outputs: Vec<OutputDeclaration>,
    /// The cluster it runs in or is reachable from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ResourceId>,
    /// Replacing it loses data.
    #[serde(default)]
    pub stateful: bool,
}

impl Kind for Extension {
    const NAME: &'static str = "extension";
    type Spec = Spec;

    fn validate(spec: &Spec) -> Vec<Violation> {
        let good = is_label(&spec.resource_type.to_ascii_lowercase());
        (!good).then(|| Violation::new("type", "must be letters, digits and `-`")).into_iter().collect()
    }

    fn needs(spec: &Spec) -> Vec<Need> {
        spec.cluster.iter().cloned().map(Need::ready).chain(spec.params.values().flat_map(json_needs)).collect()
    }

    fn outputs(spec: &Spec) -> Vec<OutputDeclaration> {
        spec.outputs.clone()
    }

    fn change(old: &Spec, new: &Spec) -> Change {
        Change::forces("type", &old.resource_type, &new.resource_type)
            .or_else(|| Change::forces("cluster", &old.cluster, &new.cluster))
            .unwrap_or_else(|| Change::in_place(old, new))
    }
}
