//! A log in memory, for tests: deterministic, without threads, as strict as the others. It forgets at the end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::StreamId;
use domain::commit::Sealed;
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use futures::stream::BoxStream;
use tokio::sync::watch;
use uuid::Uuid;

use crate::chain::{self, Tip};
use crate::follow::{self, Live, Source};
use crate::{AppendError, Appended, Journal, JournalError, Loaded, Position, Recorded, Token};

/// The most commits a follower takes at once: enough to be cheap, few enough to hold the lock briefly.
const BATCH_MAX: usize = 256;

/// A [`Journal`] in memory. Clones share one log.
#[derive(Clone)]
pub struct MemoryJournal(Arc<Shared>);

struct Shared {
    log: Mutex<Log>,
    live: watch::Sender<Live>,
}

#[derive(Default)]
struct Log {
    commits: Vec<Recorded>,
    by_stream: HashMap<StreamId, Vec<Recorded>>,
    by_id: HashMap<Uuid, Position>,
}

impl Default for MemoryJournal {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryJournal {
    /// Starts an empty log.
    #[must_use]
    pub fn new() -> Self {
        let live = watch::Sender::new(Live::default());
        Self(Arc::new(Shared { log: Mutex::default(), live }))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, expected: Token, sealed: Arc<Sealed>) -> Result<Appended, AppendError> {
        let mut log = self.lock();
        let commit = &sealed.commit;
        if let Some(&position) = log.by_id.get(&commit.commit_id) {
            return Ok(Appended { position, repeated: true });
        }
        let tip = log.tip(&commit.stream);
        if tip.token() != expected {
            return Err(AppendError::Conflict { expected, actual: tip.token() });
        }
        tip.continued_by(commit).map_err(AppendError::Discontinuous)?;

        let position = Position::new(log.commits.len() as u64 + 1);
        let recorded = Recorded { position, sealed };
        let commit = &recorded.sealed.commit;
        log.by_id.insert(commit.commit_id, position);
        log.by_stream.entry(commit.stream.clone()).or_default().push(recorded.clone());
        log.commits.push(recorded);
        drop(log);
        self.live.send_modify(|live| live.head = live.head.max(position));
        Ok(Appended { position, repeated: false })
    }

    fn load(&self, stream: &StreamId, after_version: u64) -> Result<Loaded, JournalError> {
        let log = self.lock();
        let commits: &[Recorded] = log.by_stream.get(stream).map_or(&[], Vec::as_slice);
        let first = commits.partition_point(|r| r.sealed.commit.first_version <= after_version);
        let commits = commits.get(first..).unwrap_or_default().to_vec();
        let token = log.tip(stream).token();
        drop(log);
        let before = (after_version == 0).then(Tip::default);
        chain::check(before, after_version, &commits)?;
        Ok(Loaded { commits, token })
    }
}

impl Log {
    fn tip(&self, stream: &StreamId) -> Tip {
        self.by_stream.get(stream).and_then(|c| c.last()).map(Tip::of).unwrap_or_default()
    }

    fn after(&self, position: Position) -> &[Recorded] {
        let first = usize::try_from(position.get()).unwrap_or(usize::MAX);
        self.commits.get(first..).unwrap_or_default()
    }
}

impl Journal for MemoryJournal {
    fn load<'a>(
        &'a self,
        stream: &'a StreamId,
        after_version: u64,
    ) -> BoxFuture<'a, Result<Loaded, JournalError>> {
        async move { self.0.load(stream, after_version) }.boxed()
    }

    fn append(
        &self,
        expected: Token,
        sealed: Arc<Sealed>,
    ) -> BoxFuture<'_, Result<Appended, AppendError>> {
        async move { self.0.append(expected, sealed) }.boxed()
    }

    fn follow(&self, after: Position) -> BoxStream<'static, Result<Recorded, JournalError>> {
        follow::follow(self.clone(), self.0.live.subscribe(), after)
    }

    fn find<'a>(
        &'a self,
        _: &'a StreamId,
        commit_id: Uuid,
    ) -> BoxFuture<'a, Result<Option<Recorded>, JournalError>> {
        let log = self.0.lock();
        let position = log.by_id.get(&commit_id).copied();
        let before = position.map(|p| Position::new(p.get().saturating_sub(1)));
        ready(Ok(before.and_then(|before| log.after(before).first().cloned()))).boxed()
    }

    fn keeps_the_order_of_appends(&self) -> bool {
        true
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, JournalError>> {
        ready(Ok(self.0.live.borrow().head)).boxed()
    }

    fn check_token<'a>(
        &'a self,
        stream: &'a StreamId,
    ) -> BoxFuture<'a, Result<Token, JournalError>> {
        ready(Ok(self.0.lock().tip(stream).token())).boxed()
    }
}

impl Source for MemoryJournal {
    fn batch(&self, after: Position) -> BoxFuture<'_, Result<Vec<Recorded>, JournalError>> {
        let log = self.0.lock();
        ready(Ok(log.after(after).iter().take(BATCH_MAX).cloned().collect())).boxed()
    }
}

/// Closing it is no loss as long as a clone is kept.
impl crate::conformance::Store for MemoryJournal {
    fn open(&self) -> Arc<dyn Journal> {
        Arc::new(self.clone())
    }
}

#[cfg(test)]
crate::conformance!(crate::memory::MemoryJournal::new());
