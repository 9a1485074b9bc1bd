//! A TLS certificate for a host name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kind::{Change, Kind, Need, OutputDeclaration, Violation};
use crate::name::ResourceId;
use crate::text::Text;

/// The `certificate` kind.
pub struct Certificate;

/// What is wanted of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The host name it vouches for.
    pub host: Text,
    /// The support service that issues it; none where the cluster brings one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<ResourceId>,
}

impl Kind for Certificate {
    const NAME: &'static str = "certificate";
    type Spec = Spec;

    fn validate(spec: &Spec) -> Vec<Violation> {
        spec.host.parts().is_empty().then(|| Violation::new("host", "must not be empty")).into_iter().collect()
    }

    fn needs(spec: &Spec) -> Vec<Need> {
        spec.issuer.iter().cloned().map(Need::ready).chain(spec.host.needs()).collect()
    }

    fn outputs(_: &Spec) -> Vec<OutputDeclaration> {
        OutputDeclaration::with_secrets(&["host"], &["key"])
    }

    fn change(old: &Spec, new: &Spec) -> Change {
        Change::forces("host", &old.host, &new.host).unwrap_or_else(|| Change::in_place(old, new))
    }
}
