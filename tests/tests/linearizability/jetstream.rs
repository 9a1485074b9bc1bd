//! The log on JetStream while its servers are killed, frozen and parted: what clients see stays linearizable, and
//! whoever follows the log sees every commit once and in order.

use std::sync::Arc;

use futures::StreamExt as _;
use journal::jetstream::{JetStreamJournal, Options};
use journal::{Durability, Journal, JournalError, Position};
use servers::nats::{self, Cluster, Nats};
use servers::proxy::{Mode, Proxy};
use servers::until;
use tokio::sync::watch;

use crate::journals::judge;

/// The JetStream stream.
const STREAM: &str = "cairn";
/// How many connections the clients share.
const CONNECTIONS: usize = 3;
/// Servers that sync before they acknowledge: what they promise is what is tested.
const SYNCED: nats::Options =
    nats::Options { sync_always: true, config: String::new(), store: None };

async fn connect(
    urls: Vec<String>,
    monitors: Vec<String>,
    replicas: usize,
) -> Vec<Arc<dyn Journal>> {
    let require = Some(if replicas > 1 { Durability::Quorum } else { Durability::PowerLoss });
    let options = Options { replicas, monitors, require, ..Options::new(urls) };
    let mut journals: Vec<Arc<dyn Journal>> = Vec::new();
    for _ in 0..CONNECTIONS {
        journals.push(Arc::new(JetStreamJournal::open(&options).await.unwrap()));
    }
    journals
}

/// Makes history after history until the failures have passed, and one more.
async fn judge_during(journals: &[Arc<dyn Journal>], failures: impl FnOnce() + Send + 'static) {
    let seen_all = watch::Sender::new(None);
    let following = tokio::spawn(follow(Arc::clone(&journals[0]), seen_all.subscribe()));
    let (mut histories, mut commits) = (0, judge(journals, 0).await);
    let failing = tokio::task::spawn_blocking(failures);
    while !failing.is_finished() {
        histories += 1;
        commits += judge(journals, histories).await;
    }
    failing.await.unwrap();
    commits += judge(journals, histories + 1).await;
    let head = journals[0].head().await.unwrap();
    seen_all.send_replace(Some(head));
    assert_eq!(following.await.unwrap(), head.get(), "a follower sees every commit");
    assert_eq!(commits as u64, head.get(), "every commit is in one history");
    println!("{} histories with {commits} commits", histories + 2);
}

/// Follows the log from its beginning to a position, again after each outage; gives how many commits came.
async fn follow(journal: Arc<dyn Journal>, mut until: watch::Receiver<Option<Position>>) -> u64 {
    let mut after = Position::START;
    loop {
        let mut commits = journal.follow(after);
        loop {
            let next = tokio::select! {
                next = commits.next() => next,
                _ = until.wait_for(|end| end.is_some_and(|end| after >= end)) => return after.get(),
            };
            match next {
                Some(Ok(recorded)) => {
                    assert_eq!(recorded.position.get(), after.get() + 1, "a gap or a repetition");
                    after = recorded.position;
                }
                Some(Err(JournalError::Unavailable { .. })) | None => break,
                Some(Err(wrong)) => panic!("{wrong:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_on_one_server_is_linearizable_whatever_happens_to_it() {
    let server = Arc::new(Nats::start(&SYNCED));
    let network = Arc::new(Proxy::start(server.port()));
    let url = format!("nats://127.0.0.1:{}", network.port());
    let journals = connect(vec![url], vec![server.monitor_url()], 1).await;
    let (failing, bad) = (Arc::clone(&server), Arc::clone(&network));
    judge_during(&journals, move || {
        let (server, network) = (failing, bad);
        for mode in [Mode::DropReplies, Mode::Hold, Mode::DropRequests, Mode::Refuse] {
            let lost = network.swallowed();
            network.set(mode);
            if mode == Mode::DropReplies {
                until("acknowledgements to be lost", || (network.swallowed() > lost).then_some(()));
            }
            server.restart();
            network.set(Mode::Forward);
            server.sigstop();
            assert!(!server.is_ready(), "it is frozen, for as long as this question waits");
            server.sigcont();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_on_three_servers_is_linearizable_whatever_happens_to_one_or_all() {
    let cluster = Arc::new(Cluster::start_divisible(3, &SYNCED));
    let urls = cluster.servers().iter().map(Nats::url).collect();
    let monitors = cluster.servers().iter().map(Nats::monitor_url).collect();
    let journals = connect(urls, monitors, 3).await;
    let failing = Arc::clone(&cluster);
    judge_during(&journals, move || {
        let cluster = failing;
        let leader = cluster.wait_leader(STREAM);
        cluster.servers()[leader].kill9();
        let next = cluster.wait_other_leader(STREAM, leader);
        cluster.servers()[leader].restart();
        cluster.servers()[next].sigstop();
        let last = cluster.wait_other_leader(STREAM, next);
        cluster.servers()[next].sigcont();
        cluster.wait_ready();
        cluster.isolate(last);
        let leader = cluster.wait_other_leader(STREAM, last);
        cluster.heal(last);
        cluster.wait_ready();
        cluster.servers()[(leader + 1) % 3].restart();
        cluster.servers().iter().for_each(|server| server.kill9());
        cluster.servers().iter().for_each(Nats::revive);
        cluster.wait_ready();
    })
    .await;
}
