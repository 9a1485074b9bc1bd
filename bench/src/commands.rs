//! Commands a second in process, 64 in flight, against raw SQLite group commits of the same bytes.
//!
//! The commands are those of whole lives: each resource is declared, acted upon, and seen ready.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use domain::commit::Hash;
use futures::StreamExt as _;
use journal::sqlite::SqliteJournal;
use journal::{Executor, Journal, Position};
use rusqlite::{Connection, params};
use tokio::task::JoinSet;

use crate::load;
use crate::report::Report;

/// Commands in flight, and rows in a raw transaction.
pub(crate) const WINDOW: usize = 64;
/// Lives of one round, of four commands each.
const LIVES: u64 = 10_000;

/// How often all is done: a disk is now fast and now slow.
const ROUNDS: u32 = 5;

/// One stored commit: stream, version, id, bytes.
pub(crate) type Row = (String, u64, [u8; 16], Box<[u8]>);

/// Measures both sides in A-B-B-A order, and reports the mean of each.
pub(crate) async fn measure(report: &mut Report, scale: u64) -> anyhow::Result<()> {
    let lives = LIVES / scale;
    let (mut cairn, mut plain, mut chain) = (0.0, 0.0, 0.0);
    for _ in 0..ROUNDS {
        let (first, rows) = ours(lives).await?;
        chain += hashed(&rows) * first;
        plain += raw(&rows)? + raw(&rows)?;
        let (second, _) = ours(lives).await?;
        cairn += first + second;
    }
    let each = f64::from(2 * ROUNDS);
    report.ratio("commands in process, window 64", "/s", cairn / each, plain / each, 0.60);
    let percent = chain / f64::from(ROUNDS) * 100.0;
    report.figure(
        "the hash chain's part of that time",
        format!("{percent:.1} %"),
        "≤ 5 %",
        percent <= 5.0,
    );
    Ok(())
}

/// Seconds that the hash of a commit takes.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn hashed(rows: &[Row]) -> f64 {
    let start = Instant::now();
    for (_, _, _, bytes) in rows {
        std::hint::black_box(Hash::of(bytes));
    }
    start.elapsed().as_secs_f64() / rows.len() as f64
}

/// Commands a second on SQLite.
pub(crate) async fn on_sqlite(lives: u64) -> anyhow::Result<f64> {
    Ok(ours(lives).await?.0)
}

async fn ours(lives: u64) -> anyhow::Result<(f64, Vec<Row>)> {
    let directory = tempfile::tempdir()?;
    let journal = Arc::new(SqliteJournal::open(directory.path())?);
    through(journal, lives).await
}

/// Commands a second on any log, and what they stored.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) async fn through(
    journal: Arc<dyn Journal>,
    lives: u64,
) -> anyhow::Result<(f64, Vec<Row>)> {
    let executor = Executor::new(Arc::clone(&journal));
    let tenant = load::tenant()?;
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..WINDOW {
        let (executor, tenant, next) = (executor.clone(), tenant.clone(), Arc::clone(&next));
        clients.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= lives {
                    return anyhow::Ok(());
                }
                load::live(&executor, &load::stream(&tenant, number)?).await?;
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    let head = journal.head().await?;
    let rate = head.get() as f64 / start.elapsed().as_secs_f64();
    let mut rows = Vec::new();
    let mut log = journal.follow(Position::START);
    while let Some(recorded) = log.next().await {
        let recorded = recorded?;
        let commit = &recorded.sealed.commit;
        let id = *commit.commit_id.as_bytes();
        rows.push((
            commit.stream.to_string(),
            commit.first_version,
            id,
            recorded.sealed.bytes.clone(),
        ));
        if recorded.position == head {
            break;
        }
    }
    Ok((rate, rows))
}

/// The same table, the same settings, the same bytes; one transaction for every 64.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn raw(rows: &[Row]) -> anyhow::Result<f64> {
    let directory = tempfile::tempdir()?;
    let mut connection = open(&directory.path().join("raw.db"))?;
    let start = Instant::now();
    for group in rows.chunks(WINDOW) {
        let transaction = connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO commits (stream, first_version, commit_id, bytes) VALUES ($1, $2, $3, $4)",
            )?;
            for (stream, version, id, bytes) in group {
                insert.execute(params![stream, i64::try_from(*version)?, id, bytes])?;
            }
        }
        transaction.commit()?;
    }
    Ok(rows.len() as f64 / start.elapsed().as_secs_f64())
}

fn open(path: &Path) -> anyhow::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE commits (
            position INTEGER PRIMARY KEY, stream TEXT NOT NULL, first_version INTEGER NOT NULL,
            commit_id BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL, UNIQUE (stream, first_version)) STRICT;",
    )?;
    Ok(connection)
}
