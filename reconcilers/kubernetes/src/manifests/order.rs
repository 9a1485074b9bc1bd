//! Which object comes before which. The order is Helm's: what others live in or refer to comes first; what would
//! refuse others, while nothing answers for it, comes last.

use domain::kinds::manifests::ObjectKey;

/// The turn of namespaces.
pub(crate) const NAMESPACES: u8 = 0;
/// The turn of definitions of resources: they must be served before there can be any.
pub(crate) const DEFINITIONS: u8 = 1;
/// One more than the last turn.
pub(crate) const TURNS: u8 = 8;

/// Its turn.
pub(crate) fn phase(key: &ObjectKey) -> u8 {
    phase_of(key.group(), &key.kind)
}

/// The turn of a kind.
pub(crate) fn phase_of(group: &str, kind: &str) -> u8 {
    match (group, kind) {
        ("", "Namespace") => NAMESPACES,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => DEFINITIONS,
        (
            "admissionregistration.k8s.io",
            "MutatingWebhookConfiguration"
            | "ValidatingWebhookConfiguration"
            | "MutatingAdmissionPolicy"
            | "MutatingAdmissionPolicyBinding"
            | "ValidatingAdmissionPolicy"
            | "ValidatingAdmissionPolicyBinding",
        ) => 7,
        ("apiregistration.k8s.io", _) => 5,
        ("", "Service") => 3,
        ("", "Pod" | "ReplicationController") | ("apps" | "batch" | "autoscaling", _) => 4,
        (
            ""
            | "rbac.authorization.k8s.io"
            | "policy"
            | "networking.k8s.io"
            | "scheduling.k8s.io"
            | "storage.k8s.io"
            | "node.k8s.io"
            | "resource.k8s.io"
            | "flowcontrol.apiserver.k8s.io"
            | "coordination.k8s.io"
            | "discovery.k8s.io"
            | "certificates.k8s.io",
            _,
        ) => 2,
        _ => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_need_comes_before_them() {
        let order = [
            "v1 Namespace sup",
            "apiextensions.k8s.io/v1 CustomResourceDefinition issuers.cert-manager.io",
            "v1 ServiceAccount sup/web",
            "v1 Service sup/web",
            "apps/v1 Deployment sup/web",
            "apiregistration.k8s.io/v1 APIService v1beta1.metrics.k8s.io",
            "cert-manager.io/v1 Issuer sup/web",
            "admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration web",
        ];
        let turns: Vec<u8> = order.iter().map(|key| phase(&key.parse().unwrap())).collect();
        assert_eq!(turns, (0..TURNS).collect::<Vec<u8>>());
    }
}
