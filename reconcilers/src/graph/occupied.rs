//! Which deployments have workloads on which cluster.

use std::collections::BTreeMap;

use domain::{KindName, Name, ResourceId, StreamId, Tenant, deployment};

use super::Graph;
use super::node::{Index, Node, Phase};

impl Graph {
    /// The deployments in an environment: `<environment>_<application>`.
    pub(super) fn deployments_in(&self, environment: &StreamId) -> impl Iterator<Item = Index> {
        let prefix = format!("{}_", environment.name());
        let in_it = move |node: &Node| {
            node.stream.kind() == deployment::KIND
                && node.stream.tenant() == environment.tenant()
                && node.stream.name().as_str().starts_with(&prefix)
        };
        (0..).zip(&self.nodes).filter(move |(_, node)| in_it(node)).map(|(index, _)| index)
    }

    /// The workloads of each deployment on each of a tenant's clusters, as of its position.
    #[must_use]
    pub fn occupied(&self, tenant: &Tenant) -> BTreeMap<ResourceId, BTreeMap<Name, u32>> {
        let cluster = |stream: &StreamId| {
            stream.resource().filter(|id| id.kind == KindName::Cluster && stream.tenant() == tenant)
        };
        let clusters = self.nodes.iter().filter_map(|node| Some((cluster(&node.stream)?, node)));
        let counted = clusters.map(|(id, node)| {
            let mut counts = BTreeMap::new();
            let dependents = node.dependents.iter().filter_map(|index| self.node(*index));
            for dependent in dependents.filter(|node| node.phase == Phase::Live) {
                let workload =
                    dependent.stream.resource().is_some_and(|id| id.kind == KindName::Workload);
                if let Some(deployment) = dependent.deployment.as_ref().filter(|_| workload) {
                    *counts.entry(deployment.clone()).or_insert(0) += 1;
                }
            }
            (id, counts)
        });
        counted.filter(|(_, counts)| !counts.is_empty()).collect()
    }
}
