//! A network that misbehaves on command: a TCP proxy in front of a server.

use std::net::{Ipv4Addr, TcpListener as StdListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::{Port, until};

/// What is read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// What happens to what passes through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It arrives.
    #[default]
    Forward,
    /// It arrives later, each piece by so much.
    Delay(Duration),
    /// It waits, and arrives when the mode changes; new connections wait too. A partition that heals.
    Hold,
    /// Requests arrive, replies are swallowed. A connection that lost something is cut when the mode changes.
    DropReplies,
    /// Requests are swallowed. A connection that lost something is cut when the mode changes.
    DropRequests,
    /// Every connection is cut, and a new one is refused.
    Refuse,
}

/// A proxy on a port of its own. Dropping it cuts every connection.
#[derive(Debug)]
pub struct Proxy {
    port: Port,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    upstream: u16,
    mode: watch::Sender<Mode>,
    cuts: watch::Sender<u64>,
    swallowed: AtomicU64,
    open: AtomicU64,
}

impl Proxy {
    /// Puts a proxy in front of a loopback port.
    #[must_use]
    pub fn start(upstream: u16) -> Self {
        let port = Port::reserve();
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, port.number())).expect("its port");
        listener.set_nonblocking(true).expect("a socket that does not block");
        let shared = Arc::new(Shared {
            upstream,
            mode: watch::Sender::default(),
            cuts: watch::Sender::default(),
            swallowed: AtomicU64::new(0),
            open: AtomicU64::new(0),
        });
        let listening = runtime().spawn(listen(listener, port.number(), Arc::clone(&shared)));
        Self { port, shared, listening }
    }

    /// Where to connect instead.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port.number()
    }

    /// Changes what happens from now on.
    pub fn set(&self, mode: Mode) {
        self.shared.mode.send_replace(mode);
        if mode == Mode::Refuse {
            until("connections to be cut", || (self.open() == 0).then_some(()));
        }
    }

    /// Cuts every connection. New ones are welcome.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// How many bytes were swallowed so far.
    #[must_use]
    pub fn swallowed(&self) -> u64 {
        self.shared.swallowed.load(Ordering::SeqCst)
    }

    /// How many connections pass through now.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.shared.open.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut();
    }
}

/// One for all proxies, apart from the test's own: a test that blocks does not stop the network.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().expect("a runtime")
    })
}

async fn listen(first: StdListener, port: u16, shared: Arc<Shared>) {
    let mut mode = shared.mode.subscribe();
    let mut listener = TcpListener::from_std(first).ok();
    loop {
        let Some(open) = &listener else {
            // Nobody else binds it: the port is reserved.
            let _ = mode.wait_for(|mode| *mode != Mode::Refuse).await;
            listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.ok();
            continue;
        };
        tokio::select! {
            accepted = open.accept() => if let Ok((client, _)) = accepted {
                tokio::spawn(serve(client, Arc::clone(&shared)));
            },
            _ = mode.wait_for(|mode| *mode == Mode::Refuse) => listener = None,
        }
    }
}

/// Carries one connection until a side closes it or it is cut.
async fn serve(client: TcpStream, shared: Arc<Shared>) {
    shared.open.fetch_add(1, Ordering::SeqCst);
    let mut cuts = shared.cuts.subscribe();
    let mut mode = shared.mode.subscribe();
    tokio::select! {
        () = carry(client, &shared) => {}
        _ = cuts.changed() => {}
        _ = mode.wait_for(|mode| *mode == Mode::Refuse) => {}
    }
    shared.open.fetch_sub(1, Ordering::SeqCst);
}

async fn carry(client: TcpStream, shared: &Shared) {
    if shared.mode.subscribe().wait_for(|mode| *mode != Mode::Hold).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, shared.upstream)).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    tokio::select! {
        () = pump(from_client, to_server, shared, Mode::DropRequests) => {}
        () = pump(from_server, to_client, shared, Mode::DropReplies) => {}
    }
}

/// Carries one direction, which `dropping` swallows.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: &Shared, dropping: Mode) {
    let mut mode = shared.mode.subscribe();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut lossy = false;
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            // What comes after a loss would make no sense.
            _ = mode.wait_for(|mode| lossy && *mode != dropping) => return,
        };
        let Ok(count @ 1..) = read else { return };
        let Ok(now) = mode.wait_for(|mode| *mode != Mode::Hold).await.map(|mode| *mode) else {
            return;
        };
        if lossy && now != dropping {
            return;
        }
        if now == dropping {
            lossy = true;
            shared.swallowed.fetch_add(count as u64, Ordering::SeqCst);
            continue;
        }
        if let Mode::Delay(time) = now {
            sleep_until(Instant::now() + time).await;
        }
        let Some(piece) = buffer.get(..count) else { return };
        if to.write_all(piece).await.is_err() {
            return;
        }
    }
}
