//! Lists: filtered, sorted, in pages that begin after a key, never after a count.

use domain::{KindName, Tenant};

use super::sql::{Sql, When};
use super::{AsOf, COLUMNS, PAGE_MAX, Page, QueryError, Row, page};
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
        let mut sql = Sql::new();
        sql.push("SELECT ")
            .push(COLUMNS)
            .push(", COALESCE(v.summary, v.doc) FROM versions v WHERE ");
        sql.covers("v", when);
        restrict(&mut sql, filter, when);
        match (sort, after) {
            (Sort::Name, None) => sql.push(" ORDER BY v.stream"),
            (Sort::Name, Some(after)) => {
                sql.push(" AND v.stream > ").bind(after).push(" ORDER BY v.stream")
            }
            (Sort::Updated, None) => sql.push(" ORDER BY v.from_position DESC"),
            (Sort::Updated, Some(after)) => {
                let after: i64 = after.parse().map_err(|_| QueryError::Cursor(after.into()))?;
                sql.push(" AND v.from_position < ").bind(after);
                sql.push(" ORDER BY v.from_position DESC")
            }
        };
        sql.push(" LIMIT ").bind(i64::from(limit) + 1);
        let rows = self.select(sql.done()).await?;
        let rows = rows.into_iter().map(|mut cells| Row::read(&mut cells));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        Ok(page(rows, limit, |row| match sort {
            Sort::Name => row.stream.to_string(),
            Sort::Updated => row.position.to_string(),
        }))
    }
}

fn restrict(sql: &mut Sql, filter: &Filter, when: When) {
    sql.push(" AND v.tenant = ").bind(filter.tenant.as_str());
    let is_resource = |kind: &String| KindName::parse(kind).is_some();
    if filter.kinds.iter().all(is_resource) {
        sql.push(" AND v.resource = 1");
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
        sql.push(" AND v.ready = ").bind(i64::from(ready));
    }
    if !filter.include_gone {
        sql.push(" AND v.phase NOT IN ('gone', 'removed', 'withdrawn', 'deleted')");
    }
    if matches!(when, When::At(_)) {
        // No partial index covers the past: the range of the tenant's streams does.
        sql.push(" AND v.stream >= ").bind(format!("ev.{}.", filter.tenant));
        sql.push(" AND v.stream < ").bind(format!("ev.{}/", filter.tenant));
    }
}
