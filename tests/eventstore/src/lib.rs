//! An EventStoreDB in the test's own process: the streams service of the published protos, over real gRPC.
//!
//! It keeps streams and one order of all events, with positions that have gaps; it checks expected revisions and
//! recognises repeated events as the servers do; it reads and subscribes, forwards and backwards, with filters by
//! prefix and with checkpoints. On request it loses requests and replies, stays silent, holds subscriptions back, and
//! goes away and comes back.
//!
//! What it is not: durable, secured, a cluster, or proof of how a real server behaves. Scavenging, projections, and
//! persistent subscriptions are not there.
#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests build on this, and a test whose server cannot be had ends"
)]
#![allow(clippy::result_large_err, reason = "tonic's status is what a service answers")]

mod batch;
mod faults;
mod proto;
mod reading;
mod service;
mod store;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use uuid::Uuid;

use faults::Script;
pub use faults::{Call, Fault};
use proto::server_features::server_features_server::ServerFeaturesServer;
use proto::streams::streams_server::StreamsServer;
pub use store::Event;
use store::{Expected, Proposed, Store};

/// How long the end of the server's own tasks may take.
const STOP_MAX: Duration = Duration::from_secs(10);

/// A server on a free loopback port. It ends with its value.
pub struct Fake {
    state: Arc<State>,
    port: u16,
    serving: Mutex<Option<Runtime>>,
}

/// What the service works on; it survives that the server goes away.
struct State {
    store: Mutex<Store>,
    /// How many events there are: subscriptions wait for more.
    grown: watch::Sender<usize>,
    /// Whether subscriptions are held back.
    held: watch::Sender<bool>,
    script: Mutex<Script>,
    /// Whether it takes appends over one long call, as servers do since 21.10.
    has_batches: bool,
}

impl State {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a test wants to go wrong with a call.
    fn fault(&self, call: &Call) -> Option<Fault> {
        (self.script.lock().unwrap_or_else(PoisonError::into_inner))(call)
    }

    /// Tells subscriptions of what was stored.
    fn grew(&self) {
        let count = self.store().all.len();
        self.grown.send_replace(count);
    }
}

impl Default for Fake {
    fn default() -> Self {
        Self::start()
    }
}

impl Fake {
    /// Starts an empty server.
    #[must_use]
    pub fn start() -> Self {
        Self::with(true)
    }

    /// Starts an empty server that takes each append as a call of its own, as servers before 21.10 do.
    #[must_use]
    pub fn start_old() -> Self {
        Self::with(false)
    }

    fn with(has_batches: bool) -> Self {
        let state = State {
            store: Mutex::default(),
            grown: watch::Sender::new(0),
            held: watch::Sender::new(false),
            script: Mutex::new(Box::new(|_| None)),
            has_batches,
        };
        let listener = listen(0);
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(state);
        let serving = Mutex::new(Some(serve(listener, Arc::clone(&state))));
        Self { state, port, serving }
    }

    /// How clients name it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("esdb://127.0.0.1:{}?tls=false", self.port)
    }

    /// Goes away: every connection is lost, what was stored is kept.
    pub fn stop(&self) {
        if let Some(runtime) = self.serving().take() {
            runtime.shutdown_timeout(STOP_MAX);
        }
    }

    /// Comes back at the same port.
    pub fn restart(&self) {
        self.stop();
        *self.serving() = Some(serve(listen(self.port), Arc::clone(&self.state)));
    }

    /// Asks a script before each call whether, and how, it shall fail.
    pub fn fail(&self, script: impl FnMut(&Call) -> Option<Fault> + Send + 'static) {
        *self.state.script.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(script);
    }

    /// Holds subscriptions back, or lets them go on.
    pub fn hold(&self, held: bool) {
        self.state.held.send_replace(held);
    }

    /// Stores an event as somebody who checks nothing does.
    pub fn put(&self, stream: &str, id: u128, data: &[u8]) {
        let proposed = Proposed {
            id: Uuid::from_u128(id),
            metadata: [("type".to_owned(), "foreign".to_owned())].into(),
            custom_metadata: Bytes::new(),
            data: Bytes::copy_from_slice(data),
        };
        self.state.store().append(stream, Expected::Any, vec![proposed]);
        self.state.grew();
    }

    /// Changes what is stored, behind everybody's back.
    pub fn tamper(&self, change: impl FnOnce(&mut Vec<Event>)) {
        self.state.store().rewrite(change);
    }

    /// Everything that is stored, in its order.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.state.store().all.iter().map(|event| (**event).clone()).collect()
    }

    fn serving(&self) -> MutexGuard<'_, Option<Runtime>> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop();
    }
}

fn listen(port: u16) -> TcpListener {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

fn serve(listener: TcpListener, state: Arc<State>) -> Runtime {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let entered = runtime.enter();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let incoming = TcpIncoming::from_listener(listener, true, None).unwrap();
    drop(entered);
    let features = ServerFeaturesServer::new(batch::Features(Arc::clone(&state)));
    let streams = StreamsServer::new(service::Service(state));
    let services = Server::builder().add_service(streams).add_service(features);
    runtime.spawn(services.serve_with_incoming(incoming));
    runtime
}
