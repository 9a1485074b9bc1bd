//! What the graph remembers of one resource or deployment.

use domain::commit::Commit;
use domain::{Name, StreamId, Time};
use journal::Position;

use super::Cause;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Absent,
    Live,
    Deleting,
    Gone,
}

pub(super) type Index = u32;

pub(super) struct Node {
    pub(super) stream: StreamId,
    pub(super) phase: Phase,
    pub(super) while_needed: bool,
    pub(super) deployment: Option<Name>,
    pub(super) cause: Option<Cause>,
    pub(super) needs: Vec<Index>,
    pub(super) held: Vec<Index>,
    pub(super) dependents: Vec<Index>,
    /// Where the first creation of this incarnation was announced: from then on there may be a thing.
    pub(super) touched: Option<Position>,
    /// Where its deletion was asked for.
    pub(super) deleting: Option<Position>,
    pub(super) unneeded_since: Time,
}

impl Node {
    pub(super) fn new(stream: StreamId) -> Self {
        Self {
            stream,
            phase: Phase::Absent,
            while_needed: false,
            deployment: None,
            cause: None,
            needs: Vec::new(),
            held: Vec::new(),
            dependents: Vec::new(),
            touched: None,
            deleting: None,
            unneeded_since: Time::default(),
        }
    }

    pub(super) fn note_cause(&mut self, commit: &Commit) {
        self.cause = Some(Cause { commit: commit.commit_id, correlation: commit.correlation_id });
    }

    pub(super) fn is_present(&self) -> bool {
        matches!(self.phase, Phase::Live | Phase::Deleting)
    }
}
