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
}

impl Batch {
    /// The streams that changed, each once.
    #[must_use]
    pub fn streams(&self) -> Vec<StreamId> {
        let current = self.versions.iter().filter(|row| row.to_position == OPEN);
        current.map(|row| row.stream.clone()).collect()
    }

    /// The number of commits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.versions.len()
    }

    /// Holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty()
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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
