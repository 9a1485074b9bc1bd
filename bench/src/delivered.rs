//! Applications on a real API server: from a request to the objects and to ready, against a loop that applies the same
//! objects and does nothing else. Each side has a control plane of its own, the same controllers and nodes.

mod bare;
mod seen;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _};
use hdrhistogram::Histogram;
use serde_json::json;
use servers::kubernetes::{ControlPlane, Options};

use crate::fleet::to_f64;
use crate::report::{Report, thousands};
use crate::server::Server;
use seen::Seen;

/// Applications, each with one workload.
const APPLICATIONS: u64 = 1_000;
/// Nodes that pretend, of 110 pods each.
const NODES: u32 = 24;
/// Requests in flight.
const WINDOW: usize = 16;
/// Image changes that are timed, and applications that are added one at a time.
const CHANGES: u64 = 100;
/// The pause between two of them.
const BETWEEN: Duration = Duration::from_millis(100);
/// What Cairn may ask a cluster, but to watch.
const BESIDE_WATCHES: [&str; 5] = ["get", "create", "apply", "delete", "other"];
/// How long the settled fleet is watched: everything is looked at again in that time, each after 450 to 750 s.
const SETTLED: Duration = Duration::from_secs(780);

/// Measures both sides.
pub(crate) async fn measure(report: &mut Report, scale: u64) -> anyhow::Result<()> {
    let applications = APPLICATIONS / scale;
    let plane = ControlPlane::start(&Options { nodes: NODES, entry: false, ..Options::default() });
    let ours = Ours::start(&plane).await?;
    let (applied, ready) = ours.fill(report, applications).await?;
    let rows = bare::made(&ours.client).await?;
    ours.changes(report, applications, CHANGES / scale.min(10)).await?;
    ours.settled(report, SETTLED / u32::try_from(scale.min(10))?).await?;
    let late = CHANGES / scale.min(10);
    ours.grows(report, applications, applications + late).await?;
    drop(ours);
    drop(plane);
    let plane = ControlPlane::start(&Options { nodes: NODES, entry: false, ..Options::default() });
    let client = seen::client(&plane).await?;
    let seen = Seen::follow(client.clone());
    let start = Instant::now();
    let times = bare::apply(&client, rows).await?;
    let bare_applied = start.elapsed().as_secs_f64();
    seen.available(usize::try_from(applications)?).await?;
    let bare_ready = start.elapsed().as_secs_f64();
    let name = format!(
        "{} applications on a cluster, every object applied",
        thousands(to_f64(applications))
    );
    report.at_most(&name, "s", applied, bare_applied, 1.5);
    let name = format!("{} applications on a cluster, ready", thousands(to_f64(applications)));
    report.at_most(&name, "s", ready, bare_ready, 1.3);
    let mean = times.iter().sum::<f64>() / to_f64(times.len() as u64);
    report.note("the loop's objects of one application, 16 at once", format!("{mean:.0} ms"));
    Ok(())
}

/// A Cairn beside a cluster.
struct Ours {
    server: Arc<Server>,
    client: kube::Client,
    seen: Seen,
    _secrets: tempfile::TempDir,
}

impl Ours {
    async fn start(plane: &ControlPlane) -> anyhow::Result<Self> {
        let secrets = tempfile::tempdir()?;
        std::fs::create_dir(secrets.path().join("clusters"))?;
        std::fs::write(secrets.path().join("clusters/real"), plane.kubeconfig())?;
        let folder = secrets.path().display().to_string();
        let server = Arc::new(Server::start_with(1, &["--secrets", &folder]).await?);
        let existing = json!({ "store": "file", "path": "clusters/real" });
        let spec = json!({ "location": "local", "existing": existing });
        let clusters = json!({ "real": { "spec": spec, "workloads_max": 5_000 } });
        let definition = json!({
            "name": "dev", "tier": "dev", "location": "local", "domain": "dev.test", "clusters": clusters,
        });
        server.define_environment(&definition).await?;
        let client = seen::client(plane).await?;
        let seen = Seen::follow(client.clone());
        Ok(Self { server, client, seen, _secrets: secrets })
    }

    /// Delivers everything, from empty. Gives the seconds to every object and to ready.
    async fn fill(&self, report: &mut Report, applications: u64) -> anyhow::Result<(f64, f64)> {
        let count = usize::try_from(applications)?;
        // The cluster is there before anything is put into it, as it is before the loop.
        self.deliver("first", 1).await?;
        self.seen.available(1).await?;
        let (before, cpu) = (bare::requests(&self.client).await?, self.server.cpu_seconds());
        let reads = self.asked(&["get"]).await?;
        let (resident, _) = self.server.resident_mib();
        let start = Instant::now();
        let delivering = futures::stream::iter(1..applications)
            .map(|number| async move { self.deliver(&format!("app-{number}"), 1).await })
            .buffer_unordered(WINDOW)
            .try_for_each(|()| std::future::ready(Ok(())));
        delivering.await?;
        let accepted = start.elapsed().as_secs_f64();
        self.seen.there(count).await?;
        let applied = start.elapsed().as_secs_f64();
        self.seen.available(count).await?;
        let ready = start.elapsed().as_secs_f64();
        let cpu = self.server.cpu_seconds() - cpu;
        let (_, most) = self.server.resident_mib();
        report.note("the same, accepted", format!("{accepted:.0} s"));
        report.figure("the same, CPU of Cairn", format!("{cpu:.1} s"), "≤ 15 s", cpu <= 15.0);
        let grown = format!("{most:.0} MiB ({resident:.0} before)");
        report.figure("the same, most resident", grown, "≤ 300 MiB", most <= 300.0);
        let after = bare::requests(&self.client).await?;
        let reads = self.asked(&["get"]).await? - reads;
        self.tell_requests(report, &before, &after, reads).await?;
        Ok((applied, ready))
    }

    async fn tell_requests(
        &self,
        report: &mut Report,
        before: &BTreeMap<(String, String), f64>,
        after: &BTreeMap<(String, String), f64>,
        reads: f64,
    ) -> anyhow::Result<()> {
        let of = |verb: &str| -> f64 {
            let grown = after.iter().filter(|((found, _), _)| found == verb);
            grown.map(|(key, count)| count - before.get(key).copied().unwrap_or(0.0)).sum()
        };
        let objects: usize = bare::made(&self.client).await?.iter().map(Vec::len).sum();
        let writes = of("APPLY") / to_f64(objects as u64);
        report.figure("the same, writes an object", format!("{writes:.2}"), "≤ 1.2", writes <= 1.2);
        let reads = reads / to_f64(objects as u64);
        report.figure(
            "the same, reads of Cairn an object",
            format!("{reads:.3}"),
            "≤ 0.01",
            reads <= 0.01,
        );
        Ok(())
    }

    async fn deliver(&self, name: &str, image: u64) -> anyhow::Result<()> {
        self.server.deliver(name, &format!("registry.example/{name}:{image}")).await
    }

    /// Image changes among the settled applications, then applications that are added, one at a time.
    async fn changes(
        &self,
        report: &mut Report,
        applications: u64,
        count: u64,
    ) -> anyhow::Result<()> {
        let mut changed = Histogram::<u64>::new(3)?;
        let mut added = Histogram::<u64>::new(3)?;
        for number in 1..=count {
            let name = format!("app-{}", 1 + number * 7 % (applications - 1));
            changed.record(self.until_there(&name, 1 + number).await?)?;
            tokio::time::sleep(BETWEEN).await;
        }
        for number in 1..=count {
            added.record(self.until_there(&format!("late-{number}"), 1).await?)?;
            tokio::time::sleep(BETWEEN).await;
        }
        let told = |times: &Histogram<u64>| {
            let at = |quantile| times.value_at_quantile(quantile);
            format!("p50 {} ms, p99 {} ms", at(0.5), at(0.99))
        };
        let p99 = changed.value_at_quantile(0.99);
        report.figure("an image change on the cluster", told(&changed), "p99 ≤ 200 ms", p99 <= 200);
        let p99 = added.value_at_quantile(0.99);
        report.figure(
            "acknowledged → its last object on the cluster",
            told(&added),
            "p99 ≤ 300 ms",
            p99 <= 300,
        );
        Ok(())
    }

    /// Milliseconds from the answer until the Deployment has the image.
    async fn until_there(&self, name: &str, image: u64) -> anyhow::Result<u64> {
        self.deliver(name, image).await?;
        let acknowledged = Instant::now();
        let there = self.seen.has(&format!("registry.example/{name}"), &image.to_string()).await?;
        Ok(u64::try_from(there.saturating_duration_since(acknowledged).as_millis())?)
    }

    /// Requests of Cairn alone to its cluster until now, of these verbs.
    async fn asked(&self, verbs: &[&str]) -> anyhow::Result<f64> {
        let metrics = self.server.metrics().await?;
        let lines = metrics.lines().filter(|line| {
            let of = |verb: &&str| line.contains(&format!("\"{verb}\""));
            line.starts_with("cairn_kubernetes_requests_total") && verbs.iter().any(of)
        });
        let counts = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        Ok(counts.sum())
    }

    /// What a fleet costs where nothing happens.
    async fn settled(&self, report: &mut Report, over: Duration) -> anyhow::Result<()> {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let (before, cpu) = (bare::requests(&self.client).await?, self.server.cpu_seconds());
        let asked = self.asked(&BESIDE_WATCHES).await?;
        tokio::time::sleep(over).await;
        let asked = (self.asked(&BESIDE_WATCHES).await? - asked) / over.as_secs_f64() * 60.0;
        let after = bare::requests(&self.client).await?;
        let percent = (self.server.cpu_seconds() - cpu) / over.as_secs_f64() * 100.0;
        let grown = |verbs: &[&str]| -> f64 {
            let verbs = |key: &(String, String)| verbs.contains(&key.0.as_str());
            let kept = after.iter().filter(|(key, _)| verbs(key));
            kept.map(|(key, count)| count - before.get(key).copied().unwrap_or(0.0)).sum()
        };
        let writes = grown(&["APPLY", "DELETE", "POST"]);
        let name = format!("a settled fleet, writes in {} s", over.as_secs());
        report.figure(&name, format!("{writes:.0}"), "0", writes == 0.0);
        let told = format!("{asked:.2}");
        report.figure(
            "the same, requests of Cairn a minute beside watches",
            told,
            "≤ 1",
            asked <= 1.0,
        );
        report.note("the same, reads of everybody", format!("{:.0}", grown(&["GET", "LIST"])));
        report.note("the same, CPU of Cairn", format!("{percent:.2} % of a core"));
        Ok(())
    }

    /// What as many applications again cost in memory, among objects of which a cluster has ten thousand then.
    async fn grows(
        &self,
        report: &mut Report,
        applications: u64,
        there: u64,
    ) -> anyhow::Result<()> {
        let (before, _) = self.server.resident_mib();
        let delivering = futures::stream::iter(0..applications)
            .map(|number| async move { self.deliver(&format!("more-{number}"), 1).await })
            .buffer_unordered(WINDOW)
            .try_for_each(|()| std::future::ready(Ok(())));
        delivering.await?;
        self.seen.available(usize::try_from(there + applications)?).await?;
        let all: usize = bare::made(&self.client).await?.iter().map(Vec::len).sum();
        tokio::time::sleep(Duration::from_secs(10)).await;
        let (after, most) = self.server.resident_mib();
        let each = (after - before) * 1_000.0 / to_f64(applications);
        report.note("grown by 1,000 applications more, resident", format!("{each:.1} MiB"));
        let name = format!("most resident with {} objects", thousands(to_f64(all as u64)));
        report.figure(&name, format!("{most:.0} MiB"), "≤ 400 MiB", most <= 400.0);
        Ok(())
    }
}
