//! A world in another process, as a provider of every kind.

use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::body::Bytes;
use domain::lifecycle::FailureClass;
use domain::{ResourceId, StreamId, Tenant};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use reconcilers::changes::Changes;
use reconcilers::converge::{Call, Seen};
use reconcilers::{CallError, LogLines, LogQuery, Performed, Provider, Reconcile, Scene, Target};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::{debug, info};

use crate::lines::writes;
use crate::object::Happening;
use crate::provider::refused;
use crate::wire::{CHANGES, HAPPEN, LIST, LOGS, MAKE, REMOVE, SEE};
use crate::world::NotThere;

/// How long an answer is waited for: the world itself answers within microseconds.
const ANSWER: Duration = Duration::from_secs(5);
/// The pause before the world is listened to again.
const PAUSE: Duration = Duration::from_millis(500);

/// The world cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Write `http://127.0.0.1:7119`.
    #[error("`{0}` is not the address of a simulated world")]
    Address(String),
    /// There is no such thing.
    #[error(transparent)]
    NotThere(#[from] NotThere),
    /// Try again.
    #[error("the simulated world: {0}")]
    Call(#[from] CallError),
}

/// A world in another process. It may come and go: calls fail until it is back.
#[derive(Debug)]
pub struct Remote {
    http: reqwest::Client,
    base: String,
    changes: Changes,
}

impl Remote {
    /// Speaks to the world at an address such as `http://127.0.0.1:7119`, and listens to its changes from now on.
    ///
    /// # Errors
    /// [`RemoteError::Address`]. Nobody need be there yet.
    pub fn connect(address: &str) -> Result<Arc<Self>, RemoteError> {
        let wrong = || RemoteError::Address(address.to_owned());
        let url: reqwest::Url = address.parse().map_err(|_| wrong())?;
        if url.scheme() != "http" || !url.has_host() {
            return Err(wrong());
        }
        let http = reqwest::Client::builder().connect_timeout(ANSWER).no_proxy().build();
        let base = address.trim_end_matches('/').to_owned();
        let http = http.map_err(|_| wrong())?;
        let remote = Arc::new(Self { http, base, changes: Changes::default() });
        tokio::spawn(follow(Arc::downgrade(&remote)));
        Ok(remote)
    }

    /// Lets something happen to a thing, behind its owner's back.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub async fn happen(
        &self,
        tenant: &Tenant,
        id: &ResourceId,
        what: Happening,
    ) -> Result<(), RemoteError> {
        let happened: Result<(), NotThere> = self.ask(HAPPEN, &(tenant, id, what)).await?;
        Ok(happened?)
    }

    /// Any failure may have had its effect, as with any cloud: every call may be made again.
    async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        question: &(impl Serialize + Sync),
    ) -> Result<T, CallError> {
        let lost = |error: reqwest::Error| lost(&error);
        let request = self.http.post(format!("{}{path}", self.base)).timeout(ANSWER).json(question);
        let answer = request.send().await.map_err(lost)?.error_for_status().map_err(lost)?;
        answer.json::<Result<T, CallError>>().await.map_err(lost)?
    }

    /// The lines of a workload, as the world sends them.
    fn lines(&self, target: &Target, query: &LogQuery) -> LogLines {
        let request = self.http.post(format!("{}{LOGS}", self.base)).json(&(target, query));
        let begun = async move {
            let answer = request.send().await.and_then(reqwest::Response::error_for_status);
            match answer {
                Ok(answer) => split(answer.bytes_stream().map_err(|error| lost(&error)).boxed()),
                Err(error) => futures::stream::iter([Err(lost(&error))]).boxed(),
            }
        };
        futures::stream::once(begun)
            .flatten()
            .map(|line| {
                let unreadable = |error: serde_json::Error| {
                    refused(FailureClass::Retry, format!("the simulated world: {error}"))
                };
                serde_json::from_slice(&line?).map_err(unreadable)?
            })
            .boxed()
    }

    /// Hears of changes until the connection ends.
    async fn hear(&self) -> Result<(), reqwest::Error> {
        let url = format!("{}{CHANGES}", self.base);
        let mut lines = self.http.get(url).send().await?.error_for_status()?.bytes_stream();
        info!(world = self.base, "listening to the simulated world");
        let mut rest = Vec::new();
        while let Some(bytes) = lines.next().await {
            rest.extend_from_slice(&bytes?);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                let stream =
                    std::str::from_utf8(&line).ok().and_then(|line| line.trim().parse().ok());
                if let Some(stream) = stream {
                    self.changes.tell(&stream);
                }
            }
        }
        Ok(())
    }
}

fn lost(error: &reqwest::Error) -> CallError {
    refused(FailureClass::Retry, format!("the simulated world does not answer: {error}"))
}

/// The lines of an answer that goes on.
fn split(
    bytes: BoxStream<'static, Result<Bytes, CallError>>,
) -> BoxStream<'static, Result<Vec<u8>, CallError>> {
    let state = (bytes, Vec::new());
    futures::stream::unfold(state, |(mut bytes, mut rest)| async {
        loop {
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                return Some((Ok(line), (bytes, rest)));
            }
            match bytes.next().await? {
                Ok(more) => rest.extend_from_slice(&more),
                Err(error) => return Some((Err(error), (futures::stream::empty().boxed(), rest))),
            }
        }
    })
    .boxed()
}

/// Listens for as long as somebody has the world. What is missed meanwhile is found by whoever looks again.
async fn follow(world: Weak<Remote>) {
    while let Some(world) = world.upgrade() {
        if let Err(error) = world.hear().await {
            debug!(%error, "the simulated world cannot be heard");
        }
        drop(world);
        tokio::time::sleep(PAUSE).await;
    }
}

impl<K> Provider<K> for Remote
where
    K: Reconcile<Observed = Option<Seen>, Call = Call>,
{
    fn observe<'a>(
        &'a self,
        scene: Scene<'a, K>,
    ) -> BoxFuture<'a, Result<Option<Seen>, CallError>> {
        self.ask(SEE, scene.target).boxed()
    }

    fn perform<'a>(
        &'a self,
        scene: Scene<'a, K>,
        call: Call,
    ) -> BoxFuture<'a, Result<Performed, CallError>> {
        async move { self.ask(MAKE, &(scene.target, call)).await }.boxed()
    }

    fn sweep(&self) -> BoxFuture<'_, Result<Vec<Target>, CallError>> {
        self.ask(LIST, &K::NAME).boxed()
    }

    fn remove<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Performed, CallError>> {
        self.ask(REMOVE, target).boxed()
    }

    fn logs(&self, scene: Scene<'_, K>, query: &LogQuery) -> Option<LogLines> {
        writes(K::NAME).then(|| self.lines(scene.target, query))
    }

    fn changes(&self) -> BoxStream<'static, StreamId> {
        self.changes.listen(Some(K::NAME))
    }
}
