//! Places for logs: each test has an account of its own on servers that the tests share, or servers of its own.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use journal::Journal;
use journal::conformance::Store;
use journal::jetstream::{JetStreamJournal, OpenError, Options};
use servers::nats::{self, Cluster, Nats};
use tokio::runtime::Runtime;

/// The most tests that share servers.
const ACCOUNTS: usize = 40;

/// The runtime that the logs are opened in: it outlives them all.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    })
}

/// Servers with an account for each test.
fn shared() -> nats::Options {
    let mut config = String::from("accounts {\n");
    for number in 0..ACCOUNTS {
        let user = format!("{{user: u{number}, password: p}}");
        writeln!(config, "  a{number} {{ jetstream: enabled, users: [{user}] }}").unwrap();
    }
    config += "}\n";
    nats::Options { config, ..nats::Options::default() }
}

/// A log that can be opened again and again.
pub(crate) struct Place {
    pub(crate) options: Options,
}

impl Place {
    pub(crate) fn new(urls: &str, replicas: usize) -> Self {
        let servers = urls.split(',').map(str::to_owned).collect();
        Self { options: Options { replicas, ..Options::new(servers) } }
    }

    /// In the account of a number.
    fn in_account(urls: &str, replicas: usize, number: usize) -> Self {
        assert!(number < ACCOUNTS, "more tests than accounts");
        let login = format!("nats://u{number}:p@");
        Self::new(&urls.replace("nats://", &login), replicas)
    }

    /// A client that is not Cairn, as the same user.
    pub(crate) async fn client(&self) -> async_nats::Client {
        let address: async_nats::ServerAddr = self.options.servers[0].parse().unwrap();
        let (user, password) = (address.username(), address.password());
        let (user, password) = (user.unwrap_or_default(), password.unwrap_or_default());
        let options = async_nats::ConnectOptions::new();
        options.user_and_password(user.into(), password.into()).connect(address).await.unwrap()
    }

    pub(crate) fn try_open(&self) -> Result<JetStreamJournal, OpenError> {
        runtime().block_on(JetStreamJournal::open(&self.options))
    }

    pub(crate) fn journal(&self) -> JetStreamJournal {
        self.try_open().unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Store for Place {
    fn open(&self) -> Arc<dyn Journal> {
        Arc::new(self.journal())
    }
}

/// On one server that the tests share.
pub(crate) fn alone() -> Place {
    static SERVER: OnceLock<Nats> = OnceLock::new();
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let server = SERVER.get_or_init(|| Nats::start(&shared()));
    Place::in_account(&server.url(), 1, NEXT.fetch_add(1, Ordering::SeqCst))
}

/// On three servers that the tests share.
pub(crate) fn cluster() -> Place {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let cluster = CLUSTER.get_or_init(|| Cluster::start(3, &shared()));
    Place::in_account(&cluster.url(), 3, NEXT.fetch_add(1, Ordering::SeqCst))
}
