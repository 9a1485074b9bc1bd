//! What is not shown any further than it was understood.

use domain::{StreamId, Tenant, Time};

use super::sql::Sql;
use super::{PAGE_MAX, Page, QueryError, page, stream, unsigned};
use crate::poison::Quarantined;
use crate::store::{Cells, Statement, StoreError};
use crate::views::{Views, position};

const COLUMNS: &str =
    "SELECT q.stream, q.position, q.version, q.time, q.reason, q.commits FROM quarantine q ";

impl Quarantined {
    fn read(cells: &mut Cells) -> Result<Self, StoreError> {
        Ok(Self {
            stream: stream(cells)?,
            position: position(cells.int()?),
            version: unsigned(cells.int()?),
            time: Time::from_micros(cells.int()?),
            reason: cells.text()?,
            commits: unsigned(cells.int()?),
        })
    }
}

impl Views {
    /// A page of the streams in quarantine, in their order.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn quarantine(
        &self,
        tenant: &Tenant,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<Quarantined>, QueryError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let mut sql = Sql::new();
        sql.push(COLUMNS).push("WHERE q.stream > ");
        sql.bind(after.map_or_else(|| format!("ev.{tenant}."), ToOwned::to_owned));
        sql.push(" AND q.stream >= ").bind(format!("ev.{tenant}."));
        sql.push(" AND q.stream < ").bind(format!("ev.{tenant}/"));
        sql.push(" ORDER BY q.stream").limit(limit);
        let rows = self.select(sql.done()).await?;
        let rows = rows.into_iter().map(|mut cells| Quarantined::read(&mut cells));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        Ok(page(rows, limit, |row| row.stream.to_string()))
    }

    /// Whether and why a stream is in quarantine.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn quarantined(&self, stream: &StreamId) -> Result<Option<Quarantined>, QueryError> {
        let mut sql = Sql::new();
        sql.push(COLUMNS).push("WHERE q.stream = ").bind(stream.to_string());
        let rows = self.select(sql.done()).await?;
        Ok(rows.into_iter().next().map(|mut cells| Quarantined::read(&mut cells)).transpose()?)
    }

    /// How many streams are in quarantine, of all tenants.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn quarantined_total(&self) -> Result<u64, QueryError> {
        let text = "SELECT COUNT(*) FROM quarantine";
        let rows = self.select(Statement { text: text.into(), values: Vec::new() }).await?;
        let count = rows.into_iter().next().map(|mut cells| cells.int()).transpose()?;
        Ok(unsigned(count.unwrap_or_default()))
    }
}

/// Whether a stream is in quarantine, as the runner asks.
pub(crate) fn is_held(stream: &StreamId) -> Statement {
    let text = "SELECT q.position FROM quarantine q WHERE q.stream = $1";
    Statement { text: text.into(), values: vec![stream.to_string().into()] }
}
