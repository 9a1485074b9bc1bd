//! Appending: judge, publish, and read back whenever the answer does not settle it.
//!
//! ```text
//!  what is known of the stream ──▶ conflict │ repeated │ discontinuous
//!       │ ends at the token, id is new
//!       ▼
//!  publish, if it still ends there ──▶ acknowledged
//!       │ 10071 · 10164 · no answer · connection lost
//!       ▼
//!  read the stream from the leader: our id is there │ it has moved │ neither: publish again, the same bytes
//! ```
//! Publishing again is harmless: the token admits one commit, and the id is the same.

use std::sync::Arc;
use std::time::Duration;

use domain::commit::Sealed;
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use super::Shared;
use super::streams::Expectation;
use super::wire::Refusal;
use crate::chain::Tip;
use crate::{AppendError, Appended, JournalError, Loaded, Recorded, Token};

/// The pause before a try, after one that settled nothing.
const PAUSE: Duration = Duration::from_millis(20);
/// The longest pause before a try: short beside an election.
const PAUSE_MAX: Duration = Duration::from_millis(320);

/// An append on its way.
struct Append<'a> {
    expected: Token,
    sealed: &'a Arc<Sealed>,
    until: Instant,
    pause: Duration,
    /// Why an earlier try may be stored, though its answer is lost.
    doubt: Option<String>,
    /// Why the last try did not get through.
    obstacle: String,
}

enum Judged {
    /// It may be published.
    New,
    Settled(Result<Appended, AppendError>),
}

impl Shared {
    pub(super) async fn append(
        &self,
        expected: Token,
        sealed: &Arc<Sealed>,
    ) -> Result<Appended, AppendError> {
        let closed = |_| AppendError::Unavailable { reason: JournalError::Closed.to_string() };
        let _place = self.window.acquire().await.map_err(closed)?;
        let until = Instant::now() + self.deadline;
        let (pause, doubt, obstacle) = (PAUSE, None, String::new());
        let mut append = Append { expected, sealed, until, pause, doubt, obstacle };
        match self.judge(&append).await? {
            Judged::New => {}
            Judged::Settled(settled) => return settled,
        }
        loop {
            if let Some(settled) = self.publish(&mut append).await {
                return settled;
            }
            if Instant::now() >= append.until {
                return Err(append.given_up());
            }
            sleep(append.pause).await;
            append.pause = (append.pause * 2).min(PAUSE_MAX);
        }
    }

    /// Publishes once; none if that settled nothing.
    async fn publish(&self, append: &mut Append<'_>) -> Option<Result<Appended, AppendError>> {
        if !self.wire.connected() {
            append.obstacle = "the log's servers are not connected".into();
            return None;
        }
        self.sent.put_unless(append.id(), Arc::clone(append.sealed), |_| false);
        let publishing = self.wire.publish(append.expected, append.sealed);
        let answer = timeout_at(append.until, publishing).await;
        let refusal = match answer.unwrap_or_else(|_| Err(Refusal::Lost("no answer came".into()))) {
            Ok(ack) if ack.duplicate => {
                // Ours, whose answer was lost, or another of the same id.
                if append.doubt.is_some()
                    && let Ok(Judged::Settled(settled)) = self.read_back(append).await
                {
                    return Some(settled);
                }
                self.elsewhere.put_unless(append.id(), ack.position, |_| false);
                return Some(Ok(Appended { position: ack.position, repeated: true }));
            }
            Ok(ack) => {
                let sealed = Arc::clone(append.sealed);
                let recorded = Recorded { position: ack.position, sealed };
                self.streams.add(&recorded);
                self.acknowledged.tell(&recorded);
                return Some(Ok(Appended { position: ack.position, repeated: false }));
            }
            Err(refusal) => refusal,
        };
        match refusal {
            Refusal::Moved => append.obstacle = "others keep appending to the stream".into(),
            Refusal::Full(reason) if append.doubt.is_none() => {
                return Some(Err(AppendError::Full { reason }));
            }
            Refusal::Full(reason) | Refusal::NotStored(reason) => append.obstacle = reason,
            Refusal::Lost(reason) => append.doubt = Some(reason),
        }
        match timeout_at(append.until, self.read_back(append)).await {
            Err(_) => None,
            Ok(Ok(Judged::Settled(settled))) => Some(settled),
            Ok(Ok(Judged::New)) => None,
            // It cannot be read. Whether an earlier try is stored stays open until the deadline.
            Ok(Err(JournalError::Unavailable { reason })) => {
                append.obstacle = reason;
                None
            }
            Ok(Err(error)) if append.doubt.is_none() => Some(Err(AppendError::unread(error))),
            Ok(Err(error)) => Some(Err(AppendError::Unknown { reason: error.to_string() })),
        }
    }

    /// What can be told before anything is sent.
    async fn judge(&self, append: &Append<'_>) -> Result<Judged, AppendError> {
        let commit = &append.sealed.commit;
        match self.streams.expect(&commit.stream, append.expected, commit.commit_id) {
            Expectation::New(tip) => Ok(continued(append, &tip)),
            Expectation::Unsure => self.read_back(append).await.map_err(AppendError::unread),
        }
    }

    /// Reads the stream up to where the leader says that it ends, and judges by that.
    async fn read_back(&self, append: &Append<'_>) -> Result<Judged, JournalError> {
        let commit = &append.sealed.commit;
        let Loaded { token, .. } = self.catch_up(&commit.stream).await?;
        if let Expectation::New(tip) =
            self.streams.expect(&commit.stream, append.expected, commit.commit_id)
        {
            return Ok(continued(append, &tip));
        }
        let held = self.streams.may_hold(&commit.stream, commit.commit_id);
        if held.is_none_or(|(_, held)| held)
            && let Some(found) = self.find(&commit.stream, commit.commit_id).await?
        {
            // An earlier try of this very append is not a repetition.
            let repeated = append.doubt.is_none() || found.sealed.hash != append.sealed.hash;
            return Ok(Judged::Settled(Ok(Appended { position: found.position, repeated })));
        }
        let actual = held.map_or(token, |(tip, _)| tip.token().max(token));
        if actual == append.expected {
            return Ok(Judged::New);
        }
        let expected = append.expected;
        Ok(Judged::Settled(Err(AppendError::Conflict { expected, actual })))
    }
}

fn continued(append: &Append<'_>, tip: &Tip) -> Judged {
    match tip.continued_by(&append.sealed.commit) {
        Ok(()) => Judged::New,
        Err(breakage) => Judged::Settled(Err(AppendError::Discontinuous(breakage))),
    }
}

impl Append<'_> {
    fn id(&self) -> Uuid {
        self.sealed.commit.commit_id
    }

    /// The deadline has passed.
    fn given_up(&self) -> AppendError {
        match &self.doubt {
            Some(reason) => AppendError::Unknown { reason: reason.clone() },
            None => AppendError::Unavailable { reason: self.obstacle.clone() },
        }
    }
}
