//! Writing: a batch and its checkpoint in one transaction, in as few round trips as there can be.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use domain::StreamId;
use futures::future::{BoxFuture, try_join_all};
use futures::{FutureExt as _, SinkExt as _, join, pin_mut};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};
use tracing::warn;

use super::rows::{self, Rows, Table};
use crate::batch::Batch;
use crate::sql;
use crate::store::{Checkpoint, Current, Recalled, StoreError};

const CLOSE_VERSIONS: &str = "UPDATE versions v SET to_position = c.at \
     FROM unnest($1::bigint[], $2::bigint[]) AS c(from_position, at) \
     WHERE v.from_position = c.from_position";

const CLOSE_EDGES: &str = "UPDATE edges e SET to_position = c.at \
     FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS c(source, target, output, at) \
     WHERE e.source = c.source AND e.target = c.target AND e.output = c.output \
     AND e.to_position = 9223372036854775807";

const RECALL: &str = "SELECT s.number, v.from_position, v.version, v.doc \
     FROM unnest($1::text[]) WITH ORDINALITY AS s(stream, number) CROSS JOIN LATERAL \
     (SELECT w.from_position, w.version, w.doc FROM versions w WHERE w.stream = s.stream \
     ORDER BY w.from_position DESC LIMIT 1) v";

const RECALL_HELD: &str = "SELECT s.number FROM unnest($1::text[]) WITH ORDINALITY AS s(stream, number) \
     JOIN quarantine q ON q.stream = s.stream";

/// The connection that writes, and its statements.
pub(super) struct Writer {
    pub(super) client: Client,
    claim: Statement,
    stop: Statement,
    fence: Statement,
    close_versions: Statement,
    close_edges: Statement,
    versions: Statement,
    activity: Statement,
    edges: Statement,
    handles: Statement,
    revisions: Statement,
    memberships: Statement,
    quarantine: Statement,
    release: Statement,
    notify: Statement,
    recall: Statement,
    recall_held: Statement,
    /// Rows of `versions` written by this connection, and how many there are when it next takes statistics.
    written: AtomicUsize,
    statistics_at: AtomicUsize,
}

/// The first statistics are taken after so many rows, further ones whenever there are ten times as many.
const STATISTICS_FIRST: usize = 1_000;

/// How rows get there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way<'a> {
    /// A batch that somebody waits for: everything at once, and whoever listens to this channel is woken.
    Live(&'a str),
    /// A batch of a rebuild.
    Fill,
}

impl Writer {
    pub(super) async fn prepare(client: Client) -> Result<Self, Error> {
        let prepare = async |text: &str| client.prepare(text).await;
        Ok(Self {
            claim: prepare(sql::CLAIM).await?,
            stop: prepare(sql::STOP).await?,
            fence: prepare(sql::MOVE_CHECKPOINT).await?,
            close_versions: prepare(CLOSE_VERSIONS).await?,
            close_edges: prepare(CLOSE_EDGES).await?,
            versions: prepare(&rows::VERSIONS.insert()).await?,
            activity: prepare(&rows::ACTIVITY.insert()).await?,
            edges: prepare(&rows::EDGES.insert()).await?,
            handles: prepare(&rows::HANDLES.insert()).await?,
            revisions: prepare(&rows::REVISIONS.insert()).await?,
            memberships: prepare(&rows::MEMBERSHIPS.insert()).await?,
            quarantine: prepare(&rows::QUARANTINE.insert()).await?,
            release: prepare(sql::RELEASE).await?,
            notify: prepare("SELECT pg_notify($1, '')").await?,
            recall: prepare(RECALL).await?,
            recall_held: prepare(RECALL_HELD).await?,
            written: AtomicUsize::new(0),
            statistics_at: AtomicUsize::new(STATISTICS_FIRST),
            client,
        })
    }

    pub(super) async fn claim(&self) -> Result<Checkpoint, Error> {
        let row = self.client.query_one(&self.claim, &[]).await?;
        Ok(Checkpoint { position: row.try_get(0)?, epoch: row.try_get(1)?, stopped: None })
    }

    pub(super) async fn stop(&self, epoch: i64, reason: &str) -> Result<(), StoreError> {
        match self.client.execute(&self.stop, &[&reason, &epoch]).await? {
            0 => Err(StoreError::Fenced),
            _ => Ok(()),
        }
    }

    /// Writes a batch whole or not at all. When this is dropped half-way the caller drops the connection too.
    pub(super) async fn apply(
        &self,
        epoch: i64,
        batch: &Batch,
        way: Way<'_>,
    ) -> Result<(), StoreError> {
        let fence: [&(dyn ToSql + Sync); 3] = [&batch.to, &batch.from, &epoch];
        let begin = self.client.batch_execute("BEGIN");
        let fence = self.client.execute(&self.fence, &fence);
        let (begun, fenced, written) = match way {
            Way::Live(channel) => join!(begin, fence, self.insert(batch, channel)),
            Way::Fill => {
                let (begun, fenced) = join!(begin, fence);
                // Where another runner has the views, what it wrote must not be met.
                let written = if matches!(fenced, Ok(1)) { self.copy(batch).await } else { Ok(()) };
                (begun, fenced, written)
            }
        };
        let outcome = match (begun, fenced, written) {
            // Whatever else went wrong did so because the rows are there already.
            (_, Ok(0), _) => Err(StoreError::Fenced),
            (Err(error), _, _) | (_, Err(error), _) | (_, _, Err(error)) => Err(error.into()),
            (Ok(()), Ok(_), Ok(())) => Ok(()),
        };
        let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = self.client.batch_execute(end).await;
        outcome?;
        ended?;
        if matches!(way, Way::Live(_)) {
            self.keep_statistics(batch.versions.len()).await;
        }
        Ok(())
    }

    /// Tells the server's planner what is in the tables, now that they have grown by much: it would find out within
    /// minutes, and read whole tables until then. The rows are there either way.
    async fn keep_statistics(&self, rows: usize) {
        let written = self.written.fetch_add(rows, Ordering::Relaxed) + rows;
        let at = self.statistics_at.load(Ordering::Relaxed);
        if written < at {
            return;
        }
        self.statistics_at.store(written.saturating_mul(10), Ordering::Relaxed);
        if let Err(error) = self.client.batch_execute(sql::STATISTICS_POSTGRES).await {
            warn!(%error, "the statistics of the views could not be taken");
        }
    }

    /// Everything is on its way before the first answer is back.
    async fn insert(&self, batch: &Batch, channel: &str) -> Result<(), Error> {
        let (opened, closed) = rows::sort_edges(&batch.edges);
        let tables = [
            (&self.close_versions, rows::closed(&batch.closed)),
            (&self.versions, rows::versions(&batch.versions)),
            (&self.activity, rows::activity(&batch.activity)),
            (&self.close_edges, rows::closed_edges(&closed)),
            (&self.edges, rows::edges(&opened)),
            (&self.handles, rows::handles(&batch.handles)),
            (&self.revisions, rows::revisions(&batch.revisions)),
            (&self.memberships, rows::memberships(&batch.memberships)),
            (&self.quarantine, rows::held(&batch.held)),
        ];
        let filled = tables.iter().filter(|(_, rows)| rows.count > 0);
        let mut statements: Vec<BoxFuture<'_, Result<(), Error>>> =
            filled.map(|(statement, rows)| self.execute(statement, rows).boxed()).collect();
        if let Some(stream) = &batch.released {
            statements.push(self.release(stream).boxed());
        }
        let wake = async {
            self.client.query(&self.notify, &[&channel]).await?;
            Ok(())
        };
        statements.push(wake.boxed());
        try_join_all(statements).await?;
        Ok(())
    }

    async fn execute(&self, statement: &Statement, rows: &Rows<'_>) -> Result<(), Error> {
        self.client.execute(statement, &rows.parameters()).await?;
        Ok(())
    }

    async fn release(&self, stream: &StreamId) -> Result<(), Error> {
        self.client.execute(&self.release, &[&stream.to_string()]).await?;
        Ok(())
    }

    /// The two large tables and the edges are copied; the small ones know rows that are there already.
    async fn copy(&self, batch: &Batch) -> Result<(), Error> {
        let (opened, closed) = rows::sort_edges(&batch.edges);
        let updates = [
            (&self.close_versions, rows::closed(&batch.closed)),
            (&self.close_edges, rows::closed_edges(&closed)),
            (&self.handles, rows::handles(&batch.handles)),
            (&self.revisions, rows::revisions(&batch.revisions)),
            (&self.memberships, rows::memberships(&batch.memberships)),
            (&self.quarantine, rows::held(&batch.held)),
        ];
        let filled = updates.iter().filter(|(_, rows)| rows.count > 0);
        try_join_all(filled.map(|(statement, rows)| self.execute(statement, rows))).await?;
        self.copy_into(&rows::VERSIONS, &rows::versions(&batch.versions)).await?;
        self.copy_into(&rows::ACTIVITY, &rows::activity(&batch.activity)).await?;
        self.copy_into(&rows::EDGES, &rows::edges(&opened)).await
    }

    async fn copy_into(&self, table: &Table, rows: &Rows<'_>) -> Result<(), Error> {
        if rows.count == 0 {
            return Ok(());
        }
        let sink = self.client.copy_in::<_, Bytes>(&table.copy()).await?;
        pin_mut!(sink);
        sink.send(rows.binary()).await?;
        sink.finish().await?;
        Ok(())
    }

    /// What the next commits of these streams continue, in one round trip.
    pub(super) async fn recall(&self, streams: &[StreamId]) -> Result<Recalled, StoreError> {
        let names: Vec<String> = streams.iter().map(ToString::to_string).collect();
        let parameters: [&(dyn ToSql + Sync); 1] = [&names];
        let (rows, held) = join!(
            self.client.query(&self.recall, &parameters),
            self.client.query(&self.recall_held, &parameters)
        );
        let stream = |number: i64| {
            let index = usize::try_from(number - 1).map_err(|_| StoreError::Shape)?;
            streams.get(index).cloned().ok_or(StoreError::Shape)
        };
        let mut recalled = Recalled::default();
        for row in rows? {
            let version: i64 = row.try_get(2)?;
            recalled.rows.push(Current {
                stream: stream(row.try_get(0)?)?,
                from_position: row.try_get(1)?,
                version: version.unsigned_abs(),
                doc: row.try_get(3)?,
            });
        }
        for row in held? {
            recalled.held.push(stream(row.try_get(0)?)?);
        }
        Ok(recalled)
    }
}
