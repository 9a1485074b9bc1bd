//! Failure after failure, each followed by everything that must still be true.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use servers::clock::Jump;
use servers::proxy::Mode;
use servers::until;

use crate::checks;
use crate::embedded::Embedded;
use crate::ledger::Ledger;
use crate::load::Load;

/// How many failures a server and its files go through before others take their place: logs stay short enough to be
/// looked through after each.
const LIFE_ROUNDS: usize = 30;
/// How far a clock is wrong.
const HOUR: Duration = Duration::from_secs(3_600);
/// How many requests are repeated after each failure.
const REPEATS: usize = 5;

/// What happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Failure {
    /// `kill -9` under load.
    Killed,
    /// `kill -9`, and again while it starts.
    KilledWhileStarting,
    /// Asked to end, as by whoever deploys a new version.
    Terminated,
    /// Frozen until clients have given up waiting.
    Frozen,
    /// Answers are lost, requests are heard.
    AnswersLost,
    /// Nothing gets through in either direction, and then all of it does.
    Parted,
    /// Connections are cut and refused.
    Refused,
    /// No byte more fits on the disk, until there is room again.
    FullDisk,
    /// No byte more fits on the disk, and then it is killed; it starts when there is room.
    KilledOnFullDisk,
    /// Killed, and the views are gone.
    ViewsLost,
    /// The clock jumps an hour ahead, then to an hour behind, then back, and it is killed while it is wrong.
    ClockJumps,
}

const FAILURES: [Failure; 11] = [
    Failure::Killed,
    Failure::KilledOnFullDisk,
    Failure::AnswersLost,
    Failure::FullDisk,
    Failure::KilledWhileStarting,
    Failure::Frozen,
    Failure::Terminated,
    Failure::Parted,
    Failure::ViewsLost,
    Failure::Refused,
    Failure::ClockJumps,
];

/// What was counted.
#[derive(Default)]
struct Counted {
    failures: BTreeMap<Failure, (usize, Duration)>,
    acknowledged: usize,
    refused: u64,
    retried: u64,
    effects: usize,
    commits: usize,
}

/// Goes through so many failures.
pub(crate) async fn run(rounds: usize) {
    let begun = Instant::now();
    let mut counted = Counted::default();
    let mut round = 0;
    while round < rounds {
        let end = rounds.min(round + LIFE_ROUNDS);
        live(round, end, &mut counted).await;
        round = end;
    }
    let Counted { failures, acknowledged, refused, retried, effects, commits } = counted;
    println!("{rounds} failures in {:.0?}:", begun.elapsed());
    let slowest = failures.values().map(|(_, worst)| *worst).max().unwrap_or_default();
    for (failure, (times, worst)) in failures {
        println!("  {failure:?} {times} times; work went on after {worst:.1?} at the latest");
    }
    println!(
        "{acknowledged} requests acknowledged, 0 lost; {effects} effects on the world, 0 doubled; {commits} commits; \
         {refused} refused, {retried} tries repeated; work went on after {slowest:.1?} at the slowest"
    );
}

/// One server and its files, from the first start to the end.
async fn live(from: usize, to: usize, counted: &mut Counted) {
    let disk = Embedded::small_disk();
    if disk.is_none() {
        println!("NOT TESTED: a full disk. It takes the right to mount one");
    }
    let stack = Embedded::new(disk);
    stack.start();
    let load = Load::start(&[stack.url()], &stack.token());
    let failures = FAILURES
        .into_iter()
        .filter(|failure| *failure != Failure::KilledOnFullDisk || stack.disk.is_some());
    let failures: Vec<Failure> = failures.collect();
    let mut length = 0;
    for round in from..to {
        let failure = failures[round % failures.len()];
        println!("round {round}: {failure:?}");
        // Another moment each time, and the same ones in every run.
        load.acknowledged_more(1 + round * 7 % 13).await;
        inflict(failure, &stack, &load).await;
        let back = Instant::now();
        stack.wait_ready();
        load.acknowledged_more(1).await;
        let took = back.elapsed();
        let (times, worst) = counted.failures.entry(failure).or_default();
        (*times, *worst) = (*times + 1, took.max(*worst));
        length = check(&stack, &load).await;
    }
    settles(&stack, &load).await;
    counted.acknowledged += load.count();
    counted.refused += load.refused();
    counted.retried += load.retried();
    counted.commits += length;
    counted.effects += Ledger::read(&stack.world_file()).effects;
}

/// Without failures and requests the world becomes what the log wants, no more and no less, and stays so.
async fn settles(stack: &Embedded, load: &Load) {
    let _still = load.still().await;
    let mut seen = String::new();
    until("the world to be as it is wanted", || {
        let there = Ledger::read(&stack.world_file()).there();
        let now = match stack.resources() {
            Ok(wanted) if wanted == there => return Some(()),
            Ok(wanted) => format!("wanted {wanted:?}, there {there:?}"),
            Err(unready) => unready,
        };
        if now != seen {
            println!("{now}");
            seen = now;
        }
        None
    });
}

/// Lets it happen, and brings the parts back.
async fn inflict(failure: Failure, stack: &Embedded, load: &Load) {
    match failure {
        Failure::Killed => {
            stack.kill9();
            stack.spawn();
        }
        Failure::KilledWhileStarting => {
            stack.kill9();
            stack.spawn();
            stack.kill9();
            stack.spawn();
            stack.wait_listening();
            stack.kill9();
            stack.spawn();
        }
        Failure::Terminated => {
            stack.terminate();
            stack.spawn();
        }
        Failure::Frozen => {
            stack.freeze();
            load.retried_more(4).await;
            stack.thaw();
        }
        Failure::AnswersLost => bad_network(stack, load, Mode::DropReplies).await,
        Failure::Parted => bad_network(stack, load, Mode::Hold).await,
        Failure::Refused => bad_network(stack, load, Mode::Refuse).await,
        Failure::FullDisk => {
            let disk = stack.disk.as_ref().expect("a disk that can be filled");
            disk.fill();
            load.retried_more(8).await;
            disk.free();
        }
        Failure::KilledOnFullDisk => {
            let disk = stack.disk.as_ref().expect("a disk that can be filled");
            disk.fill();
            load.retried_more(8).await;
            stack.kill9();
            disk.free();
            stack.spawn();
        }
        Failure::ViewsLost => {
            stack.kill9();
            std::fs::remove_dir_all(stack.views_folder()).unwrap();
            stack.spawn();
        }
        Failure::ClockJumps => clock_jumps(stack, load).await,
    }
}

/// How far the clock runs ahead. The simulated world goes by the same clock: what is made meanwhile is ready so much
/// later than it looks, and the end waits for it.
const AHEAD: Duration = Duration::from_secs(30);

async fn clock_jumps(stack: &Embedded, load: &Load) {
    for jump in [Jump::Ahead(AHEAD), Jump::Behind(HOUR)] {
        stack.clock.jump(jump);
        load.acknowledged_more(5).await;
    }
    stack.kill9();
    stack.spawn();
    load.acknowledged_more(1).await;
    stack.clock.jump(Jump::Back);
}

async fn bad_network(stack: &Embedded, load: &Load, mode: Mode) {
    stack.network.set(mode);
    load.retried_more(4).await;
    stack.network.set(Mode::Forward);
}

/// Everything that must be true, whatever happened. Gives how long the log is.
async fn check(stack: &Embedded, load: &Load) -> usize {
    load.assert_nothing_wrong();
    let still = load.still().await;
    let acknowledged = load.acknowledged();
    let step = (acknowledged.len() / REPEATS).max(1);
    for one in acknowledged.iter().step_by(step) {
        load.repeat(one).await;
    }
    stack.kill9();
    let length = checks::log_holds(&*checks::embedded(&stack.log_folder()), &acknowledged).await;
    checks::views_are_the_fold(&stack.log_folder(), &stack.views_folder()).await;
    let ledger = Ledger::read(&stack.world_file());
    assert!(ledger.doubled.is_empty(), "done twice:\n{}", ledger.doubled.join("\n"));
    stack.start();
    drop(still);
    length
}
