//! What a follower reads from: a subscription of its own, which begins at the place where the follower is.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::log::Shared;
use super::places;
use super::wire::{ANSWER_MAX, Following, Seen};
use crate::follow::Source;
use crate::{Breakage, JournalError, Position, Recorded};

/// The most commits that are taken at once.
const BATCH_MAX: u64 = 256;
/// The pause before the log is read again.
const PAUSE: Duration = Duration::from_millis(100);

/// What a follower reads from; it may outlive the journal.
pub(super) struct Reading {
    shared: Arc<Shared>,
    /// Where the subscription is, and itself; none before the first reading and after a failure.
    open: Mutex<Option<(Position, Following)>>,
}

impl Reading {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, open: Mutex::new(None) }
    }

    /// The next commits, up to what is counted. Waits for as long as the log cannot be read; only the journal's end
    /// ends that.
    async fn read(&self, after: Position) -> Result<Vec<Recorded>, JournalError> {
        loop {
            match self.read_once(after).await {
                Err(JournalError::Unavailable { reason }) => {
                    debug!(reason, "a follower waits for the log");
                    if self.shared.live.borrow().closed {
                        return Err(JournalError::Closed);
                    }
                    sleep(PAUSE).await;
                }
                known => return known,
            }
        }
    }

    async fn read_once(&self, after: Position) -> Result<Vec<Recorded>, JournalError> {
        let head = self.shared.places.head().get();
        let count = head.saturating_sub(after.get()).min(BATCH_MAX);
        let mut open = self.open.lock().await;
        let mut following = match open.take() {
            Some((at, following)) if at == after => following,
            Some(_) | None => {
                let place = self.shared.places.at(after);
                self.shared.wire.follow(place.map(|place| place.offset)).await
            }
        };
        let mut batch: Vec<Recorded> = Vec::new();
        let mut at = after;
        while (batch.len() as u64) < count {
            let next = timeout(ANSWER_MAX, following.next(&self.shared.wire)).await;
            let next = next.unwrap_or_else(|_| Err("no event came in time".into()));
            let next = next.map_err(|reason| JournalError::Unavailable { reason })?;
            let Seen::Commit(stream, event) = next else { continue };
            at = at.next();
            match self.whole(at, &stream, &event) {
                Ok(recorded) => batch.push(recorded),
                Err(error) if batch.is_empty() => return Err(error),
                // What is before it is given; it is found again by the next reading.
                Err(_) => return Ok(batch),
            }
        }
        *open = Some((at, following));
        Ok(batch)
    }

    /// The commit of a position, if the event is the one that was counted there.
    fn whole(
        &self,
        position: Position,
        stream: &str,
        event: &eventstore::RecordedEvent,
    ) -> Result<Recorded, JournalError> {
        let counted = self.shared.places.at(position);
        if counted.is_some_and(|place| place.id != event.id) {
            let stream = stream.parse().ok();
            let breakage = Box::new(Breakage::Gap { expected: position });
            return Err(JournalError::Damaged { position, stream, breakage });
        }
        places::open(stream, position, event)
    }
}

impl Source for Reading {
    fn batch(&self, after: Position) -> BoxFuture<'_, Result<Vec<Recorded>, JournalError>> {
        self.read(after).boxed()
    }
}
