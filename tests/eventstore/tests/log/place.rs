//! Places for logs: each test has a server of its own in this process, or a log of its own on a real one.

use std::sync::{Arc, OnceLock};

use eventstore_fake::Fake;
use journal::Journal;
use journal::conformance::Store;
use journal::eventstore::{EventStoreJournal, OpenError, Options};
use tokio::runtime::Runtime;
use uuid::Uuid;

/// The runtime that the logs are opened in: it outlives them all.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    })
}

/// A log on a server of its own, which can be opened again and again.
pub(crate) struct Place {
    pub(crate) fake: Fake,
    pub(crate) options: Options,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::on(Fake::start())
    }

    pub(crate) fn on(fake: Fake) -> Self {
        let options = Options::new(fake.url());
        Self { fake, options }
    }

    pub(crate) fn try_open(&self) -> Result<EventStoreJournal, OpenError> {
        runtime().block_on(EventStoreJournal::open(&self.options))
    }

    pub(crate) fn journal(&self) -> EventStoreJournal {
        self.try_open().unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Store for Place {
    fn open(&self) -> Arc<dyn Journal> {
        Arc::new(self.journal())
    }
}

/// A new log on the real server.
pub(crate) struct Real(Options);

impl Real {
    /// None where no real server is named.
    pub(crate) fn named() -> Option<Self> {
        let url = std::env::var("EVENTSTORE_URL").ok()?;
        let mut options: Options = url.parse().unwrap_or_else(|error| panic!("{error}"));
        options.log = format!("t{}", Uuid::new_v4().simple());
        Some(Self(options))
    }
}

impl Store for Real {
    fn open(&self) -> Arc<dyn Journal> {
        let opened = runtime().block_on(EventStoreJournal::open(&self.0));
        Arc::new(opened.unwrap_or_else(|error| panic!("{}: {error}", self.0.place())))
    }
}
