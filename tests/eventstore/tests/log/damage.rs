//! A log that was changed behind its back.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::executor::block_on;
use journal::testing::{commit, stream};
use journal::{AppendError, Breakage, Journal, JournalError, Position, Recorded, Token, verify};

use crate::place::Place;

const STREAM: &str = "cairn-ev.acme.tally.a";

/// Appends so many commits to one stream.
fn fill(journal: &dyn Journal, count: u128) -> Vec<Recorded> {
    let mut filled: Vec<Recorded> = Vec::new();
    for id in 1..=count {
        let sealed = commit(&stream("a"), id, filled.last(), &[1]);
        let token = filled.last().map_or(Token::EMPTY, |last| Token::at(last.position));
        let appended = block_on(journal.append(token, Arc::clone(&sealed))).unwrap();
        filled.push(Recorded { position: appended.position, sealed });
    }
    filled
}

fn damaged(error: JournalError) -> (Position, Breakage) {
    match error {
        JournalError::Damaged { position, breakage, .. } => (position, *breakage),
        other => panic!("{other}"),
    }
}

#[test]
fn a_changed_byte_is_found_and_named_and_nothing_is_added_to_it() {
    let place = Place::new();
    let filled = fill(&place.journal(), 4);
    place.fake.tamper(|events| {
        let event = events.iter_mut().filter(|event| event.stream == STREAM).nth(1).unwrap();
        let mut data = event.data.to_vec();
        data[20] ^= 1;
        event.data = data.into();
    });
    let journal = place.journal();
    let (position, breakage) = damaged(block_on(journal.load(&stream("a"), 0)).unwrap_err());
    assert_eq!(position, Position::new(2));
    assert!(matches!(breakage, Breakage::Seal(_)), "{breakage:?}");
    let (position, _) = damaged(block_on(verify(&journal)).unwrap_err());
    assert_eq!(position, Position::new(2));
    let next = commit(&stream("a"), 9, filled.last(), &[1]);
    let answer = block_on(journal.append(Token::at(Position::new(4)), next));
    assert!(matches!(answer, Err(AppendError::Damaged(_))), "{answer:?}");
    // What is before it can be read.
    let first = block_on(journal.follow(Position::START).next()).unwrap().unwrap();
    assert_eq!(first.position, Position::new(1));
}

#[test]
fn a_commit_that_was_scavenged_away_is_missing_to_every_reader() {
    let place = Place::new();
    fill(&place.journal(), 4);
    place
        .fake
        .tamper(|events| events.retain(|event| event.stream != STREAM || event.revision != 1));
    let journal = place.journal();
    damaged(block_on(journal.load(&stream("a"), 0)).unwrap_err());
    let (position, breakage) = damaged(block_on(verify(&journal)).unwrap_err());
    assert_eq!(position, Position::new(2));
    assert!(matches!(breakage, Breakage::Version { expected: 2, found: 3 }), "{breakage:?}");
}

#[test]
fn a_stream_that_was_deleted_while_the_log_was_open_is_damage_and_not_an_empty_stream() {
    let place = Place::new();
    let journal = place.journal();
    fill(&journal, 3);
    crate::place::runtime().block_on(async {
        let client = eventstore::Client::new(place.fake.url().parse().unwrap()).unwrap();
        client.delete_stream(STREAM, &eventstore::DeleteStreamOptions::default()).await.unwrap();
    });
    let (position, _) = damaged(block_on(journal.check_token(&stream("a"))).unwrap_err());
    assert_eq!(position, Position::new(1));
    damaged(block_on(journal.load(&stream("a"), 0)).unwrap_err());
}

#[test]
fn somebody_elses_event_in_a_stream_of_the_log_is_found() {
    let place = Place::new();
    let journal = place.journal();
    fill(&journal, 2);
    place.fake.put(STREAM, 77, b"{\"not\":\"ours\"}");
    let mut follower = journal.follow(Position::new(2));
    let (position, _) = damaged(block_on(follower.next()).unwrap().unwrap_err());
    assert_eq!(position, Position::new(3));
}
