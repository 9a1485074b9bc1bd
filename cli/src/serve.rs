//! The wiring of a server: all of Cairn in one process, or one of many with a role or some.

mod archiver;
mod bootstrap;
mod projector;
mod reconcilers;
mod seals;
mod stores;
mod trouble;
mod world;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::reconcilers::{Leases, Logs};
use api::{Durability, Plane, Probed, Router, Stopped, Token, Tokens, closed};
use domain::Tenant;
use futures::future::BoxFuture;
use journal::Executor;
use journal::sqlite::SqliteJournal;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::archives::ArchiveAt;
use crate::args::{Charts, Role};
use crate::failure::{Exit, Failure, Outcome};
use crate::logs::LogAt;
use stores::Stores;

pub(crate) use stores::views;
pub(crate) use trouble::DAMAGED;
pub(crate) use world::{
    WorldAt, listen as listen_for_world, make as make_world, serve as serve_world,
};

/// The one tenant of an embedded Cairn.
pub(crate) const TENANT: &str = "default";
/// Who a token of `cairn up` speaks for.
const OWNER: &str = "admin";

/// How a server is set up.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// What it does.
    pub(crate) roles: BTreeSet<Role>,
    /// Where everything is kept.
    pub(crate) data: PathBuf,
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// The world it acts on.
    pub(crate) world: WorldAt,
    /// Where charts are had, and what renders them.
    pub(crate) charts: Charts,
    /// Where secret values are kept.
    pub(crate) secrets: PathBuf,
    /// How long what is shared stays after the last need, in seconds.
    pub(crate) keep_unneeded: u32,
    /// Where the log's archive is kept, if anywhere.
    pub(crate) archive: Option<ArchiveAt>,
    /// Where the log is.
    pub(crate) journal: LogAt,
    /// Where the views are: a PostgreSQL database, or the data folder.
    pub(crate) views: Option<String>,
    /// The least that the log must promise.
    pub(crate) require: Option<Durability>,
}

impl Settings {
    fn is(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// The folder of secrets in a data folder, unless another is named.
pub(crate) const SECRETS: &str = "secrets";

/// How long the parts of a server may take to end: less than the 30 s after which Kubernetes kills, and longer than the
/// archiver takes for its last segment.
const CLOSING_MAX: Duration = Duration::from_secs(20);

/// A part of a server, which runs until the server closes.
type Part = BoxFuture<'static, Result<(), String>>;

/// A server that is ready to run.
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    listener: TcpListener,
    router: Router,
    parts: Vec<(&'static str, Part)>,
    /// Whose catalogue is defined before anything is served, if it is served.
    defines: Option<(Executor, Tenant)>,
    leases: Leases,
    stopped: watch::Sender<Stopped>,
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
    make_folder(&folder)?;
    let journal = SqliteJournal::open(&folder).map_err(|error| trouble::log(&folder, &error))?;
    Ok(Arc::new(journal))
}

fn tokens_file(data: &Path) -> PathBuf {
    data.join("tokens.json")
}

/// Who may ask the servers of a data folder.
pub(crate) fn tokens(data: &Path) -> Outcome<Tokens> {
    Tokens::load(&tokens_file(data)).map_err(|error| trouble::tokens(&error))
}

/// Makes a folder, if it is not there: nobody else on the machine reads the log.
pub(crate) fn make_folder(folder: &Path) -> Outcome<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| trouble::folder(folder, &error))
}

/// A new token for the servers of a data folder, which know it from their next start on.
pub(crate) fn accept(data: &Path, tokens: &mut Tokens, whose: &str) -> Outcome<Token> {
    let token = Token::generate();
    tokens.accept(&token, whose).map_err(|error| trouble::tokens(&error))?;
    save(data, tokens)?;
    Ok(token)
}

/// Keeps the tokens of a data folder.
pub(crate) fn save(data: &Path, tokens: &Tokens) -> Outcome<()> {
    tokens.save(&tokens_file(data)).map_err(|error| trouble::tokens(&error))
}

/// The token that gives access to the server of a data folder: the one that is known already, or a new one. A new
/// one is not kept yet: whoever cannot start leaves nothing behind.
pub(crate) fn token(data: &Path, known: Option<&str>) -> Outcome<(Tokens, Option<Token>)> {
    let mut tokens = tokens(data)?;
    if known.is_some_and(|token| tokens.actor(token).is_some()) {
        return Ok((tokens, None));
    }
    let token = Token::generate();
    tokens.accept(&token, OWNER).map_err(|error| trouble::tokens(&error))?;
    Ok((tokens, Some(token)))
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
    pub(crate) async fn open(
        settings: &Settings,
        listener: TcpListener,
        tokens: Tokens,
    ) -> Outcome<Self> {
        let address = listener.local_addr().unwrap_or(settings.listen);
        let tenant: Tenant = TENANT
            .parse()
            .map_err(|error| caused(Failure::new(Exit::Unreachable, "cannot start"), &error))?;
        let Stores { executor, durability, beside } = stores::open(settings).await?;
        let leases = stores::leases(beside.as_ref()).await?;
        let (closing, stopped) = (watch::Sender::new(false), watch::Sender::default());
        let mut parts = Vec::new();
        if matches!(settings.journal, LogAt::Sqlite(_)) {
            let checking = seals::check(executor.journal(), closing.subscribe()).await?;
            parts.extend(checking.map(|part| ("seals", part)));
        }
        let shows = settings.is(Role::Api) || settings.is(Role::Projector);
        let views = if shows {
            Some(stores::views(settings.views.as_deref(), &settings.data).await?)
        } else {
            None
        };
        if let Some(views) = &views {
            if matches!(settings.journal, LogAt::Sqlite(_)) {
                seals::check_end(executor.journal(), views).await?;
            }
            let projector = projector::Projector {
                journal: Arc::clone(executor.journal()),
                views: views.clone(),
                leases: leases.clone(),
                beside,
                closing: closing.subscribe(),
            };
            parts.push(("views", projector.part(settings.is(Role::Projector))));
        }
        if let (true, Some(place)) = (settings.is(Role::Archiver), &settings.archive) {
            let journal = executor.journal();
            let leases = leases.clone();
            let part = archiver::part(place, &settings.data, journal, leases, closing.subscribe())?;
            parts.push(("archiver", part));
        }
        let world = world::open(settings, &executor).await?;
        let acting = world.as_ref().filter(|_| settings.is(Role::Reconciler)).map(|world| {
            let acting = reconcilers::prepare(settings, &executor, world, leases.clone());
            parts.push(("reconcilers", reconcilers::part(acting.clone(), closing.subscribe())));
            acting
        });
        let living = world.as_ref().and_then(|world| world.part(closed(closing.subscribe())));
        parts.extend(living.map(|part| ("world", part)));
        let probed = Probed {
            executor: executor.clone(),
            views,
            durability,
            tokens: Arc::new(tokens),
            numbers: reconcilers::numbers(acting.as_ref(), &leases)?,
            stopped: stopped.subscribe(),
            closing: closing.subscribe(),
        };
        let mut defines = None;
        let router = if let (true, Some(views)) = (settings.is(Role::Api), probed.views.clone()) {
            defines = Some((executor, tenant.clone()));
            let simulator = world.as_ref().map(|world| world.simulator(tenant.clone()));
            let logs = world.map(|world| Logs::new(probed.executor.clone(), world.providers()));
            let plane = Plane::over(probed, views, tenant, simulator);
            api::router(match logs {
                Some(logs) => plane.with_logs(logs),
                None => plane,
            })
        } else {
            api::probes(probed)
        };
        Ok(Self { address, listener, router, parts, defines, leases, stopped, closing })
    }

    /// Runs until `stop`, then lets everything come to an end.
    pub(crate) async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Outcome<()> {
        if let Some((executor, tenant)) = &self.defines {
            bootstrap::define(executor, tenant).await?;
        }
        let mut parts: JoinSet<(&'static str, Result<(), String>)> = JoinSet::new();
        for (name, part) in self.parts {
            parts.spawn(async move { (name, part.await) });
        }
        let closing = self.closing.subscribe();
        let served = tokio::spawn(api::serve(self.listener, self.router, closing));
        let mut stop = Box::pin(stop);
        let mut outcome = Ok(());
        // A part that has ended before its time is told by /readyz; the others go on.
        loop {
            let ended = tokio::select! {
                () = &mut stop => break,
                Some(ended) = parts.join_next() => ended,
            };
            outcome = tell(&self.stopped, ended).or(outcome);
        }
        self.closing.send_replace(true);
        let closed = async {
            while let Some(ended) = parts.join_next().await {
                outcome = tell(&self.stopped, ended).or(std::mem::replace(&mut outcome, Ok(())));
            }
        };
        if timeout(CLOSING_MAX, closed).await.is_err() {
            // As a crash would: nothing that was acknowledged is lost, and others take over.
            parts.abort_all();
            let waited = CLOSING_MAX.as_secs();
            let late = format!("a part of the server did not end within {waited} s, and was left");
            outcome = Err(Failure::new(Exit::Unreachable, late));
        }
        self.leases.leave().await;
        match served.await {
            Ok(Err(error)) => Err(Failure::new(Exit::Unreachable, error.to_string())),
            Ok(Ok(())) | Err(_) => outcome,
        }
    }
}

/// Listens, before anything is made that would be left behind if that cannot be.
pub(crate) async fn listen(address: SocketAddr) -> Outcome<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| trouble::address(address, &error))
}

/// Has `/readyz` tell of a part that has ended with an error.
fn tell(
    stopped: &watch::Sender<Stopped>,
    ended: Result<(&'static str, Result<(), String>), tokio::task::JoinError>,
) -> Outcome<()> {
    let (part, reason) = match ended {
        Ok((_, Ok(()))) => return Ok(()),
        Ok((part, Err(reason))) => (part, reason),
        Err(error) => ("server", error.to_string()),
    };
    stopped.send_modify(|stopped| _ = stopped.insert(part, reason.clone()));
    Err(Failure::new(Exit::Unreachable, reason))
}

/// An error with everything behind it.
fn chain(what: &str, error: &dyn std::error::Error) -> String {
    let text = causes(error).fold(what.to_owned(), |text, cause| format!("{text}: {cause}"));
    tracing::error!("{text}");
    text
}
