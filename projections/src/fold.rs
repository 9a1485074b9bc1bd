//! From commits to rows: the fold of every stream, kept at hand for the streams that move.

mod edges;
mod rows;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use domain::StreamId;
use domain::commit::{Commit, EventRecord, UnreadableEvent};
use journal::Recorded;

use crate::ProjectionError;
use crate::batch::{Batch, EdgeKey, Held, Membership, OPEN, RevisionRow, VersionRow};
use crate::columns::Columns;
use crate::poison::{Poison, caught, cut};
use crate::state::State;
use edges::{edges_of, mark, rewire};
use rows::{activity, handles};

/// States kept at hand, in each of two generations. A state is some 2 KiB: up to some 16 MiB in all.
/// More than one batch of streams, so that what is not written yet is always at hand.
const GENERATION_MAX: usize = 4_096;
/// The longest name kept in an index, in bytes: PostgreSQL refuses entries beyond some 2,700.
const NAME_BYTES_MAX: usize = 1_024;

/// What the next commit of a stream continues.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    state: State,
    version: u64,
    from_position: i64,
    /// The edges that start here, as long as `Mark` is the same.
    edges: BTreeSet<EdgeKey>,
    groups: Groups,
}

/// What the aggregate belongs to, in the order of [`Columns::groups`].
type Groups = Vec<(&'static str, String)>;

impl Known {
    /// What a row of the views says.
    ///
    /// # Errors
    /// When what the state says is more than this program can take.
    pub(crate) fn new(
        stream: &StreamId,
        state: State,
        version: u64,
        from_position: i64,
    ) -> Result<Self, Poison> {
        caught(|| {
            let edges = edges_of(stream, &state);
            let groups = groups_of(&Columns::of(stream, &state));
            Ok(Self { state, version, from_position, edges, groups })
        })
    }
}

/// Folds commits into batches. Bounded: what did not move lately is read back from the views.
pub(crate) struct Folder {
    apply: Apply,
    young: HashMap<StreamId, Known>,
    old: HashMap<StreamId, Known>,
    /// In quarantine, as far as the commits at hand are concerned: asked again each time, since it may be released.
    held: BTreeSet<StreamId>,
}

/// What makes a state of the one before and of what happened: [`State::apply`].
type Apply = fn(State, &str, &[EventRecord]) -> Result<State, UnreadableEvent>;

impl Default for Folder {
    fn default() -> Self {
        let (young, old, held) = Default::default();
        Self { apply: State::apply, young, old, held }
    }
}

/// What a commit makes of its stream.
struct Step {
    state: State,
    doc: String,
    columns: Columns,
    /// None when they are the same as before.
    edges: Option<BTreeSet<EdgeKey>>,
    revised: bool,
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

    /// Whatever is known of the stream does not count any more.
    pub(crate) fn forget(&mut self, stream: &StreamId) {
        self.young.remove(stream);
        self.old.remove(stream);
    }

    /// The stream is in quarantine: what comes of it is not folded this time.
    pub(crate) fn hold(&mut self, stream: StreamId) {
        self.held.insert(stream);
    }

    /// Folds commits that follow `from`. What cannot be folded is held back, with what comes after it in its stream.
    ///
    /// # Errors
    /// The second result is why the commits after those in the batch cannot be shown at all.
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
        self.held.clear();
        (batch, outcome)
    }

    fn fold_one(&mut self, batch: &mut Batch, recorded: &Recorded) -> Result<(), ProjectionError> {
        let commit = &recorded.sealed.commit;
        let (stream, at) = (&commit.stream, signed(recorded.position.get()));
        if self.held.contains(stream) {
            hold(batch, recorded, "an earlier commit of the stream is in quarantine");
        } else {
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
            match continued(self.apply, batch, known, recorded) {
                Ok(known) => {
                    self.young.insert(stream.clone(), known);
                }
                Err(poison) => {
                    hold(batch, recorded, &poison.reason());
                    self.held.insert(stream.clone());
                }
            }
        }
        batch.activity.push(activity(commit, at));
        batch.to = at;
        Ok(())
    }
}

/// Adds a commit to what is known of its stream, and the rows that come of it to the batch.
fn continued(
    apply: Apply,
    batch: &mut Batch,
    known: Option<Known>,
    recorded: &Recorded,
) -> Result<Known, Poison> {
    let commit = &recorded.sealed.commit;
    let (stream, at) = (&commit.stream, signed(recorded.position.get()));
    let (replaces, before, edges, groups) = match known {
        Some(known) => (Some(known.from_position), known.state, known.edges, known.groups),
        None => (None, first_state(stream)?, BTreeSet::new(), Groups::new()),
    };
    // Everything that may fail is done before the batch is touched.
    let step = caught(|| step(apply, before, commit))?;
    let edges = match step.edges {
        Some(after) => rewire(batch, &edges, after, at),
        None => edges,
    };
    if let Some(from_position) = replaces {
        close(batch, from_position, at);
    }
    if step.revised {
        let number = signed(step.state.revision());
        batch.revisions.push(RevisionRow { stream: stream.clone(), number, position: at });
    }
    let groups = regroup(batch, stream, groups, &step.columns);
    handles(batch, commit, &step.columns, at);
    let version = recorded.last_version();
    batch.versions.push(VersionRow {
        stream: stream.clone(),
        from_position: at,
        to_position: OPEN,
        version: signed(version),
        time: commit.time.as_micros(),
        columns: step.columns,
        doc: step.doc,
    });
    Ok(Known { state: step.state, version, from_position: at, edges, groups })
}

fn step(apply: Apply, before: State, commit: &Commit) -> Result<Step, Poison> {
    let stream = &commit.stream;
    let (mark_before, revision_before) = (mark(&before), before.revision());
    let state = apply(before, stream.kind(), &commit.events)?;
    let doc = state.to_doc().map_err(Poison::Unwritable)?;
    let columns = Columns::of(stream, &state);
    let edges = (mark(&state) != mark_before).then(|| edges_of(stream, &state));
    let revised = state.revision() != revision_before;
    Ok(Step { state, doc, columns, edges, revised })
}

fn first_state(stream: &StreamId) -> Result<State, Poison> {
    State::before_all(stream.kind()).ok_or_else(|| Poison::UnknownKind(stream.kind().to_owned()))
}

/// Notes that a commit is held back.
fn hold(batch: &mut Batch, recorded: &Recorded, reason: &str) {
    let commit = &recorded.sealed.commit;
    if let Some(held) = batch.held.iter_mut().find(|held| held.stream == commit.stream) {
        held.commits += 1;
        return;
    }
    batch.held.push(Held {
        stream: commit.stream.clone(),
        position: signed(recorded.position.get()),
        version: signed(commit.first_version),
        time: commit.time.as_micros(),
        reason: clean(reason).into_owned(),
        commits: 1,
    });
}

/// Notes what the aggregate belongs to now and did not before.
fn regroup(batch: &mut Batch, stream: &StreamId, before: Groups, columns: &Columns) -> Groups {
    if before.iter().map(|(grouping, value)| (*grouping, value.as_str())).eq(columns.groups()) {
        return before;
    }
    let after = groups_of(columns);
    let new = after.iter().filter(|group| !before.contains(group));
    batch.memberships.extend(new.map(|(grouping, value)| Membership {
        grouping,
        value: value.clone(),
        stream: stream.clone(),
    }));
    after
}

fn groups_of(columns: &Columns) -> Groups {
    columns.groups().map(|(grouping, value)| (grouping, value.to_owned())).collect()
}

/// Ends the row that began at `from_position`, in this batch or in an earlier one.
fn close(batch: &mut Batch, from_position: i64, at: i64) {
    let index = batch.versions.binary_search_by_key(&from_position, |row| row.from_position);
    match index.ok().and_then(|index| batch.versions.get_mut(index)) {
        Some(row) => row.to_position = at,
        None => batch.closed.push((from_position, at)),
    }
}

/// A text of others as every store can keep it: PostgreSQL has no NUL, and indexes take only so much.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    let text = cut(text, NAME_BYTES_MAX);
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::commit::Hash;
    use domain::{Actor, Time};
    use journal::Position;
    use uuid::Uuid;

    use super::*;

    fn recorded(position: u64, stream: &str, first_version: u64) -> Recorded {
        let id = Uuid::from_u128(u128::from(position));
        let event = domain::account::Event::Removed { at: Time::from_micros(1) };
        let commit = Commit {
            commit_id: id,
            stream: stream.parse().unwrap(),
            first_version,
            time: Time::from_micros(1),
            actor: Actor::new(domain::commit::ActorSort::System, "s\0x".repeat(1_000)),
            command: "Remove".into(),
            command_hash: Hash::default(),
            causation_id: None,
            correlation_id: id,
            traceparent: None,
            prev_hash: Hash::default(),
            events: vec![EventRecord::encode(&event).unwrap()],
        };
        Recorded { position: Position::new(position), sealed: Arc::new(commit.seal().unwrap()) }
    }

    #[test]
    fn a_panic_in_a_fold_is_the_end_of_its_stream_alone() {
        let mut folder = Folder { apply: panics_over_events_of_b, ..Folder::default() };
        let (a, b) = ("ev.acme.account.a", "ev.acme.bucket.b");
        let commits = [recorded(1, a, 1), recorded(2, b, 1), recorded(3, b, 2), recorded(4, a, 2)];
        let (batch, outcome) = folder.fold(0, &commits);
        outcome.unwrap();
        assert_eq!(batch.to, 4);
        assert_eq!(batch.activity.len(), 4, "every commit is told of");
        let shown: Vec<_> = batch.versions.iter().map(|row| row.from_position).collect();
        assert_eq!(shown, [1, 4]);
        let [held] = batch.held.as_slice() else { panic!("{:?}", batch.held) };
        assert_eq!((held.stream.to_string().as_str(), held.position, held.commits), (b, 2, 2));
        assert_eq!(held.reason, "the fold panicked: b is 3");
    }

    fn panics_over_events_of_b(
        state: State,
        kind: &str,
        events: &[EventRecord],
    ) -> Result<State, UnreadableEvent> {
        assert!(kind != "bucket", "b is {}", 1 + 2);
        state.apply(kind, events)
    }

    #[test]
    fn a_text_of_others_is_kept_as_every_store_can_keep_it() {
        let (batch, _) = Folder::default().fold(0, &[recorded(1, "ev.acme.account.a", 1)]);
        let actor = &batch.activity[0].actor;
        assert!(actor.len() <= 3 * NAME_BYTES_MAX && !actor.contains('\0'), "{actor}");
        assert_eq!(clean("anna"), "anna");
    }
}
