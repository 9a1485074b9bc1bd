//! How fast commands become durable, beside raw SQLite group commits of the same bytes in the same run.
//!
//! `cargo run --release -p cairn-journal --example throughput [directory]`; the directory decides the disk.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that prints figures")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt as _;
use journal::memory::MemoryJournal;
use journal::sqlite::SqliteJournal;
use journal::testing::{Tally, add, context, stream};
use journal::{Executor, Journal, Position, Recorded};
use rusqlite::Connection;

const COMMANDS: u128 = 40_000;
const STREAMS: u128 = 1_000;
const WINDOW: usize = 64;
const LOADS: u32 = 10_000;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let base = std::env::args().nth(1).unwrap_or_else(|| "target".into());
    let directory = tempfile::TempDir::new_in(base).unwrap();
    let journal = Arc::new(SqliteJournal::open(&directory.path().join("cairn")).unwrap());
    let executor = Executor::new(Arc::clone(&journal) as Arc<dyn Journal>);

    let ours = commands(&executor).await;
    let log: Vec<Recorded> = {
        let began = Instant::now();
        let follow = journal.follow(Position::START);
        let log: Vec<_> = follow.take(COMMANDS as usize).map(Result::unwrap).collect().await;
        rate("followed from the disk, seals checked", COMMANDS, began);
        log
    };
    let raw = raw(&directory.path().join("raw.sqlite"), &log);
    println!("commands / raw group commits: {:.2}", ours / raw);
    one_at_a_time(&executor).await;
    loads(&journal).await;
    in_memory().await;
}

async fn commands(executor: &Executor) -> f64 {
    let began = Instant::now();
    let all = futures::stream::iter(0..COMMANDS).map(|id| {
        let executor = executor.clone();
        let stream = stream(&format!("s{}", id % STREAMS));
        async move {
            let run = async move { executor.execute::<Tally>(&stream, add(1), context(id)).await };
            tokio::spawn(run).await.unwrap().unwrap();
        }
    });
    all.buffer_unordered(WINDOW).collect::<()>().await;
    rate("commands, 64 in flight", COMMANDS, began)
}

/// The same rows in the same table with the same settings, and nothing else.
fn raw(path: &Path, log: &[Recorded]) -> f64 {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4096;
             CREATE TABLE commits (position INTEGER PRIMARY KEY, stream TEXT NOT NULL,
                first_version INTEGER NOT NULL, commit_id BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL,
                UNIQUE (stream, first_version)) STRICT;",
        )
        .unwrap();
    let mut insert = connection.prepare("INSERT INTO commits VALUES (?1, ?2, ?3, ?4, ?5)").unwrap();
    let began = Instant::now();
    for group in log.chunks(WINDOW) {
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        for recorded in group {
            let commit = &recorded.sealed.commit;
            let (position, version) = (recorded.position.get() as i64, commit.first_version as i64);
            let (stream, id) = (commit.stream.to_string(), commit.commit_id);
            insert
                .execute((position, stream, version, id.as_bytes(), &*recorded.sealed.bytes))
                .unwrap();
        }
        connection.execute_batch("COMMIT").unwrap();
    }
    rate("raw SQLite, groups of 64", COMMANDS, began)
}

async fn one_at_a_time(executor: &Executor) {
    let mut micros = Vec::new();
    for id in 0..1_000 {
        let began = Instant::now();
        let stream = stream(&format!("s{id}"));
        executor.execute::<Tally>(&stream, add(1), context(COMMANDS + id)).await.unwrap();
        micros.push(began.elapsed().as_micros());
    }
    micros.sort_unstable();
    let (p50, p99) = (micros.get(500), micros.get(990));
    println!("one at a time: p50 {p50:?} us, p99 {p99:?} us");
}

/// What the write path costs without a disk: the pace of tests that simulate.
async fn in_memory() {
    let executor = Executor::new(Arc::new(MemoryJournal::new()));
    let began = Instant::now();
    for id in 0..COMMANDS {
        let stream = stream(&format!("s{}", id % STREAMS));
        executor.execute::<Tally>(&stream, add(1), context(id)).await.unwrap();
    }
    rate("commands in memory, one at a time", COMMANDS, began);
}

async fn loads(journal: &SqliteJournal) {
    let began = Instant::now();
    for number in 0..LOADS {
        let stream = stream(&format!("s{}", u128::from(number) % STREAMS));
        // From the disk: all but the first of some 41 commits would make it a longer read.
        assert!(!journal.load(&stream, 36).await.unwrap().commits.is_empty());
    }
    println!("load of 5 commits: {} us", began.elapsed().as_micros() / u128::from(LOADS));
}

fn rate(what: &str, count: u128, began: Instant) -> f64 {
    let rate = count as f64 / began.elapsed().as_secs_f64();
    println!("{what}: {rate:.0}/s");
    rate
}
