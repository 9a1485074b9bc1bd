//! Looks at settled resources: what a fleet costs that needs nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use journal::sqlite::SqliteJournal;
use journal::{Executor, Journal};
use projections::{Filter, Views};
use reconcilers::{Driver, Providers, Settings, WallClock};
use sim::{Nature, Options, Sim};
use tokio::sync::watch;
use uuid::Uuid;

use crate::load;
use crate::report::Report;

/// Settled resources.
const RESOURCES: u64 = 2_000;
/// Looks at each.
const ROUNDS: u64 = 5;

/// Brings buckets up in the simulator, then looks at every one again and again.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) async fn measure(report: &mut Report, scale: u64) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::open(directory.path())?);
    let executor = Executor::new(Arc::clone(&journal));
    let nature = Nature { speed: 100_000, ..Nature::default() };
    let world = Arc::new(Sim::open(Arc::new(WallClock), Options { nature, ..Options::default() })?);
    let settings = Settings { session: Uuid::now_v7(), grace_micros: 15_000_000 };
    let driver = Arc::new(Driver::new(
        executor.clone(),
        Providers::all(&world),
        Arc::new(WallClock),
        settings,
    ));
    let resources = (RESOURCES / scale).max(20);
    let mut streams = Vec::new();
    for number in 0..resources {
        let (stream, _) = load::declare_bucket(&executor, number).await?;
        streams.push(stream);
    }
    settle(&journal, &driver, &world, directory.path()).await?;
    let head = journal.head().await?;
    let start = Instant::now();
    for _ in 0..ROUNDS {
        for stream in &streams {
            let decision = driver.look(stream).await?;
            driver.act(decision).await?;
        }
    }
    let rate = (resources * ROUNDS) as f64 / start.elapsed().as_secs_f64();
    anyhow::ensure!(journal.head().await? == head, "a settled fleet writes nothing");
    let value = format!("{} /s", crate::report::thousands(rate));
    report.figure("no-op reconciles, one after the other", value, "≥ 1,500 /s", rate >= 1_500.0);
    Ok(())
}

/// Runs everything until all is ready.
async fn settle(
    journal: &Arc<dyn Journal>,
    driver: &Arc<Driver>,
    world: &Arc<Sim>,
    directory: &std::path::Path,
) -> anyhow::Result<()> {
    let views = Views::open_sqlite(&directory.join("views")).await?;
    let (stop, stopped) = watch::channel(false);
    let mut until = stopped.clone();
    let showing = tokio::spawn(projections::run(Arc::clone(journal), views.clone(), async move {
        let _ = until.wait_for(|stop| *stop).await;
    }));
    let working = tokio::spawn(reconcilers::run::run(Arc::clone(driver), stopped));
    let living = tokio::spawn({
        let world = Arc::clone(world);
        async move { world.run().await }
    });
    let mut changes = views.changes();
    loop {
        views.at_least(journal.head().await?, Duration::from_secs(30)).await?;
        let unready = Filter { ready: Some(false), ..Filter::of(load::tenant()?, &[]) };
        if views.list(&unready, projections::Sort::Name, None, 1, None).await?.items.is_empty() {
            break;
        }
        let _ = changes.recv().await;
    }
    stop.send_replace(true);
    living.abort();
    showing.await??;
    working.await??;
    Ok(())
}
