//! The protocol on a simulated store: clocks that run at different rates, pauses, lost and late writes, lost replies,
//! stalled watches, crashes, and a store that is wiped. `SEED=42` replays one seed and tells each step.
#![allow(clippy::print_stderr, reason = "a seed that is replayed is told")]

mod faults;
mod in_hand;
mod late_news;
mod world;

use std::time::Duration;

use super::member::Bug;
use super::{Lease, Partition, Timing};
use world::World;

/// How many seeds run where nobody says otherwise.
const SEEDS: u64 = 100;
/// How many seeds a planted bug may hide in.
const SEEDS_PER_BUG: u64 = 600;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn there_are_never_two_holders_at_once_and_always_one_in_the_end() {
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(SEEDS),
    };
    let (mut takeovers, mut lives) = (0, 0);
    for seed in seeds {
        let world = faults::live(seed, None);
        assert!(world.failures.is_empty(), "seed {seed}: {:#?}", world.failures);
        takeovers += world.takeovers;
        lives += world.lives;
    }
    assert!(number("SEED").is_some() || takeovers > 10, "too little went wrong: {takeovers}");
    assert!(number("SEED").is_some() || lives > 0, "too few were taken for dead: {lives}");
}

fn find(bug: Bug) {
    let found = (0..SEEDS_PER_BUG).find(|seed| !faults::live(*seed, Some(bug)).failures.is_empty());
    let Some(seed) = found else { panic!("{bug:?} was not found in {SEEDS_PER_BUG} seeds") };
    let sound = faults::live(seed, None).failures;
    assert!(sound.is_empty(), "seed {seed} fails without {bug:?} too: {sound:#?}");
    eprintln!("{bug:?} is found at seed {seed}");
}

macro_rules! planted {
    ($($name:ident: $bug:ident),* $(,)?) => { $(#[test] fn $name() { find(Bug::$bug); })* };
}

planted! {
    a_holder_that_trusts_no_clock_is_found: TrustsNoClock,
    a_term_counted_from_the_reply_is_found: CountsFromTheReply,
    a_takeover_without_a_margin_is_found: LeavesNoMargin,
    a_burial_of_whoever_lives_again_is_found: BuriesWithoutComparing,
    absence_taken_for_freedom_is_found: TakesAbsenceForFreedom,
    taking_what_is_held_is_found: TakesWhatIsHeld,
    giving_up_under_work_is_found: GivesUpUnderWork,
    a_dead_member_that_is_never_buried_is_found: NeverBuries,
    a_share_that_is_never_given_up_is_found: GivesUpNothing,
    a_write_that_is_never_tried_again_is_found: NeverTriesAgain,
    work_that_goes_on_without_its_lease_is_found: WorksOn,
}

/// No seed has the watch so late and everything else so early: this one is led there step by step.
#[test]
fn old_news_taken_for_a_grant_is_found() {
    assert_eq!(late_news::granted_by_old_news(None), 0, "nothing is held that was given up");
    assert!(late_news::granted_by_old_news(Some(Bug::TakesOldNews)) > 0, "the bug is not found");
}

fn seconds(world: &World) -> f64 {
    world.now().as_secs_f64()
}

#[test]
fn what_a_crashed_member_held_is_taken_within_five_seconds() {
    let mut world = World::calm(7, 3);
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.check_settled(), Vec::<String>::new());
    let (held, before) = (world.held(0), world.takeovers);
    world.crash(0);
    let crashed = seconds(&world);
    while !world.check_settled().is_empty() {
        world.run_for(Duration::from_millis(10));
        assert!(seconds(&world) - crashed < 5.0, "{:?}", world.check_settled());
    }
    assert!(seconds(&world) - crashed > 3.0, "not before its term was over");
    assert_eq!(
        world.takeovers - before,
        held,
        "each is counted, whether the watch or the reply told first"
    );
    assert_eq!(world.failures, Vec::<String>::new());
}

#[test]
fn what_a_member_leaves_is_taken_at_once() {
    let mut world = World::calm(8, 2);
    world.run_for(Duration::from_secs(10));
    world.leave(0);
    // Its work comes to its end first.
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.check_settled(), Vec::<String>::new());
    assert_eq!(world.failures, Vec::<String>::new());
}

#[test]
fn a_third_member_gets_a_share_within_a_second_and_nobody_waits_for_more() {
    let mut world = World::calm(9, 2);
    world.run_for(Duration::from_secs(10));
    let before = world.takeovers;
    world.start();
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.check_settled(), Vec::<String>::new());
    assert_eq!((world.failures.len(), world.takeovers), (0, before));
}

#[test]
fn a_settled_member_writes_its_own_key_alone() {
    let mut world = World::calm(10, 3);
    world.run_for(Duration::from_secs(10));
    let before = world.writes;
    world.run_for(Duration::from_secs(60));
    let writes = world.writes - before;
    assert!((175..=185).contains(&writes), "{writes} writes in a minute of three");
}

#[test]
fn names_of_leases_can_be_read_back() {
    for lease in Lease::all() {
        assert_eq!(lease.to_string().parse(), Ok(lease));
    }
    for wrong in ["reconciler", "reconciler.64", "reconciler.x", "projector.1", ""] {
        assert!(wrong.parse::<Lease>().is_err(), "{wrong}");
    }
    assert_eq!(Partition::all().count(), 64);
}

#[test]
fn clocks_may_differ_by_a_seventh() {
    assert!((Timing::default().drift_max() - 1.0 / 7.0).abs() < 1e-9);
}
