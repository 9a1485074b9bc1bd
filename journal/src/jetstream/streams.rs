//! What is known of each stream: where it ends, and the ids of all its commits up to there.
//!
//! JetStream has no index by id. An append names the token it is based on, and the server refuses it if the stream
//! has moved; so whoever knows all ids up to that token knows whether the commit is a repetition, for ever.

use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::StreamId;
use foldhash::{HashMap, HashSet};
use uuid::Uuid;

use crate::chain::Tip;
use crate::{Recorded, Token};

/// The most streams kept: as many as states are kept at hand.
const STREAMS_MAX: usize = crate::execute::STATES_MAX;
/// The most ids kept, of all streams together: some 16 bytes each.
const IDS_MAX: usize = 1024 * 1024;

/// The ends and ids of the busy streams: two generations, as in [`crate::cache`], bounded by ids as well.
#[derive(Default)]
pub(super) struct Streams(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<StreamId, Known>,
    young_ids: usize,
    old: HashMap<StreamId, Known>,
}

#[derive(Default)]
struct Known {
    tip: Tip,
    /// The halves of each id, folded: one that is missing is new; one that is here is looked up in the log.
    ids: HashSet<u64>,
}

/// What is known of an append before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expectation {
    /// The stream ended at the token, and its commits have other ids.
    New(Tip),
    /// It has to be read: it is not known, is known up to another token, or may hold the id.
    Unsure,
}

fn fold(id: Uuid) -> u64 {
    let (high, low) = id.as_u64_pair();
    high ^ low
}

impl Streams {
    /// What is known of a commit with this id for a stream that ends at `expected`.
    pub(super) fn expect(&self, stream: &StreamId, expected: Token, id: Uuid) -> Expectation {
        let mut generations = self.lock();
        match generations.get(stream) {
            Some(known) if known.tip.token() == expected && !known.ids.contains(&fold(id)) => {
                Expectation::New(known.tip)
            }
            Some(_) => Expectation::Unsure,
            None if expected == Token::EMPTY => Expectation::New(Tip::default()),
            None => Expectation::Unsure,
        }
    }

    /// Where a stream ended when last heard of, if all its commits up to there are known.
    pub(super) fn tip(&self, stream: &StreamId) -> Option<Tip> {
        self.lock().get(stream).map(|known| known.tip)
    }

    /// Whether a stream holds a commit of this id up to its tip; none if that is not known.
    pub(super) fn may_hold(&self, stream: &StreamId, id: Uuid) -> Option<(Tip, bool)> {
        self.lock().get(stream).map(|known| (known.tip, known.ids.contains(&fold(id))))
    }

    /// Adds a commit that the log holds. One that does not continue what is known makes it unknown.
    pub(super) fn add(&self, recorded: &Recorded) {
        let commit = &recorded.sealed.commit;
        let mut generations = self.lock();
        if let Some(known) = generations.get(&commit.stream) {
            if recorded.position <= known.tip.position {
                return;
            }
            if known.tip.continued_by(commit).is_ok() {
                known.add(recorded);
                generations.young_ids += 1;
                return;
            }
        }
        generations.remove(&commit.stream);
        if commit.first_version == 1 {
            let mut known = Known::default();
            known.add(recorded);
            generations.insert(commit.stream.clone(), known);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn add(&mut self, recorded: &Recorded) {
        self.ids.insert(fold(recorded.sealed.commit.commit_id));
        self.tip = Tip::of(recorded);
    }
}

impl Generations {
    fn get(&mut self, stream: &StreamId) -> Option<&mut Known> {
        if !self.young.contains_key(stream) {
            let (stream, known) = self.old.remove_entry(stream)?;
            self.insert(stream, known);
        }
        self.young.get_mut(stream)
    }

    fn insert(&mut self, stream: StreamId, known: Known) {
        if self.young.len() >= STREAMS_MAX / 2 || self.young_ids >= IDS_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_ids = 0;
        }
        self.young_ids += known.ids.len();
        self.young.insert(stream, known);
    }

    fn remove(&mut self, stream: &StreamId) {
        self.old.remove(stream);
        if let Some(known) = self.young.remove(stream) {
            self.young_ids = self.young_ids.saturating_sub(known.ids.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Position;
    use crate::testing::{commit, stream};

    fn recorded(position: u64, id: u128, before: Option<&Recorded>) -> Recorded {
        let sealed = commit(&stream("a"), id, before, &[1]);
        Recorded { position: Position::new(position), sealed }
    }

    fn expect(streams: &Streams, token: u64, id: u128) -> Expectation {
        streams.expect(&stream("a"), Token::at(Position::new(token)), Uuid::from_u128(id))
    }

    #[test]
    fn an_id_is_known_from_the_first_commit_on_and_only_at_the_token() {
        let streams = Streams::default();
        assert_eq!(expect(&streams, 0, 1), Expectation::New(Tip::default()));
        assert_eq!(expect(&streams, 3, 1), Expectation::Unsure);
        let first = recorded(3, 1, None);
        streams.add(&first);
        let second = recorded(9, 2, Some(&first));
        streams.add(&second);
        streams.add(&first);
        assert_eq!(expect(&streams, 9, 3), Expectation::New(Tip::of(&second)));
        for (token, id) in [(9, 1), (9, 2), (3, 3), (0, 3), (10, 3)] {
            assert_eq!(expect(&streams, token, id), Expectation::Unsure, "{token} {id}");
        }
    }

    #[test]
    fn a_commit_that_was_missed_makes_the_stream_unknown() {
        let streams = Streams::default();
        let first = recorded(1, 1, None);
        let second = recorded(2, 2, Some(&first));
        let third = recorded(3, 3, Some(&second));
        streams.add(&first);
        streams.add(&third);
        assert_eq!(streams.tip(&stream("a")), None);
        streams.add(&third);
        assert_eq!(streams.tip(&stream("a")), None, "its first commits are not known");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let streams = Streams::default();
        for number in 0..STREAMS_MAX as u64 * 2 {
            let sealed = commit(&stream(&format!("s{number}")), 1, None, &[1]);
            streams.add(&Recorded { position: Position::new(number + 1), sealed });
        }
        let generations = streams.lock();
        assert!(generations.young.len() + generations.old.len() <= STREAMS_MAX);
    }
}
