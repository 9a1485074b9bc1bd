//! The file: its lock, its schema, its settings.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::Options;
use crate::JournalError;

/// The log's file in the data directory.
pub(crate) const FILE: &str = "journal.sqlite";
/// Held while a process has the log open. It stays when the process ends; the lock does not.
const LOCK_FILE: &str = "journal.lock";
/// `Carn`: tells our files from others (`PRAGMA application_id`).
const APPLICATION: i32 = 0x4361_726e;
/// The schema below (`PRAGMA user_version`).
const SCHEMA_VERSION: i32 = 1;
/// How long the WAL grows before it is copied into the file: 16 MiB, so that copying is rare under load.
const CHECKPOINT_PAGES: u32 = 4_096;
/// Page cache of each connection, in KiB.
const CACHE_KIB: i32 = 4_096;
/// Prepared statements kept by each connection: all we have.
const STATEMENTS: usize = 16;

/// The stream, version and id are in the bytes too. They are repeated for the indexes, and compared when read.
const SCHEMA: &str = "
    CREATE TABLE commits (
        position      INTEGER PRIMARY KEY,
        stream        TEXT    NOT NULL,
        first_version INTEGER NOT NULL,
        commit_id     BLOB    NOT NULL UNIQUE,
        bytes         BLOB    NOT NULL,
        UNIQUE (stream, first_version)
    ) STRICT;
";

/// The log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Stop the other one first, or choose another directory.
    #[error("another cairn is using {}", .directory.display())]
    InUse {
        /// The data directory.
        directory: PathBuf,
    },
    /// Check that the directory can be made and written.
    #[error("the log's directory {} cannot be used", .directory.display())]
    Directory {
        /// The data directory.
        directory: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Start the Cairn that wrote it, or a newer one.
    #[error("the log has schema {found}; this cairn knows {SCHEMA_VERSION}")]
    Newer {
        /// The schema of the file.
        found: i32,
    },
    /// It is a database of another program. Choose another directory.
    #[error("{} is not a cairn log", .0.display())]
    Foreign(PathBuf),
    /// Check the disk; restore the log from its archive if the file is damaged.
    #[error("the log cannot be opened")]
    Sqlite(#[source] rusqlite::Error),
    /// Restore the log from its archive.
    #[error("the log's file is damaged")]
    Unreadable(#[source] rusqlite::Error),
    /// Its end is damaged. Restore it from its archive.
    #[error("the log cannot be opened")]
    Journal(#[from] JournalError),
    /// The system has no thread to give.
    #[error("the log's threads cannot be started")]
    Thread(#[source] std::io::Error),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Unreadable(error),
            _ => Self::Sqlite(error),
        }
    }
}

/// Takes the directory for this process.
pub(super) fn lock(directory: &Path) -> Result<File, OpenError> {
    let failed = |source| OpenError::Directory { directory: directory.to_owned(), source };
    std::fs::create_dir_all(directory).map_err(failed)?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(directory.join(LOCK_FILE))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { directory: directory.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Opens the connection that writes, and makes the file where there is none.
pub(super) fn writer(directory: &Path, options: Options) -> Result<Connection, OpenError> {
    let path = directory.join(FILE);
    let connection = Connection::open(&path)?;
    configure(&connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    if let Some(pages_max) = options.pages_max {
        connection.pragma_update_and_check(None, "max_page_count", pages_max, |_| Ok(()))?;
    }
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    match (pragma("application_id")?, pragma("user_version")?) {
        (0, 0) => create(&connection, directory, &path)?,
        (APPLICATION, SCHEMA_VERSION) => {}
        (APPLICATION, found) => return Err(OpenError::Newer { found }),
        _ => return Err(OpenError::Foreign(path)),
    }
    Ok(connection)
}

fn create(connection: &Connection, directory: &Path, path: &Path) -> Result<(), OpenError> {
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    if tables > 0 {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    connection.execute_batch(&format!(
        "BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
    ))?;
    // SQLite syncs the file; its name in the directory must survive a power loss too.
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(|source| OpenError::Directory { directory: directory.to_owned(), source })
}

/// Opens a connection that only reads.
pub(super) fn reader(directory: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(directory.join(FILE), flags)?;
    configure(&connection)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    // Without this, SQLite plans a range query anew for each value that is bound to it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "cache_size", -CACHE_KIB)
}
