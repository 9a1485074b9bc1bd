//! How many applications, how fast, in how much memory: `cargo run --release -p cairn-sim --example scale 10000`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures")]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use domain::commit::{ActorSort, Context, Hash};
use domain::deployment;
use domain::lifecycle::Lifetime;
use domain::plan::{self, Header, Pins, Proposal, Purpose, Step, StepAction};
use domain::{Actor, Decider, Name, ResourceId, StreamId, Tenant};
use futures::StreamExt as _;
use journal::sqlite::SqliteJournal;
use journal::{Executor, Position};
use reconcilers::run::Loop;
use reconcilers::{Clock as _, Driver, Providers, Settings, WallClock};
use serde_json::json;
use sim::{Nature, Options, Sim};
use uuid::Uuid;

/// Looks in the second part.
const LOOKS: u32 = 20_000;
/// The simulated world's speed.
const SPEED: u32 = 100;

fn context() -> Context {
    let id = Uuid::now_v7();
    Context {
        commit_id: id,
        time: WallClock.now(),
        actor: Actor::new(ActorSort::User, "ada"),
        causation_id: None,
        correlation_id: id,
        traceparent: None,
    }
}

/// A worker with a bucket, on the one cluster.
fn steps(deployment: &Name) -> Vec<Step> {
    let owned = Lifetime::Deployment(deployment.clone());
    let bucket = format!("bucket/{deployment}_files");
    let worker = format!("workload/{deployment}_main");
    let cluster = json!({"location": "eu", "version": "1.36", "nodes_min": 1, "nodes_max": 3});
    let main = json!({"mode": "worker", "cluster": "cluster/a", "scale": {"fixed": 2},
        "containers": {"main": {"image": "app:1", "variables": {"BUCKET": format!("${{{bucket}.bucket}}")}}}});
    let rows = [
        ("cluster/a".to_owned(), Lifetime::Kept, cluster, vec![]),
        (bucket, owned.clone(), json!({"region": "eu"}), vec![]),
        (worker, owned, main, vec![0, 1]),
    ];
    let step = |(id, lifetime, spec, after): (String, Lifetime, _, _)| {
        let resource: ResourceId = id.parse().unwrap();
        let spec = Some(resource.kind.read_spec(spec).unwrap());
        let (class, action) = (None, StepAction::Create);
        let (why, changes) = (Vec::new(), Vec::new());
        Step { resource, action, spec, class, lifetime, protected: false, after, why, changes }
    };
    rows.into_iter().map(step).collect()
}

async fn execute<D: Decider>(executor: &Executor, stream: &StreamId, command: D::Command)
where
    D::Command: Clone,
{
    executor.execute::<D>(stream, command, context()).await.unwrap();
}

async fn deploy(executor: &Executor, tenant: &Tenant, number: usize) {
    let deployment: Name = format!("dev_app{number}").parse().unwrap();
    let (plan_id, at, steps) = (Uuid::now_v7(), WallClock.now(), steps(&deployment));
    let members = steps.iter().skip(1).map(|step| step.resource.clone()).collect();
    let (application, environment): (Name, Name) =
        (format!("app{number}").parse().unwrap(), "dev".parse().unwrap());
    let header = Box::new(Header {
        deployment: deployment.clone(),
        application: application.clone(),
        environment: environment.clone(),
        revision: 1,
        purpose: Purpose::Deploy,
        pins: Pins::default(),
        placement: None,
        notes: Vec::new(),
    });
    let steps_total = u32::try_from(steps.len()).unwrap();
    let propose = plan::Command::Propose { header, hash: Hash::default(), steps_total, steps, at };
    let stream = |kind, name| StreamId::new(tenant.clone(), kind, name).unwrap();
    let plan_stream = stream(plan::KIND, plan_id.to_string().parse().unwrap());
    execute::<Proposal>(executor, &plan_stream, propose).await;
    let start = deployment::Command::StartRollout {
        application,
        environment,
        plan: plan_id,
        revision: 1,
        purpose: Purpose::Deploy,
        members,
        at,
    };
    let stream = stream(deployment::KIND, deployment);
    execute::<deployment::Deployment>(executor, &stream, start).await;
}

fn memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

#[tokio::main]
async fn main() {
    let count: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1_000);
    let directory = tempfile::tempdir().unwrap();
    let journal = Arc::new(SqliteJournal::open(directory.path()).unwrap());
    let executor = Executor::new(journal);
    let nature = Nature { speed: SPEED, ..Nature::default() };
    let path = Some(directory.path().join("world.jsonl"));
    let options = Options { nature, path, ..Options::default() };
    let sim = Arc::new(Sim::open(Arc::new(WallClock), options).unwrap());
    let settings = Settings { session: Uuid::now_v7(), grace_micros: 15_000_000 };
    let driver = Driver::new(executor.clone(), Providers::all(&sim), Arc::new(WallClock), settings);
    let driver = Arc::new(driver);
    let (stop, shutdown) = tokio::sync::watch::channel(false);
    let world = Arc::clone(&sim);
    tokio::spawn(async move { world.run().await });
    let running = Loop::new(Arc::clone(&driver));
    let counters = running.counters();
    let running = tokio::spawn(running.run(shutdown));
    let tenant: Tenant = "acme".parse().unwrap();

    let began = Instant::now();
    let commands = futures::stream::iter(0..count)
        .for_each_concurrent(64, |number| deploy(&executor, &tenant, number));
    commands.await;
    println!("{count} deployments asked for after {:.1?}", began.elapsed());
    let mut commits = executor.journal().follow(Position::START);
    let (mut ended, mut seen) = (0, 0_u64);
    while ended < count {
        let recorded = commits.next().await.unwrap().unwrap();
        seen += 1;
        let events = &recorded.sealed.commit.events;
        ended += usize::from(
            recorded.sealed.commit.stream.kind() == deployment::KIND
                && events.iter().any(|event| event.event_type == "RolloutEnded"),
        );
    }
    let took = began.elapsed();
    println!(
        "all ready after {took:.1?}: {seen} commits, {:.0}/s",
        seen as f64 / took.as_secs_f64()
    );
    println!(
        "looks {}, steps {}, failures {}, memory {} MiB",
        counters.looks.load(Ordering::Relaxed),
        counters.steps.load(Ordering::Relaxed),
        counters.failures.load(Ordering::Relaxed),
        memory_mib()
    );
    stop.send(true).unwrap();
    running.await.unwrap().unwrap();

    let streams = driver.index().streams();
    let began = Instant::now();
    for number in 0..LOOKS as usize {
        let stream = streams.get(number % streams.len()).unwrap();
        let decision = driver.look(stream).await.unwrap();
        driver.act(decision).await.unwrap();
    }
    let took = began.elapsed();
    println!(
        "{:.0} no-op reconciles/s, one after the other",
        f64::from(LOOKS) / took.as_secs_f64()
    );
}
