//! The views as everyone else sees them: where they are, what changed, and a store that can be exchanged.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use domain::StreamId;
use journal::Position;
use tokio::sync::{broadcast, watch};

use crate::postgres::{self, PostgresViews};
use crate::sqlite::SqliteViews;
use crate::store::{Cells, Statement, StoreError, ViewStore};

/// Batches that a slow subscriber may be behind before it is told to read again: some seconds at full speed.
const CHANGES_MAX: usize = 1_024;

/// How often a question is asked when the views are replaced under it: rebuilds do not come that fast.
const ASKED_MAX: u32 = 3;

/// The views of one log. Clones share them.
#[derive(Clone)]
pub struct Views(Arc<Shared>);

struct Shared {
    store: RwLock<Arc<dyn ViewStore>>,
    status: watch::Sender<Status>,
    changes: broadcast::Sender<Arc<Changes>>,
    /// Held by whoever moves the views on: the runner for each batch, a rebuild for its switch.
    turn: tokio::sync::Mutex<()>,
    rebuilding: tokio::sync::Mutex<()>,
}

/// Where the views are, and whether they move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The position of the last commit that they show.
    pub position: Position,
    /// Whether they move.
    pub health: Health,
}

/// Whether the views follow the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// No runner has begun.
    Idle,
    /// They do.
    Following,
    /// They do not for now: the log or the store cannot be used, and is tried again and again.
    Retrying {
        /// Why.
        reason: String,
    },
    /// They do not, and will not until somebody acts.
    Stopped {
        /// Why, with the stream and the position where there is one.
        reason: String,
    },
}

/// What a batch changed.
#[derive(Debug)]
pub struct Changes {
    /// The views show the log up to here.
    pub position: Position,
    /// The streams that changed, each once.
    pub streams: Vec<StreamId>,
}

/// The views did not come as far as was asked.
#[derive(Debug, thiserror::Error)]
pub enum NotThere {
    /// Try again, or ask without a position.
    #[error("the views are at position {at}, {} before {wanted}", .wanted.get().saturating_sub(.at.get()))]
    Behind {
        /// Where they should be.
        wanted: Position,
        /// Where they are.
        at: Position,
    },
    /// An operator must act.
    #[error("the views stopped at position {at}: {reason}")]
    Stopped {
        /// Where they are.
        at: Position,
        /// Why.
        reason: String,
    },
}

impl Views {
    /// Opens views in SQLite, in a folder of their own, made if it does not exist.
    ///
    /// # Errors
    /// When the files cannot be used.
    pub async fn open_sqlite(folder: &Path) -> Result<Self, StoreError> {
        Self::open(Arc::new(SqliteViews::open(folder)?)).await
    }

    /// Opens views in PostgreSQL, made if they do not exist: `postgres://user:password@host/database`.
    ///
    /// # Errors
    /// When the server cannot be reached or refuses.
    pub async fn open_postgres(url: &str) -> Result<Self, StoreError> {
        Self::open(Arc::new(PostgresViews::open(url, postgres::NAMESPACE).await?)).await
    }

    /// Shows what is in a store.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn open(store: Arc<dyn ViewStore>) -> Result<Self, StoreError> {
        let position = position(store.checkpoint().await?.position);
        let status = watch::Sender::new(Status { position, health: Health::Idle });
        let changes = broadcast::Sender::new(CHANGES_MAX);
        let store = RwLock::new(store);
        let (turn, rebuilding) = Default::default();
        Ok(Self(Arc::new(Shared { store, status, changes, turn, rebuilding })))
    }

    /// The position of the last commit that the views show.
    #[must_use]
    pub fn position(&self) -> Position {
        self.0.status.borrow().position
    }

    /// Where the views are and whether they move; the receiver learns of every change.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.0.status.subscribe()
    }

    /// What changes from now on, batch by batch. A receiver that lags is told so and reads again.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Arc<Changes>> {
        self.0.changes.subscribe()
    }

    /// Waits until the views show `wanted`: read your own writes.
    ///
    /// # Errors
    /// [`NotThere`] after `timeout`, or at once when the views have stopped for good.
    pub async fn at_least(&self, wanted: Position, timeout: Duration) -> Result<(), NotThere> {
        let mut status = self.0.status.subscribe();
        if status.borrow().position >= wanted {
            return Ok(());
        }
        let reached = status.wait_for(|status| {
            status.position >= wanted || matches!(status.health, Health::Stopped { .. })
        });
        let _ = tokio::time::timeout(timeout, reached).await;
        let Status { position: at, health } = self.0.status.borrow().clone();
        match health {
            _ if at >= wanted => Ok(()),
            Health::Stopped { reason } => Err(NotThere::Stopped { at, reason }),
            Health::Idle | Health::Following | Health::Retrying { .. } => {
                Err(NotThere::Behind { wanted, at })
            }
        }
    }

    pub(crate) fn store(&self) -> Arc<dyn ViewStore> {
        Arc::clone(&self.0.store.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.turn.lock().await
    }

    /// Puts a store in the place of the one before. Queries under way end on that one.
    pub(crate) fn exchange(&self, store: Arc<dyn ViewStore>, at: i64) {
        *self.0.store.write().unwrap_or_else(PoisonError::into_inner) = store;
        let position = position(at);
        self.0.status.send_modify(|status| status.position = status.position.max(position));
    }

    /// The right to rebuild, if nobody does so already.
    pub(crate) fn try_rebuild(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        self.0.rebuilding.try_lock().ok()
    }

    /// Goes over to the store that counts in place of `before`, if another process has rebuilt the views; tells
    /// whether there is one.
    pub(crate) async fn succeed(&self, before: &Arc<dyn ViewStore>) -> Result<bool, StoreError> {
        if !Arc::ptr_eq(before, &self.store()) {
            return Ok(true);
        }
        let Some(successor) = before.successor().await? else { return Ok(false) };
        let mut store = self.0.store.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(before, &store) {
            *store = successor;
        }
        Ok(true)
    }

    pub(crate) fn publish(&self, at: i64, streams: Vec<StreamId>) {
        let position = position(at);
        self.0.status.send_if_modified(|status| {
            let moved = position != status.position || status.health != Health::Following;
            *status = Status { position, health: Health::Following };
            moved
        });
        if !streams.is_empty() {
            self.tell(position, streams);
        }
    }

    /// Tells those who listen what changed.
    pub(crate) fn tell(&self, position: Position, streams: Vec<StreamId>) {
        // Nobody may be listening.
        let _ = self.0.changes.send(Arc::new(Changes { position, streams }));
    }

    /// Shows what a runner in another process has come to.
    pub(crate) fn observe(&self, position: Position, health: Health) {
        let observed = Status { position, health };
        self.0.status.send_if_modified(|status| {
            let moved = *status != observed;
            *status = observed;
            moved
        });
    }

    pub(crate) fn retrying(&self, reason: String) {
        self.0.status.send_modify(|status| status.health = Health::Retrying { reason });
    }

    pub(crate) fn stop(&self, reason: String) {
        self.0.status.send_modify(|status| status.health = Health::Stopped { reason });
    }

    pub(crate) fn idle(&self) {
        self.0.status.send_modify(|status| status.health = Health::Idle);
    }

    pub(crate) async fn select(&self, statement: Statement) -> Result<Vec<Cells>, StoreError> {
        let mut answers = self.select_all(std::slice::from_ref(&statement)).await?;
        answers.pop().ok_or(StoreError::Shape)
    }

    /// Answers on one snapshot. When the views were replaced under the question it is asked of the new ones.
    pub(crate) async fn select_all(
        &self,
        statements: &[Statement],
    ) -> Result<Vec<Vec<Cells>>, StoreError> {
        for _ in 1..ASKED_MAX {
            let store = self.store();
            match store.select(statements).await {
                Err(StoreError::Replaced) if self.succeed(&store).await? => {}
                answered => return answered,
            }
        }
        self.store().select(statements).await
    }
}

pub(crate) fn position(number: i64) -> Position {
    Position::new(u64::try_from(number).unwrap_or_default())
}
