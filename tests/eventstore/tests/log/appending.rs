//! Appends whose requests, answers or servers are lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eventstore_fake::{Call, Fake, Fault};
use futures::executor::block_on;
use journal::testing::{commit, stream};
use journal::{AppendError, Appended, Journal, JournalError, Position, Recorded, Token};

use crate::place::Place;

/// Fails the first `times` appends of commits.
fn fail_appends(place: &Place, fault: Fault, times: usize) -> Arc<AtomicUsize> {
    let failed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&failed);
    place.fake.fail(move |call| {
        let is_commit = matches!(call, Call::Append(stream) if stream.contains("-ev."));
        (is_commit && count.fetch_add(1, Ordering::SeqCst) < times).then_some(fault)
    });
    failed
}

fn first() -> (Token, Arc<domain::commit::Sealed>) {
    (Token::EMPTY, commit(&stream("a"), 1, None, &[1]))
}

#[test]
fn an_acknowledgement_lost_on_the_way_is_read_back_and_is_no_repetition() {
    for fault in [Fault::LoseReply, Fault::SilenceAfter] {
        let place = Place::new();
        let journal = place.journal();
        let failed = fail_appends(&place, fault, 1);
        let (token, sealed) = first();
        let appended = block_on(journal.append(token, Arc::clone(&sealed))).unwrap();
        assert_eq!(appended, Appended { position: Position::new(1), repeated: false });
        assert_eq!(failed.load(Ordering::SeqCst), 1, "it was read back, not sent again");
        let again = block_on(journal.append(token, sealed)).unwrap();
        assert_eq!(again, Appended { position: Position::new(1), repeated: true });
    }
}

#[test]
fn a_request_lost_on_the_way_is_sent_again_and_stored_once() {
    for fault in [Fault::LoseRequest, Fault::SilenceBefore] {
        let place = Place::new();
        let journal = place.journal();
        fail_appends(&place, fault, 1);
        let (token, sealed) = first();
        let appended = block_on(journal.append(token, sealed)).unwrap();
        assert_eq!(appended, Appended { position: Position::new(1), repeated: false });
        assert_eq!(block_on(journal.head()).unwrap(), Position::new(1));
    }
}

#[test]
fn an_outcome_that_stays_unknown_is_told_as_such_and_known_by_repeating() {
    let mut place = Place::new();
    place.options.deadline = Duration::from_millis(400);
    let journal = place.journal();
    place.fake.fail(|call| match call {
        Call::Append(stream) if stream.contains("-ev.") => Some(Fault::LoseReply),
        Call::ReadStream(_) | Call::ReadAll => Some(Fault::LoseRequest),
        Call::Append(_) | Call::Subscribe => None,
    });
    place.fake.hold(true);
    let (token, sealed) = first();
    let lost = block_on(journal.append(token, Arc::clone(&sealed)));
    assert!(matches!(lost, Err(AppendError::Unknown { .. })), "{lost:?}");
    place.fake.fail(|_| None);
    place.fake.hold(false);
    let again = block_on(journal.append(token, sealed)).unwrap();
    assert_eq!(again.position, Position::new(1));
    assert_eq!(block_on(journal.load(&stream("a"), 0)).unwrap().commits.len(), 1);
}

#[test]
fn what_was_never_sent_is_not_unknown() {
    let mut place = Place::new();
    place.options.deadline = Duration::from_millis(400);
    let journal = place.journal();
    let (token, sealed) = first();
    place.fake.fail(|call| matches!(call, Call::Append(_)).then_some(Fault::Deny));
    let denied = block_on(journal.append(token, Arc::clone(&sealed)));
    let Err(AppendError::Unavailable { reason }) = denied else { panic!("{denied:?}") };
    assert!(reason.to_lowercase().contains("denied"), "{reason}");
    place.fake.fail(|_| None);
    assert!(!block_on(journal.append(token, sealed)).unwrap().repeated);
}

#[test]
fn a_server_that_goes_away_in_the_middle_loses_and_doubles_nothing() {
    const COMMITS: u128 = 200;
    let place = Place::new();
    let journal = place.journal();
    let mut before: Option<Recorded> = None;
    let mut append = |id: u128| {
        let sealed = commit(&stream("a"), id, before.as_ref(), &[1]);
        let token = before.as_ref().map_or(Token::EMPTY, |last| Token::at(last.position));
        let appended = block_on(journal.append(token, Arc::clone(&sealed))).unwrap();
        assert_eq!((appended.position.get(), appended.repeated), (id as u64, false));
        before = Some(Recorded { position: appended.position, sealed });
    };
    std::thread::scope(|scope| {
        let (halves, restarts) = std::sync::mpsc::channel();
        scope.spawn(move || {
            for _ in restarts {
                place.fake.restart();
            }
            assert_eq!(place.fake.events().len() as u128, COMMITS + 1, "and the mark");
        });
        for id in 1..=COMMITS {
            if id % 50 == 0 {
                halves.send(()).unwrap();
            }
            append(id);
        }
    });
}

#[test]
fn an_id_that_another_process_stored_first_is_not_taken_for_ours() {
    let place = Place::new();
    let (one, other) = (place.journal(), place.journal());
    let (token, sealed) = first();
    // The other process has not counted it yet when it sends another commit of the same id.
    place.fake.hold(true);
    let stored = std::thread::scope(|scope| {
        let first = scope.spawn(|| block_on(one.append(token, sealed)).unwrap());
        let second = scope.spawn(|| {
            let unlike = commit(&stream("a"), 1, None, &[7]);
            block_on(other.append(token, unlike)).unwrap()
        });
        while place.fake.events().iter().filter(|event| event.stream.contains("-ev.")).count() == 0
        {
            std::thread::yield_now();
        }
        place.fake.hold(false);
        [first.join().unwrap(), second.join().unwrap()]
    });
    assert!(stored.iter().all(|appended| appended.position == Position::new(1)));
    assert_eq!(stored.iter().filter(|appended| appended.repeated).count(), 1, "{stored:?}");
}

#[test]
fn a_server_without_sessions_takes_appends_one_by_one() {
    let place = Place::on(Fake::start_old());
    let journal = place.journal();
    let (token, sealed) = first();
    let appended = block_on(journal.append(token, Arc::clone(&sealed))).unwrap();
    assert_eq!(appended, Appended { position: Position::new(1), repeated: false });
    let other = commit(&stream("a"), 2, None, &[2]);
    let late = block_on(journal.append(token, other));
    assert!(matches!(late, Err(AppendError::Conflict { .. })), "{late:?}");
    assert_eq!(block_on(place.journal().load(&stream("a"), 0)).unwrap().commits.len(), 1);
}

#[test]
fn a_user_who_may_not_write_is_told_so_when_the_log_is_opened() {
    let place = Place::new();
    place.fake.fail(|call| matches!(call, Call::Append(_)).then_some(Fault::Deny));
    let error = place.try_open().err().unwrap();
    assert!(error.to_string().contains("may not append"), "{error}");
}

#[test]
fn the_end_of_a_stream_is_asked_of_the_server_and_not_of_memory() {
    let mut place = Place::new();
    place.options.deadline = Duration::from_secs(1);
    let (one, other) = (place.journal(), place.journal());
    let (token, sealed) = first();
    block_on(one.append(token, sealed)).unwrap();
    assert_eq!(block_on(other.check_token(&stream("a"))).unwrap(), Token::at(Position::new(1)));
    assert_eq!(block_on(other.head()).unwrap(), Position::new(1));
    place.fake.fail(|call| matches!(call, Call::ReadStream(_)).then_some(Fault::LoseRequest));
    let answer = block_on(other.check_token(&stream("a")));
    assert!(matches!(answer, Err(JournalError::Unavailable { .. })), "{answer:?}");
}
