//! What is done to a log, with or without the archive beside it.

use std::sync::Arc;

use archive::{Subject, verify};
use domain::StreamId;
use domain::commit::{Commit, EventRecord, Sealed};
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use futures::stream::{self, BoxStream, StreamExt as _};
use journal::sqlite::SqliteJournal;
use journal::testing::{TallyEvent, commit, stream as stream_named};
use journal::{AppendError, Appended, Journal, JournalError, Loaded, Position, Recorded, Token};
use uuid::Uuid;

use super::assert_found;
use crate::place::{Sort, over_both};
use crate::world::{World, all, forge};

over_both!(
    each_kind_of_tampering_with_a_log_is_found,
    a_history_that_was_rewritten_and_sealed_anew_is_found,
    an_old_copy_that_grew_differently_is_found,
    a_byte_of_the_file_itself_is_found,
);

/// A log whose store somebody has rewritten: it gives what it is told to, unchecked.
struct Rewritten(Vec<Recorded>);

impl Journal for Rewritten {
    fn load<'a>(&'a self, _: &'a StreamId, _: u64) -> BoxFuture<'a, Result<Loaded, JournalError>> {
        ready(Err(JournalError::Closed)).boxed()
    }

    fn append(&self, _: Token, _: Arc<Sealed>) -> BoxFuture<'_, Result<Appended, AppendError>> {
        ready(Err(AppendError::Unavailable { reason: "it is only read".into() })).boxed()
    }

    fn follow(&self, after: Position) -> BoxStream<'static, Result<Recorded, JournalError>> {
        let rest: Vec<_> = self.0.iter().filter(|r| r.position > after).cloned().map(Ok).collect();
        stream::iter(rest).boxed()
    }

    fn find<'a>(
        &'a self,
        _: &'a StreamId,
        _: Uuid,
    ) -> BoxFuture<'a, Result<Option<Recorded>, JournalError>> {
        ready(Err(JournalError::Closed)).boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, JournalError>> {
        ready(Ok(self.0.last().map_or(Position::START, |last| last.position))).boxed()
    }

    fn check_token<'a>(&'a self, _: &'a StreamId) -> BoxFuture<'a, Result<Token, JournalError>> {
        ready(Err(JournalError::Closed)).boxed()
    }
}

/// A commit that says something else, under a seal of its own.
pub(super) fn rewritten(commit: &Commit) -> Commit {
    let mut commit = commit.clone();
    let event = TallyEvent::Added { number: 77 };
    commit.events = vec![EventRecord::encode(&event).unwrap(); commit.events.len()];
    commit
}

fn sealed(commit: Commit) -> Arc<Sealed> {
    Arc::new(commit.seal().unwrap())
}

fn flip(recorded: &mut Recorded) {
    let Sealed { commit, mut bytes, hash } = (*recorded.sealed).clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    recorded.sealed = Arc::new(Sealed { commit, bytes, hash });
}

fn renumber(log: &mut [Recorded]) {
    for (index, recorded) in log.iter_mut().enumerate() {
        recorded.position = Position::new(index as u64 + 1);
    }
}

type Case = (&'static str, fn(&mut Vec<Recorded>), &'static str);

/// 60 commits are archived, 30 more are not. Index 29 is position 30.
const BESIDE_AN_ARCHIVE: &[Case] = &[
    ("a byte is flipped", |log| flip(&mut log[29]), "hold different commits"),
    ("a byte is flipped in what is not archived", |log| flip(&mut log[79]), "seal is broken"),
    ("a commit is dropped", |log| drop(log.remove(29)), "hold different commits"),
    (
        "a commit that is not archived is dropped",
        |log| drop(log.remove(79)),
        "position 81 is where 80 should be",
    ),
    (
        "a commit is dropped and the rest moved up",
        |log| {
            log.remove(29);
            renumber(log);
        },
        "hold different commits",
    ),
    ("the end is cut off", |log| log.truncate(50), "the log ends at 50"),
    ("two commits are swapped", |log| log.swap(29, 30), "hold different commits"),
    (
        "two commits of different streams are swapped, and their positions too",
        |log| {
            log.swap(29, 30);
            renumber(log);
        },
        "hold different commits",
    ),
    (
        "two commits that are not archived are swapped",
        |log| {
            log.swap(79, 83);
            renumber(log);
        },
        "begins at version",
    ),
    (
        "a commit is there twice",
        |log| {
            log.insert(80, log[79].clone());
            renumber(log);
        },
        "begins at version",
    ),
    (
        "a commit says something else, sealed anew",
        |log| log[29].sealed = sealed(rewritten(&log[29].sealed.commit)),
        "hold different commits",
    ),
    (
        "a commit that is not archived says something else, sealed anew",
        |log| log[79].sealed = sealed(rewritten(&log[79].sealed.commit)),
        "its previous commit's hash is",
    ),
    (
        "a foreign commit is put in between",
        |log| {
            let foreign = commit(&stream_named("foreign"), 7_777, None, &[1]);
            log.insert(29, Recorded { position: Position::START, sealed: foreign });
            renumber(log);
        },
        "hold different commits",
    ),
];

async fn each_kind_of_tampering_with_a_log_is_found(sort: Sort) {
    let world = World::archived(sort).await;
    world.grow(30).await;
    let whole = all(&*world.journal).await;
    let check = |log: Vec<Recorded>| {
        verify(Subject { journal: Some(Arc::new(Rewritten(log))), ..world.subject() })
    };
    assert_eq!(check(whole.clone()).await.unwrap().commits, 90);
    for (case, tamper, expected) in BESIDE_AN_ARCHIVE {
        let mut log = whole.clone();
        tamper(&mut log);
        assert_found(case, check(log).await, expected);
    }
}

async fn a_history_that_was_rewritten_and_sealed_anew_is_found(sort: Sort) {
    let world = World::archived(sort).await;
    let commits = all(&*world.journal).await.into_iter().enumerate();
    let commits = commits.map(|(index, recorded)| match index {
        29 => rewritten(&recorded.sealed.commit),
        _ => recorded.sealed.commit.clone(),
    });
    let forged = forge(commits).await;
    let alone = Subject { journal: Some(forged.clone()), ..Subject::default() };
    assert_eq!(verify(alone).await.unwrap().commits, 60, "by itself it looks whole");
    let beside = Subject { journal: Some(forged), ..world.subject() };
    assert_found("sealed anew", verify(beside).await, "the log at position 30");
}

async fn an_old_copy_that_grew_differently_is_found(sort: Sort) {
    let world = World::archived(sort).await;
    let old = all(&*world.journal).await.into_iter().take(50);
    let forged = forge(old.map(|recorded| recorded.sealed.commit.clone())).await;
    let fork = World { journal: forged, ..World::new(Sort::Folder) };
    for number in 900..920 {
        let sealed = commit(&stream_named(&format!("fork{number}")), number, None, &[1]);
        fork.journal.append(Token::EMPTY, sealed).await.unwrap();
    }
    let subject = Subject { journal: Some(fork.log()), ..world.subject() };
    assert_found("a fork", verify(subject).await, "the log at position 51");
}

async fn a_byte_of_the_file_itself_is_found(sort: Sort) {
    let world = World::archived(sort).await;
    let folder = tempfile::tempdir().unwrap();
    let log = SqliteJournal::open(folder.path()).unwrap();
    let source = archive::copy::from_log(world.log()).await.unwrap();
    archive::copy::copy(source, &log).await.unwrap();
    drop(log);
    let needle = all(&*world.journal).await[29].sealed.hash.to_hex();
    // It is in the file, or still in the WAL beside it.
    let mut flipped = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(64).position(|window| window == needle.as_bytes());
        if let Some(at) = found {
            bytes[at - 20] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            flipped += 1;
        }
    }
    assert!(flipped > 0, "the commit is in a file");
    let log = SqliteJournal::open(folder.path()).unwrap();
    let subject = Subject { journal: Some(Arc::new(log)), ..world.subject() };
    assert_found("the file", verify(subject).await, "the log ");
}
