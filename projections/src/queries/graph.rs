//! The graph: what needs what, and a deployment's whole tree.

use domain::{Name, StreamId, Tenant};

use super::sql::{Sql, When};
use super::{AsOf, COLUMNS, QueryError, Row, stream};
use crate::store::{Cells, Statement, StoreError};
use crate::views::Views;

/// The most resources in one tree: some times the largest plan.
pub const NODES_MAX: u32 = 10_000;

/// `source` needs `target`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Who needs it.
    pub source: StreamId,
    /// What is needed; it may not exist.
    pub target: StreamId,
    /// Which of its outputs; none when it is enough that it is ready.
    pub output: Option<String>,
}

/// The edges at one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edges {
    /// What it needs.
    pub needs: Vec<Edge>,
    /// Who needs it.
    pub needed_by: Vec<Edge>,
}

/// A deployment's own resources and all that they need, directly or through others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The deployment; none when it never existed.
    pub deployment: Option<Row>,
    /// In the order of kind and name, at most [`NODES_MAX`].
    pub nodes: Vec<Row>,
    /// Between them.
    pub edges: Vec<Edge>,
}

impl Views {
    /// What one resource needs, and who needs it, now or then.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn edges_of(
        &self,
        resource: &StreamId,
        as_of: Option<AsOf>,
    ) -> Result<Edges, QueryError> {
        let when = self.when(as_of).await?;
        let one_way = |column: &str| {
            let mut sql = Sql::new();
            sql.push("SELECT e.source, e.target, e.output FROM edges e WHERE e.");
            sql.push(column).push(" = ").bind(resource.to_string()).push(" AND ");
            sql.covers("e", when).push(" ORDER BY e.source, e.target, e.output");
            sql.done()
        };
        let statements = [one_way("source"), one_way("target")];
        let mut answers = self.select_all(&statements).await?.into_iter();
        let needs = read_edges(answers.next().unwrap_or_default())?;
        let mut needed_by = read_edges(answers.next().unwrap_or_default())?;
        // An environment that offers a cluster does not need it.
        needed_by.retain(|edge| edge.source.resource().is_some());
        Ok(Edges { needs, needed_by })
    }

    /// The tree of a deployment, now or then, in one snapshot.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn tree(
        &self,
        tenant: &Tenant,
        deployment: &Name,
        as_of: Option<AsOf>,
    ) -> Result<Tree, QueryError> {
        let when = self.when(as_of).await?;
        let root = StreamId::new(tenant.clone(), domain::deployment::KIND, deployment.clone())
            .map_err(|_| StoreError::Shape)?;
        let statements = [
            row_of(&root, when),
            nodes(tenant, deployment, when),
            edges_within(tenant, deployment, when),
        ];
        let mut answers = self.select_all(&statements).await?.into_iter();
        let mut rows = || {
            let rows = answers.next().unwrap_or_default().into_iter();
            rows.map(|mut cells| Row::read(&mut cells)).collect::<Result<Vec<_>, _>>()
        };
        let deployment = rows()?.into_iter().next();
        let nodes = rows()?;
        let edges = read_edges(answers.next().unwrap_or_default())?;
        Ok(Tree { deployment, nodes, edges })
    }
}

fn row_of(stream: &StreamId, when: When) -> Statement {
    let mut sql = Sql::new();
    sql.push("SELECT ").push(COLUMNS).push(", v.doc FROM versions v WHERE v.stream = ");
    sql.bind(stream.to_string()).push(" AND ").covers("v", when);
    sql.done()
}

/// The deployment's resources, then whatever they need, and so on; `UNION` ends at what is known already.
fn members(sql: &mut Sql, tenant: &Tenant, deployment: &Name, when: When) {
    sql.push("WITH RECURSIVE members(stream) AS (SELECT v.stream ");
    sql.push("FROM memberships g CROSS JOIN versions v WHERE g.tenant = ").bind(tenant.as_str());
    sql.push(" AND g.grouping = 'deployment' AND g.value = ").bind(deployment.as_str());
    sql.push(" AND v.from_position = ").last_of("g", when);
    sql.push(" AND v.deployment = ").bind(deployment.as_str());
    sql.push(" AND v.resource = 1 AND v.phase <> 'gone'");
    sql.push(" UNION SELECT e.target FROM members m JOIN edges e ON e.source = m.stream WHERE ");
    sql.covers("e", when).push(") ");
}

fn nodes(tenant: &Tenant, deployment: &Name, when: When) -> Statement {
    let mut sql = Sql::new();
    members(&mut sql, tenant, deployment, when);
    sql.push("SELECT ").push(COLUMNS).push(", v.doc FROM members m JOIN versions v ON ");
    sql.push("v.from_position = ")
        .last_of("m", when)
        .push(" ORDER BY v.stream")
        .limit(NODES_MAX - 1);
    sql.done()
}

fn edges_within(tenant: &Tenant, deployment: &Name, when: When) -> Statement {
    let mut sql = Sql::new();
    members(&mut sql, tenant, deployment, when);
    // A cross join is followed in the order it is written: from the few members, never through every edge.
    sql.push("SELECT e.source, e.target, e.output FROM members m CROSS JOIN edges e ");
    sql.push("WHERE e.source = m.stream AND ");
    sql.covers("e", when).push(" ORDER BY e.source, e.target, e.output");
    sql.done()
}

fn read_edges(rows: Vec<Cells>) -> Result<Vec<Edge>, StoreError> {
    let read = |mut cells: Cells| {
        let (source, target) = (stream(&mut cells)?, stream(&mut cells)?);
        let output = Some(cells.text()?).filter(|output| !output.is_empty());
        Ok(Edge { source, target, output })
    };
    rows.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::{Explainer, sqlite};

    fn trees() -> Vec<Statement> {
        let (tenant, deployment) = ("acme".parse().unwrap(), "dev_shop".parse().unwrap());
        let moments = [When::Now, When::At(7)].into_iter();
        moments
            .flat_map(|when| {
                [nodes(&tenant, &deployment, when), edges_within(&tenant, &deployment, when)]
            })
            .collect()
    }

    #[test]
    fn a_tree_is_found_by_indexes_alone_in_sqlite() {
        for statement in trees() {
            let plan = sqlite(&statement);
            let scans =
                plan.split("; ").filter(|line| line.starts_with("SCAN") && *line != "SCAN m");
            assert_eq!(scans.collect::<Vec<_>>(), Vec::<&str>::new());
        }
    }

    #[test]
    fn a_tree_is_found_by_indexes_alone_in_postgres() {
        for explainer in [Explainer::new(false), Explainer::new(true)] {
            for statement in trees() {
                let plan = explainer.plan(&statement);
                assert!(plan.contains("using memberships_pkey"), "{plan}");
                assert!(!plan.contains("Seq Scan"), "{plan}");
            }
        }
    }
}
