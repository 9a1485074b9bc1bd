//! Real processes under load, with everything that can happen to them: after each failure nothing that was
//! acknowledged is lost, nothing outside is doubled, the views say what the log says, and work goes on soon.
//!
//! `CAIRN_ROUNDS` says how many failures there are; `make soak` asks for a thousand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on ends, and says what it counted"
)]

mod checks;
mod embedded;
mod ledger;
mod load;
mod rounds;

/// How many failures there are when nothing else is said: two lives, each with every failure three times.
const ROUNDS: usize = 60;

/// How many failures are asked for.
fn asked() -> usize {
    std::env::var("CAIRN_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cairn_in_one_process_survives_every_failure() {
    rounds::run(asked()).await;
}
