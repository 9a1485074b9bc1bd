//! Followers: through restarts, lost consumers and lost commits.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::executor::block_on;
use journal::testing::{commit, stream};
use journal::{Journal, JournalError, Position, Recorded, Token};
use servers::nats::{Nats, Options};

use crate::place::{self, Place, runtime};

/// Adds so many commits to a stream of its own.
fn fill(journal: &dyn Journal, name: &str, count: usize) -> Vec<Recorded> {
    let mut filled: Vec<Recorded> = Vec::new();
    for number in 0..count {
        let id = uuid::Uuid::now_v7().as_u128();
        let sealed = commit(&stream(name), id, filled.last(), &[number as u64 + 1]);
        let token = filled.last().map_or(Token::EMPTY, |last| Token::at(last.position));
        let appended = block_on(journal.append(token, Arc::clone(&sealed))).unwrap();
        filled.push(Recorded { position: appended.position, sealed });
    }
    filled
}

#[test]
fn a_follower_goes_on_through_restarts_of_the_server_without_gap_or_repetition() {
    let server = Nats::start(&Options::default());
    let journal = place_of(&server).journal();
    let mut follower = journal.follow(Position::START);
    let mut seen = 0;
    for round in 0..4 {
        let filled = fill(&journal, &format!("s{round}"), 25);
        if round % 2 == 0 {
            server.restart();
        }
        for recorded in &filled {
            let next = block_on(follower.next()).unwrap().unwrap();
            seen += 1;
            assert_eq!(next.position, Position::new(seen));
            assert_eq!(next.sealed.bytes, recorded.sealed.bytes);
        }
    }
}

fn place_of(server: &Nats) -> Place {
    Place::new(&server.url(), 1)
}

#[test]
fn a_follower_whose_consumer_is_deleted_goes_on() {
    let place = place::alone();
    let journal = place.journal();
    let mut follower = journal.follow(Position::START);
    for round in 0..3_u64 {
        fill(&journal, &format!("s{round}"), 10);
        for number in 1..=10 {
            let next = block_on(follower.next()).unwrap().unwrap();
            assert_eq!(next.position, Position::new(round * 10 + number));
        }
        runtime().block_on(async {
            let client = place.client().await;
            let context = async_nats::jetstream::new(client);
            let log = context.get_stream("cairn").await.unwrap();
            let mut names = log.consumer_names();
            while let Some(name) = names.next().await {
                log.delete_consumer(&name.unwrap()).await.unwrap();
            }
        });
    }
}

#[test]
fn what_a_process_writes_alone_is_not_sent_back_to_it_and_is_followed_all_the_same() {
    let place = place::alone();
    let (journal, other) = (place.journal(), place.journal());
    let mut followers = [journal.follow(Position::START), other.follow(Position::START)];
    let mut seen = 0;
    for round in 0..ROUNDS_MAX {
        std::thread::scope(|scope| {
            for writer in 0..16 {
                let journal = &journal;
                scope.spawn(move || fill(journal, &format!("s{round}-{writer}"), 100));
            }
        });
        let alone_until = block_on(journal.head()).unwrap().get();
        // Somebody else writes too, and then so does the first.
        fill(&other, &format!("o{round}"), 3);
        fill(&journal, &format!("t{round}"), 3);
        let head = block_on(journal.head()).unwrap().get();
        for position in seen + 1..=head {
            for follower in &mut followers {
                let next = block_on(follower.next()).unwrap().unwrap();
                assert_eq!(next.position, Position::new(position));
            }
        }
        seen = head;
        if runtime().block_on(least_sent(&place)) < alone_until {
            return;
        }
    }
    panic!("all that the process wrote was sent back to it in each of {ROUNDS_MAX} rounds");
}

/// Longer than it takes on the slowest machine that is any use.
const ROUNDS_MAX: u32 = 100;

/// Up to where the consumer that was sent least was sent the log.
async fn least_sent(place: &Place) -> u64 {
    let context = async_nats::jetstream::new(place.client().await);
    let log = context.get_stream("cairn").await.unwrap();
    let consumers = log.consumers().map(|info| info.unwrap().delivered.stream_sequence);
    consumers.fold(u64::MAX, async |least, sent| least.min(sent)).await
}

#[test]
fn followers_end_with_the_journal_and_not_before_what_was_in_the_log() {
    let journal = place::alone().journal();
    fill(&journal, "a", 3);
    let mut follower = journal.follow(Position::new(2));
    assert_eq!(block_on(follower.next()).unwrap().unwrap().position, Position::new(3));
    drop(journal);
    assert!(matches!(block_on(follower.next()), Some(Err(JournalError::Closed))));
    assert!(block_on(follower.next()).is_none());
}

#[test]
fn a_follower_is_told_that_the_log_lost_what_was_read_from_it() {
    let server = Nats::start(&Options::default());
    let journal = place_of(&server).journal();
    fill(&journal, "a", 5);
    let mut follower = journal.follow(Position::START);
    for number in 1..=5 {
        assert_eq!(block_on(follower.next()).unwrap().unwrap().position, Position::new(number));
    }
    // As after the loss of power without `sync_interval: always`, only worse: nothing is left, and it begins anew.
    server.kill9();
    std::fs::remove_dir_all(server.store()).unwrap();
    server.restart();
    let anew = place_of(&server).journal();
    fill(&anew, "b", 7);
    let told = block_on(follower.next());
    assert!(matches!(told, Some(Err(JournalError::Behind { .. }))), "{told:?}");
    assert!(block_on(follower.next()).is_none());
}
