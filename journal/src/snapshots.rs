//! Folded states kept on disk, so that a long stream is not folded from event one after every start.
//!
//! A snapshot is a cache: it may be missing, old, of another program or damaged. It is used only if all of it
//! fits: the schema, its own digest, and the chain of the stream at its version. Otherwise it is passed over.

use domain::commit::Hash;
use domain::{Decider, StreamId};
use futures::future::BoxFuture;
use serde::Serialize;

use crate::Position;
use crate::state::Folded;

/// A snapshot is written after so many commits: folding fewer takes about a millisecond.
pub const SNAPSHOT_EVERY: u32 = 100;
/// A larger state is not kept: reading it would take as long as folding.
pub const SNAPSHOT_BYTES_MAX: usize = 1024 * 1024;
/// Part of the schema: to be raised when an `evolve` changes without a new version of the program.
const FOLD_VERSION: u32 = 3;

/// The state of a stream as of a version, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Which stream.
    pub stream: StreamId,
    /// What wrote it: the state's type and the program's version.
    pub schema: String,
    /// The version of the last event in it.
    pub version: u64,
    /// The position of the last commit in it.
    pub position: Position,
    /// The hash of the last commit in it.
    pub hash: Hash,
    /// The digest of all the rest.
    pub digest: Hash,
    /// The state as JSON.
    pub state: Vec<u8>,
}

/// Where snapshots are kept. Whatever goes wrong there, the answer is the same, only later.
pub trait Snapshots: Send + Sync + 'static {
    /// The snapshot of a stream, if there is one.
    fn get<'a>(&'a self, stream: &'a StreamId) -> BoxFuture<'a, Option<Snapshot>>;

    /// Keeps a snapshot in place of the stream's last one, some time, perhaps.
    fn put(&self, snapshot: Snapshot);
}

impl Snapshot {
    /// Takes a snapshot; none if the state is too large.
    pub(crate) fn of<S: Serialize>(stream: &StreamId, folded: &Folded<S>) -> Option<Self> {
        let state = serde_json::to_vec(&*folded.state).ok()?;
        let snapshot = Self {
            stream: stream.clone(),
            schema: schema::<S>(),
            version: folded.version,
            position: folded.position,
            hash: folded.hash,
            digest: Hash::default(),
            state,
        };
        let digest = snapshot.digest();
        (snapshot.state.len() <= SNAPSHOT_BYTES_MAX).then_some(Self { digest, ..snapshot })
    }

    /// The state, if this is a whole snapshot of this stream by this program. The chain is still to be checked.
    pub(crate) fn open<D: Decider>(self, stream: &StreamId) -> Option<Folded<D::State>> {
        let whole = self.stream == *stream
            && self.schema == schema::<D::State>()
            && self.digest == self.digest();
        let state = whole.then(|| serde_json::from_slice(&self.state).ok()).flatten()?;
        Some(Folded::at(state, self.version, self.position, self.hash))
    }

    fn digest(&self) -> Hash {
        let Self { stream, schema, version, position, hash, digest: _, state } = self;
        let head = format!("{stream}\n{schema}\n{version}\n{position}\n{hash}\n");
        Hash::of(&[head.as_bytes(), state].concat())
    }
}

fn schema<S>() -> String {
    let (program, state) = (env!("CARGO_PKG_VERSION"), std::any::type_name::<S>());
    format!("{state} {program} {FOLD_VERSION}")
}
