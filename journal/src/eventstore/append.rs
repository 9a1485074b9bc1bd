//! Appending: judge, append, and read back whenever the answer does not settle it.
//!
//! ```text
//!  what is known of the stream ──▶ conflict │ repeated │ discontinuous
//!       │ ends at the token, id is new
//!       ▼
//!  append, if the stream still has that many commits ──▶ acknowledged: wait until it is counted
//!       │ wrong revision · no answer · connection lost
//!       ▼
//!  ask the leader where the stream ends, count up to there: our id is there │ it has moved │ neither: append again
//! ```
//! Appending again is harmless: the number of commits admits one, and the id is the same.

use std::sync::Arc;
use std::time::Duration;

use domain::commit::Sealed;
use tokio::time::{Instant, sleep, timeout_at};

use super::log::Shared;
use super::places::{Expectation, Place};
use super::wire::Refusal;
use crate::chain::Tip;
use crate::{AppendError, Appended, JournalError, Token};

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
    /// Why it may be stored, though that was not acknowledged.
    doubt: Option<String>,
    /// Why the last try did not get through.
    obstacle: String,
}

enum Judged {
    /// It may be appended, after so many commits.
    New(u64),
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
        let mut judged = self.judge(&append).await;
        loop {
            let commits = match judged {
                Ok(Judged::New(commits)) => commits,
                Ok(Judged::Settled(settled)) => return settled,
                Err(error) => return Err(append.unreadable(error)),
            };
            if let Some(settled) = self.send(&mut append, commits).await {
                return settled;
            }
            if Instant::now() >= append.until {
                return Err(append.given_up());
            }
            judged = match timeout_at(append.until, self.read_back(&append)).await {
                Err(_) => return Err(append.given_up()),
                Ok(Err(JournalError::Unavailable { reason })) => {
                    append.obstacle = reason;
                    Ok(Judged::New(commits))
                }
                Ok(judged) => judged,
            };
            if matches!(judged, Ok(Judged::New(_))) {
                sleep(append.pause).await;
                append.pause = (append.pause * 2).min(PAUSE_MAX);
            }
        }
    }

    /// Sends it once; none if that settled nothing.
    async fn send(
        &self,
        append: &mut Append<'_>,
        commits: u64,
    ) -> Option<Result<Appended, AppendError>> {
        let sending = self.wire.append(commits, append.sealed);
        let late = |_| Err(Refusal::Lost("no answer came".into()));
        match timeout_at(append.until, sending).await.unwrap_or_else(late) {
            Ok(()) => {
                append.doubt = Some("it is stored, but not in the servers' order yet".into());
                let id = append.sealed.commit.commit_id;
                let counted = self.until(|places| places.of(id));
                let place = timeout_at(append.until, counted).await.ok()?.ok()?;
                Some(Ok(held(append, &place)))
            }
            Err(Refusal::Moved) => {
                append.obstacle = "others keep appending to the stream".into();
                None
            }
            Err(Refusal::Refused(reason)) => {
                Some(Err(append.unreadable(JournalError::Unavailable { reason })))
            }
            Err(Refusal::NotStored(reason)) => {
                append.obstacle = reason;
                None
            }
            Err(Refusal::Lost(reason)) => {
                append.doubt = Some(reason);
                None
            }
        }
    }

    /// What can be told before anything is sent.
    async fn judge(&self, append: &Append<'_>) -> Result<Judged, JournalError> {
        let commit = &append.sealed.commit;
        match self.places.expect(&commit.stream, append.expected, commit.commit_id) {
            Expectation::New { tip, commits } => Ok(continued(append, &tip, commits)),
            Expectation::Held(_)
            | Expectation::Moved(_)
            | Expectation::Unknown
            | Expectation::Broken => self.read_back(append).await,
        }
    }

    /// Counts up to where the leader says that the stream ends, and judges by that.
    async fn read_back(&self, append: &Append<'_>) -> Result<Judged, JournalError> {
        let commit = &append.sealed.commit;
        self.last(&commit.stream).await?;
        let expected = append.expected;
        match self.places.expect(&commit.stream, expected, commit.commit_id) {
            Expectation::New { tip, commits } => Ok(continued(append, &tip, commits)),
            Expectation::Held(position) => match self.places.at(position) {
                Some(place) => Ok(Judged::Settled(Ok(held(append, &place)))),
                None => Err(JournalError::Closed),
            },
            Expectation::Moved(actual) => {
                Ok(Judged::Settled(Err(AppendError::Conflict { expected, actual })))
            }
            Expectation::Unknown => {
                let (actual, _) = self.places.end(&commit.stream);
                Ok(Judged::Settled(Err(AppendError::Conflict { expected, actual })))
            }
            Expectation::Broken => Err(self.inspect(&commit.stream).await),
        }
    }
}

/// The log holds the id: by this very append, or by another.
fn held(append: &Append<'_>, place: &Place) -> Appended {
    let own = append.doubt.is_some() && place.hash == Some(append.sealed.hash);
    Appended { position: place.position, repeated: !own }
}

fn continued(append: &Append<'_>, tip: &Tip, commits: u64) -> Judged {
    match tip.continued_by(&append.sealed.commit) {
        Ok(()) => Judged::New(commits),
        Err(breakage) => Judged::Settled(Err(AppendError::Discontinuous(breakage))),
    }
}

impl Append<'_> {
    /// The stream could not be read.
    fn unreadable(&self, error: JournalError) -> AppendError {
        match &self.doubt {
            Some(_) => AppendError::Unknown { reason: error.to_string() },
            None => AppendError::unread(error),
        }
    }

    /// The deadline has passed.
    fn given_up(&self) -> AppendError {
        match &self.doubt {
            Some(reason) => AppendError::Unknown { reason: reason.clone() },
            None => AppendError::Unavailable { reason: self.obstacle.clone() },
        }
    }
}
