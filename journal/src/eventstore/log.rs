//! The journal itself: what is asked of it, by the parts that answer.

use std::sync::Arc;
use std::time::Duration;

use domain::StreamId;
use domain::commit::Sealed;
use eventstore::RecordedEvent;
use futures::FutureExt as _;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use super::places::{self, Place, Places};
use super::reading::Reading;
use super::tail::{self, Progress};
use super::wire::Wire;
use super::{OpenError, Options};
use crate::chain::{self, Tip};
use crate::follow::{self, Live};
use crate::within::Within;
use crate::{
    AppendError, Appended, Breakage, Journal, JournalError, Loaded, Position, Recorded, Token,
};

/// The most appends on their way.
const WINDOW_MAX: usize = 256;
/// How long opening waits without any progress in counting the log.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A [`Journal`] on EventStoreDB. Dropping it ends its followers; what was sent may still be stored.
///
/// # Guarantees
/// Those of [`Journal`], for as long as nobody deletes, truncates or scavenges the log's streams away. An id that
/// another process uses in another stream at the same moment is stored in both.
///
/// # Assumptions
/// Opened within a tokio runtime that outlives it. Nobody else appends to the log's streams.
pub struct EventStoreJournal {
    shared: Arc<Shared>,
    runtime: Handle,
    tail: JoinHandle<()>,
}

pub(super) struct Shared {
    pub(super) wire: Wire,
    pub(super) places: Places,
    pub(super) live: watch::Sender<Live>,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) window: Semaphore,
    pub(super) deadline: Duration,
}

impl EventStoreJournal {
    /// Connects, leaves a mark, and counts what the log holds before it.
    ///
    /// # Errors
    /// [`OpenError`] says where, why, and what to do.
    pub async fn open(options: &Options) -> Result<Self, OpenError> {
        let shared = Arc::new(Shared {
            wire: Wire::new(options)?,
            places: Places::default(),
            live: watch::Sender::default(),
            progress: watch::Sender::default(),
            window: Semaphore::new(WINDOW_MAX),
            deadline: options.deadline,
        });
        let mark = Uuid::new_v4();
        shared.wire.mark(mark).await?;
        let tail = tokio::spawn(tail::run(Arc::clone(&shared)));
        let opened = Self { shared, runtime: Handle::current(), tail };
        opened.shared.counted_up_to(mark).await?;
        Ok(opened)
    }

    fn within<'a, T: 'a>(&self, future: impl Future<Output = T> + Send + 'a) -> BoxFuture<'a, T> {
        let future: BoxFuture<'a, T> = future.boxed();
        Within::new(self.runtime.clone(), future).boxed()
    }
}

impl Drop for EventStoreJournal {
    fn drop(&mut self) {
        self.tail.abort();
        self.shared.live.send_modify(|live| live.closed = true);
    }
}

impl Journal for EventStoreJournal {
    fn load<'a>(
        &'a self,
        stream: &'a StreamId,
        after_version: u64,
    ) -> BoxFuture<'a, Result<Loaded, JournalError>> {
        self.within(self.shared.load(stream, after_version))
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
                Ok(()) => follow::follow(Reading::new(shared), live, after),
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
            let position = self.shared.last(stream).await?;
            Ok(position.map_or(Token::EMPTY, Token::at))
        })
    }
}

impl Shared {
    /// Waits until something is known of the log's order; the servers have it, so it comes.
    pub(super) async fn until<T>(
        &self,
        known: impl Fn(&Places) -> Option<T>,
    ) -> Result<T, JournalError> {
        let until = Instant::now() + self.wire.patience;
        let mut live = self.live.subscribe();
        loop {
            live.mark_unchanged();
            if let Some(known) = known(&self.places) {
                return Ok(known);
            }
            if live.borrow().closed {
                return Err(JournalError::Closed);
            }
            if timeout_at(until, live.changed()).await.is_err() {
                let reason = "the servers' order of all events lags behind their streams".into();
                return Err(JournalError::Unavailable { reason });
            }
        }
    }

    /// Waits until everything before a mark is counted, for as long as the counting goes on.
    async fn counted_up_to(&self, mark: Uuid) -> Result<(), JournalError> {
        let mut progress = self.progress.subscribe();
        loop {
            let reached = {
                let progress = progress.borrow_and_update();
                if progress.mark == Some(mark) {
                    return Ok(());
                }
                progress.trouble.clone()
            };
            if timeout(SILENCE_MAX, progress.changed()).await.is_err() {
                let reason = reached.unwrap_or_else(|| "the servers send no events".into());
                return Err(JournalError::Unavailable { reason });
            }
        }
    }

    /// Where the log ends, by the word of the leader.
    async fn head(&self) -> Result<Position, JournalError> {
        let counted = self.progress.borrow().offset;
        match self.wire.newest(counted).await? {
            None => Ok(self.places.head()),
            Some(newest) => {
                let place = self.until(|places| places.of(newest.id)).await?;
                Ok(place.position.max(self.live.borrow().head))
            }
        }
    }

    /// The position of a stream's last commit, by the word of the leader.
    pub(super) async fn last(&self, stream: &StreamId) -> Result<Option<Position>, JournalError> {
        // Counted before it is asked: what is counted meanwhile says nothing about the answer.
        let (_, commits) = self.places.end(stream);
        let last = self.wire.last(stream).await?;
        match last {
            None if commits == 0 => Ok(None),
            None => Err(self.missing(stream, 0)),
            Some(last) if last.revision + 1 < commits => {
                Err(self.missing(stream, last.revision + 1))
            }
            Some(last) => {
                let known = |places: &Places| match places.is_broken(stream) {
                    true => Some(None),
                    false => places.of_revision(stream, last.revision).map(Some),
                };
                match self.until(known).await? {
                    Some(position) => Ok(Some(position)),
                    None => Err(self.inspect(stream).await),
                }
            }
        }
    }

    /// Finds what is wrong with a stream that was found broken.
    pub(super) async fn inspect(&self, stream: &StreamId) -> JournalError {
        match self.wire.from(stream, 0, usize::MAX).await {
            Ok(events) => match self.first_damage(stream, &events) {
                Err(damage) => damage,
                Ok(()) => JournalError::Unavailable {
                    reason: format!("{stream} was damaged, and reads well now: open the log again"),
                },
            },
            Err(error) => error,
        }
    }

    fn first_damage(
        &self,
        stream: &StreamId,
        events: &[RecordedEvent],
    ) -> Result<(), JournalError> {
        let mut tip = Tip::default();
        for event in events {
            let position = self.places.of(event.id).map(|place| place.position);
            let recorded = places::open(&stream.to_string(), position.unwrap_or_default(), event)?;
            let continued = tip.continued_by(&recorded.sealed.commit);
            continued.map_err(|breakage| chain::damaged(&recorded, breakage))?;
            tip = Tip::of(&recorded);
        }
        Ok(())
    }

    /// The commit with a number in its stream was counted, and is not there any more.
    fn missing(&self, stream: &StreamId, revision: u64) -> JournalError {
        let position = self.places.of_revision(stream, revision).unwrap_or_default();
        let breakage = Box::new(Breakage::Gap { expected: position });
        JournalError::Damaged { position, stream: Some(stream.clone()), breakage }
    }

    /// The commits of a stream that begin after a version, and where it ends.
    pub(super) async fn load(
        &self,
        stream: &StreamId,
        after_version: u64,
    ) -> Result<Loaded, JournalError> {
        let (end, commits) = self.places.end(stream);
        let first = self.places.revision_after(stream, after_version);
        // From the commit before on: that it is there shows that the stream was not cut off.
        let from = first.saturating_sub(1);
        let events = self.wire.from(stream, from, usize::MAX).await?;
        let name = stream.to_string();
        let mut loaded = Vec::with_capacity(events.len());
        for (revision, event) in (from..).zip(&events) {
            let known = |places: &Places| match places.is_broken(stream) {
                true => Some(None),
                false => places.of_revision(stream, revision).map(Some),
            };
            match self.until(known).await? {
                Some(_) if event.revision != revision => return Err(self.missing(stream, revision)),
                Some(position) => loaded.push(places::open(&name, position, event)?),
                None => return Err(self.inspect(stream).await),
            }
        }
        let read = from + loaded.len() as u64;
        if read < commits {
            return Err(self.missing(stream, read));
        }
        let token = loaded.last().map_or(end, |last| Token::at(last.position));
        let before = (from == 0).then(Tip::default);
        let version = loaded.first().map_or(0, |first| first.sealed.commit.first_version);
        chain::check(before, version.saturating_sub(1), &loaded)?;
        loaded.retain(|recorded| recorded.sealed.commit.first_version > after_version);
        Ok(Loaded { commits: loaded, token })
    }

    /// The commit of an id in its stream, or in another.
    async fn find(
        &self,
        stream: &StreamId,
        commit_id: Uuid,
    ) -> Result<Option<Recorded>, JournalError> {
        if self.places.of(commit_id).is_none() {
            self.last(stream).await?;
        }
        match self.places.of(commit_id) {
            Some(place) => self.read(&place).await.map(Some),
            None => Ok(None),
        }
    }

    /// Reads the commit of a place.
    async fn read(&self, place: &Place) -> Result<Recorded, JournalError> {
        let gone = || JournalError::Damaged {
            position: place.position,
            stream: place.stream.clone(),
            breakage: Box::new(Breakage::Gap { expected: place.position }),
        };
        let stream = place.stream.as_ref().ok_or_else(gone)?;
        let found = self.wire.from(stream, place.revision, 1).await?.pop();
        let found = found.filter(|event| event.revision == place.revision).ok_or_else(gone)?;
        places::open(&stream.to_string(), place.position, &found)
    }
}
