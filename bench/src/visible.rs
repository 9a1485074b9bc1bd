//! From a command's acknowledgement to the row that shows it, at 500 commands a second, open loop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::Resource;
use hdrhistogram::Histogram;
use journal::sqlite::SqliteJournal;
use journal::{Executor, Journal};
use projections::Views;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::load;
use crate::report::Report;

/// Commands a second.
const RATE: u64 = 500;
/// Seconds of the whole.
const SECONDS: u64 = 20;

/// Sends commands at fixed moments, whatever becomes of those before, and asks for each by `at_least`.
pub(crate) async fn measure(report: &mut Report, scale: u64) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::open(directory.path())?);
    let views = Views::open_sqlite(&directory.path().join("views")).await?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let runner = tokio::spawn({
        let (journal, views) = (Arc::clone(&journal), views.clone());
        async move {
            projections::run(journal, views, async {
                let _ = stopped.await;
            })
            .await
        }
    });
    let executor = Executor::new(Arc::clone(&journal));
    let tenant = load::tenant()?;
    let total = (RATE * SECONDS / scale).max(50);
    let mut tasks = JoinSet::new();
    let start = tokio::time::Instant::now();
    for number in 0..total {
        tokio::time::sleep_until(start + Duration::from_micros(number * 1_000_000 / RATE)).await;
        let (executor, views, stream) =
            (executor.clone(), views.clone(), load::stream(&tenant, number)?);
        tasks.spawn(async move {
            let sent = Instant::now();
            let command = load::declare(Uuid::now_v7());
            let done = executor.execute::<Resource>(&stream, command, load::context()).await?;
            let acknowledged = sent.elapsed();
            views.at_least(done.position, Duration::from_secs(10)).await?;
            anyhow::Ok((acknowledged, sent.elapsed()))
        });
    }
    let mut acknowledged = Histogram::<u64>::new(3)?;
    let mut visible = Histogram::<u64>::new(3)?;
    while let Some(done) = tasks.join_next().await {
        let (first, second) = done??;
        acknowledged.record(u64::try_from(first.as_micros())?)?;
        visible.record(u64::try_from(second.as_micros())?)?;
    }
    let _ = stop.send(());
    runner.await??;
    let ms = milliseconds;
    let line = |h: &Histogram<u64>| format!("{:.1} / {:.1} ms", ms(h, 0.5), ms(h, 0.99));
    report.figure(
        "command acknowledged at 500/s, p50 / p99",
        line(&acknowledged),
        "10 / 50 ms",
        true,
    );
    let met = ms(&visible, 0.5) <= 10.0 && ms(&visible, 0.99) <= 50.0;
    report.figure("command visible at 500/s, p50 / p99", line(&visible), "10 / 50 ms", met);
    Ok(())
}

/// A quantile of microseconds.
pub(crate) fn milliseconds(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    Duration::from_micros(histogram.value_at_quantile(quantile)).as_secs_f64() * 1_000.0
}
