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
    /// The gateway that shows it; none where nothing does, or the cluster brings that along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<ResourceId>,
    /// The gateway that the cluster brings along shows it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shown: bool,
    /// The cluster that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ResourceId>,
}

impl Kind for Certificate {
    const NAME: &'static str = "certificate";
    type Spec = Spec;

    fn validate(spec: &Spec) -> Vec<Violation> {
        spec.host.parts().is_empty().then(|| Violation::new("host", "must not be empty")).into_iter().collect()
    }

    fn needs(spec: &Spec) -> Vec<Need> {
        spec.issuer.iter().chain(&spec.gateway).chain(&spec.cluster).cloned().map(Need::ready).chain(spec.host.needs()).collect()
    }

    fn outputs(_: &Spec) -> Vec<OutputDeclaration> {
        OutputDeclaration::with_secrets(&["host"], &["key"])
    }

    fn change(old: &Spec, new: &Spec) -> Change {
        let moves = super::route::moves(old.cluster.as_ref(), new.cluster.as_ref());
        let forced = Change::forces("host", &old.host, &new.host).or(moves);
        forced.unwrap_or_else(|| Change::in_place(old, new))
    }
}
