//! What is stored, and who may add to it: expected revisions and repeated events, as the servers judge them.
//!
//! The rules are those of the published server's check of a write: an expected revision below the stream's end is a
//! repetition if the events there have the same ids, and wrong otherwise; one beyond the end is wrong; without an
//! expected revision ids that the stream holds are a repetition.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

/// Where the first event is in the order of all: positions are offsets into a file, not numbers of events.
const FIRST_POSITION: u64 = 1_024;
/// What a record takes beside its data.
const RECORD_BYTES: u64 = 96;
/// The type of the event that ends a stream for good.
const TOMBSTONE: &str = "$streamDeleted";

/// A stored event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its stream.
    pub stream: String,
    /// Its number in the stream, from 0.
    pub revision: u64,
    /// Its place in the order of all events.
    pub position: u64,
    /// Its id.
    pub id: Uuid,
    /// Its type and content type.
    pub metadata: HashMap<String, String>,
    /// What its writer adds to it.
    pub custom_metadata: Bytes,
    /// What it says.
    pub data: Bytes,
}

/// An event that shall be stored.
#[derive(Clone, Debug)]
pub(crate) struct Proposed {
    pub(crate) id: Uuid,
    pub(crate) metadata: HashMap<String, String>,
    pub(crate) custom_metadata: Bytes,
    pub(crate) data: Bytes,
}

/// Where the stream must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Any,
    Exists,
    Nothing,
    Exactly(u64),
}

/// What came of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Stored { revision: u64, position: u64 },
    Wrong { current: Option<u64> },
    Deleted,
}

/// What a stream gives to a reader.
pub(crate) enum Found {
    Events(Vec<Arc<Event>>),
    Nothing,
    Deleted,
}

#[derive(Default)]
pub(crate) struct Store {
    pub(crate) all: Vec<Arc<Event>>,
    streams: HashMap<String, Stream>,
    end: u64,
}

#[derive(Default)]
struct Stream {
    events: Vec<Arc<Event>>,
    /// Events before this revision were deleted.
    hidden: u64,
    ended: bool,
}

impl Stream {
    fn count(&self) -> u64 {
        self.events.len() as u64
    }

    /// The events of these ids from `first` on, if they are there in this order.
    fn repeats(&self, first: u64, proposed: &[Proposed]) -> Option<&Event> {
        let start = usize::try_from(first).ok()?;
        let there = self.events.get(start..start.checked_add(proposed.len())?)?;
        let same = there.iter().zip(proposed).all(|(event, proposed)| event.id == proposed.id);
        there.last().filter(|_| same).map(|event| &**event)
    }
}

impl Store {
    pub(crate) fn append(
        &mut self,
        stream: &str,
        expected: Expected,
        proposed: Vec<Proposed>,
    ) -> Outcome {
        let known = self.streams.entry(stream.to_owned()).or_default();
        if known.ended {
            return Outcome::Deleted;
        }
        let count = known.count();
        let current = count.checked_sub(1);
        let wanted = match expected {
            Expected::Exists if count == 0 => return Outcome::Wrong { current },
            Expected::Any | Expected::Exists => {
                let id = proposed.first().map(|proposed| proposed.id);
                known.events.iter().find(|event| Some(event.id) == id).map_or(count, |e| e.revision)
            }
            Expected::Nothing if known.hidden == count => count,
            Expected::Nothing => 0,
            Expected::Exactly(revision) => revision.saturating_add(1),
        };
        if wanted > count {
            return Outcome::Wrong { current };
        }
        if wanted < count {
            return match known.repeats(wanted, &proposed) {
                Some(Event { revision, position, .. }) => {
                    Outcome::Stored { revision: *revision, position: *position }
                }
                None => Outcome::Wrong { current },
            };
        }
        self.write(stream, proposed)
    }

    fn write(&mut self, stream: &str, proposed: Vec<Proposed>) -> Outcome {
        let known = self.streams.entry(stream.to_owned()).or_default();
        let mut outcome = Outcome::Wrong { current: None };
        for Proposed { id, metadata, custom_metadata, data } in proposed {
            let position = self.end.max(FIRST_POSITION);
            self.end = position + RECORD_BYTES + data.len() as u64;
            let (revision, stream) = (known.count(), stream.to_owned());
            let event = Event { stream, revision, position, id, metadata, custom_metadata, data };
            let event = Arc::new(event);
            known.events.push(Arc::clone(&event));
            self.all.push(event);
            outcome = Outcome::Stored { revision, position };
        }
        outcome
    }

    /// Deletes a stream: softly, so that it may be continued, or for good.
    pub(crate) fn delete(&mut self, stream: &str, expected: Expected, ends: bool) -> Outcome {
        let current = self.streams.get(stream).and_then(|known| known.count().checked_sub(1));
        let may = match expected {
            Expected::Any => true,
            Expected::Exists => current.is_some(),
            Expected::Nothing => current.is_none(),
            Expected::Exactly(revision) => current == Some(revision),
        };
        if !may {
            return Outcome::Wrong { current };
        }
        let known = self.streams.entry(stream.to_owned()).or_default();
        if known.ended {
            return Outcome::Deleted;
        }
        known.hidden = known.count();
        known.ended = ends;
        let revision = current.unwrap_or_default();
        if !ends {
            return Outcome::Stored { revision, position: self.end };
        }
        let metadata = [("type".to_owned(), TOMBSTONE.to_owned())].into();
        let (custom_metadata, data) = (Bytes::new(), Bytes::new());
        let tombstone = Proposed { id: Uuid::new_v4(), metadata, custom_metadata, data };
        self.write(stream, vec![tombstone])
    }

    pub(crate) fn stream(&self, stream: &str) -> Found {
        match self.streams.get(stream) {
            Some(known) if known.ended => Found::Deleted,
            Some(known) if known.count() > known.hidden => {
                let visible = known.events.iter().filter(|event| event.revision >= known.hidden);
                Found::Events(visible.cloned().collect())
            }
            Some(_) | None => Found::Nothing,
        }
    }

    /// Where in the order of all the first event at or after a position is.
    pub(crate) fn index_of(&self, position: u64) -> usize {
        self.all.partition_point(|event| event.position < position)
    }

    /// Lets somebody change the events, and sorts them into streams anew.
    pub(crate) fn rewrite(&mut self, change: impl FnOnce(&mut Vec<Event>)) {
        let mut events: Vec<Event> = self.all.iter().map(|event| (**event).clone()).collect();
        change(&mut events);
        self.all = events.into_iter().map(Arc::new).collect();
        for known in self.streams.values_mut() {
            known.events.clear();
        }
        for event in &self.all {
            self.streams.entry(event.stream.clone()).or_default().events.push(Arc::clone(event));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proposed(ids: &[u128]) -> Vec<Proposed> {
        let event = |&id| Proposed {
            id: Uuid::from_u128(id),
            metadata: HashMap::new(),
            custom_metadata: Bytes::new(),
            data: Bytes::new(),
        };
        ids.iter().map(event).collect()
    }

    fn revision(outcome: Outcome) -> u64 {
        match outcome {
            Outcome::Stored { revision, .. } => revision,
            Outcome::Wrong { .. } | Outcome::Deleted => panic!("{outcome:?}"),
        }
    }

    #[test]
    fn an_expected_revision_admits_one_writer() {
        let mut store = Store::default();
        let mut append = |expected, id| store.append("a", expected, proposed(&[id]));
        assert_eq!(append(Expected::Exactly(0), 1), Outcome::Wrong { current: None });
        assert_eq!(append(Expected::Exists, 1), Outcome::Wrong { current: None });
        assert_eq!(revision(append(Expected::Nothing, 1)), 0);
        assert_eq!(append(Expected::Nothing, 2), Outcome::Wrong { current: Some(0) });
        assert_eq!(revision(append(Expected::Exactly(0), 2)), 1);
        for expected in [Expected::Nothing, Expected::Exactly(0), Expected::Exactly(2)] {
            assert_eq!(append(expected, 3), Outcome::Wrong { current: Some(1) });
        }
        assert_eq!(store.all.len(), 2);
    }

    #[test]
    fn a_repetition_is_recognised_by_the_ids_at_its_place() {
        let mut store = Store::default();
        let first = store.append("a", Expected::Nothing, proposed(&[1]));
        store.append("a", Expected::Exactly(0), proposed(&[2]));
        assert_eq!(store.append("a", Expected::Nothing, proposed(&[1])), first);
        assert_eq!(store.append("a", Expected::Any, proposed(&[1])), first);
        // The same id at the stream's end is not looked for: that is the client's affair.
        assert_eq!(revision(store.append("a", Expected::Exactly(1), proposed(&[1]))), 2);
    }

    #[test]
    fn a_deleted_stream_is_gone_and_one_that_was_ended_takes_nothing_more() {
        let mut store = Store::default();
        store.append("a", Expected::Any, proposed(&[1, 2]));
        assert_eq!(
            store.delete("a", Expected::Exactly(0), false),
            Outcome::Wrong { current: Some(1) }
        );
        store.delete("a", Expected::Any, false);
        assert!(matches!(store.stream("a"), Found::Nothing));
        assert_eq!(revision(store.append("a", Expected::Nothing, proposed(&[3]))), 2);
        assert!(matches!(store.stream("a"), Found::Events(events) if events.len() == 1));
        store.delete("a", Expected::Any, true);
        assert!(matches!(store.stream("a"), Found::Deleted));
        assert_eq!(store.append("a", Expected::Any, proposed(&[4])), Outcome::Deleted);
    }
}
