//! A host name that leads to a gateway.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kind::{Change, Kind, Need, OutputDeclaration, Violation};
use crate::name::ResourceId;
use crate::text::Text;

/// The `dns-record` kind.
pub struct DnsRecord;

/// What is wanted of a DNS record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The fully qualified name, without the last dot.
    pub host: String,
    /// Where it leads.
    pub target: Text,
    /// The support service that writes it; none where the cluster brings one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<ResourceId>,
    /// The cluster that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ResourceId>,
}

impl Kind for DnsRecord {
    const NAME: &'static str = "dns-record";
    type Spec = Spec;

    fn validate(spec: &Spec) -> Vec<Violation> {
        let good = spec.host.len() <= 253 && spec.host.split('.').all(crate::name::is_label);
        (!good).then(|| Violation::new("host", "must be a host name such as shop.dev.example.com")).into_iter().collect()
    }

    fn needs(spec: &Spec) -> Vec<Need> {
        spec.dns.iter().chain(&spec.cluster).cloned().map(Need::ready).chain(spec.target.needs()).collect()
    }

    fn outputs(_: &Spec) -> Vec<OutputDeclaration> {
        OutputDeclaration::plain(&["host"])
    }

    fn change(old: &Spec, new: &Spec) -> Change {
        let moves = super::route::moves(old.cluster.as_ref(), new.cluster.as_ref());
        let forced = Change::forces("host", &old.host, &new.host).or(moves);
        forced.unwrap_or_else(|| Change::in_place(old, new))
    }
}
