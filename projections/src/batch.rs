//! What a run of commits changes in the views: plain rows, so that a store only has to write them down.

use domain::StreamId;

use crate::columns::Columns;

/// The end of a range that has not ended. Written out in the SQL, so that partial indexes apply.
pub(crate) const OPEN: i64 = i64::MAX;

/// The rows of a run of commits, and the checkpoint it moves.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The checkpoint before.
    pub(crate) from: i64,
    /// The checkpoint after.
    pub(crate) to: i64,
    pub(crate) activity: Vec<ActivityRow>,
    pub(crate) versions: Vec<VersionRow>,
    /// Rows of earlier batches that end: `(from_position, to_position)`.
    pub(crate) closed: Vec<(i64, i64)>,
    pub(crate) edges: Vec<EdgeChange>,
    pub(crate) handles: Vec<Handle>,
    pub(crate) revisions: Vec<RevisionRow>,
    pub(crate) memberships: Vec<Membership>,
    /// Each stream once.
    pub(crate) held: Vec<Held>,
    /// A stream that leaves the quarantine.
    pub(crate) released: Option<StreamId>,
}

impl Batch {
    /// The streams that changed, each once.
    #[must_use]
    pub fn streams(&self) -> Vec<StreamId> {
        let current = self.versions.iter().filter(|row| row.to_position == OPEN);
        let held = self.held.iter().map(|held| &held.stream);
        let held = held.filter(|stream| {
            !self.versions.iter().any(|row| row.to_position == OPEN && row.stream == **stream)
        });
        current.map(|row| &row.stream).chain(held).cloned().collect()
    }

    /// Changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.from == self.to && self.released.is_none()
    }
}

/// One state of one aggregate, and the positions at which it was that.
#[derive(Clone, Debug)]
pub(crate) struct VersionRow {
    pub(crate) stream: StreamId,
    pub(crate) from_position: i64,
    pub(crate) to_position: i64,
    /// Of the last event.
    pub(crate) version: i64,
    pub(crate) time: i64,
    pub(crate) columns: Columns,
    pub(crate) doc: String,
}

/// One commit, as people read it.
#[derive(Clone, Debug)]
pub(crate) struct ActivityRow {
    pub(crate) position: i64,
    pub(crate) commit_id: String,
    pub(crate) time: i64,
    pub(crate) stream: StreamId,
    pub(crate) version: i64,
    pub(crate) actor: String,
    pub(crate) command: String,
    pub(crate) intent: bool,
    pub(crate) causation_id: Option<String>,
    pub(crate) correlation_id: String,
    pub(crate) traceparent: Option<String>,
    pub(crate) events: String,
}

/// An edge of the graph appears or goes. Applied in order.
#[derive(Clone, Debug)]
pub(crate) enum EdgeChange {
    Opened { edge: EdgeKey, at: i64 },
    Closed { edge: EdgeKey, at: i64 },
}

/// `source` needs `output` of `target`; no output: it is enough that it is ready.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EdgeKey {
    pub(crate) source: String,
    pub(crate) target: String,
    pub(crate) output: String,
}

/// A name by which the world or an event calls a resource: a uid, an external name.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pub(crate) handle: String,
    pub(crate) stream: StreamId,
    pub(crate) since: i64,
}

/// A numbered definition: an application's revision, a class's or an environment's version.
#[derive(Clone, Debug)]
pub(crate) struct RevisionRow {
    pub(crate) stream: StreamId,
    pub(crate) number: i64,
    pub(crate) position: i64,
}

/// A stream is, or once was, of a deployment, an environment, an application or a class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Membership {
    pub(crate) grouping: &'static str,
    pub(crate) value: String,
    pub(crate) stream: StreamId,
}

/// Commits of a stream that cannot be folded.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) stream: StreamId,
    /// The first of them.
    pub(crate) position: i64,
    /// The version of its first event.
    pub(crate) version: i64,
    pub(crate) time: i64,
    pub(crate) reason: String,
    /// How many.
    pub(crate) commits: i64,
}
