//! Why is this so: from a thing, by whatever name, back to whoever wanted it.

use domain::{ResourceId, StreamId, Tenant};

use super::activity::{Activity, COLUMNS};
use super::sql::Sql;
use super::{QueryError, Row};
use crate::store::{Cells, Statement, StoreError};
use crate::views::Views;

/// The longest chain of causes that is followed. Ours have some five links.
pub const CHAIN_MAX: u32 = 32;
/// The number of last commits shown.
pub const RECENT_MAX: u32 = 10;

/// Commands about a thing that say nothing of what it should be: it is not there because of them.
const ASIDE: [&str; 5] = ["Pause", "Resume", "Promote", "Protect", "AcceptDrift"];

/// Where a thing comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// What it is now.
    pub row: Row,
    /// The last intent that says what it should be, what caused that, and so on: the last one is the person or build behind it.
    pub chain: Vec<Activity>,
    /// What happened to it lately, the last first.
    pub recent: Vec<Activity>,
}

impl Views {
    /// Explains a thing: a stream, `kind/name`, a uid, or the provider's own name for it. None when it is not
    /// known, or another tenant's.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn why(&self, tenant: &Tenant, what: &str) -> Result<Option<Why>, QueryError> {
        let Some(stream) = self.find(tenant, what).await? else { return Ok(None) };
        let Some(row) = self.get(&stream, None).await? else { return Ok(None) };
        let statements = [chain(&stream), recent(&stream)];
        let mut answers = self.select_all(&statements).await?.into_iter();
        let mut rows = || {
            let read = |mut cells: Cells| Activity::read(&mut cells);
            let rows = answers.next().unwrap_or_default();
            rows.into_iter().map(read).collect::<Result<Vec<_>, StoreError>>()
        };
        Ok(Some(Why { row, chain: rows()?, recent: rows()? }))
    }

    /// The stream that a name means: a stream, `kind/name`, a uid, or the provider's own name.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn find(&self, tenant: &Tenant, what: &str) -> Result<Option<StreamId>, QueryError> {
        let stream = match what.parse::<ResourceId>() {
            Ok(resource) => Some(resource.stream(tenant)),
            Err(_) => match what.parse::<StreamId>() {
                Ok(stream) => Some(stream),
                Err(_) => other_kind(tenant, what).or(self.by_handle(tenant, what).await?),
            },
        };
        Ok(stream.filter(|stream| stream.tenant() == tenant))
    }

    async fn by_handle(
        &self,
        tenant: &Tenant,
        handle: &str,
    ) -> Result<Option<StreamId>, QueryError> {
        let mut sql = Sql::new();
        sql.push("SELECT h.stream FROM handles h WHERE h.handle = ");
        sql.bind(crate::fold::clean(handle).as_ref());
        sql.push(" AND h.stream >= ").bind(format!("ev.{tenant}."));
        sql.push(" AND h.stream < ").bind(format!("ev.{tenant}/"));
        sql.push(" ORDER BY h.since DESC LIMIT 1");
        let rows = self.select(sql.done()).await?;
        Ok(rows.into_iter().next().map(|mut cells| super::stream(&mut cells)).transpose()?)
    }
}

/// `deployment/dev_shop`: an aggregate that is not a resource.
fn other_kind(tenant: &Tenant, what: &str) -> Option<StreamId> {
    let (kind, name) = what.split_once('/')?;
    crate::State::before_all(kind)?;
    StreamId::new(tenant.clone(), kind, name.parse().ok()?).ok()
}

fn chain(stream: &StreamId) -> Statement {
    let mut sql = Sql::new();
    sql.push("WITH RECURSIVE chain(commit_id, depth) AS (SELECT i.commit_id, 0 FROM (");
    sql.push("SELECT a.commit_id FROM versions v JOIN activity a ON a.position = v.from_position ");
    sql.push("WHERE v.stream = ").bind(stream.to_string());
    sql.push(" AND a.intent = 1 AND a.command NOT IN (");
    for (index, command) in ASIDE.into_iter().enumerate() {
        sql.push(if index == 0 { "" } else { ", " }).bind(command);
    }
    sql.push(") ORDER BY v.from_position DESC LIMIT 1) i");
    sql.push(" UNION ALL SELECT a.causation_id, c.depth + 1 FROM chain c ");
    sql.push("JOIN activity a ON a.commit_id = c.commit_id WHERE a.causation_id IS NOT NULL AND c.depth < ");
    sql.bind(i64::from(CHAIN_MAX) - 1).push(") SELECT ").push(COLUMNS);
    sql.push(" FROM chain c JOIN activity a ON a.commit_id = c.commit_id WHERE a.tenant = ");
    sql.bind(stream.tenant().as_str()).push(" ORDER BY c.depth");
    sql.done()
}

fn recent(stream: &StreamId) -> Statement {
    let mut sql = Sql::new();
    sql.push("SELECT ").push(COLUMNS).push(" FROM versions v ");
    sql.push("JOIN activity a ON a.position = v.from_position WHERE v.stream = ");
    sql.bind(stream.to_string()).push(" ORDER BY v.from_position DESC").limit(RECENT_MAX - 1);
    sql.done()
}
