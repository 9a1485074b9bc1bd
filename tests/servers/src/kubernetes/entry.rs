//! What lets the world in, as a cluster brings it along: the definitions of the Gateway API, of cert-manager and of
//! external-dns, a class of gateways, an issuer of certificates, and an API of metrics. KWOK plays those who serve them.

use std::path::PathBuf;

use serde_json::json;

use super::ControlPlane;
use crate::installed;

/// What they go through.
const STAGES: &str = include_str!("../../kwok/stages.yaml");
/// What the class of gateways and the issuer are called.
pub const PRETENDED: &str = "pretended";

impl ControlPlane {
    /// Brings all of it along, and gives the file of the stages. KWOK follows only kinds that there are when it starts.
    pub(super) fn bring_entry(&self) -> PathBuf {
        let definitions = installed("definitions").display().to_string();
        let _ = self.kubectl(&["apply", "--server-side", "-f", &definitions]);
        let _ = self.kubectl(&["wait", "--for=condition=Established", "crd", "--all"]);
        self.make_entry();
        let path = self.place.join("entry.yaml");
        std::fs::write(&path, STAGES).expect("the stages are written");
        path
    }

    /// Brings the class of gateways, the issuer and the API of metrics along.
    fn make_entry(&self) {
        self.bring_gateways();
        let issuer = json!({
            "apiVersion": "cert-manager.io/v1",
            "kind": "ClusterIssuer",
            "metadata": { "name": PRETENDED },
            "spec": { "selfSigned": {} },
        });
        self.make("/apis/cert-manager.io/v1/clusterissuers", &issuer);
        // Without a service it counts as served by the API server itself.
        let metrics = json!({
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": { "name": "v1beta1.metrics.k8s.io" },
            "spec": {
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
            },
        });
        self.make("/apis/apiregistration.k8s.io/v1/apiservices", &metrics);
    }

    /// Brings a class of gateways along.
    pub fn bring_gateways(&self) {
        let class = json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "GatewayClass",
            "metadata": { "name": PRETENDED },
            "spec": { "controllerName": "cairn.test/pretends" },
        });
        self.make("/apis/gateway.networking.k8s.io/v1/gatewayclasses", &class);
    }
}
