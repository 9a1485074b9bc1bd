//! Whether a cluster can be relied on, as far as the log says.

use std::collections::BTreeMap;

use super::build::Scene;
use crate::kinds::KindName;
use crate::lifecycle::{Resource, Resources};
use crate::name::ResourceId;
use crate::time::Time;

/// A cluster that was ready, and is not any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Since when.
    pub since: Time,
    /// Why, as far as it is known.
    pub reason: Option<String>,
}

impl Lost {
    /// What is so of a cluster.
    #[must_use]
    pub fn words(&self) -> String {
        let reason = self.reason.as_ref().map(|reason| format!(": {reason}"));
        format!("has not been ready since {}{}", self.since, reason.unwrap_or_default())
    }
}

/// Says whether a cluster is lost. One that never was ready is still to be made or connected, one that is being changed
/// is at work: neither is lost.
#[must_use]
pub fn lost(cluster: &Resource) -> Option<Lost> {
    let Resource::Live(body) = cluster else { return None };
    let readiness = &body.readiness;
    let was = readiness.generation > 0 && readiness.generation == body.generation;
    (was && !readiness.ready)
        .then(|| Lost { since: readiness.since, reason: readiness.reason.clone() })
}

/// The cluster that a deployment runs on, by the states of its members: of several, as in a move that was broken off, one
/// that is not lost.
#[must_use]
pub fn runs_on<'a>(
    members: impl IntoIterator<Item = &'a Resource>,
    clusters: &Resources,
) -> Option<ResourceId> {
    let hosts = members.into_iter().filter_map(|state| {
        let body = state.body().filter(|body| body.deployment().is_some())?;
        let cluster = body.spec.cluster()?;
        let is_lost = clusters.get(&cluster).and_then(lost).is_some();
        let goes = !matches!(state, Resource::Live(_));
        Some(((is_lost, goes, body.spec.kind() != KindName::Workload), cluster))
    });
    hosts.min_by(|(a, _), (b, _)| a.cmp(b)).map(|(_, cluster)| cluster)
}

/// The clusters among these that are lost.
pub(super) fn lost_of(clusters: &Resources) -> BTreeMap<ResourceId, Lost> {
    clusters.iter().filter_map(|(id, state)| Some((id.clone(), lost(state)?))).collect()
}

/// Why nothing new goes to a cluster though it would fit. What runs there already stays, but where it is to leave.
pub(super) fn keeps_off(
    scene: &Scene<'_>,
    id: &ResourceId,
    state: Option<&Resource>,
) -> Option<String> {
    let stays = scene.context.current == Some(id) && !scene.context.failing_over;
    state.filter(|_| !stays).and_then(lost).map(|lost| lost.words())
}
