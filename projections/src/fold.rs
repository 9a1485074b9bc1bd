//! From commits to rows: the fold of every stream, kept at hand for the streams that move.

use std::collections::{BTreeSet, HashMap};

use domain::StreamId;
use domain::commit::{Commit, EventRecord};
use journal::Recorded;
use serde_json::value::RawValue;

use crate::ProjectionError;
use crate::batch::{
    ActivityRow, Batch, EdgeChange, EdgeKey, Handle, OPEN, RevisionRow, VersionRow,
};
use crate::columns::Columns;
use crate::state::State;

/// States kept at hand, in each of two generations. A state is some 2 KiB: up to some 16 MiB in all.
/// More than one batch of streams, so that what is not written yet is always at hand.
const GENERATION_MAX: usize = 4_096;
/// The largest event data kept in the activity view, in bytes; the log has the rest.
const EVENT_BYTES_MAX: usize = 1_024;

/// What the next commit of a stream continues.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) state: State,
    pub(crate) version: u64,
    pub(crate) from_position: i64,
    /// The edges that start here, as long as `Mark` is the same.
    edges: BTreeSet<EdgeKey>,
}

impl Known {
    /// What a row of the views says.
    pub(crate) fn new(stream: &StreamId, state: State, version: u64, from_position: i64) -> Self {
        let edges = edges_of(stream, &state);
        Self { state, version, from_position, edges }
    }
}

/// Folds commits into batches. Bounded: what did not move lately is read back from the views.
#[derive(Default)]
pub(crate) struct Folder {
    young: HashMap<StreamId, Known>,
    old: HashMap<StreamId, Known>,
}

impl Folder {
    /// The streams whose states must be put in before these commits can be folded.
    pub(crate) fn missing<'a>(&self, commits: &'a [Recorded]) -> BTreeSet<&'a StreamId> {
        let commits = commits.iter().map(|recorded| &recorded.sealed.commit);
        let mut begun = BTreeSet::new();
        let mut missing = BTreeSet::new();
        for commit in commits {
            let stream = &commit.stream;
            if commit.first_version == 1 {
                begun.insert(stream);
            } else if !begun.contains(stream)
                && !self.young.contains_key(stream)
                && !self.old.contains_key(stream)
            {
                missing.insert(stream);
            }
        }
        missing
    }

    pub(crate) fn put(&mut self, stream: StreamId, known: Known) {
        self.young.insert(stream, known);
    }

    /// Folds commits that follow `from`: those before the first that cannot be folded, and why that one cannot.
    pub(crate) fn fold(
        &mut self,
        from: i64,
        commits: &[Recorded],
    ) -> (Batch, Result<(), ProjectionError>) {
        if self.young.len() >= GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        let mut batch = Batch { from, to: from, ..Batch::default() };
        let outcome = commits.iter().try_for_each(|recorded| self.fold_one(&mut batch, recorded));
        (batch, outcome)
    }

    fn fold_one(&mut self, batch: &mut Batch, recorded: &Recorded) -> Result<(), ProjectionError> {
        let commit = &recorded.sealed.commit;
        let (stream, at) = (&commit.stream, signed(recorded.position.get()));
        let known = self.young.remove(stream).or_else(|| self.old.remove(stream));
        let version = known.as_ref().map_or(0, |known| known.version);
        if version + 1 != commit.first_version {
            return Err(ProjectionError::Discontinuous {
                position: recorded.position,
                stream: stream.clone(),
                expected: version + 1,
                found: commit.first_version,
            });
        }
        let (replaces, before, edges) = match known {
            Some(known) => (Some(known.from_position), known.state, known.edges),
            None => (None, first_state(recorded)?, BTreeSet::new()),
        };
        let (mark_before, revision_before) = (mark(&before), before.revision());
        let state = before.apply(stream.kind(), &commit.events).map_err(|source| {
            ProjectionError::Unreadable {
                position: recorded.position,
                stream: stream.clone(),
                source,
            }
        })?;
        let doc = state.to_doc().map_err(|source| ProjectionError::Unwritable {
            position: recorded.position,
            stream: stream.clone(),
            source,
        })?;
        let edges = if mark(&state) == mark_before {
            edges
        } else {
            rewire(batch, &edges, edges_of(stream, &state), at)
        };
        if let Some(from_position) = replaces {
            close(batch, from_position, at);
        }
        if state.revision() != revision_before {
            let number = signed(state.revision());
            batch.revisions.push(RevisionRow { stream: stream.clone(), number, position: at });
        }
        let columns = Columns::of(stream, &state);
        handles(batch, commit, &columns, at);
        let version = recorded.last_version();
        batch.versions.push(VersionRow {
            stream: stream.clone(),
            from_position: at,
            to_position: OPEN,
            version: signed(version),
            time: commit.time.as_micros(),
            columns,
            doc,
        });
        batch.activity.push(activity(commit, at));
        batch.to = at;
        self.young.insert(stream.clone(), Known { state, version, from_position: at, edges });
        Ok(())
    }
}

fn first_state(recorded: &Recorded) -> Result<State, ProjectionError> {
    let stream = &recorded.sealed.commit.stream;
    State::before_all(stream.kind()).ok_or_else(|| ProjectionError::UnknownKind {
        position: recorded.position,
        stream: stream.clone(),
    })
}

/// Ends the row that began at `from_position`, in this batch or in an earlier one.
fn close(batch: &mut Batch, from_position: i64, at: i64) {
    let index = batch.versions.binary_search_by_key(&from_position, |row| row.from_position);
    match index.ok().and_then(|index| batch.versions.get_mut(index)) {
        Some(row) => row.to_position = at,
        None => batch.closed.push((from_position, at)),
    }
}

/// While this is the same, so is the spec, and with it what the resource needs.
type Mark = Option<(uuid::Uuid, u64)>;

fn mark(state: &State) -> Mark {
    let State::Resource(resource) = state else { return None };
    resource.body().map(|body| (body.uid, body.generation))
}

fn edges_of(stream: &StreamId, state: &State) -> BTreeSet<EdgeKey> {
    let State::Resource(resource) = state else { return BTreeSet::new() };
    let needs = resource.body().map(|body| body.spec.needs()).unwrap_or_default();
    let key = |need: domain::Need| EdgeKey {
        source: stream.to_string(),
        target: need.resource.stream(stream.tenant()).to_string(),
        output: need.output.unwrap_or_default(),
    };
    needs.into_iter().map(key).collect()
}

fn rewire(
    batch: &mut Batch,
    before: &BTreeSet<EdgeKey>,
    after: BTreeSet<EdgeKey>,
    at: i64,
) -> BTreeSet<EdgeKey> {
    let gone = before.difference(&after).cloned();
    batch.edges.extend(gone.map(|edge| EdgeChange::Closed { edge, at }));
    let new = after.difference(before).cloned();
    batch.edges.extend(new.map(|edge| EdgeChange::Opened { edge, at }));
    after
}

/// Notes the uid and the external name when a commit may have brought a new one.
fn handles(batch: &mut Batch, commit: &Commit, columns: &Columns, since: i64) {
    let names = |event: &EventRecord| match event.event_type.as_str() {
        "Declared" => columns.uid.clone(),
        "ActionSucceeded" | "BecameReady" => columns.external.clone(),
        _ => None,
    };
    let handles = commit.events.iter().filter_map(names);
    batch.handles.extend(handles.map(|handle| Handle {
        handle,
        stream: commit.stream.clone(),
        since,
    }));
}

#[derive(serde::Serialize)]
struct EventSummary<'a> {
    #[serde(rename = "type")]
    event_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

fn activity(commit: &Commit, position: i64) -> ActivityRow {
    let summary = |event: &'_ EventRecord| {
        let small = event.data.get().len() <= EVENT_BYTES_MAX;
        serde_json::to_string(&EventSummary {
            event_type: &event.event_type,
            data: small.then_some(&event.data),
        })
    };
    let events: Vec<String> =
        commit.events.iter().filter_map(|event| summary(event).ok()).collect();
    ActivityRow {
        position,
        commit_id: commit.commit_id.to_string(),
        time: commit.time.as_micros(),
        stream: commit.stream.clone(),
        version: signed(commit.first_version),
        actor: commit.actor.to_string(),
        command: commit.command.clone(),
        intent: is_intent(commit),
        causation_id: commit.causation_id.map(|id| id.to_string()),
        correlation_id: commit.correlation_id.to_string(),
        traceparent: commit.traceparent.clone(),
        events: format!("[{}]", events.join(",")),
    }
}

/// Somebody wanted something, in contrast to a reconciler that saw or did something.
fn is_intent(commit: &Commit) -> bool {
    const OBSERVATIONS: &[&str] = &[
        "ActionStarted",
        "ActionSucceeded",
        "ActionFailed",
        "OutputsPublished",
        "BecameReady",
        "BecameUnready",
        "Blocked",
        "DriftDetected",
        "DriftCleared",
        "Deleted",
        "Answered",
        "Stalled",
        "Ended",
        "RolloutEnded",
    ];
    commit.stream.kind() == domain::application::KIND
        || commit.events.iter().any(|event| !OBSERVATIONS.contains(&event.event_type.as_str()))
}

pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
