//! A capability of a cluster, installed because something needs it and removed when nothing does.

mod brought;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kind::{Change, Kind, Need, OutputDeclaration, Violation};
use crate::name::ResourceId;

pub use brought::{Brought, By};

/// The output of a cluster that says what it brings along, as a [`Brought`].
pub const BRINGS: &str = "brings";

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
    /// Scaling by what is waiting, beyond CPU and memory.
    Autoscaling,
    /// Metrics that are kept, with rules and dashboards.
    Monitoring,
}

impl Capability {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Gateway,
        Self::Certificates,
        Self::Dns,
        Self::Secrets,
        Self::Metrics,
        Self::Logs,
        Self::Autoscaling,
        Self::Monitoring,
    ];

    /// The one of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.as_str() == name)
    }

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
            Self::Autoscaling => "autoscaling",
            Self::Monitoring => "monitoring",
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
    /// The charts that are installed for it. Without any, it is what the cluster brings along.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charts: Vec<ResourceId>,
}

impl Kind for SupportService {
    const NAME: &'static str = "support-service";
    type Spec = Spec;

    fn validate(spec: &Spec) -> Vec<Violation> {
        spec.version.is_empty().then(|| Violation::new("version", "must not be empty")).into_iter().collect()
    }

    fn needs(spec: &Spec) -> Vec<Need> {
        let charts = spec.charts.iter().cloned();
        std::iter::once(spec.cluster.clone()).chain(charts).map(Need::ready).collect()
    }

    fn outputs(spec: &Spec) -> Vec<OutputDeclaration> {
        match spec.capability {
            Capability::Gateway => OutputDeclaration::plain(&["address"]),
            Capability::Certificates => OutputDeclaration::plain(&["issuer"]),
            Capability::Dns => OutputDeclaration::plain(&["zone"]),
            Capability::Secrets => OutputDeclaration::plain(&["store"]),
            Capability::Metrics
            | Capability::Logs
            | Capability::Autoscaling
            | Capability::Monitoring => OutputDeclaration::plain(&["endpoint"]),
        }
    }

    fn change(old: &Spec, new: &Spec) -> Change {
        Change::forces("cluster", &old.cluster, &new.cluster)
            .or_else(|| Change::forces("capability", &old.capability, &new.capability))
            .unwrap_or_else(|| Change::in_place(old, new))
    }
}
