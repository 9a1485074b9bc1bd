//! The log on NATS JetStream: one stream of subjects, one subject per aggregate, one message per commit.
//!
//! ```text
//!  append ──▶ what is known of the stream ──▶ publish, if the subject still ends at the token ──▶ leader
//!                 ▲                             │ conflict, no answer, connection lost
//!                 └──── read back by id ◀───────┘
//!  load, find ◀── leader: where the stream ends · any replica: the commits, many for one question
//!  follow     ◀── the last commits in memory ◀── one consumer, or our own acknowledgements  │ older: any replica
//! ```
//! The durability class is what the servers prove when the log is opened ([`Promise`]); see `docs/jetstream.md`.
//! Why ids are looked up in the stream's own commits, and what was rejected: `docs/adr/0009`.

mod append;
mod echo;
mod guard;
mod history;
mod lead;
mod monitor;
mod open;
mod reach;
mod snapshots;
mod streams;
mod tail;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::StreamId;
use domain::commit::Sealed;
use futures::FutureExt as _;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::cache::Cache;
use crate::follow::{self, Live};
use crate::within::Within;
use crate::{
    AppendError, Appended, Durability, Journal, JournalError, Loaded, Position, Recorded, Token,
};

pub use async_nats::Client;
pub use async_nats::jetstream::Context;
pub use echo::Difference;
pub use guard::Promise;
use lead::Acknowledged;
pub use open::{OpenError, patiently};
pub use snapshots::JetStreamSnapshots;
use streams::Streams;
use tail::{Reading, Ring, Seen};
use wire::Wire;

/// The subjects of the log. Nobody but Cairn may publish there: the expected sequence protects only against those
/// who name one.
const SUBJECTS: &str = "ev.>";
/// The most appends on their way: some tenths of a second of the fastest server, 256 MiB at the very worst.
const WINDOW_MAX: usize = 1_024;
/// The most ids kept of which the server said that another stream holds them.
const ELSEWHERE_MAX: usize = 1_024;

/// How a log on JetStream is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where servers are, as `nats://host:4222` or `tls://user:password@host:4222`. One that answers is enough: it
    /// names the others.
    pub servers: Vec<String>,
    /// A file with a user's JWT and key, as `nsc` writes it.
    pub credentials: Option<PathBuf>,
    /// Files with the certificates of authorities in PEM, beside those of the system.
    pub authorities: Vec<PathBuf>,
    /// Files with our own certificate and its key in PEM, where the servers ask for one.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The name of the JetStream stream. It is made if it is not there.
    pub stream: String,
    /// On how many servers each commit is kept: 1, 3 or 5.
    pub replicas: usize,
    /// The monitoring addresses of all servers, as `http://host:8222`. They prove when the servers sync; without
    /// them no more than [`Durability::ProcessCrash`] can be told.
    pub monitors: Vec<String>,
    /// The least durability class: less is refused.
    pub require: Option<Durability>,
    /// How long an append is tried before its outcome is told as unknown, or the log as unavailable: longer than
    /// the servers take to elect a leader (4 to 9 s).
    pub deadline: Duration,
    /// How long the servers themselves remember ids. Longer costs them memory, and nothing here depends on it.
    pub duplicate_window: Duration,
}

impl Options {
    /// One replica on these servers, the rest by default.
    #[must_use]
    pub fn new(servers: Vec<String>) -> Self {
        Self {
            servers,
            credentials: None,
            authorities: Vec::new(),
            certificate: None,
            stream: "cairn".into(),
            replicas: 1,
            monitors: Vec::new(),
            require: None,
            deadline: Duration::from_secs(12),
            duplicate_window: Duration::from_secs(120),
        }
    }
}

/// A [`Journal`] on JetStream. Dropping it ends its followers; what was sent may still be stored.
///
/// # Guarantees
/// Those of [`Journal`]. An id that was used in another stream is recognised for as long as the servers remember
/// it ([`Options::duplicate_window`]), and after that is stored anew.
///
/// # Assumptions
/// Opened within a tokio runtime that outlives it. Nobody else publishes to `ev.>`, and nobody deletes from the
/// stream: `docs/jetstream.md` has the permissions.
pub struct JetStreamJournal {
    shared: Arc<Shared>,
    promise: Promise,
    runtime: Handle,
    tail: JoinHandle<()>,
}

struct Shared {
    wire: Wire,
    streams: Streams,
    ring: Ring,
    live: watch::Sender<Live>,
    window: Semaphore,
    elsewhere: Cache<Uuid, Position>,
    /// What was sent lately and did not come back yet by the consumer.
    sent: Cache<Uuid, Arc<Sealed>>,
    acknowledged: Acknowledged,
    deadline: Duration,
}

impl JetStreamJournal {
    /// Connects, makes the stream or compares it with what is wanted, and finds out what the servers promise.
    ///
    /// # Errors
    /// [`OpenError`] says where, why, and what to do.
    pub async fn open(options: &Options) -> Result<Self, OpenError> {
        let (wire, promise) = open::open(options).await?;
        let seen = match wire.last(SUBJECTS).await? {
            Some(last) => {
                let position = last.position;
                Seen { position, hash: Some(last.open()?.sealed.hash) }
            }
            None => Seen { position: Position::START, hash: None },
        };
        let shared = Arc::new(Shared {
            wire,
            streams: Streams::default(),
            ring: Ring::default(),
            live: watch::Sender::new(Live { head: seen.position, closed: false }),
            window: Semaphore::new(WINDOW_MAX),
            elsewhere: Cache::new(ELSEWHERE_MAX),
            sent: Cache::new(WINDOW_MAX),
            acknowledged: Acknowledged::default(),
            deadline: options.deadline,
        });
        let tail = tokio::spawn(tail::run(Arc::clone(&shared), seen));
        Ok(Self { shared, promise, runtime: Handle::current(), tail })
    }

    /// What the servers proved when the log was opened.
    #[must_use]
    pub const fn promise(&self) -> &Promise {
        &self.promise
    }

    /// Opens the snapshots beside the log: a bucket that may be deleted at any time.
    ///
    /// # Errors
    /// When the bucket cannot be made.
    pub async fn snapshots(&self) -> Result<JetStreamSnapshots, OpenError> {
        JetStreamSnapshots::open(&self.shared.wire, self.promise.replicas).await
    }

    /// The connection, for what lies beside the log: wake-ups.
    #[must_use]
    pub fn client(&self) -> Client {
        self.shared.wire.context().client()
    }

    /// The same, for what is kept beside the log: leases.
    #[must_use]
    pub fn context(&self) -> Context {
        self.shared.wire.context().clone()
    }

    fn within<'a, T: 'a>(&self, future: impl Future<Output = T> + Send + 'a) -> BoxFuture<'a, T> {
        let future: BoxFuture<'a, T> = future.boxed();
        Within::new(self.runtime.clone(), future).boxed()
    }
}

impl Drop for JetStreamJournal {
    fn drop(&mut self) {
        self.tail.abort();
        self.shared.live.send_modify(|live| live.closed = true);
    }
}

impl Journal for JetStreamJournal {
    fn load<'a>(
        &'a self,
        stream: &'a StreamId,
        after_version: u64,
    ) -> BoxFuture<'a, Result<Loaded, JournalError>> {
        self.within(self.shared.load(stream, after_version, None))
    }

    fn load_after<'a>(
        &'a self,
        stream: &'a StreamId,
        after_version: u64,
        position: Position,
    ) -> BoxFuture<'a, Result<Loaded, JournalError>> {
        self.within(self.shared.load(stream, after_version, Some(position)))
    }

    fn append(
        &self,
        expected: Token,
        sealed: Arc<Sealed>,
    ) -> BoxFuture<'_, Result<Appended, AppendError>> {
        let shared = &self.shared;
        self.within(async move { shared.append(expected, &sealed).await })
    }

    fn follow(&self, after: Position) -> BoxStream<'static, Result<Recorded, JournalError>> {
        let shared = Arc::clone(&self.shared);
        let begin = async move {
            let known = follow::known_head(&shared.live, after, || shared.head()).await;
            let live = shared.live.subscribe();
            match known {
                Ok(()) => follow::follow(Reading(shared), live, after),
                Err(error) => stream::once(async { Err(error) }).boxed(),
            }
        };
        let following: BoxStream<'static, _> = stream::once(begin).flatten().boxed();
        Within::new(self.runtime.clone(), following).boxed()
    }

    fn find<'a>(
        &'a self,
        stream: &'a StreamId,
        commit_id: Uuid,
    ) -> BoxFuture<'a, Result<Option<Recorded>, JournalError>> {
        self.within(self.shared.find(stream, commit_id))
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, JournalError>> {
        self.within(self.shared.head())
    }

    fn check_token<'a>(
        &'a self,
        stream: &'a StreamId,
    ) -> BoxFuture<'a, Result<Token, JournalError>> {
        self.within(async move {
            let last = self.shared.wire.last(&stream.to_string()).await?;
            Ok(last.map_or(Token::EMPTY, |last| Token::at(last.position)))
        })
    }
}

impl Shared {
    /// Where the log ends, by the word of the leader.
    async fn head(&self) -> Result<Position, JournalError> {
        let last = self.wire.last(SUBJECTS).await?;
        let head = last.map_or(Position::START, |last| last.position);
        self.raise(head);
        Ok(head)
    }
}
