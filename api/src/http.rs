//! HTTP: what is refused before GraphQL sees it, and the probes beside it.

mod documents;
mod graphql;
mod probes;
mod sse;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::ValidationMode;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use domain::Actor;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::plane::{Plane, Probed};
use crate::schema::{Schema, schema};
use documents::Documents;

/// The largest body: an application of some files, each with every character escaped.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// How long open requests may take to end when the server closes.
const CLOSING_MAX: Duration = Duration::from_secs(5);

/// The server cannot listen, or stopped listening.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Choose another address.
    #[error("cannot serve on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// What the handlers of GraphQL share.
pub(crate) struct Served {
    pub(crate) schema: Schema,
    /// The same for documents that are known to fit it: limits count, and the executor refuses what it cannot do.
    answered: Schema,
    documents: Documents,
    pub(crate) closing: watch::Receiver<bool>,
}

/// Every route.
pub fn router(plane: Plane) -> Router {
    let probed = Arc::new(plane.probed.clone());
    let served = Served {
        closing: probed.closing.clone(),
        schema: schema(plane.clone(), ValidationMode::Strict),
        answered: schema(plane, ValidationMode::Fast),
        documents: Documents::default(),
    };
    let graphql = Router::new()
        .route("/graphql", post(graphql::answer))
        .layer(middleware::from_fn_with_state(Arc::clone(&probed), authenticate))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Arc::new(served));
    told(probed).merge(graphql).method_not_allowed_fallback(wrong_method).fallback(nowhere)
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    let with = if uri.path() == "/graphql" { "POST" } else { "GET" };
    let message = format!("{method} is not answered at {}: send {with}", uri.path());
    let mut response = refused(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", &message);
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(with));
    response
}

async fn nowhere(uri: Uri) -> Response {
    let message = format!(
        "there is nothing at {}: send GraphQL to /graphql; /livez, /readyz and /metrics tell of the server",
        uri.path()
    );
    refused(StatusCode::NOT_FOUND, "NOT_FOUND", &message)
}

/// Only what a process tells of itself: for one that serves no API.
pub fn probes(probed: Probed) -> Router {
    told(Arc::new(probed))
}

fn told(probed: Arc<Probed>) -> Router {
    let guard = middleware::from_fn_with_state(Arc::clone(&probed), authenticate);
    Router::new()
        .route("/metrics", get(probes::metrics).layer(guard))
        .route("/livez", get(probes::livez))
        .route("/readyz", get(probes::readyz))
        .with_state(probed)
}

/// Serves until `closing` turns true, then lets open requests end.
///
/// # Errors
/// See [`ServeError`].
pub async fn serve(
    listener: TcpListener,
    router: Router,
    closing: watch::Receiver<bool>,
) -> Result<(), ServeError> {
    let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
    let address = listener.local_addr().unwrap_or(unknown);
    // The end of a long answer would wait for the client's delayed acknowledgement: 40 ms on Linux.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection delays its answers");
        }
    });
    let serving = axum::serve(listener, router).with_graceful_shutdown(closed(closing.clone()));
    let late = async move {
        closed(closing).await;
        tokio::time::sleep(CLOSING_MAX).await;
    };
    tokio::select! {
        served = serving => served.map_err(|source| ServeError::Listen { address, source }),
        () = late => {
            tracing::warn!("some requests did not end in time");
            Ok(())
        }
    }
}

/// Waits until a process closes.
pub async fn closed(mut closing: watch::Receiver<bool>) {
    // The sender is gone: the process is closing as well.
    let _ = closing.wait_for(|closing| *closing).await;
}

/// Lets in whoever sends a token we know.
async fn authenticate(
    State(probed): State<Arc<Probed>>,
    mut request: Request,
    next: Next,
) -> Response {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|header| header.strip_prefix("Bearer "));
    let actor: Option<Actor> = token.and_then(|token| probed.tokens.actor(token.trim()));
    match actor {
        Some(actor) => {
            request.extensions_mut().insert(actor);
            next.run(request).await
        }
        None => {
            let message = if token.is_some() {
                "the token is not known"
            } else {
                "a bearer token is required"
            };
            let mut response = refused(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message);
            let scheme = header::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
            response
        }
    }
}

/// A refusal in the shape of a GraphQL response.
pub(crate) fn refused(status: StatusCode, code: &str, message: &str) -> Response {
    let error = json!({ "message": message, "extensions": { "code": code } });
    (status, axum::Json(json!({ "errors": [error] }))).into_response()
}
