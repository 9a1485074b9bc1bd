//! Measures a replay of the log into the views against a raw bulk insert of the very rows it leaves, and some
//! reads. `cargo run --release -p cairn-projections --example replay -- 10000`: the number of resources.
#![allow(clippy::unwrap_used, reason = "a measurement stops where something is wrong")]
#![allow(clippy::print_stdout, reason = "its figures are its output")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::commit::{ActorSort, Context};
use domain::kinds::workload;
use domain::lifecycle::{ActionName, Command, Lifetime};
use domain::text::OutputValue;
use domain::{Actor, Resource, Spec, StreamId, Tenant, Time};
use futures::StreamExt as _;
use journal::memory::MemoryJournal;
use journal::{Executor, Journal, Position};
use projections::{Filter, Sort, State, Views};
use rusqlite::types::Value;
use uuid::Uuid;

fn say(line: &str) {
    println!("{line}");
}

#[tokio::main]
async fn main() {
    let resources = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(10_000_u64);
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    let events = fill(&journal, resources).await;
    let head = journal.head().await.unwrap();
    say(&format!("{resources} resources, {} commits, {events} events", head.get()));

    let started = Instant::now();
    fold_only(&journal, head).await;
    rate("fold in memory", events, started.elapsed());

    let folder = tempfile::tempdir().unwrap();
    let views = Views::open_sqlite(folder.path()).await.unwrap();
    let started = Instant::now();
    replay(&journal, &views, head).await;
    let replayed = rate("replay into the views", events, started.elapsed());

    let raw = tempfile::tempdir().unwrap();
    let elapsed = bulk_insert(&folder.path().join("views-1.db"), raw.path());
    let inserted = rate("raw bulk insert of the same rows", events, elapsed);
    say(&format!("{:34} {:>10.2}", "ratio", replayed / inserted));

    reads(&views, resources).await;
}

fn rate(what: &str, events: u64, elapsed: Duration) -> f64 {
    let rate = events as f64 / elapsed.as_secs_f64();
    say(&format!("{what:34} {rate:>10.0} events/s ({elapsed:.2?})"));
    rate
}

async fn replay(journal: &Arc<dyn Journal>, views: &Views, head: Position) {
    let mut status = views.status();
    let done = async move {
        status.wait_for(|status| status.position >= head).await.unwrap();
    };
    projections::run(Arc::clone(journal), views.clone(), done).await.unwrap();
}

async fn fold_only(journal: &Arc<dyn Journal>, head: Position) {
    let mut states: BTreeMap<StreamId, State> = BTreeMap::new();
    let mut log = journal.follow(Position::START);
    while let Some(recorded) = log.next().await {
        let recorded = recorded.unwrap();
        let commit = &recorded.sealed.commit;
        let kind = commit.stream.kind();
        let state = states.remove(&commit.stream).or_else(|| State::before_all(kind)).unwrap();
        states.insert(commit.stream.clone(), state.apply(kind, &commit.events).unwrap());
        if recorded.position >= head {
            return;
        }
    }
}

/// Every resource is declared, created, ready and once unready: some 8 events of the usual sizes.
async fn fill(journal: &Arc<dyn Journal>, resources: u64) -> u64 {
    let executor = Executor::new(Arc::clone(journal));
    let (mut events, mut count) = (0, 0_u128);
    for number in 0..resources {
        let stream = resource(number);
        let uid = Uuid::from_u128(1 << 100 | u128::from(number));
        for command in life(number, uid) {
            count += 1;
            let commit_id = Uuid::from_u128(7 << 76 | count << 80);
            let context = Context {
                commit_id,
                time: Time::from_micros(1_790_000_000_000_000 + i64::try_from(count).unwrap()),
                actor: Actor::new(ActorSort::Reconciler, "workload"),
                causation_id: None,
                correlation_id: commit_id,
                traceparent: None,
            };
            let done = executor.execute::<Resource>(&stream, command, context).await.unwrap();
            events += done.events.len() as u64;
        }
    }
    events
}

fn resource(number: u64) -> StreamId {
    let tenant: Tenant = "acme".parse().unwrap();
    let name = format!("dev_app-{}_w{}", number / 10, number % 10).parse().unwrap();
    StreamId::new(tenant, "workload", name).unwrap()
}

fn life(number: u64, uid: Uuid) -> Vec<Command> {
    let at = Time::from_micros(1_790_000_000_000_000);
    let app = number / 10;
    let spec = serde_json::json!({
        "mode": "service", "cluster": "cluster/dev-a", "scale": {"fixed": 3},
        "containers": {"main": {
            "image": "registry.example/team/shop@sha256:0123456789abcdef0123456789abcdef0123456789abcdef",
            "variables": {
                "DATABASE": format!("postgres://${{database/dev_app-{app}_db.host}}:5432/shop"),
                "PASSWORD": format!("${{database/dev_app-{app}_db.password}}"),
                "LOG_LEVEL": "info",
            },
            "limits": {"cpu": "500m", "memory": "256Mi"},
        }},
        "ports": {"http": {"port": 80, "target_port": 8080, "protocol": "TCP"}},
    });
    let spec = Spec::Workload(serde_json::from_value::<workload::Spec>(spec).unwrap());
    let (generation, action) = (1, ActionName::Create);
    let external = Some(format!("deployment/dev/app-{app}/{number}"));
    let outputs =
        [("hostname", format!("w.app-{app}")), ("port", "80".into()), ("name", "w".into())];
    let outputs: BTreeMap<_, _> =
        outputs.map(|(name, value)| (name.to_owned(), OutputValue::plain(value))).into();
    let ready = || Command::ObserveReady {
        uid,
        generation,
        external: external.clone(),
        outputs: outputs.clone(),
        at,
    };
    vec![
        Command::Declare {
            uid,
            spec,
            class: None,
            lifetime: Lifetime::Deployment(format!("dev_app-{app}").parse().unwrap()),
            protected: false,
            at,
        },
        Command::ObserveBlocker {
            uid,
            on: Some(format!("database/dev_app-{app}_db").parse().unwrap()),
            reason: "waits for its database".into(),
            at,
        },
        Command::StartAction { uid, action, generation, at },
        Command::RecordSuccess { uid, action, generation, external: external.clone(), at },
        ready(),
        Command::ObserveUnready { uid, reason: "1 of 3 replicas is not ready".into(), at },
        ready(),
    ]
}

/// Inserts the rows of a finished file into an empty one of the same schema, in one transaction.
fn bulk_insert(from: &Path, to: &Path) -> Duration {
    let source = rusqlite::Connection::open(from).unwrap();
    let target = rusqlite::Connection::open(to.join("raw.db")).unwrap();
    target.pragma_update(None, "journal_mode", "WAL").unwrap();
    target.pragma_update(None, "synchronous", "NORMAL").unwrap();
    // As the views' own writer has them: otherwise the comparison would flatter the views.
    target.pragma_update(None, "cache_size", -8 * 1024).unwrap();
    target.pragma_update(None, "wal_autocheckpoint", 8 * 1024).unwrap();
    let mut schema = source.prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").unwrap();
    let schema = schema.query_map([], |row| row.get::<_, String>(0)).unwrap();
    for statement in schema {
        target.execute(&statement.unwrap(), []).unwrap();
    }
    let tables = ["versions", "activity", "edges", "handles", "revisions"];
    let rows = tables.map(|table| read_all(&source, table));
    let started = Instant::now();
    target.execute_batch("BEGIN").unwrap();
    for (table, (columns, rows)) in tables.iter().zip(&rows) {
        let holes = vec!["?"; *columns].join(", ");
        let mut insert = target.prepare(&format!("INSERT INTO {table} VALUES ({holes})")).unwrap();
        for row in rows {
            insert.execute(rusqlite::params_from_iter(row)).unwrap();
        }
    }
    target.execute_batch("COMMIT").unwrap();
    started.elapsed()
}

fn read_all(source: &rusqlite::Connection, table: &str) -> (usize, Vec<Vec<Value>>) {
    let mut query = source.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let columns = query.column_count();
    let rows = query
        .query_map([], |row| (0..columns).map(|column| row.get(column)).collect::<Result<_, _>>())
        .unwrap();
    (columns, rows.map(Result::unwrap).collect())
}

async fn reads(views: &Views, resources: u64) {
    let tenant: Tenant = "acme".parse().unwrap();
    let times = 2_000;
    let started = Instant::now();
    for number in 0..times {
        let stream = resource(number * 7919 % resources);
        views.get(&stream, None).await.unwrap().unwrap();
    }
    each("get by id", times, started.elapsed());
    let all = Filter::of(tenant.clone(), &[]);
    let of_one = Filter { deployment: Some("dev_app-7".into()), ..all.clone() };
    let unready = Filter { ready: Some(false), ..all.clone() };
    let gone = Filter { phase: Some("failing".into()), ..all.clone() };
    for (what, filter, sort, times) in [
        ("list 50 by name", &all, Sort::Name, 500),
        ("list 50 by update", &all, Sort::Updated, 500),
        ("list of one deployment", &of_one, Sort::Name, 500),
        ("list of what is not ready", &unready, Sort::Name, 20),
        ("list of a phase nothing is in", &gone, Sort::Updated, 20),
    ] {
        let started = Instant::now();
        for _ in 0..times {
            views.list(filter, sort, None, 50, None).await.unwrap();
        }
        each(what, times, started.elapsed());
    }
    let started = Instant::now();
    for _ in 0..200 {
        views.tree(&tenant, &"dev_app-7".parse().unwrap(), None).await.unwrap();
    }
    each("tree of one deployment", 200, started.elapsed());
}

fn each(what: &str, times: u64, elapsed: Duration) {
    let micros = elapsed.as_secs_f64() * 1e6 / times as f64;
    say(&format!("{what:34} {micros:>10.1} µs"));
}
