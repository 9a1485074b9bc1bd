//! Which environments offer a cluster, for whoever defines another.

use std::collections::BTreeSet;

use domain::{Name, ResourceId, StreamId, Tenant, environment};

use super::sql::{Sql, When};
use super::{QueryError, stream};
use crate::store::{Statement, StoreError};
use crate::views::Views;

/// The most environments found for a cluster: one more than this is read. They agree about it, so a few are enough.
const OFFERING_MAX: u32 = 15;

impl Views {
    /// Some of the environments that offer one of these clusters, without those of `but`.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn offering(
        &self,
        tenant: &Tenant,
        clusters: &[ResourceId],
        but: &[Name],
    ) -> Result<BTreeSet<StreamId>, QueryError> {
        let statements: Vec<_> =
            clusters.iter().map(|cluster| statement(tenant, cluster, but)).collect();
        let rows = self.select_all(&statements).await?.into_iter().flatten();
        let streams: Result<_, StoreError> = rows.map(|mut cells| stream(&mut cells)).collect();
        Ok(streams?)
    }
}

/// A kind is a range of streams: `.` and `/` are neighbours.
fn statement(tenant: &Tenant, cluster: &ResourceId, but: &[Name]) -> Statement {
    let kind = environment::KIND;
    let mut sql = Sql::new();
    sql.push("SELECT e.source FROM edges e WHERE e.target = ");
    sql.bind(cluster.stream(tenant).to_string());
    sql.push(" AND e.source >= ").bind(format!("ev.{tenant}.{kind}."));
    sql.push(" AND e.source < ").bind(format!("ev.{tenant}.{kind}/"));
    if !but.is_empty() {
        let but: Vec<_> = but.iter().map(|name| format!("ev.{tenant}.{kind}.{name}")).collect();
        sql.push(" AND e.source NOT IN ").bind_list(&but);
    }
    sql.push(" AND ").covers("e", When::Now).push(" ORDER BY e.source").limit(OFFERING_MAX);
    sql.done()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::{Explainer, sqlite};

    #[test]
    fn who_offers_a_cluster_is_found_by_one_index() {
        let tenant = "acme".parse().unwrap();
        let cluster = "cluster/eu".parse().unwrap();
        let statement = statement(&tenant, &cluster, &["dev".parse().unwrap()]);
        let plan = sqlite(&statement);
        assert!(plan.starts_with("SEARCH e USING COVERING INDEX edges_target"), "{plan}");
        for explainer in [Explainer::new(false), Explainer::new(true)] {
            let plan = explainer.plan(&statement);
            assert!(plan.contains("using edges_target") && !plan.contains("Seq Scan"), "{plan}");
        }
    }
}
