//! Failure after failure past one machine: any process, any server, and what is between them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use journal::Journal;
use journal::jetstream::{JetStreamJournal, Options};
use projections::{PostgresViews, ViewStore};
use servers::clock::Jump;
use servers::nats::Nats;
use servers::stack::{self, Replica, Stack};

use crate::checks::{self, Shown};
use crate::ledger::Ledger;
use crate::load::Load;

/// How much faster than life the world is.
const SPEED: u32 = 2_000;
/// How many processes of each role there are.
const REPLICAS: usize = 2;
/// Longer than a lease: its term and the margin, and time for the others to see it.
const FROZEN: Duration = Duration::from_secs(6);
/// How far a clock is wrong.
const HOUR: Duration = Duration::from_secs(3_600);
/// Nothing happens for so long once nothing is left to be done: some of the world's own time.
const STILL: Duration = Duration::from_millis(300);
/// Where the views are in PostgreSQL.
const NAMESPACE: &str = "cairn";
/// How many requests are repeated after each failure.
const REPEATS: usize = 5;

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Failure {
    /// `kill -9` of one of each role at once.
    HalfKilled,
    /// `kill -9` of everything that is Cairn.
    AllKilled,
    /// A reconciler is frozen for longer than its leases live, and goes on.
    ReconcilerFrozen,
    /// The projector is frozen for longer than its lease lives, and goes on.
    ProjectorsFrozenInTurn,
    /// `kill -9` of the nats-server that leads the log.
    LeaderKilled,
    /// `kill -9` of another one.
    FollowerKilled,
    /// The nats-server that leads the log is parted from the others.
    LeaderParted,
    /// `kill -9` of all nats-servers.
    LogLost,
    /// `kill -9` of PostgreSQL.
    ViewsKilled,
    /// Every process is replaced, one after the other, as by whoever deploys a new version.
    Rolled,
    /// `kill -9` of the world, as a cloud that does not answer.
    WorldKilled,
    /// The clocks of one process of each role jump an hour ahead, then to an hour behind, then back.
    ClocksJump,
}

const FAILURES: [Failure; 12] = [
    Failure::HalfKilled,
    Failure::LeaderKilled,
    Failure::ReconcilerFrozen,
    Failure::ViewsKilled,
    Failure::Rolled,
    Failure::LeaderParted,
    Failure::AllKilled,
    Failure::ProjectorsFrozenInTurn,
    Failure::FollowerKilled,
    Failure::WorldKilled,
    Failure::ClocksJump,
    Failure::LogLost,
];

/// Goes through so many failures.
pub(crate) async fn run(rounds: usize) {
    let begun = Instant::now();
    let options =
        stack::Options { speed: SPEED, replicas: REPLICAS, divisible: true, jumping: true };
    let stack = Stack::start(Path::new(env!("CARGO_BIN_EXE_cairn")), &options);
    println!("three nats-servers, PostgreSQL, 2 processes of each role: {:.0?}", begun.elapsed());
    let urls: Vec<String> = stack.of("api").map(Replica::url).collect();
    let load = Load::start(&urls, &stack.token);
    let mut worst: BTreeMap<Failure, (usize, Duration)> = BTreeMap::new();
    let mut length = 0;
    for round in 0..rounds {
        let failure = FAILURES[round % FAILURES.len()];
        println!("round {round}: {failure:?}");
        load.acknowledged_more(1 + round * 7 % 13).await;
        inflict(failure, &stack, &load).await;
        let back = Instant::now();
        stack.wait_ready();
        load.acknowledged_more(1).await;
        let took = back.elapsed();
        let (times, worst) = worst.entry(failure).or_default();
        (*times, *worst) = (*times + 1, took.max(*worst));
        length = check(&stack, &load).await;
    }
    println!("{rounds} failures in {:.0?}:", begun.elapsed());
    let slowest = worst.values().map(|(_, worst)| *worst).max().unwrap_or_default();
    for (failure, (times, worst)) in worst {
        println!("  {failure:?} {times} times; work went on after {worst:.1?} at the latest");
    }
    println!(
        "{} requests acknowledged, 0 lost; {} effects on the world, 0 doubled; {length} commits; {} refused, {} tries \
         repeated; work went on after {slowest:.1?} at the slowest",
        load.count(),
        Ledger::read(&stack.world_file()).effects,
        load.refused(),
        load.retried()
    );
}

/// Lets it happen, and brings the parts back.
async fn inflict(failure: Failure, stack: &Stack, load: &Load) {
    let servers = stack.nats.servers();
    match failure {
        Failure::HalfKilled => {
            let half: Vec<_> = stack.replicas.iter().step_by(REPLICAS).collect();
            half.iter().for_each(|replica| replica.process.kill9());
            load.acknowledged_more(3).await;
            half.iter().for_each(|replica| replica.start());
        }
        Failure::AllKilled => {
            stack.replicas.iter().for_each(|replica| replica.process.kill9());
            load.retried_more(4).await;
            stack.replicas.iter().for_each(Replica::start);
        }
        Failure::ReconcilerFrozen => frozen(stack.of("reconciler").take(1), load).await,
        Failure::ProjectorsFrozenInTurn => {
            for projector in stack.of("projector") {
                frozen(std::iter::once(projector), load).await;
            }
        }
        Failure::LeaderKilled => {
            let leader = stack.nats.wait_leader("cairn");
            servers[leader].kill9();
            load.acknowledged_more(3).await;
            servers[leader].restart();
        }
        Failure::FollowerKilled => {
            let follower = (stack.nats.wait_leader("cairn") + 1) % servers.len();
            servers[follower].kill9();
            load.acknowledged_more(3).await;
            servers[follower].restart();
        }
        Failure::LeaderParted => {
            let leader = stack.nats.wait_leader("cairn");
            stack.nats.isolate(leader);
            let _other = stack.nats.wait_other_leader("cairn", leader);
            load.acknowledged_more(3).await;
            stack.nats.heal(leader);
        }
        Failure::LogLost => {
            servers.iter().for_each(|server| server.kill9());
            load.retried_more(4).await;
            servers.iter().for_each(Nats::revive);
            stack.nats.wait_ready();
        }
        Failure::ViewsKilled => {
            stack.postgres.kill9();
            load.retried_more(4).await;
            stack.postgres.restart();
        }
        Failure::Rolled => rolled(stack, load).await,
        Failure::WorldKilled => {
            stack.world.kill9();
            load.acknowledged_more(3).await;
            stack.world.start();
        }
        Failure::ClocksJump => {
            let clock = stack.clock.as_ref().expect("a clock that jumps");
            for jump in [Jump::Ahead(HOUR), Jump::Behind(HOUR), Jump::Back] {
                clock.jump(jump);
                load.acknowledged_more(5).await;
            }
        }
    }
}

/// Freezes some for longer than a lease, while the others work.
async fn frozen(some: impl Iterator<Item = &Replica>, load: &Load) {
    let some: Vec<&Replica> = some.collect();
    some.iter().for_each(|replica| replica.process.sigstop());
    let begun = Instant::now();
    while begun.elapsed() < FROZEN {
        load.acknowledged_more(1).await;
    }
    some.iter().for_each(|replica| replica.process.sigcont());
}

/// No client may notice more than that it has to ask again.
async fn rolled(stack: &Stack, load: &Load) {
    for replica in &stack.replicas {
        replica.stop();
        load.acknowledged_more(1).await;
        replica.start();
        replica.wait_ready();
    }
}

/// Everything that must be true, whatever happened. Gives how long the log is.
async fn check(stack: &Stack, load: &Load) -> usize {
    load.assert_nothing_wrong();
    let _still = load.still().await;
    let acknowledged = load.acknowledged();
    let step = (acknowledged.len() / REPEATS).max(1);
    for one in acknowledged.iter().step_by(step) {
        load.repeat(one).await;
    }
    let journal = log(stack).await;
    let views = PostgresViews::open(&stack.postgres.url(), NAMESPACE).await.unwrap();
    let (shown, fold) = tokio::time::timeout(servers::PATIENCE, settled(&journal, &views))
        .await
        .expect("the world comes to rest");
    checks::are_the_fold(&shown, &fold);
    let length = checks::log_holds(&*journal, &acknowledged).await;
    let ledger = Ledger::read(&stack.world_file());
    assert!(ledger.doubled.is_empty(), "done twice:\n{}", ledger.doubled.join("\n"));
    length
}

async fn log(stack: &Stack) -> Arc<dyn Journal> {
    let servers = stack.nats.servers().iter().map(Nats::url).collect();
    let options = Options { replicas: stack.nats.servers().len(), ..Options::new(servers) };
    Arc::new(JetStreamJournal::open(&options).await.unwrap())
}

/// Waits until nothing is left to be done, and the views show all of it. Gives what they show, and what a fresh fold
/// gives at the same position: a reconciler that was slow to come back may have gone on in between.
async fn settled(journal: &Arc<dyn Journal>, views: &dyn ViewStore) -> (Shown, Shown) {
    loop {
        let shown = still(&**journal, views).await;
        let fold = checks::fold(journal).await;
        if fold.position == shown.position {
            return (shown, fold);
        }
    }
}

/// Waits until nothing happens for a while, and the views show all that did.
async fn still(journal: &dyn Journal, views: &dyn ViewStore) -> Shown {
    let mut turns = tokio::time::interval(STILL);
    loop {
        turns.tick().await;
        let head = journal.head().await.unwrap();
        let position = views.checkpoint().await.unwrap().position;
        let rows = checks::rows(views).await;
        // Whatever was under way would have moved the log in the meantime.
        turns.reset();
        turns.tick().await;
        if journal.head().await.unwrap() == head && u64::try_from(position).unwrap() == head.get() {
            return Shown { position, rows };
        }
    }
}
