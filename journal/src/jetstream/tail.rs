//! The end of the log as it grows: one consumer for the process, from which all followers are served.
//!
//! The consumer is a fresh one whenever anything is amiss: it begins after the last commit seen, so nothing is
//! lost or given twice. Its acknowledgements are not used, and nothing of it is worth keeping.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use domain::commit::{Hash, Sealed};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::{FutureExt as _, future};
use tokio::time::{sleep, timeout};
use tracing::{debug, error, info};
use uuid::Uuid;

use super::Shared;
use super::lead::{self, Row};
use super::reach::SILENT_MAX;
use super::wire::{BATCH_MAX, Stored, unavailable};
use crate::follow::Source;
use crate::{JournalError, Position, Recorded};

/// The most commits kept for followers: seconds of a busy log.
const COMMITS_MAX: usize = 4_096;
/// The most bytes kept for followers.
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// How often the server shows that the consumer lives; two that are missed end it.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long the server keeps a request for more commits open.
const EXPIRES: Duration = Duration::from_secs(30);
/// A consumer that nobody asks is forgotten by the server after this.
const INACTIVE_MAX: Duration = Duration::from_secs(30);
/// How long the making of a consumer may take.
const CREATE_MAX: Duration = Duration::from_secs(5);
/// The pause before a new consumer.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest pause before a new consumer.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// How often the log is asked for a commit that was read from it before it is called lost: a leader that was
/// deposed may lack it for seconds.
const LOST_TRIES_MAX: u32 = 20;

/// The last commits of the log, without a gap.
#[derive(Default)]
pub(super) struct Ring(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    commits: VecDeque<Recorded>,
    bytes: usize,
}

impl Ring {
    /// The next commits after a position, if the first of them is kept.
    fn after(&self, after: Position) -> Option<Vec<Recorded>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = kept.commits.front()?.position;
        let skip = after.next().get().checked_sub(first.get())?;
        let skip = usize::try_from(skip).ok().filter(|&skip| skip < kept.commits.len())?;
        Some(kept.commits.iter().skip(skip).take(BATCH_MAX).cloned().collect())
    }

    pub(super) fn push(&self, recorded: Recorded) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.commits.back().is_some_and(|last| last.position.next() != recorded.position) {
            *kept = Kept::default();
        }
        kept.bytes += recorded.sealed.bytes.len();
        kept.commits.push_back(recorded);
        while kept.commits.len() > COMMITS_MAX || kept.bytes > BYTES_MAX {
            let Some(oldest) = kept.commits.pop_front() else { break };
            kept.bytes -= oldest.sealed.bytes.len();
        }
    }
}

/// How far the log was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) position: Position,
    /// The hash of the commit there, if there is one and it is whole.
    pub(super) hash: Option<Hash>,
}

/// Keeps the end of the log in sight until the journal is dropped, or until it lacks what was seen in it.
pub(super) async fn run(shared: Arc<Shared>, mut seen: Seen) {
    let mut pause = PAUSE;
    loop {
        let before = seen.position;
        let reached = shared.wire.reach_leader().await;
        let there = match reached {
            Ok(()) => still_there(&shared, seen).await,
            Err(error) => Err(error),
        };
        match there {
            Ok(true) => match take(&shared, &mut seen).await {
                Ok(()) => continue,
                Err(reason) => {
                    info!(%reason, position = %seen.position, "the log is followed anew")
                }
            },
            Ok(false) => return shared.lost(seen.position),
            Err(error) => debug!(%error, "the log cannot be followed"),
        }
        pause = if seen.position > before { PAUSE } else { (pause * 2).min(PAUSE_MAX) };
        sleep(pause).await;
    }
}

/// Whether the log still holds the last commit seen. One that was restored from an older copy, or lost its end
/// with the power, would otherwise be followed on as if nothing had happened.
async fn still_there(shared: &Shared, seen: Seen) -> Result<bool, JournalError> {
    if seen.position == Position::START {
        return Ok(true);
    }
    for _ in 0..LOST_TRIES_MAX {
        if let Some(stored) = shared.wire.at(seen.position).await? {
            let hash = stored.open().ok().map(|recorded| recorded.sealed.hash);
            return Ok(seen.hash.is_none() || hash == seen.hash);
        }
        sleep(PAUSE_MAX / 2).await;
    }
    Ok(false)
}

/// Takes commits from a new consumer, and then what this process alone writes, until it writes less.
async fn take(shared: &Shared, seen: &mut Seen) -> Result<(), JournalError> {
    consume(shared, seen).await?;
    lead::lead(shared, seen).await
}

/// Takes commits from a new consumer until it fails, or until so much of it is our own that it is better not asked.
async fn consume(shared: &Shared, seen: &mut Seen) -> Result<(), JournalError> {
    let config = pull::Config {
        deliver_policy: DeliverPolicy::ByStartSequence {
            start_sequence: seen.position.next().get(),
        },
        ack_policy: AckPolicy::None,
        inactive_threshold: INACTIVE_MAX,
        memory_storage: true,
        num_replicas: 1,
        ..pull::Config::default()
    };
    let mut lost = shared.wire.lost();
    lost.mark_unchanged();
    let made = timeout(CREATE_MAX, shared.wire.log().create_consumer(config)).await;
    let made = made.map_err(|elapsed| unavailable(&elapsed))?;
    let consumer: PullConsumer = made.map_err(|error| unavailable(&error))?;
    let messages = consumer
        .stream()
        .max_messages_per_batch(BATCH_MAX)
        .heartbeat(HEARTBEAT)
        .expires(EXPIRES)
        .messages()
        .await;
    let mut messages = messages.map_err(|error| unavailable(&error))?;
    let mut row = Row::default();
    loop {
        let next = tokio::select! {
            next = timeout(SILENT_MAX, messages.next()) => next,
            _ = lost.changed() => Ok(None),
        };
        let Ok(next) = next else {
            shared.wire.reach_leader().await?;
            continue;
        };
        let Some(message) = next else {
            return Err(JournalError::Unavailable { reason: "the connection was lost".into() });
        };
        let message = message.map_err(|error| unavailable(&error))?;
        let position = message.info().map(|info| Position::new(info.stream_sequence));
        let position = position.map_err(|error| unavailable(&*error))?;
        if position <= seen.position {
            continue;
        }
        if position != seen.position.next() {
            let reason = format!("position {position} came after {}", seen.position);
            return Err(JournalError::Unavailable { reason });
        }
        let id = message.headers.as_ref().and_then(|headers| headers.get("Nats-Msg-Id"));
        let id = id.and_then(|id| Uuid::try_parse(id.as_str()).ok());
        let subject = message.subject.to_string();
        let bytes = message.payload.clone();
        let own = id.and_then(|id| shared.own(id, &bytes));
        let row_is_long = row.is_long_after(own.is_some());
        *seen = shared.saw(own, Stored { subject, position, bytes });
        if row_is_long {
            return Ok(());
        }
    }
}

impl Shared {
    /// Tells followers of a commit. One that is damaged they find themselves, when they read it.
    fn saw(&self, own: Option<Arc<Sealed>>, stored: Stored) -> Seen {
        let position = stored.position;
        let opened = match own {
            Some(sealed) => Ok(Recorded { position, sealed }),
            None => stored.open(),
        };
        let hash = match opened {
            Ok(recorded) => {
                let hash = recorded.sealed.hash;
                self.streams.add(&recorded);
                self.ring.push(recorded);
                Some(hash)
            }
            Err(error) => {
                error!(%error, "a commit of the log is damaged");
                None
            }
        };
        self.raise(position);
        Seen { position, hash }
    }

    /// What this process sent under an id, if it is what came back: it need not be read and checked again.
    fn own(&self, id: Uuid, bytes: &[u8]) -> Option<Arc<Sealed>> {
        let sealed = self.sent.get(&id)?;
        self.sent.remove(&id);
        (*sealed.bytes == *bytes).then_some(sealed)
    }

    /// The log holds this position at least.
    pub(super) fn raise(&self, head: Position) {
        self.live.send_if_modified(|live| {
            let higher = head > live.head;
            live.head = live.head.max(head);
            higher
        });
    }

    /// The log lacks what was read from it: whoever follows it is told that it ends before.
    fn lost(&self, position: Position) {
        error!(%position, "the log no longer holds what was read from it: it lost commits, or is another log");
        self.live.send_modify(|live| {
            live.head = Position::START;
            live.closed = true;
        });
    }
}

/// What followers read from; they may outlive the journal.
pub(super) struct Reading(pub(super) Arc<Shared>);

impl Source for Reading {
    fn batch(&self, after: Position) -> BoxFuture<'_, Result<Vec<Recorded>, JournalError>> {
        match self.0.ring.after(after) {
            Some(batch) => future::ready(Ok(batch)).boxed(),
            None => self.0.read_after(after).boxed(),
        }
    }
}

impl Shared {
    /// The next commits after a position that the log holds, up to the first damaged one; an error if that is the
    /// very next. Waits for as long as the log cannot be read; only the journal's end ends that. Who asks knows that
    /// there are some: where a deposed leader says that there are none, it is asked again before they are called lost.
    async fn read_after(&self, after: Position) -> Result<Vec<Recorded>, JournalError> {
        let next = after.next();
        let mut lacking = 0;
        loop {
            match self.read_once(next).await {
                Ok(none) if none.is_empty() && lacking < LOST_TRIES_MAX => {
                    lacking += 1;
                    if self.live.borrow().closed {
                        return Err(JournalError::Closed);
                    }
                    sleep(PAUSE_MAX / 2).await;
                }
                Err(JournalError::Unavailable { reason }) => {
                    debug!(reason, "a follower waits for the log");
                    if self.live.borrow().closed {
                        return Err(JournalError::Closed);
                    }
                    sleep(PAUSE).await;
                }
                known => return known,
            }
        }
    }

    pub(super) async fn read_once(&self, next: Position) -> Result<Vec<Recorded>, JournalError> {
        let mut stored = self.wire.batch(None, next).await?;
        if stored.first().is_none_or(|first| first.position != next) {
            // A replica that lags, or a commit that is gone: the leader knows.
            stored = self.wire.at(next).await?.into_iter().collect();
        }
        let mut whole = Vec::with_capacity(stored.len());
        for stored in stored {
            match stored.open() {
                Ok(recorded) => whole.push(recorded),
                Err(error) if whole.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        Ok(whole)
    }
}
