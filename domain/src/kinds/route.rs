//! HTTP traffic for a host name and path, led to a workload.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kind::{Change, Kind, Need, OutputDeclaration, Violation};
use crate::name::ResourceId;
use crate::text::Text;

/// The `route` kind.
pub struct Route;

/// What is wanted of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The host name.
    pub host: Text,
    /// The path prefix; starts with `/`.
    pub path: Text,
    /// The workload that answers.
    pub workload: ResourceId,
    /// Its port.
    pub port: u16,
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
        moves(old.cluster.as_ref(), new.cluster.as_ref()).unwrap_or_else(|| Change::in_place(old, new))
    }
}
