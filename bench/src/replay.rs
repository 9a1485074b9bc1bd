//! Events a second from the log into empty views, against inserting the rows that come of it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _};
use journal::sqlite::SqliteJournal;
use journal::{Executor, Journal};
use projections::Views;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params_from_iter};

use crate::load;
use crate::report::Report;

/// Resources; each lives through 4 commits and 5 events.
const RESOURCES: u64 = 25_000;
/// Events of one resource.
const EVENTS: u64 = 5;
/// Rows of a raw transaction: as the projection's own batches.
const BATCH: usize = 500;

/// One table's rows, in the order of their insertion.
struct Dump {
    table: String,
    columns: usize,
    rows: Vec<Vec<Value>>,
}

/// Fills a log, replays it twice and inserts the same rows twice.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) async fn measure(report: &mut Report, scale: u64) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let resources = RESOURCES / scale;
    let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::open(directory.path())?);
    let executor = Executor::new(Arc::clone(&journal));
    let tenant = load::tenant()?;
    futures::stream::iter(0..resources)
        .map(|number| {
            let (executor, tenant) = (executor.clone(), tenant.clone());
            tokio::spawn(
                async move { load::live(&executor, &load::stream(&tenant, number)?).await },
            )
        })
        .buffer_unordered(64)
        .map_err(anyhow::Error::from)
        .try_for_each(std::future::ready)
        .await?;
    let first = replay(&journal, &directory.path().join("views-1")).await?;
    let dump = dump(&directory.path().join("views-1"))?;
    let raw_first =
        insert(&directory.path().join("views-1"), &directory.path().join("raw-1.db"), &dump)?;
    let raw_second =
        insert(&directory.path().join("views-1"), &directory.path().join("raw-2.db"), &dump)?;
    let second = replay(&journal, &directory.path().join("views-2")).await?;
    let rate = |seconds: f64| (resources * EVENTS) as f64 / seconds;
    let mean = |a: f64, b: f64| f64::midpoint(a, b);
    let (ours, raw) = (rate(mean(first, second)), rate(mean(raw_first, raw_second)));
    report.ratio("replay into empty views (events)", "/s", ours, raw, 0.35);
    Ok(())
}

async fn replay(journal: &Arc<dyn Journal>, folder: &Path) -> anyhow::Result<f64> {
    let views = Views::open_sqlite(folder).await?;
    let head = journal.head().await?;
    let start = Instant::now();
    let wanted = views.clone();
    let shutdown = async move {
        let _ = wanted.at_least(head, Duration::from_secs(600)).await;
    };
    projections::run(Arc::clone(journal), views, shutdown).await?;
    Ok(start.elapsed().as_secs_f64())
}

fn database(folder: &Path) -> anyhow::Result<std::path::PathBuf> {
    let files = std::fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path());
    let mut databases =
        files.filter(|path| path.extension().is_some_and(|extension| extension == "db"));
    databases.next().ok_or_else(|| anyhow::anyhow!("there are no views in {}", folder.display()))
}

fn dump(folder: &Path) -> anyhow::Result<Vec<Dump>> {
    let connection =
        Connection::open_with_flags(database(folder)?, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut tables = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'checkpoint'")?;
    let names =
        tables.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    let mut dumps = Vec::new();
    for table in names {
        let mut select = connection.prepare(&format!("SELECT * FROM {table}"))?;
        let columns = select.column_count();
        let rows = select
            .query_map([], |row| (0..columns).map(|column| row.get::<_, Value>(column)).collect())?
            .collect::<Result<Vec<Vec<Value>>, _>>()?;
        dumps.push(Dump { table, columns, rows });
    }
    Ok(dumps)
}

/// The same tables with the same indexes, prepared statements, a transaction for every batch.
fn insert(folder: &Path, path: &Path, dump: &[Dump]) -> anyhow::Result<f64> {
    let source = Connection::open_with_flags(database(folder)?, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut schema =
        source.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")?;
    let statements =
        schema.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    let mut target = Connection::open(path)?;
    target.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")?;
    target.execute_batch(&statements.join(";\n"))?;
    let start = Instant::now();
    for Dump { table, columns, rows } in dump {
        let marks = vec!["?"; *columns].join(", ");
        let sql = format!("INSERT INTO {table} VALUES ({marks})");
        for batch in rows.chunks(BATCH) {
            let transaction = target.transaction()?;
            {
                let mut insert = transaction.prepare_cached(&sql)?;
                for row in batch {
                    insert.execute(params_from_iter(row))?;
                }
            }
            transaction.commit()?;
        }
    }
    Ok(start.elapsed().as_secs_f64())
}
