//! What is asked of the servers, and what the answers mean.
//!
//! Whatever must not be stale is asked of the leader. Every answer is waited for with a limit of ours: the client's
//! own deadlines are only told to the server, which may be frozen.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::StreamId;
use domain::commit::Sealed;
use eventstore::{
    AppendToStreamOptions, BatchAppendClient, BatchAppendOptions, Client, ClientSettings, Error,
    EventData, ExpectedRevision, Position as Offset, RecordedEvent, StreamPosition,
    SubscribeToAllOptions, Subscription, SubscriptionEvent, SubscriptionFilter,
};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::asking::answer;
use super::{OpenError, Options};
use crate::JournalError;

/// How long an answer is waited for. A server that leads answers in milliseconds.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(3);
/// The pause between tries: short beside an election, long beside an answer.
pub(super) const READ_PAUSE: Duration = Duration::from_millis(100);
/// How many events of others the servers look at before they say how far they are.
const WINDOW: u32 = 512;
/// The gRPC codes that refuse a request for good: it is too large, or the user may not.
const REFUSED: [i32; 2] = [3, 7];
/// The gRPC codes that a session has for a wrong revision and for a stream that is deleted: they differ by version.
const MOVED: [i32; 3] = [5, 6, 9];
/// The type of an event that is a commit.
const COMMIT: &str = "cairn.commit";
/// The type of an event that marks where the log was opened.
const OPENED: &str = "cairn.opened";

/// The connection, and the names of the log's streams.
pub(super) struct Wire {
    settings: ClientSettings,
    connected: Mutex<Connected>,
    sessions: tokio::sync::Mutex<Option<Session>>,
    /// How long a question is asked again before the log is called unavailable.
    pub(super) patience: Duration,
    /// Before the name of every commit's stream.
    commits: String,
    /// The stream of the marks.
    marks: String,
}

/// A long call for appends, and which it is.
type Session = (Uuid, Arc<BatchAppendClient>);

/// A client; its number grows when it is replaced.
#[derive(Clone)]
pub(super) struct Connected {
    pub(super) number: u64,
    pub(super) client: Client,
}

/// Why an append was not acknowledged.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The stream does not have as many commits as was said. Read back.
    Moved,
    /// Nothing was stored, and trying again changes nothing: the user may not, or it is too large.
    Refused(String),
    /// Nothing was stored.
    NotStored(String),
    /// The answer is lost: it may be stored, now or later. Read back.
    Lost(String),
}

/// What EventStoreDB's own projections sort events by.
#[derive(Serialize)]
struct Metadata {
    #[serde(rename = "$correlationId")]
    correlation: Uuid,
    #[serde(rename = "$causationId", skip_serializing_if = "Option::is_none")]
    causation: Option<Uuid>,
}

/// What a subscription or a read came upon, as far as it is the log's.
pub(super) enum Seen {
    /// A commit, and the name of its stream.
    Commit(String, Box<RecordedEvent>),
    /// A mark of an opening.
    Mark(Uuid, Offset),
    /// Something of others.
    Nothing(Offset),
}

impl Wire {
    /// Reads the connection string; nothing is sent yet.
    pub(super) fn new(options: &Options) -> Result<Self, OpenError> {
        let settings: ClientSettings = options.servers.parse().map_err(|_| OpenError::Address {
            reason: format!("`{}` is not understood", options.place()),
        })?;
        let client = Client::new(settings.clone())
            .map_err(|error| OpenError::Address { reason: error.to_string() })?;
        let connected = Mutex::new(Connected { number: 0, client });
        let (commits, marks) = (format!("{}-", options.log), format!("{}-opened", options.log));
        let sessions = tokio::sync::Mutex::default();
        let patience = options.deadline;
        Ok(Self { settings, connected, sessions, patience, commits, marks })
    }

    pub(super) fn connected(&self) -> Connected {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Connected> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client that could not connect is of no use any more: it is replaced, once.
    pub(super) fn note(&self, number: u64, error: &Error) {
        let dead = matches!(
            error,
            Error::ConnectionClosed | Error::GrpcConnectionError(_) | Error::InternalClientError
        );
        let mut connected = self.lock();
        if dead
            && connected.number == number
            && let Ok(client) = Client::new(self.settings.clone())
        {
            *connected = Connected { number: number + 1, client };
        }
    }

    pub(super) fn name(&self, stream: &StreamId) -> String {
        format!("{}{stream}", self.commits)
    }

    /// Appends a commit on condition that its stream has `commits` of them.
    pub(super) async fn append(&self, commits: u64, sealed: &Sealed) -> Result<(), Refusal> {
        let event = commit(sealed).map_err(|error| Refusal::NotStored(error.to_string()))?;
        let expected = match commits.checked_sub(1) {
            Some(last) => ExpectedRevision::Exact(last),
            None => ExpectedRevision::NoStream,
        };
        let name = self.name(&sealed.commit.stream);
        self.send(name, expected, event).await.map_err(|error| refusal(error.as_ref()))
    }

    /// Leaves a mark behind all that is in the log now.
    pub(super) async fn mark(&self, id: Uuid) -> Result<(), OpenError> {
        let said = serde_json::json!({"by": concat!("cairn ", env!("CARGO_PKG_VERSION"))});
        let event = EventData::json(OPENED, &said).map_err(|error| unavailable(&error))?.id(id);
        let until = Instant::now() + self.patience;
        loop {
            let sent = self.send(self.marks.clone(), ExpectedRevision::Any, event.clone()).await;
            match sent {
                Ok(()) => return Ok(()),
                Err(Some(error)) if matches!(refusal(Some(&error)), Refusal::Refused(_)) => {
                    return Err(OpenError::Denied { what: "append to the log's streams" });
                }
                Err(error) if Instant::now() >= until => {
                    let reason = error.map_or_else(late, |error| error.to_string());
                    return Err(JournalError::Unavailable { reason }.into());
                }
                Err(_) => sleep(READ_PAUSE).await,
            }
        }
    }

    /// Sends one event; an error of none is no answer in time.
    ///
    /// Over a session, where the servers have them: in a call of its own an append is two small packets, and the
    /// client leaves the second waiting for the acknowledgement of the first, 40 ms by habit of most systems.
    async fn send(
        &self,
        stream: String,
        expected: ExpectedRevision,
        event: EventData,
    ) -> Result<(), Option<Error>> {
        let Connected { number, client } = self.connected();
        let Some((id, session)) = self.session(number, &client).await? else {
            let options = AppendToStreamOptions::default()
                .expected_revision(expected)
                .requires_leader(true)
                .deadline(ANSWER_MAX);
            let sent = answer(client.append_to_stream(stream, &options, event)).await;
            return self.noted(number, sent);
        };
        let sent = answer(session.append_to_stream(stream, expected, vec![event])).await;
        if sent.is_err() {
            // A session ends with the first refusal, and leaves the others without an answer.
            self.sessions.lock().await.take_if(|(current, _)| *current == id);
        }
        self.noted(number, sent)
    }

    fn noted<T>(&self, number: u64, sent: Result<T, Option<Error>>) -> Result<(), Option<Error>> {
        if let Err(Some(error)) = &sent {
            self.note(number, error);
        }
        sent.map(|_| ())
    }

    /// The session for appends; none where the servers are too old to have them.
    async fn session(
        &self,
        number: u64,
        client: &Client,
    ) -> Result<Option<Session>, Option<Error>> {
        let mut sessions = self.sessions.lock().await;
        if let Some(session) = &*sessions {
            return Ok(Some(session.clone()));
        }
        let options = BatchAppendOptions::default().requires_leader(true);
        match answer(client.batch_append(&options)).await {
            Ok(session) => {
                let session = (Uuid::new_v4(), Arc::new(session));
                Ok(Some(sessions.insert(session).clone()))
            }
            Err(Some(Error::UnsupportedFeature)) => Ok(None),
            Err(error) => self.noted(number, Err::<(), _>(error)).map(|()| None),
        }
    }

    /// Everything of the log after an offset, and what comes.
    pub(super) async fn follow(&self, after: Option<Offset>) -> Following {
        let Connected { number, client } = self.connected();
        let filter = SubscriptionFilter::on_stream_name()
            .add_prefix(format!("{}ev.", self.commits))
            .add_prefix(&self.marks)
            .max(WINDOW);
        let position = after.map_or(StreamPosition::Start, StreamPosition::Position);
        let options = SubscribeToAllOptions::default().position(position).filter(filter);
        Following { number, subscription: client.subscribe_to_all(&options).await }
    }

    /// The name of the commits' stream without the log's own, if it is one.
    pub(super) fn commit_stream<'a>(&self, name: &'a str) -> Option<&'a str> {
        name.strip_prefix(&self.commits).filter(|stream| stream.starts_with("ev."))
    }

    fn seen(&self, event: RecordedEvent) -> Seen {
        if event.stream_id == self.marks {
            return Seen::Mark(event.id, event.position);
        }
        match self.commit_stream(&event.stream_id).map(str::to_owned) {
            Some(stream) => Seen::Commit(stream, Box::new(event)),
            None => Seen::Nothing(event.position),
        }
    }
}

/// A subscription to the log's streams.
pub(super) struct Following {
    number: u64,
    subscription: Subscription,
}

impl Following {
    /// What comes next; after an error this one is of no use.
    pub(super) async fn next(&mut self, wire: &Wire) -> Result<Seen, String> {
        loop {
            let event = match self.subscription.next_subscription_event().await {
                Ok(event) => event,
                Err(error) => {
                    wire.note(self.number, &error);
                    return Err(error.to_string());
                }
            };
            match event {
                SubscriptionEvent::EventAppeared(resolved) => {
                    if let Some(event) = resolved.event {
                        return Ok(wire.seen(event));
                    }
                }
                SubscriptionEvent::Checkpoint(offset) => return Ok(Seen::Nothing(offset)),
                SubscriptionEvent::Confirmed(_)
                | SubscriptionEvent::FirstStreamPosition(_)
                | SubscriptionEvent::LastStreamPosition(_)
                | SubscriptionEvent::LastAllPosition(_)
                | SubscriptionEvent::CaughtUp
                | SubscriptionEvent::FellBehind => {}
            }
        }
    }
}

pub(super) fn late() -> String {
    "no answer came in time".into()
}

/// A commit as an event: its bytes as they are, which are JSON, and its id.
fn commit(sealed: &Sealed) -> Result<EventData, serde_json::Error> {
    let bytes: &RawValue = serde_json::from_slice(&sealed.bytes)?;
    let commit = &sealed.commit;
    let metadata = Metadata { correlation: commit.correlation_id, causation: commit.causation_id };
    EventData::json(COMMIT, &bytes)?.id(commit.commit_id).metadata_as_json(&metadata)
}

fn unavailable(error: &dyn std::error::Error) -> JournalError {
    JournalError::Unavailable { reason: error.to_string() }
}

/// What the lack of an acknowledgement says of what is stored.
fn refusal(error: Option<&Error>) -> Refusal {
    let Some(error) = error else { return Refusal::Lost(late()) };
    let reason = error.to_string();
    match error {
        Error::WrongExpectedVersion { .. } | Error::ResourceDeleted => Refusal::Moved,
        // There was no connection to send it on, or it was sent to one who does not store.
        Error::ConnectionClosed
        | Error::GrpcConnectionError(_)
        | Error::NotLeaderException(_)
        | Error::InitializationError(_) => Refusal::NotStored(reason),
        Error::AccessDenied => Refusal::Refused(reason),
        Error::Grpc { code, .. } if MOVED.contains(&(*code as i32)) => Refusal::Moved,
        Error::Grpc { code, .. } if REFUSED.contains(&(*code as i32)) => Refusal::Refused(reason),
        Error::ServerError(_)
        | Error::Grpc { .. }
        | Error::InternalParsingError(_)
        | Error::ResourceAlreadyExists
        | Error::ResourceNotFound
        | Error::UnsupportedFeature
        | Error::InternalClientError
        | Error::DeadlineExceeded
        | Error::IllegalStateError(_) => Refusal::Lost(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn only_an_answer_that_may_still_come_leaves_a_doubt() {
        assert!(matches!(refusal(None), Refusal::Lost(_)));
        assert!(matches!(refusal(Some(&Error::DeadlineExceeded)), Refusal::Lost(_)));
        assert!(matches!(refusal(Some(&Error::ServerError("gone".into()))), Refusal::Lost(_)));
        assert!(matches!(refusal(Some(&Error::ConnectionClosed)), Refusal::NotStored(_)));
        assert!(matches!(refusal(Some(&Error::AccessDenied)), Refusal::Refused(_)));
        let (expected, current) =
            (ExpectedRevision::NoStream, eventstore::CurrentRevision::NoStream);
        let wrong = Error::WrongExpectedVersion { expected, current };
        assert_eq!(refusal(Some(&wrong)), Refusal::Moved);
    }

    #[test]
    fn a_commit_is_an_event_byte_for_byte() {
        let sealed = testing::commit(&testing::stream("a"), 7, None, &[1, 2]);
        let event = commit(&sealed).unwrap();
        let text = format!("{event:?}");
        assert!(text.contains("application/json") && text.contains("$correlationId"), "{text}");
    }
}
