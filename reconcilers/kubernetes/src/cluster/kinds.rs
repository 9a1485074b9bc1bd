//! The kinds of objects that we make or follow.

use std::borrow::Cow;

use kube::core::{ApiResource, GroupVersionKind};

/// A kind of object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Watched {
    api_version: Cow<'static, str>,
    kind: Cow<'static, str>,
    plural: Cow<'static, str>,
    /// Its objects are in namespaces.
    pub(crate) namespaced: bool,
    /// Followed in every cluster, from the first moment.
    pub(super) always: bool,
}

const fn of(
    api_version: &'static str,
    kind: &'static str,
    plural: &'static str,
    namespaced: bool,
) -> Watched {
    let (api_version, kind) = (Cow::Borrowed(api_version), Cow::Borrowed(kind));
    Watched { api_version, kind, plural: Cow::Borrowed(plural), namespaced, always: true }
}

const fn kind(api_version: &'static str, kind: &'static str, plural: &'static str) -> Watched {
    of(api_version, kind, plural, true)
}

/// Each is one watch per cluster.
pub(crate) const WATCHED: [Watched; 14] = [
    of("v1", "Namespace", "namespaces", false),
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
    kind("apps/v1", "StatefulSet", "statefulsets"),
    kind("batch/v1", "Job", "jobs"),
    kind("batch/v1", "CronJob", "cronjobs"),
];

/// The group of an API; empty for the core.
pub(super) fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

impl Watched {
    /// A kind that a cluster told of.
    pub(super) fn told(api_version: &str, kind: &str, plural: &str, namespaced: bool) -> Self {
        let owned = |text: &str| Cow::Owned(text.to_owned());
        let (api_version, kind, plural) = (owned(api_version), owned(kind), owned(plural));
        Self { api_version, kind, plural, namespaced, always: false }
    }

    pub(crate) fn kind(&self) -> &str {
        &self.kind
    }

    pub(crate) fn api_version(&self) -> &str {
        &self.api_version
    }

    /// How its API is addressed.
    pub(crate) fn resource(&self) -> ApiResource {
        self.resource_at(&self.api_version)
    }

    /// How another version of its API is addressed.
    pub(crate) fn resource_at(&self, api_version: &str) -> ApiResource {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let gvk = GroupVersionKind::gvk(group, version, &self.kind);
        ApiResource::from_gvk_with_plural(&gvk, &self.plural)
    }

    /// Finds a kind that is always followed, in whatever version.
    pub(crate) fn find(api_version: &str, kind: &str) -> Option<Self> {
        let same = |watched: &&Self| {
            group(&watched.api_version) == group(api_version) && watched.kind == kind
        };
        WATCHED.iter().find(same).cloned()
    }
}
