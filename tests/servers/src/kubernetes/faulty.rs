//! An API server that misbehaves on command: a proxy that ends TLS, so that it tells requests apart, and keeps count.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt, stream};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, BodyStream, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsAcceptor;

use super::{ControlPlane, NAME, TOKEN, kubeconfig};
use crate::proxy::runtime;
use crate::{Place, Port};

/// A watch that is dropped lives so long.
const SOON: Duration = Duration::from_millis(150);
/// Between the pieces of a slow answer.
const SLOW: Duration = Duration::from_millis(60);
/// The pieces of a slow answer.
const PIECES: usize = 8;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The connection is cut, and nothing came of it.
    CutBefore,
    /// It has its effect; the connection is cut in place of the answer.
    CutAfter,
    /// 504, and nothing came of it.
    TimeoutBefore,
    /// It has its effect, and 504 is the answer.
    TimeoutAfter,
    /// 409: somebody else has written at the same moment.
    Conflict,
    /// 429, with a second to wait.
    TooMany,
    /// 500.
    Internal,
    /// 503.
    Unavailable,
    /// The answer comes piece by piece.
    Slow,
    /// A list is as it was when it was asked for first.
    Stale,
    /// A watch breaks soon.
    Dropped,
    /// 410: the version to go on from is too old.
    Expired,
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Call {
    /// Such as `PATCH`.
    pub method: String,
    /// Without what comes after `?`.
    pub path: String,
    /// Whether it is a watch.
    pub watch: bool,
}

/// Who decides what happens to a request.
type Rule = Box<dyn FnMut(&Call) -> Option<Fault> + Send>;
type Body = UnsyncBoxBody<Bytes, std::io::Error>;
type Upstream = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The proxy. Dropping it cuts every connection.
pub struct Faulty {
    port: Port,
    certificate: Vec<u8>,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

struct Shared {
    upstream: u16,
    client: Upstream,
    state: Mutex<State>,
    cuts: watch::Sender<u64>,
}

struct State {
    rule: Rule,
    calls: Vec<Call>,
    lists: HashMap<String, (StatusCode, Bytes)>,
}

impl Faulty {
    /// Puts one in front of a control plane. Nothing is wrong yet.
    #[must_use]
    pub fn start(plane: &ControlPlane) -> Self {
        let (port, place) = (Port::reserve(), Place::new());
        let (certificate, acceptor) = identity(&place);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config((*plane.trust()).clone())
            .https_only()
            .with_server_name_resolver(FixedServerNameResolver::new(
                ServerName::try_from(NAME).expect("a name"),
            ))
            .enable_http1()
            .build();
        let _guard = runtime().enter();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let state = State { rule: Box::new(|_| None), calls: Vec::new(), lists: HashMap::new() };
        let shared = Arc::new(Shared {
            upstream: plane.port(),
            client,
            state: Mutex::new(state),
            cuts: watch::Sender::default(),
        });
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port.number()));
        let listener = listener.expect("its port");
        listener.set_nonblocking(true).expect("a socket that does not block");
        let listener = TcpListener::from_std(listener).expect("a listener");
        let listening = runtime().spawn(listen(listener, acceptor, Arc::clone(&shared)));
        Self { port, certificate, shared, listening }
    }

    /// How a client reaches it, who may do everything.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        kubeconfig(self.port.number(), TOKEN, &self.certificate)
    }

    /// Decides from now on what happens to each request.
    pub fn rule(&self, rule: impl FnMut(&Call) -> Option<Fault> + Send + 'static) {
        self.shared.state().rule = Box::new(rule);
    }

    /// Breaks every watch there is.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Every request so far; it begins to count anew.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.shared.state().calls)
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut();
    }
}

/// A certificate that signs itself, and who shows it.
fn identity(place: &Place) -> (Vec<u8>, TlsAcceptor) {
    let (key, certificate) = (place.join("key.pem"), place.join("certificate.pem"));
    let mut make = Command::new("openssl");
    make.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"]);
    make.arg(format!("/CN={NAME}")).arg("-addext").arg(format!("subjectAltName=DNS:{NAME}"));
    make.args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"]).arg(&key);
    make.arg("-out").arg(&certificate).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(make.status().is_ok_and(|status| status.success()), "openssl makes no certificate");
    let chain = CertificateDer::pem_file_iter(&certificate).expect("a certificate");
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(&key).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate and its key");
    let pem = std::fs::read(&certificate).expect("a certificate");
    (pem, TlsAcceptor::from(Arc::new(config)))
}

async fn listen(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, acceptor.clone(), Arc::clone(&shared)));
    }
}

async fn serve(stream: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let answer = |request| {
        let shared = Arc::clone(&shared);
        async move { shared.answer(request).await }
    };
    let service = hyper::service::service_fn(answer);
    // An answer that is an error cuts the connection.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> std::io::Result<Response<Body>> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let call = Call {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            watch: query.contains("watch="),
        };
        let list = request.method() == Method::GET && query.contains("limit=") && !call.watch;
        let fault = {
            let mut state = self.state();
            state.calls.push(call.clone());
            (state.rule)(&call)
        };
        let key = format!("{}?{query}", call.path);
        match fault {
            Some(Fault::CutBefore) => Err(cut()),
            Some(Fault::TimeoutBefore) => Ok(status(504, "Timeout", 0)),
            Some(Fault::Conflict) => Ok(status(409, "Conflict", 0)),
            Some(Fault::TooMany) => Ok(status(429, "TooManyRequests", 1)),
            Some(Fault::Internal) => Ok(status(500, "InternalError", 0)),
            Some(Fault::Unavailable) => Ok(status(503, "ServiceUnavailable", 0)),
            // A watch says so within its stream (Kubernetes: errors of watches are events).
            Some(Fault::Expired) if call.watch => {
                let event = json!({ "type": "ERROR", "object": body_of(410, "Expired", 0) });
                Ok(whole(StatusCode::OK, format!("{event}\n").into()))
            }
            Some(Fault::Expired) => Ok(status(410, "Expired", 0)),
            Some(Fault::CutAfter) => {
                self.forward(request).await?.collect().await.map_err(lost)?;
                Err(cut())
            }
            Some(Fault::TimeoutAfter) => {
                self.forward(request).await?.collect().await.map_err(lost)?;
                Ok(status(504, "Timeout", 0))
            }
            Some(Fault::Slow) => Ok(slow(self.forward(request).await?).await?),
            Some(Fault::Stale) if self.state().lists.contains_key(&key) => {
                let (code, bytes) = self.state().lists.get(&key).cloned().unwrap_or_default();
                Ok(whole(code, bytes))
            }
            Some(Fault::Dropped) => Ok(self.watched(self.forward(request).await?, Some(SOON))),
            Some(Fault::Stale) | None if call.watch => {
                Ok(self.watched(self.forward(request).await?, None))
            }
            Some(Fault::Stale) | None => {
                let (parts, body) = self.forward(request).await?.into_parts();
                let bytes = body.collect().await.map_err(lost)?.to_bytes();
                if list {
                    self.state().lists.entry(key).or_insert((parts.status, bytes.clone()));
                }
                Ok(Response::from_parts(parts, full(bytes)))
            }
        }
    }

    async fn forward(&self, request: Request<Incoming>) -> std::io::Result<Response<Incoming>> {
        let (mut parts, body) = request.into_parts();
        let bytes = body.collect().await.map_err(lost)?.to_bytes();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let uri = format!("https://127.0.0.1:{}{path}", self.upstream);
        parts.uri = uri.parse().map_err(lost)?;
        parts.version = http::Version::HTTP_11;
        let request = Request::from_parts(parts, Full::new(bytes));
        self.client.request(request).await.map_err(lost)
    }

    /// An answer that goes on until it is cut: by everybody's cut, or after a time.
    fn watched(&self, answer: Response<Incoming>, after: Option<Duration>) -> Response<Body> {
        let (parts, body) = answer.into_parts();
        let mut cuts = self.cuts.subscribe();
        let over = async move {
            tokio::select! {
                _ = cuts.changed() => {}
                () = async { sleep_until(Instant::now() + after.unwrap_or_default()).await }, if after.is_some() => {}
            }
        };
        let frames = TryStreamExt::map_err(BodyStream::new(body), lost).take_until(Box::pin(over));
        let frames = frames.chain(stream::once(async { Err(cut()) }));
        Response::from_parts(parts, StreamBody::new(frames).boxed_unsync())
    }
}

/// An answer of the API server's own kind.
fn status(code: u16, reason: &str, retry_after_seconds: u32) -> Response<Body> {
    let body = body_of(code, reason, retry_after_seconds);
    whole(StatusCode::from_u16(code).unwrap_or_default(), body.to_string().into())
}

fn body_of(code: u16, reason: &str, retry_after_seconds: u32) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("{reason}, as this test wants it"), "reason": reason, "code": code,
        "details": { "retryAfterSeconds": retry_after_seconds },
    })
}

fn whole(code: StatusCode, bytes: Bytes) -> Response<Body> {
    let mut response = Response::new(full(bytes));
    *response.status_mut() = code;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// The same answer, piece by piece.
async fn slow(answer: Response<Incoming>) -> std::io::Result<Response<Body>> {
    let (mut parts, body) = answer.into_parts();
    let bytes = body.collect().await.map_err(lost)?.to_bytes();
    parts.headers.remove(http::header::CONTENT_LENGTH);
    let size = bytes.len().div_ceil(PIECES).max(1);
    let pieces: Vec<Bytes> = bytes.chunks(size).map(|piece| bytes.slice_ref(piece)).collect();
    let frames = stream::iter(pieces).then(|piece| async move {
        sleep_until(Instant::now() + SLOW).await;
        Ok(Frame::data(piece))
    });
    Ok(Response::from_parts(parts, StreamBody::new(frames).boxed_unsync()))
}

fn cut() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::ConnectionReset, "cut, as this test wants it")
}

fn lost(error: impl std::error::Error + Send + Sync + 'static) -> std::io::Error {
    std::io::Error::other(error)
}
