//! From a command's acknowledgement to the reconciler's first look at its resource, at a fixed rate, open loop.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::StreamId;
use domain::kinds::Bucket;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use hdrhistogram::Histogram;
use journal::sqlite::SqliteJournal;
use journal::{Executor, Journal};
use reconcilers::providers::Provided;
use reconcilers::{
    CallError, Driver, Performed, Provider, Providers, Reconcile, Scene, Settings, Target,
    WallClock,
};
use sim::{Nature, Options, Sim};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::load;
use crate::report::Report;
use crate::visible::milliseconds;

/// Commands a second.
const RATE: u64 = 200;
/// Seconds of the whole.
const SECONDS: u64 = 20;
/// Longer than anything here takes: a look that does not come ends the benchmark.
const PATIENCE: Duration = Duration::from_secs(30);

/// The simulated world, which tells when somebody looks at a resource.
struct Watched {
    world: Arc<Sim>,
    looks: mpsc::UnboundedSender<(Uuid, Instant)>,
}

type Call = <Bucket as Reconcile>::Call;
type Observed = <Bucket as Reconcile>::Observed;

impl Provider<Bucket> for Watched {
    fn observe<'a>(
        &'a self,
        scene: Scene<'a, Bucket>,
    ) -> BoxFuture<'a, Result<Observed, CallError>> {
        let _ = self.looks.send((scene.target.uid, Instant::now()));
        Provider::<Bucket>::observe(&*self.world, scene)
    }

    fn perform<'a>(
        &'a self,
        scene: Scene<'a, Bucket>,
        call: Call,
    ) -> BoxFuture<'a, Result<Performed, CallError>> {
        Provider::<Bucket>::perform(&*self.world, scene, call)
    }

    fn sweep(&self) -> BoxFuture<'_, Result<Vec<Target>, CallError>> {
        Provider::<Bucket>::sweep(&*self.world)
    }

    fn remove<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Performed, CallError>> {
        Provider::<Bucket>::remove(&*self.world, target)
    }

    fn changes(&self) -> BoxStream<'static, StreamId> {
        Provider::<Bucket>::changes(&*self.world)
    }
}

/// The first look at each resource, as they come.
struct Looks {
    received: mpsc::UnboundedReceiver<(Uuid, Instant)>,
    first: HashMap<Uuid, Instant>,
}

impl Looks {
    /// Waits until so many resources have been looked at.
    async fn of(&mut self, count: usize) -> anyhow::Result<()> {
        while self.first.len() < count {
            let look = tokio::time::timeout(PATIENCE, self.received.recv()).await?;
            let (uid, at) = look.ok_or_else(|| anyhow::anyhow!("the reconcilers have ended"))?;
            self.first.entry(uid).or_insert(at);
        }
        Ok(())
    }
}

/// Declares at fixed moments, whatever becomes of those before, while the reconcilers bring all of it up.
pub(crate) async fn measure(report: &mut Report, scale: u64) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::open(directory.path())?);
    let executor = Executor::new(journal);
    let (looks, received) = mpsc::unbounded_channel();
    let world = world(&executor, looks)?;
    let mut looks = Looks { received, first: HashMap::new() };
    // The loop runs once the first is looked at.
    declare(&executor, 0).await?;
    looks.of(1).await?;
    let total = (RATE * SECONDS / scale).max(50);
    let mut tasks = JoinSet::new();
    let start = tokio::time::Instant::now();
    for number in 1..=total {
        tokio::time::sleep_until(start + Duration::from_micros(number * 1_000_000 / RATE)).await;
        let executor = executor.clone();
        tasks.spawn(async move { declare(&executor, number).await });
    }
    let mut acknowledged = HashMap::new();
    while let Some(done) = tasks.join_next().await {
        let (uid, at) = done??;
        acknowledged.insert(uid, at);
    }
    looks.of(acknowledged.len() + 1).await?;
    world.send_replace(true);
    let mut waited = Histogram::<u64>::new(3)?;
    for (uid, acknowledged) in acknowledged {
        let looked = looks.first.get(&uid).ok_or_else(|| anyhow::anyhow!("nobody looked"))?;
        // Whoever follows the log may be faster than the answer.
        let after = looked.saturating_duration_since(acknowledged);
        waited.record(u64::try_from(after.as_micros())?)?;
    }
    let (p50, p99) = (milliseconds(&waited, 0.5), milliseconds(&waited, 0.99));
    let name = format!("acknowledged → reconcile begun at {RATE}/s, p50 / p99");
    report.figure(&name, format!("{p50:.1} / {p99:.1} ms"), "p99 ≤ 32 ms", p99 <= 32.0);
    Ok(())
}

/// The reconcilers on a quick world. They end with what this gives.
fn world(
    executor: &Executor,
    looks: mpsc::UnboundedSender<(Uuid, Instant)>,
) -> anyhow::Result<watch::Sender<bool>> {
    let nature = Nature { speed: 1_000, ..Nature::default() };
    let world = Arc::new(Sim::open(Arc::new(WallClock), Options { nature, ..Options::default() })?);
    let watched = Arc::new(Watched { world: Arc::clone(&world), looks });
    let providers = Providers { bucket: Provided::from(watched), ..Providers::all(&world) };
    let settings = Settings { session: Uuid::now_v7(), grace_micros: 15_000_000 };
    let driver = Arc::new(Driver::new(executor.clone(), providers, Arc::new(WallClock), settings));
    let (stop, stopped) = watch::channel(false);
    let mut until = stopped.clone();
    tokio::spawn(reconcilers::run(driver, stopped));
    tokio::spawn(async move {
        futures::future::select(
            world.run().boxed(),
            until.wait_for(|stop| *stop).map(drop).boxed(),
        )
        .await;
    });
    Ok(stop)
}

async fn declare(executor: &Executor, number: u64) -> anyhow::Result<(Uuid, Instant)> {
    let (_, uid) = load::declare_bucket(executor, number).await?;
    Ok((uid, Instant::now()))
}
