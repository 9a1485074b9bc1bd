//! Lists: filtered, sorted, in pages that begin after a key, never after a count.

use domain::{KindName, Tenant};

use super::sql::{Sql, When};
use super::{AsOf, COLUMNS, PAGE_MAX, Page, QueryError, Row, page};
use crate::store::{Statement, Value};
use crate::views::Views;

/// What a list shows. Every field left out lets everything through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Whose.
    pub tenant: Tenant,
    /// Kinds of aggregates; empty for all resources.
    pub kinds: Vec<String>,
    /// Of one deployment.
    pub deployment: Option<String>,
    /// In one environment.
    pub environment: Option<String>,
    /// Of one application.
    pub application: Option<String>,
    /// Made from one class.
    pub class: Option<String>,
    /// In one phase, see [`crate::PHASES`].
    pub phase: Option<String>,
    /// As wanted, or not.
    pub ready: Option<bool>,
    /// Names that begin so.
    pub name_prefix: Option<String>,
    /// Also what is gone, removed, withdrawn or deleted.
    pub include_gone: bool,
}

impl Filter {
    /// Everything of these kinds; of all resources when there are none.
    #[must_use]
    pub fn of(tenant: Tenant, kinds: &[&str]) -> Self {
        Self {
            tenant,
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            deployment: None,
            environment: None,
            application: None,
            class: None,
            phase: None,
            ready: None,
            name_prefix: None,
            include_gone: false,
        }
    }

    /// What is wrong is looked for most and is little: `versions_unready` has it.
    fn is_unwell(&self) -> bool {
        let unwell = ["working", "blocked", "failing", "paused", "deleting"];
        self.ready == Some(false) || self.phase.as_deref().is_some_and(|p| unwell.contains(&p))
    }
}

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// By kind, then name.
    #[default]
    Name,
    /// What changed last comes first.
    Updated,
}

impl Views {
    /// A page of a list, now or then.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn list(
        &self,
        filter: &Filter,
        sort: Sort,
        after: Option<&str>,
        limit: u32,
        as_of: Option<AsOf>,
    ) -> Result<Page<Row>, QueryError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let when = self.when(as_of).await?;
        let after = after.map(|after| key(sort, after)).transpose()?;
        let rows = self.select(statement(filter, sort, after, limit, when)).await?;
        let rows = rows.into_iter().map(|mut cells| Row::read(&mut cells));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        Ok(page(rows, limit, |row| match sort {
            Sort::Name => row.stream.to_string(),
            Sort::Updated => row.position.to_string(),
        }))
    }
}

/// Where a page begins, as the value that its order compares.
fn key(sort: Sort, cursor: &str) -> Result<Value, QueryError> {
    match sort {
        Sort::Name => Ok(cursor.into()),
        Sort::Updated => match cursor.parse::<i64>() {
            Ok(position) => Ok(position.into()),
            Err(_) => Err(QueryError::Cursor(cursor.to_owned())),
        },
    }
}

fn statement(
    filter: &Filter,
    sort: Sort,
    after: Option<Value>,
    limit: u32,
    when: When,
) -> Statement {
    // The few that are unwell or of one deployment are found by their index, then sorted.
    let few = filter.is_unwell() || filter.deployment.is_some();
    let (beyond, order) = match sort {
        Sort::Name => (" AND v.stream > ", " ORDER BY v.stream"),
        Sort::Updated if few => {
            (" AND v.from_position + 0 < ", " ORDER BY v.from_position + 0 DESC")
        }
        Sort::Updated => (" AND v.from_position < ", " ORDER BY v.from_position DESC"),
    };
    let mut sql = Sql::new();
    sql.push("SELECT ").push(COLUMNS).push(", COALESCE(v.summary, v.doc) FROM versions v WHERE ");
    sql.covers("v", when);
    restrict(&mut sql, filter, when);
    if let Some(after) = after {
        sql.push(beyond).bind(after);
    }
    sql.push(order).push(" LIMIT ").bind(i64::from(limit) + 1);
    sql.done()
}

fn restrict(sql: &mut Sql, filter: &Filter, when: When) {
    sql.push(" AND v.tenant = ").bind(filter.tenant.as_str());
    let is_resource = |kind: &String| KindName::parse(kind).is_some();
    if filter.kinds.iter().all(is_resource) {
        // The sum keeps the planner from taking the index of all resources for the few of a deployment.
        let of_few = filter.deployment.is_some();
        sql.push(if of_few { " AND v.resource + 0 = 1" } else { " AND v.resource = 1" });
    } else if !filter.kinds.iter().any(is_resource) {
        sql.push(" AND v.resource = 0");
    }
    let prefix = filter.name_prefix.as_deref().unwrap_or_default();
    match filter.kinds.as_slice() {
        [kind] => {
            // A kind is a range of streams: the index that gives the order gives the filter too.
            let from = format!("ev.{}.{kind}.{prefix}", filter.tenant);
            sql.push(" AND v.kind = ").bind(kind.as_str());
            sql.push(" AND v.stream >= ").bind(from.as_str());
            sql.push(" AND v.stream < ").bind(format!("{from}~"));
        }
        kinds => {
            if !kinds.is_empty() {
                sql.push(" AND v.kind IN ").bind_list(kinds);
            }
            if !prefix.is_empty() {
                sql.push(" AND v.name >= ").bind(prefix);
                sql.push(" AND v.name < ").bind(format!("{prefix}~"));
            }
        }
    }
    let columns = [
        (" AND v.deployment = ", &filter.deployment),
        (" AND v.environment = ", &filter.environment),
        (" AND v.application = ", &filter.application),
        (" AND v.class = ", &filter.class),
        (" AND v.phase = ", &filter.phase),
    ];
    for (condition, value) in columns {
        if let Some(value) = value {
            sql.push(condition).bind(value.as_str());
        }
    }
    if let Some(ready) = filter.ready {
        sql.push(if ready { " AND v.ready = 1" } else { " AND v.ready = 0" });
    }
    if filter.is_unwell() && filter.ready.is_none() {
        sql.push(" AND v.ready = 0");
    }
    if !filter.include_gone {
        sql.push(" AND v.phase <> 'gone' AND v.phase NOT IN ('removed', 'withdrawn', 'deleted')");
    }
    if matches!(when, When::At(_)) {
        // No partial index covers the past: the range of the tenant's streams does.
        sql.push(" AND v.stream >= ").bind(format!("ev.{}.", filter.tenant));
        sql.push(" AND v.stream < ").bind(format!("ev.{}/", filter.tenant));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How SQLite goes about it.
    fn plan_of(filter: &Filter, sort: Sort) -> String {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.execute_batch(crate::sql::SCHEMA_SQLITE).unwrap();
        let after = Some(match sort {
            Sort::Name => Value::from("ev.acme.bucket.a"),
            Sort::Updated => Value::from(7),
        });
        let statement = statement(filter, sort, after, 50, When::Now);
        let mut explain =
            connection.prepare(&format!("EXPLAIN QUERY PLAN {}", statement.text)).unwrap();
        let lines = explain
            .query_map(rusqlite::params_from_iter(&statement.values), |row| row.get(3))
            .unwrap();
        lines.map(Result::unwrap).collect::<Vec<String>>().join("; ")
    }

    #[test]
    fn every_list_follows_an_index_in_its_order() {
        let all = Filter::of("acme".parse().unwrap(), &[]);
        let one = Filter::of("acme".parse().unwrap(), &["bucket"]);
        let own = Filter { deployment: Some("dev_shop".into()), ..all.clone() };
        let unready = Filter { ready: Some(false), ..all.clone() };
        let failing = Filter { phase: Some("failing".into()), ..all.clone() };
        for (filter, sort, index) in [
            (&all, Sort::Name, "versions_by_name"),
            (&one, Sort::Name, "versions_by_name"),
            (&all, Sort::Updated, "versions_by_update"),
            (&own, Sort::Name, "versions_by_deployment"),
            (&unready, Sort::Name, "versions_unready"),
            (&failing, Sort::Name, "versions_unready"),
            (&failing, Sort::Updated, "versions_unready"),
            (&own, Sort::Updated, "versions_by_deployment"),
        ] {
            let plan = plan_of(filter, sort);
            assert!(plan.contains(&format!("USING INDEX {index} ")), "{filter:?} {sort:?}: {plan}");
            let few = index == "versions_unready" || index == "versions_by_deployment";
            let sorts = plan.contains("TEMP B-TREE");
            assert_eq!(sorts, few && sort == Sort::Updated, "{filter:?} {sort:?}: {plan}");
        }
    }
}
