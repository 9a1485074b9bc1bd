//! The views in PostgreSQL, for any number of replicas: one runner writes, everybody reads.
//!
//! Each [`PostgresViews`] is one schema of the database (see [`schema`]); its connections find the tables by
//! their search path, so the shared SQL is the same text for every one. Poolers that share a connection between
//! transactions do not go with that: connect to the server itself.

mod connect;
mod fault;
mod read;
mod rows;
mod schema;
mod wake;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use deadpool_postgres::Pool;
use domain::StreamId;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tokio::sync::Mutex;
use tokio_postgres::Client;
use tracing::warn;

#[cfg(test)]
pub(crate) use self::connect::PLANNING;
use self::connect::{Purpose, Server};
use self::fault::unavailable;
use self::schema::Namespace;
use self::write::{Way, Writer};
use crate::batch::Batch;
use crate::fold::clean;
use crate::sql::{self, SCHEMA};
use crate::store::{Cells, Checkpoint, Recalled, Statement, StoreError, Value, ViewStore};

/// The namespace unless another is chosen.
pub(crate) const NAMESPACE: &str = "cairn";

/// Views in one schema of a PostgreSQL database. Clones share it.
#[derive(Clone)]
pub struct PostgresViews(Arc<Shared>);

struct Shared {
    server: Server,
    namespace: Namespace,
    number: i64,
    /// Made on the first write; taken out while it works, so that half a transaction is dropped with it.
    writer: Mutex<Option<Writer>>,
    readers: Pool,
    /// Nobody sees these yet: a rebuild fills them.
    filling: AtomicBool,
}

impl PostgresViews {
    /// Opens the views of a namespace in a database, made if they do not exist. Only who makes or rebuilds them
    /// needs the right to create schemas.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses, in its words.
    pub async fn open(url: &str, namespace: &str) -> Result<Self, StoreError> {
        let (server, namespace) = (Server::at(url)?, Namespace::parse(namespace)?);
        let mut client = server.connect("public", Purpose::Write).await?;
        let number = match namespace.current(&client).await? {
            Some(number) => number,
            None => namespace.begin(&mut client).await?,
        };
        Self::of(server, namespace, number, None)
    }

    fn of(
        server: Server,
        namespace: Namespace,
        number: i64,
        filler: Option<Writer>,
    ) -> Result<Self, StoreError> {
        let readers = server.readers(&namespace.schema(number))?;
        let filling = AtomicBool::new(filler.is_some());
        let writer = Mutex::new(filler);
        Ok(Self(Arc::new(Shared { server, namespace, number, writer, readers, filling })))
    }

    fn is_filling(&self) -> bool {
        self.0.filling.load(Ordering::Acquire)
    }

    async fn connect(&self, purpose: Purpose) -> Result<Client, StoreError> {
        self.0.server.connect(&self.0.namespace.schema(self.0.number), purpose).await
    }

    /// Lends the connection that writes. Whoever is dropped while it works, or fails, leaves none behind.
    async fn writing<T>(
        &self,
        work: impl AsyncFnOnce(&mut Writer) -> Result<T, StoreError> + Send,
    ) -> Result<T, StoreError> {
        let mut place = self.0.writer.lock().await;
        let mut writer = match place.take() {
            Some(writer) if !writer.client.is_closed() => writer,
            // Its lock went with the connection: another process may be filling the same schema.
            _ if self.is_filling() => {
                let reason = "the rebuild lost its connection: begin it again".to_owned();
                return Err(StoreError::Unavailable { reason });
            }
            _ => Writer::prepare(self.connect(Purpose::Write).await?).await?,
        };
        let result = work(&mut writer).await;
        if matches!(result, Ok(_) | Err(StoreError::Fenced)) {
            *place = Some(writer);
        }
        result
    }

    async fn checkpoint_now(&self) -> Result<Checkpoint, StoreError> {
        let namespace = self.0.namespace.as_str();
        let pointer = Statement {
            text: format!("SELECT p.number FROM {namespace}.pointer p WHERE p.version = $1").into(),
            values: vec![Value::Int(SCHEMA)],
        };
        let checkpoint = Statement { text: sql::CHECKPOINT.into(), values: Vec::new() };
        let mut rows = read::select(&self.0.readers, &[pointer, checkpoint]).await?.into_iter();
        let mut row =
            || rows.next().and_then(|rows| rows.into_iter().next()).ok_or(StoreError::Shape);
        let (number, mut checkpoint) = (row()?.int()?, row()?);
        if number != self.0.number && !self.is_filling() {
            return Err(StoreError::Replaced);
        }
        let (position, epoch) = (checkpoint.int()?, checkpoint.int()?);
        Ok(Checkpoint { position, epoch, stopped: checkpoint.optional_text()? })
    }

    async fn next(&self) -> Result<Self, StoreError> {
        let Shared { server, namespace, .. } = &*self.0;
        let client = server.connect("public", Purpose::Fill).await?;
        let Some(number) = namespace.beside(&client).await? else {
            let reason = "another process is rebuilding the views".to_owned();
            return Err(StoreError::Unavailable { reason });
        };
        let filler = Writer::prepare(client).await?;
        Self::of(server.clone(), namespace.clone(), number, Some(filler))
    }

    async fn flip(&self) -> Result<(), StoreError> {
        let Shared { namespace, number, filling, .. } = &*self.0;
        self.writing(async |writer| {
            // From here on what is written is acknowledged, and all that came before with it.
            writer.client.batch_execute("SET synchronous_commit = on").await?;
            namespace.promote(&mut writer.client, *number).await?;
            filling.store(false, Ordering::Release);
            // It counts; what is left of the one before is in nobody's way.
            if let Err(error) = namespace.sweep(&writer.client, *number).await {
                warn!(%error, "old views are left to the next rebuild");
            }
            Ok(writer.client.batch_execute("SELECT pg_advisory_unlock_all()").await?)
        })
        .await
    }
}

impl ViewStore for PostgresViews {
    fn claim(&self) -> BoxFuture<'_, Result<Checkpoint, StoreError>> {
        self.writing(async |writer| Ok(writer.claim().await?)).boxed()
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<Checkpoint, StoreError>> {
        self.checkpoint_now().boxed()
    }

    fn apply(&self, epoch: i64, batch: Batch) -> BoxFuture<'_, Result<(), StoreError>> {
        let channel = self.0.namespace.as_str();
        async move {
            let way = if self.is_filling() { Way::Fill } else { Way::Live(channel) };
            self.writing(async |writer| writer.apply(epoch, &batch, way).await).await
        }
        .boxed()
    }

    fn select<'a>(
        &'a self,
        statements: &'a [Statement],
    ) -> BoxFuture<'a, Result<Vec<Vec<Cells>>, StoreError>> {
        read::select(&self.0.readers, statements).boxed()
    }

    fn recall<'a>(
        &'a self,
        streams: &'a [StreamId],
    ) -> BoxFuture<'a, Result<Recalled, StoreError>> {
        self.writing(async |writer| writer.recall(streams).await).boxed()
    }

    fn stop<'a>(&'a self, epoch: i64, reason: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            let reason = clean(reason);
            self.writing(async |writer| writer.stop(epoch, &reason).await).await
        }
        .boxed()
    }

    fn wakeups(&self) -> BoxStream<'static, ()> {
        wake::wakeups(self.0.server.clone(), self.0.namespace.clone())
    }

    fn successor(&self) -> BoxFuture<'_, Result<Option<Arc<dyn ViewStore>>, StoreError>> {
        async {
            let Shared { server, namespace, number, .. } = &*self.0;
            let client = server.connect("public", Purpose::Read).await?;
            let current = namespace.current(&client).await?.ok_or_else(|| unavailable(&Gone))?;
            if current == *number {
                return Ok(None);
            }
            let next = Self::of(server.clone(), namespace.clone(), current, None)?;
            Ok(Some(Arc::new(next) as Arc<dyn ViewStore>))
        }
        .boxed()
    }

    fn ripen(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.writing(async |writer| {
            writer.client.batch_execute(sql::INDEXES_POSTGRES).await?;
            Ok(writer.client.batch_execute(sql::STATISTICS_POSTGRES).await?)
        })
        .boxed()
    }

    fn beside(&self) -> BoxFuture<'_, Result<Arc<dyn ViewStore>, StoreError>> {
        async { Ok(Arc::new(self.next().await?) as Arc<dyn ViewStore>) }.boxed()
    }

    fn promote(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.flip().boxed()
    }
}

/// Somebody removed the views.
#[derive(Debug, thiserror::Error)]
#[error("the database holds no views any more: start the projector again")]
struct Gone;
