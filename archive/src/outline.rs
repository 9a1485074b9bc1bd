//! What checking needs to know of a commit: read from its bytes, without the rest.

use domain::StreamId;
use domain::commit::{BrokenCommit, Hash, check_seal};
use journal::Position;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// A stream by the beginning of its name's SHA-256: half the memory of the name, and nobody finds two of one key.
pub(crate) type StreamKey = [u8; 16];

/// A commit as far as its neighbours matter. Its seal has been checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outline {
    pub(crate) position: Position,
    pub(crate) stream: StreamKey,
    pub(crate) first_version: u64,
    pub(crate) events: u64,
    pub(crate) prev_hash: Hash,
    pub(crate) hash: Hash,
}

/// The fields that are read; the others are stepped over.
#[derive(Deserialize)]
struct Fields<'a> {
    stream: &'a str,
    first_version: u64,
    prev_hash: Hash,
    events: Vec<IgnoredAny>,
}

impl Outline {
    /// Checks the seal and reads the outline.
    pub(crate) fn of(position: Position, bytes: &[u8]) -> Result<Self, BrokenCommit> {
        let hash = check_seal(bytes)?;
        let fields: Fields<'_> = serde_json::from_slice(bytes)?;
        Ok(Self {
            position,
            stream: stream_key(fields.stream),
            first_version: fields.first_version,
            events: fields.events.len() as u64,
            prev_hash: fields.prev_hash,
            hash,
        })
    }

    pub(crate) const fn last_version(&self) -> u64 {
        (self.first_version + self.events).saturating_sub(1)
    }
}

pub(crate) fn stream_key(name: &str) -> StreamKey {
    let hash = Hash::of(name.as_bytes());
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// The stream of a commit, as far as it can be told: for people.
pub(crate) fn stream_of(bytes: &[u8]) -> Option<StreamId> {
    serde_json::from_slice::<Fields<'_>>(bytes).ok()?.stream.parse().ok()
}
