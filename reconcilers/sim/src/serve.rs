//! A world that other processes share: questions and answers in JSON over HTTP, changes as lines of a long answer.
//!
//! It is a rehearsal ground without any access control, so it is served to this machine alone.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use axum::{Json, Router};
use domain::{ResourceId, Tenant};
use futures::StreamExt as _;
use reconcilers::converge::{Call, Seen};
use reconcilers::{CallError, LogQuery, Performed, Target};
use tokio::net::TcpListener;

use crate::object::Happening;
use crate::provider::Sim;
use crate::wire::{CHANGES, HAPPEN, LIST, LOGS, MAKE, REMOVE, SEE};
use crate::world::NotThere;

/// The world cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Choose an address such as 127.0.0.1:7119.
    #[error(
        "{0} is not an address of this machine alone: everybody may do anything to a simulated world"
    )]
    Open(SocketAddr),
    /// Choose another address, or see what the system says.
    #[error("the simulated world cannot be served on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Listens where a world is to be served. Nobody is answered yet.
///
/// # Errors
/// See [`ServeError`].
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    if !address.ip().is_loopback() {
        return Err(ServeError::Open(address));
    }
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })
}

/// Serves a world until `shutdown`. Whoever listens to changes then is cut off, and asks again.
///
/// # Errors
/// See [`ServeError`].
pub async fn serve(
    world: Arc<Sim>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let address = listener.local_addr().unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
    let failed = |source| ServeError::Listen { address, source };
    // As the API: the end of a long answer waits for no acknowledgement.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let router = Router::new()
        .route(SEE, post(see))
        .route(MAKE, post(make))
        .route(REMOVE, post(remove))
        .route(LIST, post(list))
        .route(HAPPEN, post(happen))
        .route(LOGS, post(logs))
        .route(CHANGES, get(changes))
        .with_state(Arc::clone(&world));
    tokio::select! {
        served = async { axum::serve(listener, router).await } => served.map_err(failed),
        () = world.run() => Ok(()),
        () = shutdown => Ok(()),
    }
}

type Answer<T> = Json<Result<T, CallError>>;
type World = State<Arc<Sim>>;

async fn see(State(world): World, Json(target): Json<Target>) -> Answer<Option<Seen>> {
    Json(world.see(&target).await)
}

async fn make(
    State(world): World,
    Json((target, call)): Json<(Target, Call)>,
) -> Answer<Performed> {
    Json(world.make(&target, &call).await)
}

async fn remove(State(world): World, Json(target): Json<Target>) -> Answer<Performed> {
    Json(world.delete(&target).await)
}

async fn list(State(world): World, Json(kind): Json<String>) -> Answer<Vec<Target>> {
    Json(world.list(&kind).await)
}

async fn happen(
    State(world): World,
    Json((tenant, id, what)): Json<(Tenant, ResourceId, Happening)>,
) -> Answer<Result<(), NotThere>> {
    Json(Ok(world.happen(&tenant, &id, what)))
}

async fn changes(State(world): World) -> Body {
    let lines = world.listen(None).map(|stream| format!("{stream}\n"));
    // A line at once: whoever asked knows that from now on nothing is missed.
    let begun = futures::stream::iter(["\n".to_owned()]);
    Body::from_stream(begun.chain(lines).map(|line| Ok::<_, std::io::Error>(Bytes::from(line))))
}

async fn logs(State(world): World, Json((target, query)): Json<(Target, LogQuery)>) -> Body {
    let lines = world.lines(&target, &query);
    Body::from_stream(lines.map(|line| {
        let mut text = serde_json::to_string(&line)?;
        text.push('\n');
        Ok::<_, serde_json::Error>(Bytes::from(text))
    }))
}
