//! The embedded log, on a real disk.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "these are tests"
)]

use std::path::Path;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::executor::block_on;
use journal::conformance::Store;
use journal::sqlite::{OpenError, Options, SqliteJournal};
use journal::testing::{Tally, add, commit, context, stream};
use journal::{
    AppendError, Breakage, ExecuteError, Executor, Journal, JournalError, LoadError, Position,
    Token, Verified, verify,
};
use rusqlite::Connection;
use tempfile::TempDir;

struct Directory(TempDir);

impl Store for Directory {
    fn open(&self) -> Arc<dyn Journal> {
        Arc::new(SqliteJournal::open(self.0.path()).unwrap())
    }
}

fn directory() -> Directory {
    Directory(TempDir::new().unwrap())
}

journal::conformance!(crate::directory());

/// A log with three commits of `ev.acme.tally.a`, changed by hand.
fn tampered(sql: &str) -> TempDir {
    let directory = TempDir::new().unwrap();
    let executor = Executor::new(Arc::new(SqliteJournal::open(directory.path()).unwrap()));
    for id in 1..=3 {
        block_on(executor.execute::<Tally>(&stream("a"), add(1), context(id))).unwrap();
    }
    drop(executor);
    let file = Connection::open(directory.path().join("journal.sqlite")).unwrap();
    assert!(file.execute(sql, ()).unwrap() > 0);
    directory
}

fn load(directory: &Path) -> Result<(), JournalError> {
    let journal = SqliteJournal::open(directory).map_err(|error| match error {
        OpenError::Journal(error) => error,
        other => panic!("{other}"),
    })?;
    block_on(journal.load(&stream("a"), 0)).map(drop)
}

fn breakage(error: JournalError) -> (Position, Breakage) {
    match error {
        JournalError::Damaged { position, breakage, .. } => (position, *breakage),
        other => panic!("{other} is not damage"),
    }
}

#[test]
fn a_tampered_byte_is_found_and_named() {
    let flip = "UPDATE commits SET bytes = CAST(replace(CAST(bytes AS TEXT), '\"number\":1', '\"number\":7') AS BLOB) WHERE position = 2";
    let directory = tampered(flip);
    let error = load(directory.path()).unwrap_err();
    let text = error.to_string();
    let (position, breakage) = breakage(error);
    assert_eq!(position, Position::new(2));
    assert!(matches!(breakage, Breakage::Seal(_)), "{breakage}");
    assert!(text.contains("position 2") && text.contains("ev.acme.tally.a"), "{text}");

    let journal = SqliteJournal::open(directory.path()).unwrap();
    let seen: Vec<_> = block_on(journal.follow(Position::START).collect());
    assert_eq!(seen.len(), 2, "what is whole is given, and the error is the last item");
    assert!(seen.last().unwrap().is_err());
    let executor = Executor::new(Arc::new(journal));
    let answer = block_on(executor.execute::<Tally>(&stream("a"), add(1), context(9)));
    assert!(matches!(answer, Err(ExecuteError::Log(LoadError::Journal(_)))), "{answer:?}");
}

#[test]
fn a_commit_that_was_replaced_whole_breaks_the_chain() {
    let directory = tampered("UPDATE commits SET position = position");
    let other = commit(&stream("a"), 1, None, &[7]);
    let file = Connection::open(directory.path().join("journal.sqlite")).unwrap();
    file.execute("UPDATE commits SET bytes = ?1 WHERE position = 1", [&other.bytes[..]]).unwrap();
    drop(file);
    let (position, breakage) = breakage(load(directory.path()).unwrap_err());
    assert_eq!(position, Position::new(2));
    assert!(matches!(breakage, Breakage::Chain { .. }), "{breakage}");
}

#[test]
fn a_missing_commit_is_a_missing_version_to_a_reader_and_a_gap_to_a_follower() {
    let directory = tampered("DELETE FROM commits WHERE position = 2");
    let (position, breakage) = breakage(load(directory.path()).unwrap_err());
    assert_eq!(position, Position::new(3));
    assert!(matches!(breakage, Breakage::Version { expected: 2, found: 3 }), "{breakage}");
    let journal = SqliteJournal::open(directory.path()).unwrap();
    let seen: Vec<_> = block_on(journal.follow(Position::START).collect());
    let (position, breakage) = self::breakage(seen.into_iter().last().unwrap().unwrap_err());
    assert_eq!(position, Position::new(2));
    assert!(matches!(breakage, Breakage::Gap { .. }), "{breakage}");
}

#[test]
fn an_index_that_lies_is_found() {
    let directory = tampered("UPDATE commits SET commit_id = zeroblob(16) WHERE position = 3");
    let error = match SqliteJournal::open(directory.path()).err() {
        Some(OpenError::Journal(error)) => error,
        other => panic!("{other:?} is not damage"),
    };
    assert!(matches!(breakage(error), (_, Breakage::Index { .. })));
}

#[test]
fn a_log_that_lost_its_end_stops_whoever_had_read_it() {
    let directory = tampered("DELETE FROM commits WHERE position = 3");
    let journal = SqliteJournal::open(directory.path()).unwrap();
    let first = block_on(journal.follow(Position::new(3)).next());
    assert!(matches!(first, Some(Err(JournalError::Behind { .. }))), "{first:?}");
}

#[test]
fn a_second_process_is_turned_away_with_the_directory_named() {
    let directory = TempDir::new().unwrap();
    let first = SqliteJournal::open(directory.path()).unwrap();
    let second = SqliteJournal::open(directory.path()).err().unwrap();
    assert!(matches!(second, OpenError::InUse { .. }));
    assert_eq!(
        second.to_string(),
        format!("another cairn is using {}", directory.path().display())
    );
    drop(first);
    SqliteJournal::open(directory.path()).unwrap();
}

#[test]
fn a_foreign_or_newer_file_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("journal.sqlite");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    assert!(matches!(SqliteJournal::open(directory.path()), Err(OpenError::Foreign(_))));
    std::fs::remove_file(&path).unwrap();
    drop(SqliteJournal::open(directory.path()).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 2).unwrap();
    let newer = SqliteJournal::open(directory.path()).err().unwrap();
    assert!(matches!(newer, OpenError::Newer { found: 2 }), "{newer}");
}

#[test]
fn a_full_log_refuses_without_lying_and_goes_on_when_there_is_room() {
    let directory = TempDir::new().unwrap();
    let small = Options { pages_max: Some(24) };
    let journal = SqliteJournal::open_with(directory.path(), small).unwrap();
    let (a, mut acknowledged) = (stream("a"), Vec::new());
    let executor = Executor::new(Arc::new(journal));
    let refused = loop {
        let id = acknowledged.len() as u128 + 1;
        match block_on(executor.execute::<Tally>(&a, add(1), context(id))) {
            Ok(executed) => acknowledged.push(executed.position),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, ExecuteError::Full { .. }), "{refused}");
    assert!(!acknowledged.is_empty());
    // What was acknowledged is there, what was refused is not, and reading goes on.
    let folded = block_on(executor.load_state::<Tally>(&a)).unwrap();
    assert_eq!(folded.version, acknowledged.len() as u64);
    drop(executor);

    let journal = SqliteJournal::open(directory.path()).unwrap();
    assert_eq!(block_on(journal.head()).unwrap(), *acknowledged.last().unwrap());
    let executor = Executor::new(Arc::new(journal));
    let id = context(acknowledged.len() as u128 + 1);
    let executed = block_on(executor.execute::<Tally>(&a, add(1), id)).unwrap();
    assert!(!executed.repeated);
    assert_eq!(executed.version, acknowledged.len() as u64 + 1);
}

#[test]
fn closing_ends_followers_and_refuses_nothing_that_was_accepted() {
    let directory = TempDir::new().unwrap();
    let journal = SqliteJournal::open(directory.path()).unwrap();
    let sealed = commit(&stream("a"), 1, None, &[1]);
    let position = block_on(journal.append(Token::EMPTY, sealed)).unwrap().position;
    let mut follower = journal.follow(Position::START);
    drop(journal);
    assert_eq!(block_on(follower.next()).unwrap().unwrap().position, position);
    assert!(matches!(block_on(follower.next()), Some(Err(JournalError::Closed))));
    assert!(block_on(follower.next()).is_none());
}

#[test]
fn a_stream_too_long_ago_to_be_kept_at_hand_still_refuses_what_does_not_continue_it() {
    let directory = TempDir::new().unwrap();
    let journal = SqliteJournal::open(directory.path()).unwrap();
    let first = commit(&stream("a"), 1, None, &[1]);
    block_on(journal.append(Token::EMPTY, first)).unwrap();
    drop(journal);
    let journal = SqliteJournal::open(directory.path()).unwrap();
    let again = commit(&stream("a"), 2, None, &[1]);
    let answer = block_on(journal.append(Token::EMPTY, again));
    assert!(matches!(answer, Err(AppendError::Conflict { .. })), "{answer:?}");
}

#[test]
fn verify_counts_a_whole_log_and_names_the_first_breakage() {
    let directory = TempDir::new().unwrap();
    let executor = Executor::new(Arc::new(SqliteJournal::open(directory.path()).unwrap()));
    assert_eq!(block_on(verify(&**executor.journal())).unwrap(), Verified::default());
    for id in 0..50 {
        let stream = stream(["a", "b", "c"][id as usize % 3]);
        block_on(executor.execute::<Tally>(&stream, add(1), context(id))).unwrap();
    }
    let verified = block_on(verify(&**executor.journal())).unwrap();
    assert_eq!((verified.streams, verified.commits, verified.events), (3, 50, 50));
    assert_eq!(verified.head, Position::new(50));
    drop(executor);

    // Two commits change places: each seal holds, and no position is missing.
    let file = Connection::open(directory.path().join("journal.sqlite")).unwrap();
    let swap = "UPDATE commits SET position = -position WHERE position IN (10, 13);
                UPDATE commits SET position = 10 WHERE position = -13;
                UPDATE commits SET position = 13 WHERE position = -10;";
    file.execute_batch(swap).unwrap();
    drop(file);
    let journal = SqliteJournal::open(directory.path()).unwrap();
    let (position, breakage) = breakage(block_on(verify(&journal)).unwrap_err());
    assert_eq!(position, Position::new(10));
    assert!(matches!(breakage, Breakage::Version { .. }), "{breakage}");
}
