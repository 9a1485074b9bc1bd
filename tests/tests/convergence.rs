//! Whatever goes wrong, the world ends up as wanted: generated graphs, faults, crashes and two workers, by seed.
//!
//! `SEEDS=10000` runs so many seeds, `SEED=42` replays one and tells each step.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test: what cannot be is a failure")]
#![allow(clippy::indexing_slicing, clippy::wildcard_enum_match_arm, reason = "a test")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::print_stderr,
    unreachable_pub,
    reason = "a test"
)]

#[path = "convergence/chaos.rs"]
mod chaos;
#[path = "convergence/checks.rs"]
mod checks;
#[path = "convergence/life.rs"]
mod life;
#[path = "convergence/plane.rs"]
mod plane;
#[path = "convergence/rogue.rs"]
mod rogue;
#[path = "convergence/wanted.rs"]
mod wanted;

use std::sync::atomic::{AtomicU64, Ordering};

use rogue::Rogue;

/// How many seeds run where nobody says otherwise.
const SEEDS: u64 = 10_000;
/// How many seeds a planted bug may hide in.
const SEEDS_PER_BUG: u64 = 400;
const THREADS: u64 = 2;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The first failure among seeds, as its seed and words.
fn search(seeds: u64, rogue: Option<Rogue>, shared: bool) -> Option<(u64, Vec<String>)> {
    let next = AtomicU64::new(0);
    let found = std::sync::Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds || found.lock().unwrap().is_some() {
                        return;
                    }
                    let outcome =
                        std::panic::catch_unwind(|| life::run(seed, rogue, shared, false));
                    let failures = match outcome {
                        Ok(failures) => failures,
                        Err(_) => vec!["it panicked".to_owned()],
                    };
                    if !failures.is_empty() {
                        found.lock().unwrap().get_or_insert((seed, failures));
                    }
                }
            });
        }
    });
    found.into_inner().unwrap()
}

#[test]
fn everything_ends_as_wanted_whatever_goes_wrong() {
    if let Some(seed) = number("SEED") {
        let failures = life::run(seed, None, false, true);
        assert!(failures.is_empty(), "{failures:#?}");
        return;
    }
    if let Some((seed, failures)) = search(number("SEEDS").unwrap_or(SEEDS), None, false) {
        panic!(
            "seed {seed}: {failures:#?}\nreplay: SEED={seed} cargo test -p cairn-tests --test convergence everything -- --nocapture"
        );
    }
}

#[test]
fn workers_that_share_the_work_end_as_wanted_too() {
    if let Some(seed) = number("SHARED_SEED") {
        let failures = life::run(seed, None, true, true);
        assert!(failures.is_empty(), "{failures:#?}");
    } else if let Some((seed, failures)) = search(number("SEEDS").unwrap_or(SEEDS) / 4, None, true)
    {
        panic!("SHARED_SEED={seed} replays this: {failures:#?}");
    }
}

#[test]
fn every_planted_bug_is_found() {
    for rogue in Rogue::ALL {
        let found = search(SEEDS_PER_BUG, Some(rogue), false);
        assert!(found.is_some(), "{rogue:?} was not found in {SEEDS_PER_BUG} seeds");
        eprintln!("{rogue:?}: {:?}", found.map(|(seed, failures)| (seed, failures[0].clone())));
    }
}
