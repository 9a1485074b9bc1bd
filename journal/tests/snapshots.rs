//! Snapshots save time and change nothing, whatever is done to them.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use domain::StreamId;
use domain::commit::Hash;
use futures::FutureExt as _;
use futures::executor::block_on;
use futures::future::{BoxFuture, ready};
use journal::memory::MemoryJournal;
use journal::snapshots::{Snapshot, Snapshots};
use journal::sqlite::{SqliteJournal, SqliteSnapshots};
use journal::testing::{Call, Faulty, Tally, add, context, stream};
use journal::{Executor, Journal, Position, Settings};
use rusqlite::Connection;
use tempfile::TempDir;

/// Snapshots in memory, that a test can look into.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<HashMap<StreamId, Snapshot>>>);

impl Snapshots for Shelf {
    fn get<'a>(&'a self, stream: &'a StreamId) -> BoxFuture<'a, Option<Snapshot>> {
        ready(self.0.lock().unwrap().get(stream).cloned()).boxed()
    }

    fn put(&self, snapshot: Snapshot) {
        self.0.lock().unwrap().insert(snapshot.stream.clone(), snapshot);
    }
}

fn executor(journal: Arc<dyn Journal>, snapshots: impl Snapshots) -> Executor {
    Executor::with(
        journal,
        Settings { snapshots: Some(Arc::new(snapshots)), ..Settings::default() },
    )
}

/// So many commits of one event.
fn fill(executor: &Executor, from: u128, to: u128) {
    for id in from..=to {
        block_on(executor.execute::<Tally>(&stream("a"), add(1), context(id))).unwrap();
    }
}

fn sum(executor: &Executor) -> (u64, u64) {
    let folded = block_on(executor.load_state::<Tally>(&stream("a"))).unwrap();
    (folded.version, folded.state.sum)
}

#[test]
fn a_snapshot_is_taken_every_hundred_commits_and_read_instead_of_what_it_holds() {
    let (journal, shelf) = (MemoryJournal::new(), Shelf::default());
    fill(&executor(Arc::new(journal.clone()), shelf.clone()), 1, 250);
    assert_eq!(shelf.0.lock().unwrap().get(&stream("a")).unwrap().version, 200);

    let read = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&read);
    let observed = Faulty::new(Arc::new(journal), move |call| {
        counted.fetch_add(u64::from(matches!(call, Call::Load(_))), Ordering::SeqCst);
        None
    });
    let restarted = executor(observed, shelf);
    assert_eq!(sum(&restarted), (250, 250));
    assert_eq!(read.load(Ordering::SeqCst), 1, "a snapshot that fits needs one read");
    fill(&restarted, 251, 260);
    assert_eq!(sum(&restarted), (260, 260));
}

#[test]
fn a_snapshot_that_does_not_fit_is_passed_over() {
    type Change = fn(&mut Snapshot);
    let changes: [(&str, Change); 8] = [
        ("state", |s| s.state = s.state.to_ascii_uppercase()),
        ("a number in the state", |s| s.state = br#"{"sum":7,"count":200}"#.to_vec()),
        ("schema", |s| s.schema.push('x')),
        ("version", |s| s.version -= 1),
        ("position", |s| s.position = Position::new(1)),
        ("hash", |s| s.hash = Hash::of(b"x")),
        ("digest", |s| s.digest = Hash::of(b"x")),
        ("stream", |s| s.stream = stream("b")),
    ];
    let (journal, shelf) = (MemoryJournal::new(), Shelf::default());
    fill(&executor(Arc::new(journal.clone()), shelf.clone()), 1, 200);
    let good = shelf.0.lock().unwrap().get(&stream("a")).unwrap().clone();
    for more in [0, 1] {
        fill(&Executor::new(Arc::new(journal.clone())), 201, 200 + more);
        for (what, change) in changes {
            let mut bad = good.clone();
            change(&mut bad);
            let shelf = Shelf::default();
            shelf.0.lock().unwrap().insert(stream("a"), bad);
            let restarted = executor(Arc::new(journal.clone()), shelf);
            assert_eq!(sum(&restarted), (200 + more as u64, 200 + more as u64), "{what}");
        }
    }
}

#[test]
fn a_snapshot_of_another_log_is_passed_over() {
    let shelf = Shelf::default();
    fill(&executor(Arc::new(MemoryJournal::new()), shelf.clone()), 1, 200);
    for commits in [0, 150, 200, 250] {
        // An older copy of the log, restored, and one that went another way.
        let journal = MemoryJournal::new();
        let filler = Executor::new(Arc::new(journal.clone()));
        fill(&filler, 1_001, 1_000 + commits);
        let sums = sum(&executor(Arc::new(journal), shelf.clone()));
        assert_eq!(sums, (commits as u64, commits as u64));
    }
}

#[test]
fn a_damaged_or_missing_snapshot_file_changes_no_answer() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("snapshots.sqlite");
    let open = || {
        let journal = Arc::new(SqliteJournal::open(directory.path()).unwrap());
        executor(journal, SqliteSnapshots::open(directory.path()).unwrap())
    };
    fill(&open(), 1, 250);
    assert_eq!(sum(&open()), (250, 250));
    let file = Connection::open(&path).unwrap();
    let corrupt = "UPDATE snapshots SET state = CAST('{\"sum\":7,\"count\":7}' AS BLOB)";
    assert_eq!(file.execute(corrupt, ()).unwrap(), 1);
    drop(file);
    assert_eq!(sum(&open()), (250, 250));
    std::fs::write(&path, "not a database, but longer than its header is: ".repeat(100)).unwrap();
    assert_eq!(sum(&open()), (250, 250));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(sum(&open()), (250, 250));
}
