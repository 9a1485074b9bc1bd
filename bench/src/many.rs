//! Whether commands are as fast in a log of a million resources as in one of ten thousand, and what those take in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use domain::{Resource, StreamId};
use journal::Executor;
use journal::sqlite::SqliteJournal;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::commands::WINDOW;
use crate::fleet::to_f64;
use crate::load;
use crate::report::{Report, thousands};
use crate::server::resident_mib;

/// Resources of the short log.
const FEW: u64 = 10_000;
/// Resources of the long one.
const MANY: u64 = 1_000_000;
/// Lives of four commands each, by which each is measured.
const LIVES: u64 = 10_000;

/// Fills a log, and measures twice.
pub(crate) async fn measure(report: &mut Report, scale: u64) -> anyhow::Result<()> {
    let (few, many, lives) = (FEW / scale, MANY / scale, LIVES / scale);
    let directory = tempfile::tempdir()?;
    let executor = Executor::new(Arc::new(SqliteJournal::open(directory.path())?));
    let numbers = Numbers::default();
    declared(&executor, &numbers, few).await?;
    let in_few = lived(&executor, &numbers, lives).await?;
    let resident = resident_mib(std::process::id()).0;
    declared(&executor, &numbers, many).await?;
    let in_many = lived(&executor, &numbers, lives).await?;
    let name =
        format!("commands at {} resources, to {}", thousands(to_f64(many)), thousands(to_f64(few)));
    report.ratio(&name, "/s", in_many, in_few, 0.90);
    let grown = (resident_mib(std::process::id()).0 - resident) * 100_000.0 / to_f64(many);
    report.figure(
        "memory of the log and the executor, each 100,000 resources",
        format!("{grown:.1} MiB"),
        "≤ 20 MiB",
        grown <= 20.0,
    );
    Ok(())
}

/// Gives each resource a number of its own.
#[derive(Clone, Default)]
struct Numbers(Arc<AtomicU64>);

impl Numbers {
    /// The streams of so many more resources.
    fn take(&self, count: u64) -> anyhow::Result<impl Iterator<Item = StreamId> + use<>> {
        let tenant = load::tenant()?;
        let first = self.0.fetch_add(count, Ordering::Relaxed);
        Ok((first..first + count).filter_map(move |number| load::stream(&tenant, number).ok()))
    }
}

/// Declares so many more.
async fn declared(executor: &Executor, numbers: &Numbers, count: u64) -> anyhow::Result<()> {
    let mut clients = JoinSet::new();
    for _ in 0..WINDOW {
        let (executor, streams) = (executor.clone(), numbers.take(count / WINDOW as u64)?);
        clients.spawn(async move {
            for stream in streams {
                let declare = load::declare(Uuid::now_v7());
                executor.execute::<Resource>(&stream, declare, load::context()).await?;
            }
            anyhow::Ok(())
        });
    }
    ended(clients).await
}

/// Leads so many more from nothing to ready; gives commands a second.
async fn lived(executor: &Executor, numbers: &Numbers, count: u64) -> anyhow::Result<f64> {
    let each = count / WINDOW as u64;
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..WINDOW {
        let (executor, streams) = (executor.clone(), numbers.take(each)?);
        clients.spawn(async move {
            for stream in streams {
                load::live(&executor, &stream).await?;
            }
            anyhow::Ok(())
        });
    }
    ended(clients).await?;
    Ok(to_f64(each * WINDOW as u64 * 4) / start.elapsed().as_secs_f64())
}

async fn ended(mut clients: JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    Ok(())
}
