//! What others store under what they do, where they can be had: etcd, and Kubernetes' API server on top of it.
//!
//! `make servers` brings both; `make peers` builds etcd's own benchmark.

use std::path::Path;

use anyhow::Context as _;
use servers::Place;
use servers::kubernetes::Etcd;
use tokio::process::Command;

use crate::commands;
use crate::kubernetes;
use crate::report::Report;
use crate::server::Server;
use crate::threeport;

/// Puts of a round.
const PUTS: u64 = 40_000;
/// Lives of a round, of four commands each.
const LIVES: u64 = 10_000;
/// Objects that are made of a round.
const CREATES: u64 = 6_400;
/// Clients of either.
const CLIENTS: &str = "64";
/// As much as a commit has.
const VALUE_BYTES: &str = "700";
/// How often both sides are measured, in turn.
const ROUNDS: u32 = 2;

/// Measures beside whatever is there, and says what is not.
pub(crate) async fn measure(report: &mut Report, scale: u64) -> anyhow::Result<()> {
    let name = "commands, window 64, class power-loss / etcd's default puts";
    match servers::program("etcd-benchmark", "etcd-benchmark") {
        Ok(benchmark) => {
            let (mut ours, mut theirs) = (0.0, 0.0);
            for _ in 0..ROUNDS {
                theirs += puts(&benchmark, PUTS / scale).await? / f64::from(ROUNDS);
                ours += commands::on_sqlite(LIVES / scale).await? / f64::from(ROUNDS);
            }
            report.ratio(name, "/s", ours, theirs, 0.5);
        }
        Err(missing) => report.note(name, format!("absent: {missing}")),
    }
    let name =
        "creates of 1 kB, 64, class power-loss: GraphQL over HTTP / kube-apiserver over HTTPS";
    let (mut ours, mut theirs) = (0.0, 0.0);
    for _ in 0..ROUNDS {
        theirs += kubernetes::creates(CREATES / scale).await? / f64::from(ROUNDS);
        let server = Server::start(1).await?;
        let create = threeport::creation();
        ours += server.access().rate(64, CREATES / scale, create).await? / f64::from(ROUNDS);
    }
    report.ratio(name, "/s", ours, theirs, 8.0);
    Ok(())
}

/// Puts a second into one etcd as it is by default: synced before they are acknowledged.
async fn puts(benchmark: &Path, count: u64) -> anyhow::Result<f64> {
    let place = Place::new();
    let etcd = Etcd::start(&place, true);
    let client = etcd.url();
    let total = count.to_string();
    let mut command = Command::new(benchmark);
    command.args(["--endpoints", &client, "--conns", "16", "--clients", CLIENTS, "put"]);
    command.args(["--total", &total, "--val-size", VALUE_BYTES, "--key-size", "32"]);
    command.args(["--key-space-size", &total, "--sequential-keys"]);
    let output = command.output().await?;
    let said = String::from_utf8_lossy(&output.stdout);
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rate = said.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    Ok(rate.context("the benchmark says no rate")?.trim().parse()?)
}
