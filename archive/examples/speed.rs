//! How fast a log is archived, copied and verified: `cargo run --release -p cairn-archive --example speed [COMMITS]`.
//!
//! The log is a real one (SQLite), its commits have one event each and some 700 bytes, over 100,000 streams.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that cannot go on ends, and prints what it measured"
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use archive::copy::{Source, copy, from_archive};
use archive::{Folder, Settings, Signer, Subject, Target, backup, verify};
use domain::Time;
use domain::commit::{Actor, ActorSort, Commit, EventRecord, Hash};
use futures::stream::{self, StreamExt as _};
use journal::sqlite::SqliteJournal;
use journal::{Journal, Position, Recorded};
use serde_json::value::RawValue;
use uuid::Uuid;

const COMMITS: u64 = 1_000_000;
const STREAMS: u64 = 100_000;

/// Commits that continue their streams, made as they are asked for.
fn generated(commits: u64) -> Source {
    let mut ends: HashMap<u64, (u64, Hash)> = HashMap::new();
    let made = (1..=commits).map(move |number| {
        let stream = number * 7_919 % STREAMS;
        let (version, prev_hash) = ends.get(&stream).copied().unwrap_or_default();
        let data = format!(
            "{{\"number\":{number},\"at\":\"2026-11-21T12:00:00.000000Z\",\"text\":\"{}\"}}",
            Hash::of(&number.to_be_bytes()).to_hex().repeat(2)
        );
        let commit = Commit {
            commit_id: Uuid::from_u128(u128::from(number)),
            stream: format!("ev.acme.database.prod_shop{stream}_db").parse().unwrap(),
            first_version: version + 1,
            time: Time::from_micros(1_700_000_000_000_000),
            actor: Actor::new(ActorSort::Reconciler, "driver"),
            command: "RecordObservation".into(),
            command_hash: Hash::of(b"x"),
            causation_id: None,
            correlation_id: Uuid::from_u128(u128::from(number)),
            traceparent: None,
            prev_hash,
            events: vec![EventRecord {
                event_type: "Observed".into(),
                schema: 1,
                data: RawValue::from_string(data).unwrap(),
            }],
        };
        let sealed = Arc::new(commit.seal().unwrap());
        ends.insert(stream, (version + 1, sealed.hash));
        Ok(Recorded { position: Position::new(number), sealed })
    });
    stream::iter(made).boxed()
}

fn memory_peak_mib() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.map(str::trim).unwrap_or("unknown").to_owned()
}

#[tokio::main]
async fn main() {
    let commits = std::env::args().nth(1).map_or(COMMITS, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| {
        std::fs::create_dir_all(folder.path().join(name)).unwrap();
        Arc::new(SqliteJournal::open(&folder.path().join(name)).unwrap()) as Arc<dyn Journal>
    };
    let told = |what: &str, started: Instant| {
        let seconds = started.elapsed().as_secs_f64();
        let rate = f64::from(u32::try_from(commits).unwrap()) / seconds;
        println!("{what}: {rate:.0} events/s, {seconds:.1} s, peak so far {}", memory_peak_mib());
    };

    let log = open("log");
    let started = Instant::now();
    copy(generated(commits), &*log).await.unwrap();
    told("fill a log (SQLite, FULL)", started);

    let target: Arc<dyn Target> = Arc::new(Folder::new(folder.path().join("archive")));
    let signer = Signer::load_or_make(&folder.path().join("anchor.key")).unwrap();
    let key = Some(signer.public());
    let started = Instant::now();
    backup(Arc::clone(&log), Arc::clone(&target), Settings::new(Some(signer))).await.unwrap();
    told("archive it", started);
    drop(log);

    // Opened anew: nothing of it is in the process's memory.
    let log = || Some(open("log"));
    let archive = || Some(Arc::clone(&target));
    let subject = |journal, archive| Subject { journal, archive, key: key.clone(), kept: None };
    let started = Instant::now();
    let verified = verify(subject(log(), None)).await.unwrap();
    told("verify the log", started);
    println!("  {} bytes a commit", verified.bytes / verified.commits);
    let started = Instant::now();
    verify(subject(None, archive())).await.unwrap();
    told("verify the archive", started);
    let started = Instant::now();
    let verified = verify(subject(log(), archive())).await.unwrap();
    told("verify the log against the archive", started);
    println!("  {verified:?}");
    let stored: u64 = std::fs::read_dir(folder.path().join("archive/segments"))
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    println!("  the archive has {stored} bytes for {} of commits", verified.bytes);

    let started = Instant::now();
    let restored = open("restored");
    copy(from_archive(target, None).await.unwrap(), &*restored).await.unwrap();
    told("restore a log", started);
}
