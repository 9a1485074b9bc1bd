//! Lists: filtered, sorted, in pages that begin after a key, never after a count.

use domain::{KindName, StreamId, Tenant};

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

    /// What is asked for by what it belongs to, the narrowest first.
    fn group(&self) -> Option<(&'static str, &str)> {
        let groups = [
            ("deployment", &self.deployment),
            ("application", &self.application),
            ("class", &self.class),
            ("environment", &self.environment),
        ];
        groups.into_iter().find_map(|(grouping, value)| Some((grouping, value.as_deref()?)))
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
        let found = self.select(statement(filter, sort, after, limit, when)).await?;
        let mut rows = Vec::with_capacity(found.len());
        for mut cells in found {
            rows.push(Row::read(&mut cells)?);
        }
        Ok(page(rows, limit, |row| match sort {
            Sort::Name => row.stream.to_string(),
            Sort::Updated => row.position.to_string(),
        }))
    }
}

/// Where a page begins, as the value that its order compares.
fn key(sort: Sort, cursor: &str) -> Result<Value, QueryError> {
    match sort {
        Sort::Name if cursor.parse::<StreamId>().is_ok() => Ok(cursor.into()),
        Sort::Name => Err(QueryError::Cursor(cursor.to_owned())),
        Sort::Updated => match cursor.parse::<i64>() {
            Ok(position) => Ok(position.into()),
            Err(_) => Err(QueryError::Cursor(cursor.to_owned())),
        },
    }
}

/// Where the streams of a list come from, in the order in which they are looked at.
#[derive(Clone, Copy)]
enum Source<'a> {
    /// The rows themselves.
    Rows,
    /// Every stream that there is, from its open row; the row of the past is looked up for each.
    Streams,
    /// The streams that belong to a group, or once did; the row of the moment is looked up for each.
    Group(&'static str, &'a str),
}

impl<'a> Source<'a> {
    fn of(filter: &'a Filter, sort: Sort, when: When) -> Self {
        match (filter.group(), when, sort) {
            (Some((grouping, value)), _, _) => Self::Group(grouping, value),
            (None, When::At(_), Sort::Name) => Self::Streams,
            (None, When::At(_), Sort::Updated) | (None, When::Now, _) => Self::Rows,
        }
    }

    /// Whose `tenant`, `stream` and `kind` are looked at first.
    const fn alias(self) -> &'static str {
        match self {
            Self::Rows => "v",
            Self::Streams => "s",
            Self::Group(..) => "g",
        }
    }
}

fn statement(
    filter: &Filter,
    sort: Sort,
    after: Option<Value>,
    limit: u32,
    when: When,
) -> Statement {
    let source = Source::of(filter, sort, when);
    // The few that are unwell or of one group are found by their index, then sorted.
    let few = match source {
        Source::Rows => filter.is_unwell() && matches!(when, When::Now),
        Source::Streams | Source::Group(..) => true,
    };
    let mut sql = Sql::new();
    sql.push("SELECT ").push(COLUMNS).push(", COALESCE(v.summary, v.doc) FROM ");
    from(&mut sql, source, when);
    restrict(&mut sql, filter, sort, source);
    let (alias, positions) =
        (source.alias(), if few { "v.from_position + 0" } else { "v.from_position" });
    if let Some(after) = after {
        match sort {
            Sort::Name => sql.push(" AND ").push(alias).push(".stream > "),
            Sort::Updated => sql.push(" AND ").push(positions).push(" < "),
        };
        sql.bind(after);
    }
    match sort {
        Sort::Name => sql.push(" ORDER BY ").push(alias).push(".stream"),
        Sort::Updated => sql.push(" ORDER BY ").push(positions).push(" DESC"),
    };
    sql.limit(limit);
    sql.done()
}

/// The tables, and the rows of the moment in them. A cross join is followed in the order in which it is written.
fn from(sql: &mut Sql, source: Source<'_>, when: When) {
    match source {
        Source::Rows => sql.push("versions v WHERE ").covers("v", when),
        Source::Streams => {
            sql.push("versions s CROSS JOIN versions v WHERE ").covers("s", When::Now);
            sql.push(" AND v.from_position = ").last_of("s", when)
        }
        Source::Group(grouping, value) => {
            sql.push("memberships g CROSS JOIN versions v WHERE g.grouping = '").push(grouping);
            sql.push("' AND g.value = ").bind(value);
            sql.push(" AND v.from_position = ").last_of("g", when)
        }
    };
}

fn restrict(sql: &mut Sql, filter: &Filter, sort: Sort, source: Source<'_>) {
    let alias = source.alias();
    sql.push(" AND ").push(alias).push(".tenant = ").bind(filter.tenant.as_str());
    // A membership does not say whether its stream is a resource's.
    let resource = match source {
        Source::Rows => " AND v.resource = ",
        Source::Streams => " AND s.resource = ",
        Source::Group(..) => " AND v.resource = ",
    };
    let is_resource = |kind: &String| KindName::parse(kind).is_some();
    if filter.kinds.iter().all(is_resource) {
        sql.push(resource).push("1");
    } else if !filter.kinds.iter().any(is_resource) {
        sql.push(resource).push("0");
    }
    // What changed last is found by the index of that alone.
    let ranged = sort == Sort::Name || !matches!(source, Source::Rows) || filter.is_unwell();
    names(sql, filter, alias, ranged);
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
}

/// Kinds and names.
fn names(sql: &mut Sql, filter: &Filter, alias: &str, ranged: bool) {
    let prefix = filter.name_prefix.as_deref().unwrap_or_default();
    match filter.kinds.as_slice() {
        [kind] if ranged => {
            // A kind is a range of streams: the index that gives the order gives the filter too. The kind is not asked
            // for by itself: where little is known of the tables, all of a kind would be read, and sorted.
            let from = format!("ev.{}.{kind}.{prefix}", filter.tenant);
            sql.push(" AND ").push(alias).push(".stream >= ").bind(from.as_str());
            sql.push(" AND ").push(alias).push(".stream < ").bind(format!("{from}~"));
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::{Explainer, sqlite};

    /// What a list is, the index that it begins with in either store, and whether it has to be sorted.
    fn lists() -> Vec<(Statement, &'static str, bool)> {
        let all = Filter::of("acme".parse().unwrap(), &[]);
        let one = Filter::of("acme".parse().unwrap(), &["bucket"]);
        let own = Filter { deployment: Some("dev_shop".into()), ..all.clone() };
        let environment = Filter { environment: Some("dev".into()), ..all.clone() };
        let application = Filter { application: Some("shop".into()), ..one.clone() };
        let class = Filter { class: Some("bucket_c1".into()), ..all.clone() };
        let unready = Filter { ready: Some(false), ..all.clone() };
        let failing = Filter { phase: Some("failing".into()), ..all.clone() };
        let mut lists = Vec::new();
        for (filter, sort, when, index) in [
            (&all, Sort::Name, When::Now, "versions_by_name"),
            (&one, Sort::Name, When::Now, "versions_by_name"),
            (&all, Sort::Updated, When::Now, "versions_by_update"),
            (&one, Sort::Updated, When::Now, "versions_by_update"),
            (&own, Sort::Name, When::Now, "memberships_pkey"),
            (&own, Sort::Updated, When::Now, "memberships_pkey"),
            (&environment, Sort::Name, When::Now, "memberships_pkey"),
            (&environment, Sort::Updated, When::Now, "memberships_pkey"),
            (&application, Sort::Name, When::Now, "memberships_pkey"),
            (&class, Sort::Name, When::Now, "memberships_pkey"),
            (&unready, Sort::Name, When::Now, "versions_unready"),
            (&failing, Sort::Name, When::Now, "versions_unready"),
            (&failing, Sort::Updated, When::Now, "versions_unready"),
            (&all, Sort::Name, When::At(7), "versions_by_name"),
            (&one, Sort::Name, When::At(7), "versions_by_name"),
            (&unready, Sort::Name, When::At(7), "versions_by_name"),
            (&all, Sort::Updated, When::At(7), "versions_pkey"),
            (&one, Sort::Updated, When::At(7), "versions_pkey"),
            (&own, Sort::Name, When::At(7), "memberships_pkey"),
            (&environment, Sort::Name, When::At(7), "memberships_pkey"),
            (&application, Sort::Updated, When::At(7), "memberships_pkey"),
            (&class, Sort::Name, When::At(7), "memberships_pkey"),
        ] {
            let after = Some(match sort {
                Sort::Name => Value::from("ev.acme.bucket.a"),
                Sort::Updated => Value::from(7),
            });
            let few = ["versions_unready", "memberships_pkey"].contains(&index);
            lists.push((
                statement(filter, sort, after, 50, when),
                index,
                few && sort == Sort::Updated,
            ));
        }
        lists
    }

    #[test]
    fn every_list_follows_an_index_in_its_order_in_sqlite() {
        for (statement, index, sorted) in lists() {
            let plan = sqlite(&statement);
            let first = match index {
                "memberships_pkey" => "SEARCH g USING PRIMARY KEY",
                "versions_pkey" => "SEARCH v USING INTEGER PRIMARY KEY (rowid<?)",
                index => index,
            };
            let begins = plan.split("; ").next().unwrap_or_default();
            assert!(begins.contains(first), "{}: {plan}", statement.text);
            assert!(!plan.contains("SCAN"), "{}: {plan}", statement.text);
            assert_eq!(plan.contains("TEMP B-TREE"), sorted, "{}: {plan}", statement.text);
        }
    }

    #[test]
    fn every_list_follows_an_index_in_its_order_in_postgres() {
        let explainer = Explainer::new(true);
        for (statement, index, sorted) in lists() {
            let plan = explainer.plan(&statement);
            let uses = |index| plan.contains(&format!("using {index} "));
            // What changed last is at the end of all rows as well, in the same order.
            let instead = index == "versions_by_update" && uses("versions_pkey");
            assert!(uses(index) || instead, "{}: {plan}", statement.text);
            assert!(!plan.contains("Seq Scan"), "{}: {plan}", statement.text);
            assert_eq!(plan.contains("Sort"), sorted, "{}: {plan}", statement.text);
        }
    }

    /// The plan of a reader is kept: one that was made when there was little to read must do when there is much.
    #[test]
    fn a_list_of_one_kind_is_never_sorted_in_postgres() {
        let one = Filter::of("acme".parse().unwrap(), &["application"]);
        let list = statement(&one, Sort::Name, None, 50, When::Now);
        for explainer in [Explainer::new(false), Explainer::new(true)] {
            let plan = explainer.plan(&list);
            assert!(plan.contains("using versions_") && !plan.contains("Sort"), "{plan}");
        }
    }

    /// Where nothing is known of the tables, any index will do until something is.
    #[test]
    fn no_list_reads_a_whole_table_of_postgres_even_when_it_was_empty_a_moment_ago() {
        let explainer = Explainer::new(false);
        for (statement, _, _) in lists() {
            let plan = explainer.plan(&statement);
            assert!(!plan.contains("Seq Scan"), "{}: {plan}", statement.text);
        }
    }
}
