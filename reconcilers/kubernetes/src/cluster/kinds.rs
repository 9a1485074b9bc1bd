//! The kinds of objects that we make or follow.

use kube::core::{ApiResource, GroupVersionKind};

/// A kind of object.
pub(crate) struct Watched {
    api_version: &'static str,
    kind: &'static str,
    plural: &'static str,
}

const fn kind(api_version: &'static str, kind: &'static str, plural: &'static str) -> Watched {
    Watched { api_version, kind, plural }
}

/// Each is one watch per cluster.
pub(crate) const WATCHED: [Watched; 13] = [
    kind("v1", "Namespace", "namespaces"),
    kind("v1", "ServiceAccount", "serviceaccounts"),
    kind("v1", "ConfigMap", "configmaps"),
    kind("v1", "Secret", "secrets"),
    kind("v1", "Service", "services"),
    kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    kind("v1", "Pod", "pods"),
    kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    kind("apps/v1", "Deployment", "deployments"),
    kind("batch/v1", "Job", "jobs"),
    kind("batch/v1", "CronJob", "cronjobs"),
];

impl Watched {
    pub(crate) const fn kind(&self) -> &'static str {
        self.kind
    }

    pub(crate) const fn api_version(&self) -> &'static str {
        self.api_version
    }

    /// How its API is addressed.
    pub(crate) fn resource(&self) -> ApiResource {
        let (group, version) = self.api_version.split_once('/').unwrap_or(("", self.api_version));
        let gvk = GroupVersionKind::gvk(group, version, self.kind);
        ApiResource::from_gvk_with_plural(&gvk, self.plural)
    }

    /// Finds a kind.
    pub(crate) fn find(api_version: &str, kind: &str) -> Option<&'static Self> {
        WATCHED.iter().find(|watched| watched.api_version == api_version && watched.kind == kind)
    }
}
