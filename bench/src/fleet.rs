//! A whole server: idle, with ten thousand applications from empty to ready, and asked about them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Value, json};

use crate::questions;
use crate::report::{Report, thousands};
use crate::server::Server;

/// Applications, each with one workload.
const APPLICATIONS: u64 = 10_000;
/// The clusters that they are spread over.
const CLUSTERS: u32 = 20;
/// Requests in flight.
const WINDOW: usize = 32;
/// Questions asked of the full server.
const QUESTIONS: u64 = 20_000;
/// How much faster than life the simulated world runs: its waits are not what is measured.
const SPEED: u32 = 1_000;
/// How long an idle server is watched.
const IDLE: Duration = Duration::from_secs(10);

/// Measures a server from its start to a full one.
pub(crate) async fn measure(report: &mut Report, scale: u64) -> anyhow::Result<()> {
    let server = Arc::new(Server::start(SPEED).await?);
    let idle = server.idle_percent(IDLE / u32::try_from(scale.min(5))?).await;
    let (resident, _) = server.resident_mib();
    report.figure(
        "idle server, resident",
        format!("{resident:.0} MiB"),
        "≤ 64 MiB",
        resident <= 64.0,
    );
    report.figure("idle server, CPU", format!("{idle:.2} % of a core"), "< 1 %", idle < 1.0);
    let applications = APPLICATIONS / scale;
    offer_clusters(&server).await?;
    let start = Instant::now();
    deliver(&server, applications).await?;
    let accepted = start.elapsed().as_secs_f64();
    ready(&server, applications).await?;
    let seconds = start.elapsed().as_secs_f64();
    let (_, most) = server.resident_mib();
    let name = format!("{} applications, empty to ready", thousands(to_f64(applications)));
    let value = format!("{seconds:.0} s (accepted after {accepted:.0} s)");
    report.figure(&name, value, "≤ 120 s", seconds <= 120.0);
    let cpu = server.cpu_seconds();
    report.figure(
        "the same, most resident / CPU",
        format!("{most:.0} MiB / {cpu:.0} s"),
        "≤ 500 MiB",
        most <= 500.0,
    );
    let settled = server.idle_percent(IDLE / u32::try_from(scale.min(5))?).await;
    report.figure(
        "the same, settled: CPU",
        format!("{settled:.2} % of a core"),
        "< 5 %",
        settled < 5.0,
    );
    questions::measure(report, server, applications, QUESTIONS / scale).await
}

/// Makes the environment `dev` large enough: the shipped one is a single small cluster.
async fn offer_clusters(server: &Server) -> anyhow::Result<()> {
    let clusters: serde_json::Map<String, Value> = (0..CLUSTERS)
        .map(|number| {
            let spec = json!({ "location": "eu-west", "version": "1.36", "nodes_min": 1, "nodes_max": 20 });
            (format!("dev-{number}"), json!({ "spec": spec }))
        })
        .collect();
    let definition = json!({ "name": "dev", "tier": "dev", "location": "eu-west", "domain": "dev.cairn.test", "clusters": clusters });
    server.define_environment(&definition).await
}

async fn deliver(server: &Arc<Server>, applications: u64) -> anyhow::Result<()> {
    futures::stream::iter(0..applications)
        .map(|number| {
            let server = Arc::clone(server);
            tokio::spawn(async move {
                server.deliver(&format!("app-{number}"), "registry.example/web:1").await
            })
        })
        .buffer_unordered(WINDOW)
        .map_err(anyhow::Error::from)
        .try_for_each(std::future::ready)
        .await
}

/// Waits until every workload is there and ready.
async fn ready(server: &Server, applications: u64) -> anyhow::Result<()> {
    let query = "query($after: String) { resources(first: 100, after: $after, filter: {kinds: [\"workload\"], ready: true}) \
                 { nodes { id } pageInfo { hasNextPage endCursor } } \
                 unready: resources(first: 1, filter: {ready: false}) { nodes { id } } }";
    loop {
        let (mut count, mut after, mut unready) = (0, Value::Null, false);
        loop {
            let page = server.ask(query, json!({ "after": after })).await?;
            count += page.pointer("/resources/nodes").and_then(Value::as_array).map_or(0, Vec::len)
                as u64;
            unready |= page.pointer("/unready/nodes/0").is_some();
            after = page.pointer("/resources/pageInfo/endCursor").cloned().unwrap_or_default();
            let more = page.pointer("/resources/pageInfo/hasNextPage").and_then(Value::as_bool);
            if unready || !more.unwrap_or_default() {
                break;
            }
        }
        if count >= applications && !unready {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) const fn to_f64(number: u64) -> f64 {
    number as f64
}
