//! The contract of a journal, as tests that every adapter runs: [`conformance!`](crate::conformance!).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "only tests use it")]
#![allow(missing_docs, reason = "each test is named by what it says")]

use std::sync::Arc;

use futures::executor::block_on;
use futures::future::join_all;
use futures::stream::StreamExt as _;

use crate::testing::{commit, stream};
use crate::{AppendError, Appended, Breakage, Journal, JournalError, Position, Recorded, Token};

/// A log that can be closed and opened again.
pub trait Store {
    /// Opens it; what was opened before is closed by then.
    fn open(&self) -> Arc<dyn Journal>;
}

/// Runs the contract on a store that the expression makes, a new and empty one for every test.
#[macro_export]
macro_rules! conformance {
    ($store:expr) => {
        $crate::conformance!($store =>
            appends_are_all_or_nothing,
            an_append_conflicts_if_and_only_if_the_token_moved,
            the_same_id_gives_the_same_position_for_ever,
            an_id_known_already_outranks_a_conflict,
            an_id_of_another_stream_is_not_stored_again,
            a_commit_that_does_not_continue_its_stream_is_refused,
            concurrent_writers_on_one_stream_leave_no_gap,
            a_follower_sees_history_and_then_what_comes,
            a_follower_resumes_anywhere,
            a_follower_ahead_of_the_log_is_told_so,
            load_is_contiguous,
            the_head_never_moves_back,
            everything_is_there_after_reopening,
            streams_do_not_disturb_each_other,
        );
    };
    ($store:expr => $($test:ident),* $(,)?) => {
        mod contract {
            $(
                #[test]
                fn $test() {
                    $crate::conformance::$test(&$store);
                }
            )*
        }
    };
}

/// Appends so many commits of one event to a stream, with ids from `first_id`; gives them back.
fn fill(journal: &dyn Journal, name: &str, first_id: u128, count: usize) -> Vec<Recorded> {
    let stream = stream(name);
    let mut filled = block_on(journal.load(&stream, 0)).unwrap().commits;
    let before = filled.len();
    for id in first_id..first_id + count as u128 {
        let sealed = commit(&stream, id, filled.last(), &[1]);
        let token = filled.last().map_or(Token::EMPTY, |last| Token::at(last.position));
        let appended = block_on(journal.append(token, Arc::clone(&sealed))).unwrap();
        assert!(!appended.repeated);
        filled.push(Recorded { position: appended.position, sealed });
    }
    filled.split_off(before)
}

fn positions(recorded: &[Recorded]) -> Vec<Position> {
    recorded.iter().map(|r| r.position).collect()
}

fn take(journal: &dyn Journal, after: Position, count: usize) -> Vec<Recorded> {
    let items: Vec<_> = block_on(journal.follow(after).take(count).collect());
    items.into_iter().map(Result::unwrap).collect()
}

pub fn appends_are_all_or_nothing(store: &impl Store) {
    let journal = store.open();
    let (a, numbers) = (stream("a"), (1..=64).collect::<Vec<_>>());
    let sealed = commit(&a, 1, None, &numbers);
    let appended = block_on(journal.append(Token::EMPTY, Arc::clone(&sealed))).unwrap();
    let loaded = block_on(journal.load(&a, 0)).unwrap();
    assert_eq!(loaded.commits.len(), 1);
    assert_eq!(loaded.commits[0].sealed.bytes, sealed.bytes);
    assert_eq!(loaded.commits[0].last_version(), 64);

    let stale = commit(&a, 2, None, &numbers);
    block_on(journal.append(Token::EMPTY, stale)).unwrap_err();
    assert_eq!(block_on(journal.load(&a, 0)).unwrap().commits.len(), 1);
    assert_eq!(block_on(journal.head()).unwrap(), appended.position);
}

pub fn an_append_conflicts_if_and_only_if_the_token_moved(store: &impl Store) {
    let journal = store.open();
    let a = stream("a");
    let first = fill(&*journal, "a", 1, 1).remove(0);
    let token = Token::at(first.position);
    assert_eq!(block_on(journal.check_token(&a)).unwrap(), token);
    assert_eq!(block_on(journal.check_token(&stream("b"))).unwrap(), Token::EMPTY);
    // Others may move on: this stream has not.
    fill(&*journal, "b", 10, 3);
    let second = commit(&a, 2, Some(&first), &[2]);
    let appended = block_on(journal.append(token, second)).unwrap();

    for expected in [Token::EMPTY, token] {
        let late = commit(&a, 3, Some(&first), &[3]);
        let answer = block_on(journal.append(expected, late));
        let Err(AppendError::Conflict { expected: stated, actual }) = answer else {
            panic!("{answer:?} is not a conflict");
        };
        assert_eq!((stated, actual), (expected, Token::at(appended.position)));
    }
}

pub fn the_same_id_gives_the_same_position_for_ever(store: &impl Store) {
    let mut journal = store.open();
    let first = fill(&*journal, "a", 1, 1).remove(0);
    let again = Appended { position: first.position, repeated: true };
    let repeat = |journal: &dyn Journal| {
        block_on(journal.append(Token::EMPTY, Arc::clone(&first.sealed))).unwrap()
    };
    assert_eq!(repeat(&*journal), again);
    fill(&*journal, "a", 2, 5);
    fill(&*journal, "b", 10, 5);
    assert_eq!(repeat(&*journal), again);
    drop(journal);
    journal = store.open();
    assert_eq!(repeat(&*journal), again);
    assert_eq!(block_on(journal.head()).unwrap(), Position::new(11));
    let found =
        block_on(journal.find(&stream("a"), first.sealed.commit.commit_id)).unwrap().unwrap();
    assert_eq!((found.position, &found.sealed.bytes), (first.position, &first.sealed.bytes));
    assert!(block_on(journal.find(&stream("a"), uuid::Uuid::from_u128(99))).unwrap().is_none());
}

pub fn an_id_known_already_outranks_a_conflict(store: &impl Store) {
    let journal = store.open();
    let filled = fill(&*journal, "a", 1, 2);
    // The same id again, decided anew on a later state.
    let anew = commit(&stream("a"), 1, filled.last(), &[7]);
    let again = Appended { position: filled[0].position, repeated: true };
    let token = Token::at(filled[1].position);
    assert_eq!(block_on(journal.append(token, anew)).unwrap(), again);
    assert_eq!(block_on(journal.head()).unwrap(), filled[1].position);
}

/// For as long as the adapter remembers ids of all streams: some do for a while only.
pub fn an_id_of_another_stream_is_not_stored_again(store: &impl Store) {
    let journal = store.open();
    let first = fill(&*journal, "a", 1, 2).remove(0);
    let elsewhere = commit(&stream("b"), 1, None, &[7]);
    let again = Appended { position: first.position, repeated: true };
    assert_eq!(block_on(journal.append(Token::EMPTY, elsewhere)).unwrap(), again);
    let found = block_on(journal.find(&stream("b"), first.sealed.commit.commit_id));
    assert_eq!(found.unwrap().unwrap().sealed.bytes, first.sealed.bytes);
    assert_eq!(block_on(journal.load(&stream("b"), 0)).unwrap().token, Token::EMPTY);
    assert_eq!(block_on(journal.head()).unwrap(), Position::new(2));
}

pub fn a_commit_that_does_not_continue_its_stream_is_refused(store: &impl Store) {
    let journal = store.open();
    let filled = fill(&*journal, "a", 1, 2);
    let token = Token::at(filled[1].position);
    let early = commit(&stream("a"), 3, Some(&filled[0]), &[1]);
    let answer = block_on(journal.append(token, early));
    let Err(AppendError::Discontinuous(Breakage::Version { expected: 3, found: 2 })) = answer
    else {
        panic!("{answer:?} is not a refusal");
    };
    let mut forged = commit(&stream("a"), 3, Some(&filled[1]), &[1]).commit.clone();
    forged.prev_hash = filled[0].sealed.hash;
    let answer = block_on(journal.append(token, Arc::new(forged.seal().unwrap())));
    assert!(matches!(answer, Err(AppendError::Discontinuous(Breakage::Chain { .. }))));
    assert_eq!(block_on(journal.check_token(&stream("a"))).unwrap(), token);
}

pub fn concurrent_writers_on_one_stream_leave_no_gap(store: &impl Store) {
    const WRITERS: u128 = 8;
    const COMMITS: u128 = 25;
    let journal = store.open();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let journal = &*journal;
            scope.spawn(move || {
                for n in 0..COMMITS {
                    append_whatever_happens(journal, writer * 1_000 + n);
                }
            });
        }
    });
    let loaded = block_on(journal.load(&stream("a"), 0)).unwrap();
    assert_eq!(loaded.commits.len() as u128, WRITERS * COMMITS);
    let numbers = loaded.commits.iter().map(|r| r.sealed.commit.first_version);
    assert!(numbers.eq(1..=(WRITERS * COMMITS) as u64));
}

fn append_whatever_happens(journal: &dyn Journal, id: u128) {
    let a = stream("a");
    loop {
        let loaded = block_on(journal.load(&a, 0)).unwrap();
        let sealed = commit(&a, id, loaded.commits.last(), &[1]);
        match block_on(journal.append(loaded.token, sealed)) {
            Ok(appended) => return assert!(!appended.repeated),
            Err(AppendError::Conflict { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

pub fn a_follower_sees_history_and_then_what_comes(store: &impl Store) {
    let journal = store.open();
    let before = fill(&*journal, "a", 1, 600);
    let mut follower = journal.follow(Position::START);
    let mut seen = Vec::new();
    for _ in 0..600 {
        seen.push(block_on(follower.next()).unwrap().unwrap());
    }
    assert_eq!(positions(&seen), positions(&before));
    let (next, filled) = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| block_on(follower.next()).unwrap().unwrap());
        let filled = fill(&*journal, "b", 1_000, 1);
        (waiting.join().unwrap(), filled)
    });
    assert_eq!(next.position, filled[0].position);
    assert_eq!(next.sealed.bytes, filled[0].sealed.bytes);
}

pub fn a_follower_resumes_anywhere(store: &impl Store) {
    let mut journal = store.open();
    let filled = positions(&fill(&*journal, "a", 1, 20));
    for reopened in [false, true] {
        if reopened {
            drop(journal);
            journal = store.open();
        }
        for (index, &after) in filled.iter().enumerate().take(19) {
            let rest = &filled[index + 1..];
            assert_eq!(positions(&take(&*journal, after, rest.len())), rest);
        }
    }
}

pub fn a_follower_ahead_of_the_log_is_told_so(store: &impl Store) {
    let journal = store.open();
    fill(&*journal, "a", 1, 3);
    let mut follower = journal.follow(Position::new(4));
    let first = block_on(follower.next());
    assert!(matches!(first, Some(Err(JournalError::Behind { .. }))), "{first:?}");
    assert!(block_on(follower.next()).is_none());
}

pub fn load_is_contiguous(store: &impl Store) {
    let journal = store.open();
    let filled = fill(&*journal, "a", 1, 30);
    for after in 0..=30_usize {
        let loaded = block_on(journal.load(&stream("a"), after as u64)).unwrap();
        assert_eq!(positions(&loaded.commits), positions(&filled[after..]));
        assert_eq!(loaded.token, Token::at(filled[29].position));
    }
    let nothing = block_on(journal.load(&stream("b"), 0)).unwrap();
    assert!(nothing.commits.is_empty() && nothing.token == Token::EMPTY);
}

pub fn the_head_never_moves_back(store: &impl Store) {
    let journal = store.open();
    assert_eq!(block_on(journal.head()).unwrap(), Position::START);
    let mut last = Position::START;
    for round in 0..10 {
        let appended = fill(&*journal, ["a", "b", "c"][round % 3], 1 + round as u128, 1);
        let head = block_on(journal.head()).unwrap();
        assert!(head > last && head == appended[0].position);
        last = head;
    }
}

pub fn everything_is_there_after_reopening(store: &impl Store) {
    let journal = store.open();
    let mut filled = fill(&*journal, "a", 1, 10);
    drop(journal);
    let journal = store.open();
    assert_eq!(block_on(journal.head()).unwrap(), filled[9].position);
    filled.extend(fill(&*journal, "a", 11, 10));
    drop(journal);
    let journal = store.open();
    let loaded = block_on(journal.load(&stream("a"), 0)).unwrap();
    assert_eq!(positions(&loaded.commits), positions(&filled));
    assert_eq!(positions(&take(&*journal, Position::START, 20)), positions(&filled));
}

pub fn streams_do_not_disturb_each_other(store: &impl Store) {
    let journal = store.open();
    let commits = (0..200_u128).map(|n| commit(&stream(&format!("s{n}")), n, None, &[1, 2]));
    let appends = commits.map(|sealed| journal.append(Token::EMPTY, sealed));
    let mut given: Vec<_> =
        block_on(join_all(appends)).into_iter().map(|a| a.unwrap().position).collect();
    given.sort_unstable();
    assert_eq!(given, (1..=200).map(Position::new).collect::<Vec<_>>());
    assert_eq!(positions(&take(&*journal, Position::START, 200)), given);
}
