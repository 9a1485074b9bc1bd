//! The unit of the log: 1..=64 events of one stream, all or nothing, sealed into a hash chain.
//!
//! # Wire format
//! One JSON document whose **last** field is `hash`. The hash is SHA-256 over every byte before it, and those
//! bytes contain `prev_hash`: a chain per stream that needs no canonical form, keeps unknown fields, and is
//! checked without parsing. An event's id is `<commit_id>/<index>`; it is derived, not stored.

mod hash;

use std::fmt;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

pub use hash::Hash;

use crate::name::StreamId;
use crate::time::Time;

/// The most events in one commit.
pub const EVENTS_MAX: usize = 64;
/// The largest sealed commit in bytes: a quarter of JetStream's default message limit.
pub const COMMIT_BYTES_MAX: usize = 256 * 1024;
/// Most sealed commits are smaller, in bytes.
const BYTES_USUAL: usize = 1024;
/// The schema of every event that this program writes and reads; older ones are lifted to it first.
const SCHEMA: u32 = 1;
/// `,"hash":"` + 64 hex digits + `"}`.
const SEAL_LENGTH: usize = 9 + 64 + 2;

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Actor {
    /// The sort of actor.
    #[serde(rename = "type")]
    pub sort: ActorSort,
    /// Its name within the sort; opaque, no personal data.
    pub id: String,
}

/// The sorts of actors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ActorSort {
    /// A person.
    User,
    /// A pipeline.
    Ci,
    /// One of Cairn's own loops.
    Reconciler,
    /// Cairn itself, at start.
    System,
}

impl Actor {
    /// Names an actor.
    #[must_use]
    pub fn new(sort: ActorSort, id: impl Into<String>) -> Self {
        Self { sort, id: id.into() }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sort = match self.sort {
            ActorSort::User => "user",
            ActorSort::Ci => "ci",
            ActorSort::Reconciler => "reconciler",
            ActorSort::System => "system",
        };
        write!(f, "{sort}:{}", self.id)
    }
}

/// One event as stored: its type, the version of its schema, and its data, byte for byte.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventRecord {
    /// The variant's name, in the past tense.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The version of the data's schema, from 1.
    pub schema: u32,
    /// The data.
    pub data: Box<RawValue>,
}

/// The event cannot be read: the log is newer than this program, or was written by another.
#[derive(Debug, thiserror::Error)]
#[error("event `{event_type}` of schema {schema} cannot be read")]
pub struct UnreadableEvent {
    event_type: String,
    schema: u32,
    #[source]
    source: serde_json::Error,
}

impl EventRecord {
    /// Encodes an externally tagged enum variant `{"Type":{data}}`.
    ///
    /// # Errors
    /// When the event is not such a variant: a mistake in the event's definition.
    pub fn encode<E: Serialize>(event: &E) -> Result<Self, serde_json::Error> {
        let mut json = serde_json::to_string(event)?;
        let malformed =
            || serde::de::Error::custom("an event is an externally tagged variant with fields");
        let (event_type, _) = json
            .strip_prefix("{\"")
            .and_then(|rest| rest.split_once("\":"))
            .ok_or_else(malformed)?;
        let event_type = event_type.to_owned();
        // What is left of `{"Type":{data}}` is the data, in the same place.
        json.pop().filter(|last| *last == '}').ok_or_else(malformed)?;
        json.drain(..event_type.len() + "{\"\":".len());
        Ok(Self { event_type, schema: SCHEMA, data: RawValue::from_string(json)? })
    }

    /// Decodes into the enum it was encoded from.
    ///
    /// # Errors
    /// [`UnreadableEvent`] when the type or the schema is unknown or the data does not fit. A reader must stop,
    /// not skip.
    pub fn decode<E: DeserializeOwned>(&self) -> Result<E, UnreadableEvent> {
        let json = if self.schema == SCHEMA {
            format!("{{\"{}\":{}}}", self.event_type, self.data.get())
        } else {
            // The same words in another schema may mean something else.
            String::from("\"of another schema\"")
        };
        serde_json::from_str(&json).map_err(|source| UnreadableEvent {
            event_type: self.event_type.clone(),
            schema: self.schema,
            source,
        })
    }
}

/// What a command carries besides itself: who, when, why.
#[derive(Clone, Debug, PartialEq)]
pub struct Context {
    /// Chosen once per command, before the first try; the client's idempotency key where given.
    pub commit_id: Uuid,
    /// When, by the clock of whoever sends it.
    pub time: Time,
    /// Who.
    pub actor: Actor,
    /// The commit that caused this command, if one did.
    pub causation_id: Option<Uuid>,
    /// The first commit of the whole consequence.
    pub correlation_id: Uuid,
    /// W3C trace context of the sender.
    pub traceparent: Option<String>,
}

/// Events of one stream that happened together, and why.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Commit {
    /// Names this commit for ever; a second append with it is the same append.
    pub commit_id: Uuid,
    /// Whose events these are.
    pub stream: StreamId,
    /// The version of the first event, from 1; gap-free within the stream.
    pub first_version: u64,
    /// When it was decided. Informative.
    pub time: Time,
    /// Who.
    pub actor: Actor,
    /// The command's name.
    pub command: String,
    /// SHA-256 of the command: tells a repeated request from a reused key.
    pub command_hash: Hash,
    /// The commit that caused this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<Uuid>,
    /// The first commit of the whole consequence.
    pub correlation_id: Uuid,
    /// W3C trace context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The hash of the stream's previous commit; zeros for the first.
    pub prev_hash: Hash,
    /// What happened, in order.
    pub events: Vec<EventRecord>,
}

/// A commit with the bytes that are stored and the hash that ends them.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// The parsed commit.
    pub commit: Commit,
    /// Exactly what is stored.
    pub bytes: Box<[u8]>,
    /// The hash at the end of the bytes; the next commit's `prev_hash`.
    pub hash: Hash,
}

/// The commit cannot be stored.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Split the command.
    #[error("a commit holds 1 to {EVENTS_MAX} events, not {0}")]
    Events(usize),
    /// Split the command.
    #[error("a commit holds at most {COMMIT_BYTES_MAX} bytes, not {0}")]
    Bytes(usize),
    /// A mistake in an event's definition.
    #[error("the commit cannot be encoded")]
    Encode(#[from] serde_json::Error),
}

/// The stored bytes are not what was sealed. Stop: the log is damaged or was tampered with.
#[derive(Debug, thiserror::Error)]
pub enum BrokenCommit {
    /// The bytes do not end in a hash.
    #[error("the commit has no seal")]
    NoSeal,
    /// The hash does not match the bytes.
    #[error("the commit's hash is {stored} but its bytes hash to {actual}")]
    Hash {
        /// What the bytes say.
        stored: Hash,
        /// What they are.
        actual: Hash,
    },
    /// The hash is right, yet the document is not a commit: a newer format.
    #[error("the commit cannot be read")]
    Unreadable(#[from] serde_json::Error),
}

impl Commit {
    /// Freezes the commit into bytes that end in their own hash.
    ///
    /// # Errors
    /// [`SealError`] when it breaks a limit.
    pub fn seal(self) -> Result<Sealed, SealError> {
        if self.events.is_empty() || self.events.len() > EVENTS_MAX {
            return Err(SealError::Events(self.events.len()));
        }
        let mut bytes = Vec::with_capacity(BYTES_USUAL);
        serde_json::to_writer(&mut bytes, &self)?;
        bytes.pop();
        let hash = Hash::of(&bytes);
        bytes.extend_from_slice(b",\"hash\":\"");
        bytes.extend_from_slice(hash.to_hex().as_bytes());
        bytes.extend_from_slice(b"\"}");
        if bytes.len() > COMMIT_BYTES_MAX {
            return Err(SealError::Bytes(bytes.len()));
        }
        Ok(Sealed { commit: self, bytes: bytes.into(), hash })
    }
}

impl Sealed {
    /// Checks the seal and reads the commit.
    ///
    /// # Errors
    /// [`BrokenCommit`] when the bytes are not what was sealed.
    pub fn open(bytes: Box<[u8]>) -> Result<Self, BrokenCommit> {
        let hash = check_seal(&bytes)?;
        let commit = serde_json::from_slice(&bytes)?;
        Ok(Self { commit, bytes, hash })
    }
}

/// Checks the seal without parsing, and returns the hash.
///
/// # Errors
/// [`BrokenCommit`] when the bytes do not end in their own hash.
pub fn check_seal(bytes: &[u8]) -> Result<Hash, BrokenCommit> {
    let (body, seal) = bytes
        .len()
        .checked_sub(SEAL_LENGTH)
        .and_then(|middle| bytes.split_at_checked(middle))
        .ok_or(BrokenCommit::NoSeal)?;
    let stored = seal
        .strip_prefix(b",\"hash\":\"")
        .and_then(|rest| rest.strip_suffix(b"\"}"))
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(Hash::from_hex)
        .ok_or(BrokenCommit::NoSeal)?;
    let actual = Hash::of(body);
    if stored == actual { Ok(stored) } else { Err(BrokenCommit::Hash { stored, actual }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit() -> Commit {
        #[derive(Serialize)]
        enum Event {
            Renamed { to: String },
        }
        let id = Uuid::from_u128(7);
        Commit {
            commit_id: id,
            stream: "ev.acme.bucket.logs".parse().unwrap(),
            first_version: 1,
            time: Time::from_micros(1),
            actor: Actor::new(ActorSort::User, "ada"),
            command: "Rename".into(),
            command_hash: Hash::of(b"x"),
            causation_id: None,
            correlation_id: id,
            traceparent: None,
            prev_hash: Hash::default(),
            events: vec![EventRecord::encode(&Event::Renamed { to: "x\":{".into() }).unwrap()],
        }
    }

    #[test]
    fn a_sealed_commit_opens_to_itself() {
        let sealed = commit().seal().unwrap();
        let opened = Sealed::open(sealed.bytes.clone()).unwrap();
        assert_eq!(opened.hash, sealed.hash);
        assert_eq!(opened.commit.seal().unwrap().bytes, sealed.bytes);
        assert!(serde_json::from_slice::<serde_json::Value>(&sealed.bytes).is_ok());
    }

    #[test]
    fn any_changed_byte_breaks_the_seal() {
        let sealed = commit().seal().unwrap();
        for index in 0..sealed.bytes.len() {
            let mut bytes = sealed.bytes.clone();
            bytes[index] ^= 1;
            assert!(Sealed::open(bytes).is_err(), "byte {index} may not change unseen");
        }
    }

    #[test]
    fn a_commit_without_events_is_refused() {
        let mut empty = commit();
        empty.events.clear();
        assert!(matches!(empty.seal(), Err(SealError::Events(0))));
    }
}
