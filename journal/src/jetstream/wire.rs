//! What is asked of the servers, who answers it, and what the answers mean.
//!
//! The leader answers what must not be stale (`STREAM.MSG.GET`), any replica the rest (`DIRECT.GET`): several
//! messages for one question, of which the last has status 204.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use async_nats::jetstream::{self, Context, ErrorCode};
use async_nats::{HeaderMap, StatusCode};
use bytes::Bytes;
use domain::StreamId;
use domain::commit::{BrokenCommit, Sealed};
use futures::StreamExt as _;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::{Breakage, JournalError, Position, Recorded, Token};

/// The most commits that one question to a replica may bring.
pub(super) const BATCH_MAX: usize = 512;
/// The most bytes that one question to a replica may bring; at least one commit comes.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long an answer is waited for. A server that leads answers in milliseconds.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(2);
/// How long a question is asked again before the log is called unavailable: the servers elect a new leader within
/// 4 to 9 s after one was lost.
const READ_MAX: Duration = Duration::from_secs(10);
/// The pause between tries: short beside an election, long beside an answer.
const READ_PAUSE: Duration = Duration::from_millis(100);

/// The error codes of a refusal for want of room. In each case nothing was stored.
const FULL: [ErrorCode; 6] = [
    ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
    ErrorCode::INSUFFICIENT_RESOURCES,
    ErrorCode::MEMORY_RESOURCES_EXCEEDED,
    ErrorCode::STORAGE_RESOURCES_EXCEEDED,
    ErrorCode::STREAM_LIMITS,
    ErrorCode::NO_LIMITS,
];
/// The error codes that say "not at this token". 10164 is what most lost races on three replicas bring, and
/// async-nats has no kind for it (reference: `errors.rs`); 10158: the same id is on its way.
const MOVED: [ErrorCode; 3] = [
    ErrorCode::STREAM_WRONG_LAST_SEQUENCE,
    ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT,
    ErrorCode::STREAM_DUPLICATE_MESSAGE_CONFLICT,
];

/// The connection, and the JetStream stream that is the log.
#[derive(Clone)]
pub(super) struct Wire {
    context: Context,
    log: Stream<()>,
    name: String,
    /// Counts lost connections.
    lost: watch::Receiver<u64>,
    /// How many servers it was told of.
    servers: usize,
}

/// The bytes of a commit, which are not copied to be sent.
struct Payload(Arc<Sealed>);

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

/// A message of the log as stored.
pub(super) struct Stored {
    pub(super) subject: String,
    pub(super) position: Position,
    pub(super) bytes: Bytes,
}

/// The server's word that a commit is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ack {
    pub(super) position: Position,
    /// It knew the id already.
    pub(super) duplicate: bool,
}

/// Why there is no [`Ack`].
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The stream does not end at the token, or something for it is on its way. Read back.
    Moved,
    /// Nothing was stored: no room.
    Full(String),
    /// Nothing was stored.
    NotStored(String),
    /// The answer is lost: it may be stored, now or later. Read back.
    Lost(String),
}

#[derive(Serialize)]
struct Batch<'a> {
    seq: u64,
    batch: usize,
    max_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_by_subj: Option<&'a str>,
}

impl Wire {
    pub(super) async fn new(
        context: Context,
        name: &str,
        lost: watch::Receiver<u64>,
        servers: usize,
    ) -> Result<Self, JournalError> {
        let log = context.get_stream_no_info(name).await.map_err(|error| unavailable(&error))?;
        Ok(Self { context, log, name: name.to_owned(), lost, servers })
    }

    pub(super) const fn context(&self) -> &Context {
        &self.context
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn log(&self) -> &Stream<()> {
        &self.log
    }

    /// Whether there is another server to go to.
    pub(super) const fn has_others(&self) -> bool {
        self.servers > 1
    }

    pub(super) fn connected(&self) -> bool {
        self.context.client().connection_state() == State::Connected
    }

    /// Counts lost connections: when it changes, answers that were waited for will not come.
    pub(super) fn lost(&self) -> watch::Receiver<u64> {
        self.lost.clone()
    }

    /// Publishes a commit on condition that its stream ends at `expected`.
    pub(super) async fn publish(
        &self,
        expected: Token,
        sealed: &Arc<Sealed>,
    ) -> Result<Ack, Refusal> {
        let commit = &sealed.commit;
        let message = PublishMessage::build()
            .payload(Bytes::from_owner(Payload(Arc::clone(sealed))))
            .message_id(commit.commit_id.to_string())
            .expected_last_subject_sequence(expected.position().get());
        let mut lost = self.lost();
        lost.mark_unchanged();
        let sent = self.context.send_publish(commit.stream.to_string(), message).await;
        let answer = sent.map_err(|error| refusal(&error))?;
        tokio::select! {
            biased;
            acknowledged = answer.into_future() => match acknowledged {
                Ok(ack) => {
                    Ok(Ack { position: Position::new(ack.sequence), duplicate: ack.duplicate })
                }
                Err(error) => Err(refusal(&error)),
            },
            _ = lost.changed() => Err(Refusal::Lost("the connection was lost".into())),
        }
    }

    /// The last commit of a stream, by the word of the leader.
    pub(super) async fn last(&self, subject: &str) -> Result<Option<Stored>, JournalError> {
        self.leader(Question::Last(subject)).await
    }

    /// The first commit of a stream at or after a position, by the word of the leader.
    pub(super) async fn next(
        &self,
        subject: &str,
        from: Position,
    ) -> Result<Option<Stored>, JournalError> {
        self.leader(Question::Next(subject, from)).await
    }

    /// The commit at a position, by the word of the leader.
    pub(super) async fn at(&self, position: Position) -> Result<Option<Stored>, JournalError> {
        self.leader(Question::At(position)).await
    }

    async fn leader(&self, question: Question<'_>) -> Result<Option<Stored>, JournalError> {
        let until = Instant::now() + READ_MAX;
        loop {
            let ask = self.log.raw_message_builder();
            let ask = match question {
                Question::Last(subject) => ask.last_by_subject(subject),
                Question::Next(subject, from) => ask.sequence(from.get()).next_by_subject(subject),
                Question::At(position) => ask.sequence(position.get()),
            };
            let error = match ask.send().await {
                Ok(found) => {
                    return Ok(Some(Stored {
                        subject: found.subject.to_string(),
                        position: Position::new(found.sequence),
                        bytes: found.payload,
                    }));
                }
                Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => {
                    return Ok(None);
                }
                Err(error) => error,
            };
            if Instant::now() >= until {
                return Err(unavailable(&error));
            }
            sleep(READ_PAUSE).await;
        }
    }

    /// Commits from a position on, of one stream or of all, as far as some replica has them.
    pub(super) async fn batch(
        &self,
        subject: Option<&str>,
        from: Position,
    ) -> Result<Vec<Stored>, JournalError> {
        let until = Instant::now() + READ_MAX;
        loop {
            match self.batch_once(subject, from).await {
                Err(JournalError::Unavailable { .. }) if Instant::now() < until => {}
                known => return known,
            }
            sleep(READ_PAUSE).await;
        }
    }

    async fn batch_once(
        &self,
        subject: Option<&str>,
        from: Position,
    ) -> Result<Vec<Stored>, JournalError> {
        let client = self.context.client();
        let inbox = client.new_inbox();
        let mut replies =
            client.subscribe(inbox.clone()).await.map_err(|error| unavailable(&error))?;
        let question = Batch {
            seq: from.get().max(1),
            batch: BATCH_MAX,
            max_bytes: BATCH_BYTES_MAX,
            next_by_subj: subject,
        };
        let question = serde_json::to_vec(&question).map_err(|error| unavailable(&error))?;
        let to = format!("$JS.API.DIRECT.GET.{}", self.name);
        let asked = client.publish_with_reply(to, inbox, question.into()).await;
        asked.map_err(|error| unavailable(&error))?;
        let mut found = Vec::new();
        loop {
            let reply = timeout(ANSWER_MAX, replies.next()).await;
            let reply = reply.map_err(|_| trouble("no answer came in time"))?;
            let reply = reply.ok_or_else(|| trouble("the connection was closed"))?;
            match reply.status {
                None => found.push(stored(reply.headers.as_ref(), reply.payload)?),
                // 204 without a name in async-nats: the end of the batch.
                Some(status) if status.as_u16() == 204 => return Ok(found),
                Some(StatusCode::NOT_FOUND) => return Ok(found),
                Some(StatusCode::NO_RESPONDERS) => return Err(trouble("no server has the log")),
                Some(status) => {
                    let said = reply.description.unwrap_or_default();
                    return Err(trouble(&format!("the server answered {status} {said}")));
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Question<'a> {
    Last(&'a str),
    Next(&'a str, Position),
    At(Position),
}

fn stored(headers: Option<&HeaderMap>, bytes: Bytes) -> Result<Stored, JournalError> {
    let header = |name: &str| headers.and_then(|headers| headers.get(name));
    let subject = header("Nats-Subject").map(ToString::to_string);
    let sequence = header("Nats-Sequence").and_then(|value| value.as_str().parse().ok());
    match (subject, sequence) {
        (Some(subject), Some(sequence)) => {
            Ok(Stored { subject, position: Position::new(sequence), bytes })
        }
        _ => Err(trouble("an answer does not say which message it is")),
    }
}

impl Stored {
    /// Checks the seal, and that the commit is of the stream it was found in.
    pub(super) fn open(self) -> Result<Recorded, JournalError> {
        let Self { subject, position, bytes } = self;
        let stream: Option<StreamId> = subject.parse().ok();
        let damaged = |stream, breakage: Breakage| JournalError::Damaged {
            position,
            stream,
            breakage: Box::new(breakage),
        };
        let sealed = match Sealed::open(Vec::from(bytes).into()) {
            Ok(sealed) => sealed,
            Err(broken) => return Err(damaged(stream, BrokenCommit::into(broken))),
        };
        let actual = sealed.commit.stream.to_string();
        if actual != subject {
            return Err(damaged(stream, Breakage::Index { stated: subject, actual }));
        }
        Ok(Recorded { position, sealed: sealed.into() })
    }
}

fn refusal(error: &PublishError) -> Refusal {
    // The kind does not tell all conflicts: the server's own code does.
    let code = error.source().and_then(|source| source.downcast_ref::<jetstream::Error>());
    let reason = describe(error);
    match (code.map(jetstream::Error::error_code), error.kind()) {
        (Some(code), _) if MOVED.contains(&code) => Refusal::Moved,
        (Some(code), _) if FULL.contains(&code) => Refusal::Full(reason),
        // 10077: the store failed, and does not say how far it came.
        (Some(ErrorCode(10077)), _) => Refusal::Lost(reason),
        (Some(_), _) => Refusal::NotStored(reason),
        (None, PublishErrorKind::WrongLastSequence) => Refusal::Moved,
        (
            None,
            PublishErrorKind::StreamNotFound
            | PublishErrorKind::MaxAckPending
            | PublishErrorKind::WrongLastMessageId
            | PublishErrorKind::MaxPayloadExceeded,
        ) => Refusal::NotStored(reason),
        (
            None,
            PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe | PublishErrorKind::Other,
        ) => Refusal::Lost(reason),
    }
}

pub(super) fn unavailable(error: &(dyn std::error::Error + 'static)) -> JournalError {
    JournalError::Unavailable { reason: describe(error) }
}

pub(super) fn trouble(reason: &str) -> JournalError {
    JournalError::Unavailable { reason: reason.to_owned() }
}

/// An error and its causes, in one line.
pub(super) fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: u64) -> Refusal {
        let said = format!(r#"{{"code":400,"err_code":{code},"description":"said so"}}"#);
        let error: jetstream::Error = serde_json::from_str(&said).unwrap();
        refusal(&PublishError::with_source(PublishErrorKind::Other, error))
    }

    #[test]
    fn every_code_of_a_conflict_is_one_whatever_its_kind() {
        for code in [10071, 10164, 10158] {
            assert_eq!(answered(code), Refusal::Moved);
        }
        assert!(matches!(answered(10047), Refusal::Full(_)));
        assert!(matches!(answered(10077), Refusal::Lost(_)));
        assert!(matches!(answered(10054), Refusal::NotStored(_)));
    }

    #[test]
    fn only_an_answer_that_may_still_come_leaves_a_doubt() {
        let refused = |kind| refusal(&PublishError::new(kind));
        assert!(matches!(refused(PublishErrorKind::TimedOut), Refusal::Lost(_)));
        assert!(matches!(refused(PublishErrorKind::BrokenPipe), Refusal::Lost(_)));
        assert!(matches!(refused(PublishErrorKind::StreamNotFound), Refusal::NotStored(_)));
    }
}
