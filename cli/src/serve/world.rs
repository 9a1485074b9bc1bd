//! The world behind a server: the simulated one, its own or one that several share, and real clusters beside it.

use std::sync::Arc;

use ::reconcilers::secrets::Stores;
use ::reconcilers::{Providers, WallClock};
use api::{Simulate, SimulateError, WorldFault};
use charts::fetch::{Fetcher, Mirror, Reach};
use charts::render::Helm;
use domain::{ResourceId, Tenant};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use journal::Executor;
use kubernetes::{Beside, Clusters, Kubernetes};
use sim::{Happening, NotThere, Options, Remote, RemoteError, Sim};

use super::{Part, Settings, trouble};
use crate::args::{Nature, Role};
use crate::failure::{Exit, Failure, Outcome};

/// Who drifts and removes in the world: somebody who is not Cairn.
const SOMEBODY: &str = "somebody at the console";

/// Which world a server acts on.
#[derive(Clone, Debug)]
pub(crate) enum WorldAt {
    /// One of its own, in its data folder.
    Here(Nature),
    /// One that is served at an address.
    Elsewhere(String),
    /// None: the server has nothing to do with it.
    Nowhere,
}

/// A world: the simulated one, and beside it whatever real clusters there are.
#[derive(Clone)]
pub(super) struct World {
    simulated: Simulated,
    kubernetes: Arc<Kubernetes>,
}

#[derive(Clone)]
enum Simulated {
    Here(Arc<Sim>),
    Elsewhere(Arc<Remote>),
}

/// Opens the world of a data folder, or speaks to the one at an address.
pub(super) async fn open(settings: &Settings, executor: &Executor) -> Outcome<Option<World>> {
    if settings.is(Role::Reconciler) {
        check_helm(&settings.charts).await?;
    }
    let simulated = match &settings.world {
        WorldAt::Here(nature) => make(&settings.data, *nature).map(Simulated::Here)?,
        WorldAt::Elsewhere(url) => match Remote::connect(url) {
            Ok(world) => Simulated::Elsewhere(world),
            Err(error) => {
                let hint =
                    "run `cairn sim serve` and name its address, such as http://127.0.0.1:7119";
                return Err(Failure::new(Exit::Invalid, error.to_string()).hint(hint));
            }
        },
        WorldAt::Nowhere => return Ok(None),
    };
    let secrets = Arc::new(Stores::new(settings.secrets.clone()));
    let kubernetes = Kubernetes::new(Clusters::new(secrets, Arc::new(WallClock)));
    let kubernetes = kubernetes.with_contents(Arc::new(executor.clone()));
    let kubernetes = Arc::new(kubernetes.with_charts(charts(&settings.charts)?));
    Ok(Some(World { simulated, kubernetes }))
}

/// What makes objects of charts.
fn charts(args: &crate::args::Charts) -> Outcome<kubernetes::Charts> {
    let reach = if args.private { Reach::Private } else { Reach::Public };
    let fetcher = Fetcher::new(reach, args.mirrors.iter().cloned().collect());
    let fetcher = fetcher.map_err(|error| Failure::new(Exit::Invalid, error.to_string()))?;
    if let Some(Mirror::Folder(folder)) =
        args.mirrors.iter().map(|(_, mirror)| mirror).find(is_missing)
    {
        let message = format!("there is no folder of charts {}", folder.display());
        return Err(Failure::new(Exit::NotFound, message));
    }
    let program = Helm::new(args.helm.clone());
    Ok(kubernetes::Charts { fetcher, program })
}

/// Refuses a program that was named and cannot be used. Without a name it is looked for when a chart needs it.
async fn check_helm(args: &crate::args::Charts) -> Outcome<()> {
    let Some(path) = &args.helm else { return Ok(()) };
    let checked = Helm::new(Some(path.clone())).check().await;
    checked.map_err(|error| Failure::new(Exit::Invalid, error.to_string()))
}

fn is_missing(mirror: &&Mirror) -> bool {
    matches!(mirror, Mirror::Folder(folder) if !folder.is_dir())
}

/// The world of a data folder.
pub(crate) fn make(data: &std::path::Path, nature: Nature) -> Outcome<Arc<Sim>> {
    let path = data.join("world.jsonl");
    let nature = sim::Nature { seed: nature.seed, speed: nature.speed, ..sim::Nature::default() };
    let options = Options { nature, path: Some(path), ..Options::default() };
    let world = Sim::open(Arc::new(WallClock), options).map_err(|error| trouble::world(&error))?;
    Ok(Arc::new(world))
}

/// Listens where a world is to be served.
pub(crate) async fn listen(address: std::net::SocketAddr) -> Outcome<tokio::net::TcpListener> {
    sim::listen(address).await.map_err(|error| unserved(&error))
}

/// Serves a world to the servers of this machine, until `stop`.
pub(crate) async fn serve(
    world: Arc<Sim>,
    listener: tokio::net::TcpListener,
    stop: impl Future<Output = ()> + Send,
) -> Outcome<()> {
    sim::serve(world, listener, stop).await.map_err(|error| unserved(&error))
}

fn unserved(error: &sim::ServeError) -> Failure {
    match error {
        sim::ServeError::Listen { address, source } => trouble::address(*address, source),
        sim::ServeError::Open(_) => Failure::new(Exit::Invalid, error.to_string())
            .hint("choose another address with --listen, such as 127.0.0.1:7119"),
    }
}

impl World {
    /// Who acts on each kind.
    pub(super) fn providers(&self) -> Providers {
        match &self.simulated {
            Simulated::Here(world) => Beside::providers(world, &self.kubernetes),
            Simulated::Elsewhere(world) => Beside::providers(world, &self.kubernetes),
        }
    }

    /// What keeps a world of our own going.
    pub(super) fn part(&self, closed: impl Future<Output = ()> + Send + 'static) -> Option<Part> {
        let Simulated::Here(world) = &self.simulated else { return None };
        let world = Arc::clone(world);
        Some(
            async move {
                tokio::select! { () = world.run() => {}, () = closed => {} }
                Ok(())
            }
            .boxed(),
        )
    }

    /// The world as seen from outside.
    pub(super) fn simulator(&self, tenant: Tenant) -> Arc<dyn Simulate> {
        Arc::new(Outside { world: self.clone(), tenant })
    }
}

struct Outside {
    world: World,
    tenant: Tenant,
}

impl Simulate for Outside {
    fn fault<'a>(
        &'a self,
        resource: &'a ResourceId,
        fault: WorldFault,
    ) -> BoxFuture<'a, Result<(), SimulateError>> {
        let by = Some(SOMEBODY.to_owned());
        let what = match fault {
            WorldFault::Break(message) => Happening::Break { message, for_good: false },
            WorldFault::Heal => Happening::Heal,
            WorldFault::Drift => Happening::Drift { detail: "changed by hand".to_owned(), by },
            WorldFault::Remove => Happening::Remove { by },
        };
        async move {
            let happened = match &self.world.simulated {
                Simulated::Here(world) => {
                    world.happen(&self.tenant, resource, what).map_err(Into::into)
                }
                Simulated::Elsewhere(world) => world.happen(&self.tenant, resource, what).await,
            };
            happened.map_err(|error| match error {
                RemoteError::NotThere(NotThere(id)) => SimulateError::NotFound(id),
                RemoteError::Address(_) | RemoteError::Call(_) => {
                    SimulateError::World(error.to_string())
                }
            })
        }
        .boxed()
    }
}
