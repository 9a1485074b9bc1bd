//! Followers, and the counting that gives positions.

use std::sync::Arc;

use eventstore_fake::{Call, Fault};
use futures::StreamExt as _;
use futures::executor::block_on;
use journal::testing::{commit, stream};
use journal::{Journal, JournalError, Position, Token};

use crate::place::Place;

/// Appends the first commit of so many streams.
fn fill(journal: &dyn Journal, ids: std::ops::Range<u128>) {
    for id in ids {
        let sealed = commit(&stream(&format!("s{id}")), id, None, &[1]);
        block_on(journal.append(Token::EMPTY, sealed)).unwrap();
    }
}

fn take(journal: &dyn Journal, after: u64, count: usize) -> Vec<u64> {
    let items = journal.follow(Position::new(after)).take(count);
    block_on(items.map(|item| item.unwrap().position.get()).collect())
}

#[test]
fn what_others_store_beside_the_log_is_not_counted() {
    let place = Place::new();
    place.fake.put("orders-1", 1, b"{}");
    let journal = place.journal();
    let mut neighbour = place.options.clone();
    neighbour.log = "cairn_2".into();
    for id in 0..1_000 {
        place.fake.put("orders-2", 1_000 + id, b"{}");
    }
    fill(&journal, 1..4);
    for id in 0..1_000 {
        place.fake.put("orders-3", 2_000 + id, b"{}");
    }
    place.fake.put("cairn_2-ev.acme.tally.s1", 9_999, b"{}");
    assert_eq!(block_on(journal.head()).unwrap(), Position::new(3));
    fill(&journal, 4..6);
    assert_eq!(take(&journal, 0, 5), [1, 2, 3, 4, 5]);
    drop(journal);
    assert_eq!(take(&place.journal(), 2, 3), [3, 4, 5]);
}

#[test]
fn two_processes_count_alike() {
    let place = Place::new();
    let (one, other) = (place.journal(), place.journal());
    std::thread::scope(|scope| {
        scope.spawn(|| fill(&one, 0..100));
        scope.spawn(|| fill(&other, 100..200));
    });
    let ids = |journal: &dyn Journal| -> Vec<_> {
        let items = journal.follow(Position::START).take(200);
        block_on(items.map(|item| item.unwrap().sealed.commit.commit_id).collect())
    };
    let counted = ids(&one);
    assert_eq!(counted, ids(&other));
    assert_eq!(counted, ids(&place.journal()));
}

#[test]
fn a_follower_goes_on_when_the_server_comes_back() {
    let place = Place::new();
    let journal = Arc::new(place.journal());
    fill(&*journal, 0..10);
    let mut follower = journal.follow(Position::START);
    for expected in 1..=10 {
        assert_eq!(block_on(follower.next()).unwrap().unwrap().position.get(), expected);
    }
    place.fake.restart();
    fill(&*journal, 10..20);
    for expected in 11..=20 {
        assert_eq!(block_on(follower.next()).unwrap().unwrap().position.get(), expected);
    }
}

#[test]
fn subscriptions_that_fail_are_made_anew() {
    let place = Place::new();
    let mut failing = 6;
    place.fake.fail(move |call| {
        let fails = *call == Call::Subscribe && failing > 0;
        failing -= usize::from(fails);
        fails.then_some(Fault::LoseRequest)
    });
    let journal = place.journal();
    fill(&journal, 0..3);
    assert_eq!(take(&journal, 0, 3), [1, 2, 3]);
}

#[test]
fn a_follower_is_told_that_the_log_lost_what_was_read_from_it() {
    let place = Place::new();
    let journal = place.journal();
    fill(&journal, 0..5);
    let mut follower = journal.follow(Position::START);
    for _ in 0..5 {
        block_on(follower.next()).unwrap().unwrap();
    }
    place.fake.stop();
    // An older copy was restored.
    place.fake.tamper(|events| events.truncate(3));
    place.fake.restart();
    let told = block_on(follower.next());
    assert!(matches!(told, Some(Err(JournalError::Behind { .. }))), "{told:?}");
}

#[test]
fn a_closed_journal_ends_its_followers() {
    let place = Place::new();
    let journal = place.journal();
    fill(&journal, 0..1);
    let mut follower = journal.follow(Position::START);
    block_on(follower.next()).unwrap().unwrap();
    drop(journal);
    assert!(matches!(block_on(follower.next()), Some(Err(JournalError::Closed))));
}
