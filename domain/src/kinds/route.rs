//! HTTP or gRPC traffic for a host name, led to a workload.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kind::{Change, Kind, Need, OutputDeclaration, Violation};
use crate::name::ResourceId;
use crate::text::Text;

/// The `route` kind.
pub struct Route;

/// What the traffic speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// HTTP, by path.
    #[default]
    Http,
    /// gRPC, by service and method.
    Grpc,
}

impl Protocol {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    fn is_http(&self) -> bool {
        *self == Self::Http
    }
}

/// What is wanted of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The host name.
    pub host: Text,
    /// The path prefix; starts with `/`. For gRPC `/`, `/service` or `/service/method`.
    pub path: Text,
    /// The workload that answers.
    pub workload: ResourceId,
    /// Its port.
    pub port: u16,
    /// What the traffic speaks.
    #[serde(default, skip_serializing_if = "Protocol::is_http")]
    pub protocol: Protocol,
    /// The gateway that takes the traffic in; none where the cluster brings one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<ResourceId>,
    /// The certificate that is shown; none for plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<ResourceId>,
    /// The cluster that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ResourceId>,
}

/// What is in one cluster is made anew in another. That no cluster was named once is no move.
pub(super) fn moves(old: Option<&ResourceId>, new: Option<&ResourceId>) -> Option<Change> {
    old.and_then(|old| Change::forces("cluster", &Some(old), &new))
}

impl Kind for Route {
    const NAME: &'static str = "route";
    type Spec = Spec;

    fn validate(spec: &Spec) -> Vec<Violation> {
        let mut violations = Vec::new();
        if spec.host.parts().is_empty() {
            violations.push(Violation::new("host", "must not be empty"));
        }
        if !spec.path.to_string().starts_with('/') {
            violations.push(Violation::new("path", "must start with `/`"));
        }
        if spec.protocol == Protocol::Grpc && spec.path.to_string().matches('/').count() > 2 {
            violations.push(Violation::new("path", "must be `/`, `/service` or `/service/method` for gRPC"));
        }
        if spec.port == 0 {
            violations.push(Violation::new("port", "must be 1 to 65535"));
        }
        violations
    }

    fn needs(spec: &Spec) -> Vec<Need> {
        let others = [&spec.gateway, &spec.certificate, &spec.cluster].into_iter().flatten();
        let ready = std::iter::once(&spec.workload).chain(others).cloned().map(Need::ready);
        ready.chain(spec.host.needs()).chain(spec.path.needs()).collect()
    }

    fn outputs(_: &Spec) -> Vec<OutputDeclaration> {
        OutputDeclaration::plain(&["url"])
    }

    fn change(old: &Spec, new: &Spec) -> Change {
        moves(old.cluster.as_ref(), new.cluster.as_ref())
            .or_else(|| Change::forces("protocol", &old.protocol, &new.protocol))
            .unwrap_or_else(|| Change::in_place(old, new))
    }
}
