//! A journal whose faults are chosen by the test.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use domain::StreamId;
use domain::commit::Sealed;
use futures::FutureExt as _;
use futures::future::{BoxFuture, pending};
use futures::stream::BoxStream;
use uuid::Uuid;

use crate::{AppendError, Appended, Journal, JournalError, Loaded, Position, Recorded, Token};

/// A call that may fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// [`Journal::load`].
    Load(StreamId),
    /// [`Journal::append`].
    Append(StreamId),
    /// [`Journal::find`].
    Find,
    /// [`Journal::check_token`].
    CheckToken(StreamId),
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process dies before the call: it never returns, and has no effect.
    CrashBefore,
    /// The process dies after the call: it never returns, and has its effect.
    CrashAfter,
    /// The store says no: nothing happens.
    Unavailable,
    /// An append happens, but its answer is lost; another call is only refused.
    LoseReply,
    /// An append's answer is lost and it does not happen; another call is only refused.
    LoseRequest,
    /// A load comes from a replica that lags by so many commits of the stream. Other calls are not touched.
    Stale(usize),
}

/// The process died in the middle of what it did. Begin anew, with the log as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the process crashed")]
pub struct Crashed;

type Script = Box<dyn FnMut(&Call) -> Option<Fault> + Send>;

/// A [`Journal`] that asks a script before each call whether, and how, it shall fail.
pub struct Faulty {
    inner: Arc<dyn Journal>,
    script: Mutex<Script>,
    crashed: AtomicBool,
}

impl Faulty {
    /// Wraps a journal.
    pub fn new(
        inner: Arc<dyn Journal>,
        script: impl FnMut(&Call) -> Option<Fault> + Send + 'static,
    ) -> Arc<Self> {
        let script: Mutex<Script> = Mutex::new(Box::new(script));
        Arc::new(Self { inner, script, crashed: AtomicBool::new(false) })
    }

    /// Runs what a process would do until it is done, or until the process dies of a crash fault within.
    ///
    /// # Errors
    /// [`Crashed`]; the future is dropped as it stood. The next run is of a new process.
    pub async fn run<T>(&self, process: impl Future<Output = T>) -> Result<T, Crashed> {
        let mut process = pin!(process);
        poll_fn(|context| {
            let polled = process.as_mut().poll(context);
            if self.crashed.swap(false, Ordering::SeqCst) {
                return Poll::Ready(Err(Crashed));
            }
            polled.map(Ok)
        })
        .await
    }

    fn fault(&self, call: &Call) -> Option<Fault> {
        (self.script.lock().unwrap_or_else(PoisonError::into_inner))(call)
    }

    async fn crash<T>(&self) -> T {
        self.crashed.store(true, Ordering::SeqCst);
        pending().await
    }

    /// A call that only reads.
    async fn read<T>(
        &self,
        fault: Option<Fault>,
        call: impl Future<Output = Result<T, JournalError>>,
    ) -> Result<T, JournalError> {
        match fault {
            Some(Fault::CrashBefore | Fault::CrashAfter) => self.crash().await,
            Some(Fault::Unavailable | Fault::LoseReply | Fault::LoseRequest) => {
                Err(JournalError::Unavailable { reason: "injected".into() })
            }
            Some(Fault::Stale(_)) | None => call.await,
        }
    }

    async fn load_stale(
        &self,
        stream: &StreamId,
        after_version: u64,
        lag: usize,
    ) -> Result<Loaded, JournalError> {
        let mut loaded = self.inner.load(stream, 0).await?;
        loaded.commits.truncate(loaded.commits.len().saturating_sub(lag));
        loaded.token = loaded.commits.last().map_or(Token::EMPTY, |last| Token::at(last.position));
        loaded.commits.retain(|recorded| recorded.sealed.commit.first_version > after_version);
        Ok(loaded)
    }
}

impl Journal for Faulty {
    fn load<'a>(
        &'a self,
        stream: &'a StreamId,
        after_version: u64,
    ) -> BoxFuture<'a, Result<Loaded, JournalError>> {
        let fault = self.fault(&Call::Load(stream.clone()));
        if let Some(Fault::Stale(lag)) = fault {
            return self.load_stale(stream, after_version, lag).boxed();
        }
        self.read(fault, self.inner.load(stream, after_version)).boxed()
    }

    fn load_after<'a>(
        &'a self,
        stream: &'a StreamId,
        after_version: u64,
        position: Position,
    ) -> BoxFuture<'a, Result<Loaded, JournalError>> {
        let fault = self.fault(&Call::Load(stream.clone()));
        if let Some(Fault::Stale(lag)) = fault {
            return self.load_stale(stream, after_version, lag).boxed();
        }
        self.read(fault, self.inner.load_after(stream, after_version, position)).boxed()
    }

    fn append(
        &self,
        expected: Token,
        sealed: Arc<Sealed>,
    ) -> BoxFuture<'_, Result<Appended, AppendError>> {
        let unknown = || AppendError::Unknown { reason: "injected".into() };
        async move {
            match self.fault(&Call::Append(sealed.commit.stream.clone())) {
                Some(Fault::CrashBefore) => self.crash().await,
                Some(Fault::CrashAfter) => {
                    self.inner.append(expected, sealed).await?;
                    self.crash().await
                }
                Some(Fault::Unavailable) => {
                    Err(AppendError::Unavailable { reason: "injected".into() })
                }
                Some(Fault::LoseReply) => {
                    self.inner.append(expected, sealed).await?;
                    Err(unknown())
                }
                Some(Fault::LoseRequest) => Err(unknown()),
                Some(Fault::Stale(_)) | None => self.inner.append(expected, sealed).await,
            }
        }
        .boxed()
    }

    fn follow(&self, after: Position) -> BoxStream<'static, Result<Recorded, JournalError>> {
        self.inner.follow(after)
    }

    fn find<'a>(
        &'a self,
        stream: &'a StreamId,
        commit_id: Uuid,
    ) -> BoxFuture<'a, Result<Option<Recorded>, JournalError>> {
        self.read(self.fault(&Call::Find), self.inner.find(stream, commit_id)).boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, JournalError>> {
        self.inner.head()
    }

    fn check_token<'a>(
        &'a self,
        stream: &'a StreamId,
    ) -> BoxFuture<'a, Result<Token, JournalError>> {
        let fault = self.fault(&Call::CheckToken(stream.clone()));
        self.read(fault, self.inner.check_token(stream)).boxed()
    }
}
