//! A secret value: generated, or put together from others at the last moment by whoever keeps them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kind::{Change, Kind, Need, OutputDeclaration, Violation};
use crate::name::ResourceId;
use crate::text::Text;

/// The `secret` kind.
pub struct Secret;

/// What is wanted of a secret. The value is nowhere in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The text whose references, secret ones included, are filled in by the store; none to generate a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Text>,
    /// Length of a generated value in characters, 16..=256.
    #[serde(default = "default_length")]
    pub length: u32,
    /// The support service that brings it into a cluster; none where the cluster does so itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<ResourceId>,
}

const fn default_length() -> u32 {
    32
}

impl Kind for Secret {
    const NAME: &'static str = "secret";
    type Spec = Spec;

    fn validate(spec: &Spec) -> Vec<Violation> {
        let good = (16..=256).contains(&spec.length);
        (!good).then(|| Violation::new("length", "must be 16 to 256 characters")).into_iter().collect()
    }

    fn needs(spec: &Spec) -> Vec<Need> {
        let template = spec.template.iter().flat_map(Text::needs);
        spec.store.iter().cloned().map(Need::ready).chain(template).collect()
    }

    fn outputs(_: &Spec) -> Vec<OutputDeclaration> {
        OutputDeclaration::with_secrets(&[], &["value"])
    }

    fn change(old: &Spec, new: &Spec) -> Change {
        Change::in_place(old, new)
    }
}
