//! Lost races and repetitions: what the servers' answers leave open is read back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::commit::Sealed;
use futures::executor::block_on;
use journal::jetstream::JetStreamJournal;
use journal::testing::{commit, stream};
use journal::{AppendError, Appended, Journal, Position, Recorded, Token, verify};
use servers::until;

use crate::place::{self, Place};

fn append(journal: &JetStreamJournal, before: Option<&Recorded>, id: u128) -> Recorded {
    let sealed = commit(&stream("a"), id, before, &[1]);
    let token = before.map_or(Token::EMPTY, |before| Token::at(before.position));
    let appended = block_on(journal.append(token, Arc::clone(&sealed))).unwrap();
    assert!(!appended.repeated);
    Recorded { position: appended.position, sealed }
}

fn repeat(journal: &JetStreamJournal, token: Token, sealed: &Arc<Sealed>) -> Appended {
    block_on(journal.append(token, Arc::clone(sealed))).unwrap()
}

#[test]
fn an_id_is_known_for_ever_though_the_servers_have_forgotten_it() {
    let mut place = place::alone();
    place.options.duplicate_window = Duration::from_millis(100);
    let journal = place.journal();
    let first = append(&journal, None, 1);
    let second = append(&journal, Some(&first), 2);
    let stored = Instant::now();
    until("the servers to forget the ids", || {
        (stored.elapsed() > place.options.duplicate_window * 3).then_some(())
    });
    let again = Appended { position: first.position, repeated: true };
    let at_the_end = Token::at(second.position);
    // Decided anew, as a client's repetition is: the server by itself would take it.
    let anew = commit(&stream("a"), 1, Some(&second), &[7]);
    for journal in [&journal, &place.journal()] {
        assert_eq!(repeat(journal, at_the_end, &anew), again);
        assert_eq!(repeat(journal, Token::EMPTY, &first.sealed), again);
        let found = block_on(journal.find(&stream("a"), first.sealed.commit.commit_id)).unwrap();
        assert_eq!(found.unwrap().position, first.position);
    }
    assert_eq!(block_on(journal.head()).unwrap(), second.position);
    append(&journal, Some(&second), 3);
}

/// Several processes on one stream: every lost race is told as a conflict, with either of the servers' codes.
fn races(place: &Place) {
    const WRITERS: u128 = 6;
    const COMMITS: u128 = 30;
    let conflicts = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let conflicts = &conflicts;
            scope.spawn(move || {
                let journal = place.journal();
                let mut loaded = block_on(journal.load(&stream("a"), 0)).unwrap().commits;
                for number in 0..COMMITS {
                    let id = writer * 1_000 + number + 1;
                    loop {
                        let sealed = commit(&stream("a"), id, loaded.last(), &[1]);
                        let token = loaded.last().map_or(Token::EMPTY, |r| Token::at(r.position));
                        match block_on(journal.append(token, Arc::clone(&sealed))) {
                            Ok(Appended { position, repeated }) => {
                                assert!(!repeated);
                                loaded.push(Recorded { position, sealed });
                                break;
                            }
                            Err(AppendError::Conflict { expected, actual }) => {
                                assert!(expected == token && actual > token);
                                conflicts.fetch_add(1, Ordering::SeqCst);
                                loaded = block_on(journal.load(&stream("a"), 0)).unwrap().commits;
                            }
                            Err(other) => panic!("{other}"),
                        }
                    }
                }
            });
        }
    });
    assert!(conflicts.into_inner() > 0, "nobody lost a race");
    let verified = block_on(verify(&place.journal())).unwrap();
    assert_eq!(u128::from(verified.commits), WRITERS * COMMITS);
    assert_eq!(verified.head, Position::new(verified.commits));
}

#[test]
fn processes_that_race_on_one_server_lose_no_commit_and_leave_no_gap() {
    races(&place::alone());
}

#[test]
fn processes_that_race_on_three_servers_lose_no_commit_and_leave_no_gap() {
    races(&place::cluster());
}
