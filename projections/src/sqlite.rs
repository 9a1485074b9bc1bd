//! The views in SQLite: one file in a folder of its own, one writer, a few readers beside it.
//!
//! The folder may be deleted at any moment. It holds `views-<n>.db` and, after the first rebuild, `current`,
//! which names the file that counts. A rebuild writes the next number and then renames a new `current` into
//! place. The database itself is never renamed: its `-wal` would stay behind under the old name and be taken
//! for the new file's.

mod folder;
mod read;
mod write;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tokio::runtime::{Handle, RuntimeFlavor};
use tracing::warn;

use self::folder::Folder;
use crate::batch::Batch;
use crate::store::{Cells, Checkpoint, Statement, StoreError, ViewStore};

/// The most connections that read at once. A read takes some 20 µs; more would only wait for a core.
const READERS_MAX: usize = 8;
/// The page cache of the writer in KiB: the inner nodes of every index of some 100,000 resources.
const WRITER_CACHE_KIB: i64 = 8 * 1024;
/// Pages of 4 KiB in the write-ahead log before they are copied into the file, which costs two waits for the
/// disk: some ten full batches.
const CHECKPOINT_PAGES: i64 = 8 * 1024;
/// The page cache of a reader in KiB.
const READER_CACHE_KIB: i64 = 2 * 1024;
/// Statements kept prepared by a connection: more than there are shapes of queries in use at a time.
const STATEMENTS_MAX: usize = 64;

/// Views in one SQLite file. Clones share it.
#[derive(Clone)]
pub struct SqliteViews(Arc<Shared>);

struct Shared {
    folder: Folder,
    number: u64,
    writer: Mutex<Connection>,
    readers: read::Pool,
}

impl SqliteViews {
    /// Opens the views in a folder, made if it does not exist. Views of another version of this program make
    /// place for empty ones.
    ///
    /// # Errors
    /// When the files cannot be used.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let folder = Folder::open(folder)?;
        let number = folder.current()?;
        match Self::open_file(&folder, number) {
            Err(StoreError::Schema { found, expected }) => {
                warn!(found, expected, "the views are of another schema; they are rebuilt");
                let number = number + 1;
                folder.remove(number)?;
                let views = Self::open_file(&folder, number)?;
                folder.set_current(number)?;
                Ok(views)
            }
            opened => opened,
        }
    }

    fn open_file(folder: &Folder, number: u64) -> Result<Self, StoreError> {
        let path = folder.file(number);
        let mut writer = connect(&path, WRITER_CACHE_KIB)?;
        write::prepare(&mut writer)?;
        let readers = read::Pool::new(path, READERS_MAX);
        let folder = folder.clone();
        Ok(Self(Arc::new(Shared { folder, number, writer: Mutex::new(writer), readers })))
    }

    /// Writes at once, on the caller's thread, which a runtime with several threads replaces meanwhile. So a
    /// runner that is dropped leaves no write behind that would come after the next runner's claim.
    fn writing<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let write = || work(&mut self.0.writer.lock().unwrap_or_else(PoisonError::into_inner));
        match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
            Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(write),
            Ok(_) | Err(_) => write(),
        }
    }
}

impl ViewStore for SqliteViews {
    fn claim(&self) -> BoxFuture<'_, Result<Checkpoint, StoreError>> {
        async { self.writing(write::claim) }.boxed()
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<Checkpoint, StoreError>> {
        ready(self.0.readers.with(read::checkpoint)).boxed()
    }

    fn apply(&self, epoch: i64, batch: Batch) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { self.writing(|connection| write::apply(connection, epoch, &batch)) }.boxed()
    }

    fn stop<'a>(&'a self, epoch: i64, reason: &'a str) -> BoxFuture<'a, Result<(), StoreError>> {
        async move { self.writing(|connection| write::stop(connection, epoch, reason)) }.boxed()
    }

    /// Reads at once, on the caller's thread: a hop to another one costs more than most reads.
    fn select<'a>(
        &'a self,
        statements: &'a [Statement],
    ) -> BoxFuture<'a, Result<Vec<Vec<Cells>>, StoreError>> {
        ready(self.0.readers.with(|connection| read::select(connection, statements))).boxed()
    }

    fn beside(&self) -> BoxFuture<'_, Result<Arc<dyn ViewStore>, StoreError>> {
        let next = || {
            let number = self.0.number + 1;
            self.0.folder.remove(number)?;
            Ok(Arc::new(Self::open_file(&self.0.folder, number)?) as Arc<dyn ViewStore>)
        };
        ready(next()).boxed()
    }

    fn promote(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        ready(self.0.folder.set_current(self.0.number).map_err(Into::into)).boxed()
    }
}

/// Opens a connection. `NORMAL` suffices: what a power failure takes is projected again from the log.
fn connect(path: &Path, cache_kib: i64) -> Result<Connection, StoreError> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Without this, SQLite plans a range query anew for each value that is bound to it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unavailable { reason: error.to_string() }
    }
}
