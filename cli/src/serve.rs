//! The wiring of a whole Cairn in one process. Every kind names its provider here: a forgotten one does not compile.

mod archiver;
mod bootstrap;
mod stores;
mod world;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use api::{Durability, Plane, Token, Tokens};
use domain::Tenant;
use journal::sqlite::SqliteJournal;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use reconcilers::driver::GRACE_MICROS;
use reconcilers::planner::WayBack;
use reconcilers::providers::Provided;
use reconcilers::queue::Queue;
use reconcilers::run::{Counters, Loop};
use reconcilers::{Driver, Planner, Providers, WallClock};
use sim::Sim;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::failure::{Exit, Failure, Outcome};
use crate::logs::LogAt;
use stores::Stores;
use world::SimulatedWorld;

/// The one tenant of an embedded Cairn.
const TENANT: &str = "default";
/// Who a token of `cairn up` speaks for.
const OWNER: &str = "admin";

/// How a server is set up.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Where everything is kept.
    pub(crate) data: PathBuf,
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// How much faster than ours the simulated world's clock runs.
    pub(crate) speed: u32,
    /// The simulated world's seed.
    pub(crate) seed: u64,
    /// Where the log's archive is kept, if anywhere.
    pub(crate) archive: Option<PathBuf>,
    /// Where the log is.
    pub(crate) journal: LogAt,
    /// Where the views are: a PostgreSQL database, or the data folder.
    pub(crate) views: Option<String>,
    /// The least that the log must promise.
    pub(crate) require: Option<Durability>,
}

/// A server that is ready to run.
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    listener: TcpListener,
    plane: Plane,
    reconcilers: Loop,
    world: Arc<Sim>,
    archiver: Option<archiver::Archiver>,
    closing: watch::Sender<bool>,
}

/// Where everything is kept when nothing else is said: `cairn` in the user's data folder.
pub(crate) fn data_folder(given: Option<PathBuf>) -> Outcome<PathBuf> {
    let xdg =
        || std::env::var_os("XDG_DATA_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share"));
    given.or_else(|| Some(xdg().or_else(home)?.join("cairn"))).ok_or_else(|| {
        Failure::new(Exit::Invalid, "there is no place for data")
            .hint("set HOME, or use --data-dir")
    })
}

/// The log of a data folder.
pub(crate) fn log_folder(data: &Path) -> PathBuf {
    data.join("log")
}

/// The views of a data folder. They may be deleted at any time.
pub(crate) fn views_folder(data: &Path) -> PathBuf {
    data.join("views")
}

/// Opens the log of a data folder.
pub(crate) fn open_log(data: &Path) -> Outcome<Arc<SqliteJournal>> {
    let folder = log_folder(data);
    std::fs::create_dir_all(&folder).map_err(|error| unusable(&folder, error))?;
    let journal = SqliteJournal::open(&folder).map_err(|error| unusable(&folder, error))?;
    Ok(Arc::new(journal))
}

/// The token that gives access to the server of a data folder: the one that is known already, or a new one.
pub(crate) fn token(data: &Path, known: Option<&str>) -> Outcome<(Tokens, Option<Token>)> {
    let path = data.join("tokens.json");
    let mut tokens = Tokens::load(&path).map_err(|error| unusable(&path, error))?;
    if known.is_some_and(|token| tokens.actor(token).is_some()) {
        return Ok((tokens, None));
    }
    let token = Token::generate();
    tokens.accept(&token, OWNER).map_err(|error| unusable(&path, error))?;
    tokens.save(&path).map_err(|error| unusable(&path, error))?;
    Ok((tokens, Some(token)))
}

fn unusable(path: &Path, error: impl std::error::Error) -> Failure {
    let failure = Failure::new(Exit::Unreachable, format!("cannot use {}", path.display()));
    caused(failure, &error)
}

/// A failure with everything behind it.
pub(crate) fn caused(failure: Failure, error: &dyn std::error::Error) -> Failure {
    causes(error).fold(failure, |failure, cause| failure.detail(cause.to_string()))
}

/// An error, and everything behind it.
fn causes(error: &dyn std::error::Error) -> impl Iterator<Item = &dyn std::error::Error> {
    std::iter::successors(Some(error), |error| error.source())
}

impl Server {
    /// Opens everything that a server needs. Nothing runs yet.
    pub(crate) async fn open(settings: &Settings, tokens: Tokens) -> Outcome<Self> {
        let listener = TcpListener::bind(settings.listen).await.map_err(|error| {
            Failure::new(
                Exit::Unreachable,
                format!("cannot listen on {}: {error}", settings.listen),
            )
            .hint("is another Cairn running there? choose another address with --listen")
        })?;
        let address = listener.local_addr().unwrap_or(settings.listen);
        let Stores { executor, views, durability } = stores::open(settings).await?;
        let tenant: Tenant = TENANT.parse().map_err(|error| unusable(&settings.data, error))?;
        let planner = Planner::new(executor.clone(), tenant.clone());
        let world = world::open(settings).map_err(|error| unusable(&settings.data, error))?;
        let driver = Driver::new(
            executor.clone(),
            providers(&world),
            Arc::new(WallClock),
            reconcilers::Settings { session: Uuid::new_v4(), grace_micros: GRACE_MICROS },
        );
        let back = WayBack::new(executor.clone(), Arc::new(WallClock));
        let reconcilers = Loop::new(Arc::new(driver.with_roll_back(Arc::new(back))));
        let closing = watch::Sender::new(false);
        let archiver = settings.archive.as_ref().map(|folder| {
            archiver::prepare(folder, &settings.data, executor.journal(), closing.subscribe())
        });
        let plane = Plane {
            simulator: Some(Arc::new(SimulatedWorld::new(Arc::clone(&world), tenant.clone()))),
            tenant,
            executor,
            views,
            planner,
            durability,
            tokens: Arc::new(tokens),
            numbers: numbers(recorder()?, reconcilers.counters(), reconcilers.queue()),
            closing: closing.subscribe(),
        };
        let archiver = archiver.transpose()?;
        Ok(Self { address, listener, plane, reconcilers, world, archiver, closing })
    }

    /// Runs until `stop`, then lets everything come to an end.
    pub(crate) async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Outcome<()> {
        bootstrap::define(&self.plane.executor, &self.plane.tenant).await?;
        let (closing, views) = (self.closing, self.plane.views.clone());
        let mut tasks: JoinSet<Result<(), String>> = JoinSet::new();
        let journal = Arc::clone(self.plane.executor.journal());
        let mut closed = closing.subscribe();
        let until_closed = async move {
            // The sender is gone: everything ends.
            let _ = closed.wait_for(|closing| *closing).await;
        };
        tasks.spawn(async move {
            projections::run(journal, views, until_closed)
                .await
                .map_err(|error| chain("the views stopped", &error))
        });
        let (reconcilers, shutdown) = (self.reconcilers, closing.subscribe());
        tasks.spawn(async move {
            reconcilers
                .run(shutdown)
                .await
                .map_err(|error| chain("the reconcilers stopped", &error))
        });
        if let Some(archiver) = self.archiver {
            tasks.spawn(archiver);
        }
        let world = self.world;
        let living = tokio::spawn(async move { world.run().await });
        let mut closed = closing.subscribe();
        let served = api::serve(self.listener, self.plane, async move {
            let _ = closed.wait_for(|closing| *closing).await;
        });
        let served = tokio::spawn(served);
        stop.await;
        closing.send_replace(true);
        let mut outcome = Ok(());
        while let Some(ended) = tasks.join_next().await {
            if let Ok(Err(reason)) = ended {
                outcome = Err(Failure::new(Exit::Unreachable, reason));
            }
        }
        living.abort();
        match served.await {
            Ok(Err(error)) => Err(Failure::new(Exit::Unreachable, error.to_string())),
            Ok(Ok(())) | Err(_) => outcome,
        }
    }
}

/// Who acts on each kind.
fn providers(world: &Arc<Sim>) -> Providers {
    Providers {
        bucket: Provided::from(Arc::clone(world)),
        cache: Provided::from(Arc::clone(world)),
        certificate: Provided::from(Arc::clone(world)),
        cluster: Provided::from(Arc::clone(world)),
        database: Provided::from(Arc::clone(world)),
        dns_record: Provided::from(Arc::clone(world)),
        extension: Provided::from(Arc::clone(world)),
        queue: Provided::from(Arc::clone(world)),
        route: Provided::from(Arc::clone(world)),
        secret: Provided::from(Arc::clone(world)),
        support_service: Provided::from(Arc::clone(world)),
        volume: Provided::from(Arc::clone(world)),
        workload: Provided::from(Arc::clone(world)),
    }
}

fn recorder() -> Outcome<PrometheusHandle> {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| {
        Failure::new(Exit::Unreachable, format!("the metrics cannot be kept: {error}"))
    })?;
    Ok(handle)
}

/// The numbers that the API does not keep itself.
fn numbers(
    handle: PrometheusHandle,
    counters: Arc<Counters>,
    queue: Arc<Queue>,
) -> Arc<dyn Fn() -> String + Send + Sync> {
    Arc::new(move || {
        let count = |name: &'static str, value: u64| metrics::counter!(name).absolute(value);
        count("cairn_reconcile_looks_total", counters.looks.load(Ordering::Relaxed));
        count("cairn_reconcile_steps_total", counters.steps.load(Ordering::Relaxed));
        count("cairn_reconcile_failures_total", counters.failures.load(Ordering::Relaxed));
        count("cairn_swept_total", counters.swept.load(Ordering::Relaxed));
        let depth = u32::try_from(queue.depth()).unwrap_or(u32::MAX);
        metrics::gauge!("cairn_queue_depth").set(f64::from(depth));
        handle.run_upkeep();
        handle.render()
    })
}

/// An error with everything behind it.
fn chain(what: &str, error: &dyn std::error::Error) -> String {
    let text = causes(error).fold(what.to_owned(), |text, cause| format!("{text}: {cause}"));
    tracing::error!("{text}");
    text
}
