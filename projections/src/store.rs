//! What a store of views must do: apply a batch, answer shared SQL. Everything else is the same for all.

use std::borrow::Cow;
use std::sync::Arc;

use domain::StreamId;
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use futures::stream::{self, BoxStream, StreamExt as _};

use crate::batch::Batch;
use crate::queries;

/// Where the views of one log are kept. May be deleted at any moment: the log is the truth.
///
/// # Guarantees
/// A batch is applied whole or not at all, together with its checkpoint.
pub trait ViewStore: Send + Sync + 'static {
    /// Takes the right to write from whoever had it, and says where the views are.
    fn claim(&self) -> BoxFuture<'_, Result<Checkpoint, StoreError>>;

    /// Where the views are, without taking anything.
    fn checkpoint(&self) -> BoxFuture<'_, Result<Checkpoint, StoreError>>;

    /// Writes a batch and moves the checkpoint.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when another runner claimed the store since: stop.
    fn apply(&self, epoch: i64, batch: Batch) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Answers queries in the shared SQL, all on one snapshot.
    fn select<'a>(
        &'a self,
        statements: &'a [Statement],
    ) -> BoxFuture<'a, Result<Vec<Vec<Cells>>, StoreError>>;

    /// Reads back what the next commits of these streams continue.
    fn recall<'a>(
        &'a self,
        streams: &'a [StreamId],
    ) -> BoxFuture<'a, Result<Recalled, StoreError>> {
        async move {
            let statements: Vec<_> = streams
                .iter()
                .map(queries::current_doc)
                .chain(streams.iter().map(queries::is_held))
                .collect();
            let mut answers = self.select(&statements).await?.into_iter();
            let mut recalled = Recalled::default();
            for (stream, rows) in streams.iter().zip(answers.by_ref()) {
                let rows = rows.into_iter().map(|mut row| Current::read(stream.clone(), &mut row));
                recalled.rows.extend(rows.collect::<Result<Vec<_>, _>>()?);
            }
            let held = streams.iter().zip(answers).filter(|(_, rows)| !rows.is_empty());
            recalled.held = held.map(|(stream, _)| stream.clone()).collect();
            Ok(recalled)
        }
        .boxed()
    }

    /// Tells whoever reads these views in another process why nobody moves them on.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when another runner claimed the store since.
    fn stop<'a>(&'a self, epoch: i64, reason: &'a str) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Gives an item whenever the views may have moved; it carries nothing, and may be missed. Never ends.
    fn wakeups(&self) -> BoxStream<'static, ()> {
        stream::pending().boxed()
    }

    /// The store that counts in place of this one, if another process has rebuilt the views.
    fn successor(&self) -> BoxFuture<'_, Result<Option<Arc<dyn ViewStore>>, StoreError>> {
        ready(Ok(None)).boxed()
    }

    /// Almost everything is there: makes it as fast to read as it will have to be. While it can wait.
    fn ripen(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        ready(Ok(())).boxed()
    }

    /// Makes an empty store beside this one, to rebuild into.
    fn beside(&self) -> BoxFuture<'_, Result<Arc<dyn ViewStore>, StoreError>>;

    /// From now on this is the store that is opened, at once and for good; the one before goes.
    fn promote(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// How far the views are, and who may move them on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The position of the last commit that the views show; 0 for none.
    pub position: i64,
    /// Counts the runners so far.
    pub epoch: i64,
    /// Why the last runner stopped, if it had to.
    pub stopped: Option<String>,
}

/// What the next commits of some streams continue.
#[derive(Debug, Default)]
pub struct Recalled {
    /// The last row of each stream that has one.
    pub rows: Vec<Current>,
    /// Those that are in quarantine.
    pub held: Vec<StreamId>,
}

/// The last row of a stream.
#[derive(Debug)]
pub struct Current {
    /// Which stream.
    pub stream: StreamId,
    /// The commit that led to it.
    pub from_position: i64,
    /// The version of its last event.
    pub version: u64,
    /// The state.
    pub doc: String,
}

impl Current {
    pub(crate) fn read(stream: StreamId, cells: &mut Cells) -> Result<Self, StoreError> {
        let (from_position, version) = (cells.int()?, cells.int()?);
        let version = u64::try_from(version).unwrap_or_default();
        Ok(Self { stream, from_position, version, doc: cells.text()? })
    }
}

/// One query: text with `$1 … $n`, first used in that order, and their values.
#[derive(Clone, Debug, Default)]
pub struct Statement {
    /// The text, in SQL that SQLite and PostgreSQL read alike.
    pub text: Cow<'static, str>,
    /// The values.
    pub values: Vec<Value>,
}

/// A value in a query or a row. There are no others in the shared SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// NULL.
    Null,
    /// BIGINT.
    Int(i64),
    /// TEXT.
    Text(String),
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        Self::Unavailable { reason: error.to_string() }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

/// One row of an answer, read from left to right.
#[derive(Clone, Debug)]
pub struct Cells(std::vec::IntoIter<Value>);

impl Cells {
    /// A row of values.
    #[must_use]
    pub fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    /// The next value, a text.
    ///
    /// # Errors
    /// [`StoreError::Shape`] when it is none.
    pub fn text(&mut self) -> Result<String, StoreError> {
        self.optional_text()?.ok_or(StoreError::Shape)
    }

    /// The next value, a text or NULL.
    ///
    /// # Errors
    /// [`StoreError::Shape`] when it is neither.
    pub fn optional_text(&mut self) -> Result<Option<String>, StoreError> {
        match self.0.next() {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            Some(Value::Int(_)) | None => Err(StoreError::Shape),
        }
    }

    /// The next value, a number.
    ///
    /// # Errors
    /// [`StoreError::Shape`] when it is none.
    pub fn int(&mut self) -> Result<i64, StoreError> {
        match self.0.next() {
            Some(Value::Int(number)) => Ok(number),
            Some(Value::Text(_) | Value::Null) | None => Err(StoreError::Shape),
        }
    }
}

/// The store cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Stop: another runner writes these views now.
    #[error("another runner took over the views")]
    Fenced,
    /// Ask again: another process rebuilt the views, and these are gone.
    #[error("the views were rebuilt by another process")]
    Replaced,
    /// A row is not of the shape that this program writes. Rebuild the views.
    #[error("a view row has another shape than this program writes: rebuild the views")]
    Shape,
    /// The views were written by another version of this program. Rebuild them.
    #[error("the views have schema {found}, this program writes {expected}: rebuild the views")]
    Schema {
        /// What the file says.
        found: i64,
        /// What this program writes.
        expected: i64,
    },
    /// Try again later, or delete the views and start again.
    #[error("the views cannot be used: {reason}")]
    Unavailable {
        /// In the store's words.
        reason: String,
    },
}
