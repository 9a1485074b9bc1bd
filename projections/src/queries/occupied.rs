//! How full the clusters are, for whoever places workloads.

use std::collections::BTreeMap;

use domain::{KindName, Name, ResourceId, Tenant};

use super::sql::{Sql, When};
use super::{QueryError, stream};
use crate::store::{Statement, StoreError};
use crate::views::Views;

impl Views {
    /// The number of workloads that need each cluster, where there are any; without those of one deployment,
    /// `<environment>_<application>`, when that is the one to be placed.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn workloads_by_cluster(
        &self,
        tenant: &Tenant,
        but_of: Option<&Name>,
    ) -> Result<BTreeMap<ResourceId, u32>, QueryError> {
        let rows = self.select(statement(tenant, but_of)).await?;
        let mut counts = BTreeMap::new();
        for mut cells in rows {
            let cluster = stream(&mut cells)?.resource().ok_or(StoreError::Shape)?;
            counts.insert(cluster, u32::try_from(cells.int()?).unwrap_or(u32::MAX));
        }
        Ok(counts)
    }
}

/// A kind is a range of streams: `.` and `/` are neighbours, as are `_` and the backtick.
fn statement(tenant: &Tenant, but_of: Option<&Name>) -> Statement {
    let (clusters, workloads) = (KindName::Cluster, KindName::Workload);
    let mut sql = Sql::new();
    sql.push("SELECT e.target, COUNT(DISTINCT e.source) FROM edges e WHERE e.target >= ");
    sql.bind(format!("ev.{tenant}.{clusters}."));
    sql.push(" AND e.target < ").bind(format!("ev.{tenant}.{clusters}/"));
    sql.push(" AND e.source >= ").bind(format!("ev.{tenant}.{workloads}."));
    sql.push(" AND e.source < ").bind(format!("ev.{tenant}.{workloads}/"));
    if let Some(deployment) = but_of {
        sql.push(" AND (e.source < ").bind(format!("ev.{tenant}.{workloads}.{deployment}_"));
        sql.push(" OR e.source >= ").bind(format!("ev.{tenant}.{workloads}.{deployment}`"));
        sql.push(")");
    }
    sql.push(" AND ").covers("e", When::Now).push(" GROUP BY e.target ORDER BY e.target");
    sql.done()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::{Explainer, sqlite};

    #[test]
    fn clusters_are_counted_by_one_index() {
        let (tenant, shop) = ("acme".parse().unwrap(), "dev_shop".parse().unwrap());
        for but_of in [None, Some(&shop)] {
            let statement = statement(&tenant, but_of);
            let plan = sqlite(&statement);
            assert!(plan.starts_with("SEARCH e USING COVERING INDEX edges_target"), "{plan}");
            for explainer in [Explainer::new(false), Explainer::new(true)] {
                let plan = explainer.plan(&statement);
                assert!(
                    plan.contains("using edges_target") && !plan.contains("Seq Scan"),
                    "{plan}"
                );
            }
        }
    }
}
