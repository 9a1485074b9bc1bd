//! A capability of a cluster, installed because something needs it and removed when nothing does.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kind::{Change, Kind, Need, OutputDeclaration, Violation};
use crate::name::ResourceId;

/// The `support-service` kind.
pub struct SupportService;

/// What it gives to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// HTTP entry.
    Gateway,
    /// TLS certificates.
    Certificates,
    /// DNS records.
    Dns,
    /// Secrets from a store.
    Secrets,
    /// Metrics.
    Metrics,
    /// Logs.
    Logs,
}

impl Capability {
    /// The name in files and resource names.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Certificates => "certificates",
            Self::Dns => "dns",
            Self::Secrets => "secrets",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}

/// What is wanted of a support service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// What it gives.
    pub capability: Capability,
    /// The pinned version of what is installed.
    pub version: String,
    /// Where.
    pub cluster: ResourceId,
}

impl Kind for SupportService {
    const NAME: &'static str = "support-service";
    type Spec = Spec;

    fn validate(spec: &Spec) -> Vec<Violation> {
        spec.version.is_empty().then(|| Violation::new("version", "must not be empty")).into_iter().collect()
    }

    fn needs(spec: &Spec) -> Vec<Need> {
        vec![Need::ready(spec.cluster.clone())]
    }

    fn outputs(spec: &Spec) -> Vec<OutputDeclaration> {
        match spec.capability {
            Capability::Gateway => OutputDeclaration::plain(&["address"]),
            Capability::Certificates => OutputDeclaration::plain(&["issuer"]),
            Capability::Dns => OutputDeclaration::plain(&["zone"]),
            Capability::Secrets => OutputDeclaration::plain(&["store"]),
            Capability::Metrics | Capability::Logs => OutputDeclaration::plain(&["endpoint"]),
        }
    }

    fn change(old: &Spec, new: &Spec) -> Change {
        Change::forces("cluster", &old.cluster, &new.cluster)
            .or_else(|| Change::forces("capability", &old.capability, &new.capability))
            .unwrap_or_else(|| Change::in_place(old, new))
    }
}
