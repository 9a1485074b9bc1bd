//! Real processes under load, with everything that can happen to them: after each failure nothing that was
//! acknowledged is lost, nothing outside is doubled, the views say what the log says, and work goes on soon.
//!
//! How soon work goes on is told, and not asserted: it depends on who else has the processor. 5 s are the goal.
//!
//! `CAIRN_ROUNDS` says how many failures there are in all, a third of them past one machine; `make soak` asks for a
//! thousand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on ends, and says what it counted"
)]

mod checks;
mod cluster;
mod embedded;
mod ledger;
mod load;
mod rounds;

use tokio::sync::Mutex;

/// How many failures there are when nothing else is said.
const ROUNDS: usize = 60;
/// One of so many failures happens past one machine: each takes a while.
const CLUSTER_PART: usize = 3;

/// One at a time: each measures how soon work goes on.
static TURN: Mutex<()> = Mutex::const_new(());

/// How many failures are asked for: in one process, and past one machine.
fn asked() -> (usize, usize) {
    let all = std::env::var("CAIRN_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let cluster = all.div_ceil(CLUSTER_PART);
    (all - cluster, cluster)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cairn_in_one_process_survives_every_failure() {
    let _turn = TURN.lock().await;
    rounds::run(asked().0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cairn_of_many_processes_survives_every_failure() {
    let _turn = TURN.lock().await;
    cluster::run(asked().1).await;
}
