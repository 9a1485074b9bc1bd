//! Cairn past one machine with nothing to do, as `make up-cluster` starts it: what its processes take.

use std::collections::BTreeMap;
use std::time::Duration;

use servers::stack::{Options, Stack};

use crate::report::Report;
use crate::server::{cpu_seconds, program, proportional_mib, resident_mib};

/// How long it is left alone before it is looked at, and then while it is.
const LEFT_ALONE: Duration = Duration::from_secs(20);
/// The most that all of it may take.
const RESIDENT_MIB_MAX: f64 = 400.0;
/// The most that all of it may use of a core.
const CPU_PERCENT_MAX: f64 = 2.0;

/// Starts everything, and looks at it.
pub(crate) async fn measure(report: &mut Report, scale: u64) -> anyhow::Result<()> {
    let options = Options { speed: 10, replicas: 2, divisible: false, jumping: false };
    let stack = Stack::start(&program("cairn")?, &options);
    let alone = LEFT_ALONE / u32::try_from(scale.min(20))?;
    tokio::time::sleep(alone).await;
    let mut parts: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for replica in &stack.replicas {
        parts.entry(replica.role).or_default().extend(replica.process.family());
    }
    parts.insert("the world", stack.world.family());
    let servers = stack.nats.servers();
    parts.insert("nats-servers", servers.iter().flat_map(|server| server.family()).collect());
    parts.insert("PostgreSQL", stack.postgres.family());
    let used = |pids: &[u32]| pids.iter().map(|pid| cpu_seconds(*pid)).sum::<f64>();
    let before: BTreeMap<&str, f64> = parts.iter().map(|(part, it)| (*part, used(it))).collect();
    tokio::time::sleep(alone).await;
    let (mut all_mib, mut all_cpu) = (0.0, 0.0);
    for (part, pids) in &parts {
        let percent = used(pids) - before.get(part).copied().unwrap_or_default();
        let percent = percent / alone.as_secs_f64() * 100.0;
        let resident: f64 = pids.iter().map(|pid| resident_mib(*pid).0).sum();
        let proportional: f64 = pids.iter().map(|pid| proportional_mib(*pid)).sum();
        let value = format!("{resident:.0} MiB ({proportional:.0} MiB) / {percent:.1} %");
        let name =
            format!("idle {part}, {} processes: resident (shared counted once) / CPU", pids.len());
        report.note(&name, value);
        (all_mib, all_cpu) = (all_mib + proportional, all_cpu + percent);
    }
    let met = all_mib <= RESIDENT_MIB_MAX;
    let goal = format!("≤ {RESIDENT_MIB_MAX:.0} MiB");
    report.figure(
        "idle cluster, two of each role: memory",
        format!("{all_mib:.0} MiB"),
        &goal,
        met,
    );
    let (met, goal) = (all_cpu <= CPU_PERCENT_MAX, format!("≤ {CPU_PERCENT_MAX:.0} %"));
    report.figure("the same: CPU", format!("{all_cpu:.1} % of a core"), &goal, met);
    Ok(())
}
