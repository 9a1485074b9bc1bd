//! Several replicas of the reconcilers on one log and one world, with leases in a real NATS server: the work is
//! shared, nothing is done by two at once, and whatever ends, somebody goes on.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]
#![allow(clippy::print_stderr, unreachable_pub, reason = "a test")]

#[path = "replicas/fleet.rs"]
mod fleet;
#[path = "replicas/hands.rs"]
mod hands;

use fleet::Fleet;
use futures::future::join_all;
use reconcilers::leases::Timing;
use reconcilers::leases::nats::{BUCKET, NatsStore};
use servers::nats::{Cluster, Options};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_work_is_shared_and_whoever_dies_or_leaves_is_followed_without_two_at_once() {
    let mut fleet = Fleet::start().await;
    fleet.join(1).await;
    fleet.join(2).await;
    fleet.balanced().await;
    fleet.declare(0..60).await;
    fleet.ready(0..60).await;
    // Which of 60 falls to whom is by lot.
    let shares = [fleet.hands.calls_of(1), fleet.hands.calls_of(2)];
    assert!(shares.iter().all(|calls| *calls > 5), "both work: {shares:?}");
    let (one, two) = (fleet.held(1), fleet.held(2));

    // One dies in the middle of it.
    fleet.declare(60..120).await;
    let (crashed, token) = (std::time::Instant::now(), fleet.highest_token(1));
    fleet.crash(1);
    fleet.ready(0..120).await;
    fleet.holds(2, 64).await;
    let taken = crashed.elapsed();
    let term = Timing::default().term;
    assert!(taken > term / 2 && taken < term * 3, "{taken:?}");
    assert_eq!(fleet.counted(2, |counters| &counters.takeovers), one);
    assert_eq!(fleet.counted(2, |counters| &counters.losses), 0);
    assert!(fleet.highest_token(2) > token, "tokens grow");

    // One comes, and one leaves: nobody waits for anything to run out.
    fleet.join(3).await;
    fleet.balanced().await;
    fleet.declare(120..180).await;
    fleet.leave(2).await;
    fleet.holds(3, 64).await;
    fleet.ready(0..180).await;
    assert_eq!(fleet.counted(3, |counters| &counters.losses), 0);
    fleet.hands.assert_never_two();
    eprintln!("{one} + {two} partitions; those of the crashed one were taken after {taken:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_leases_nobody_acts_and_all_goes_on_when_they_are_back() {
    let mut fleet = Fleet::start().await;
    fleet.join(1).await;
    fleet.join(2).await;
    fleet.balanced().await;
    fleet.declare(0..20).await;
    fleet.ready(0..20).await;

    fleet.nats.sigstop();
    fleet.holds(1, 0).await;
    fleet.holds(2, 0).await;
    let calls = fleet.hands.calls();
    fleet.declare(20..40).await;
    fleet.seen(20..40).await;
    assert_eq!(fleet.hands.calls(), calls, "nobody acts without a lease");

    fleet.nats.sigcont();
    fleet.ready(0..40).await;
    fleet.balanced().await;
    assert!(fleet.counted(1, |counters| &counters.losses) > 0);
    fleet.hands.assert_never_two();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_when_all_others_have_died_takes_what_they_held() {
    let mut fleet = Fleet::start().await;
    fleet.join(1).await;
    fleet.holds(1, 64).await;
    let token = fleet.highest_token(1);
    fleet.declare(0..20).await;
    fleet.crash(1);
    fleet.nats.kill9();
    fleet.nats.restart();
    fleet.join(2).await;
    fleet.holds(2, 64).await;
    fleet.ready(0..20).await;
    assert_eq!(fleet.counted(2, |counters| &counters.takeovers), 64);
    assert!(fleet.highest_token(2) > token, "tokens grow");
    fleet.hands.assert_never_two();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_start_together_before_there_are_leases_all_have_them() {
    let nats = Cluster::start(3, &Options::default());
    let mut contexts = Vec::new();
    for server in nats.servers() {
        let client = async_nats::connect(server.url()).await.unwrap();
        contexts.push(async_nats::jetstream::new(client));
    }
    for _ in 0..8 {
        let opened = join_all(contexts.iter().map(|context| NatsStore::open(context, 3))).await;
        for store in opened {
            store.map(drop).unwrap();
        }
        contexts[0].delete_key_value(BUCKET).await.unwrap();
    }
}
