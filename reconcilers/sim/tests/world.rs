//! The simulated world by itself: its memory, its faults, its time.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test: what cannot be is a failure"
)]

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use domain::{KindName, Time};
use futures::FutureExt as _;
use reconcilers::converge::{Call, Desired, Seen, SeenState, create_token};
use reconcilers::{CallError, Clock, Performed, Target};
use serde_json::json;
use sim::fault::Planned;
use sim::{Entry, Fault, Happening, Nature, Operation, Options, Sim};
use uuid::Uuid;

#[derive(Default)]
struct Virtual(AtomicI64);

impl Clock for Virtual {
    fn now(&self) -> Time {
        Time::from_micros(self.0.load(Ordering::Relaxed))
    }
}

struct Cloud {
    clock: Arc<Virtual>,
    sim: Sim,
    target: Target,
}

impl Cloud {
    fn new(options: Options) -> Self {
        let clock = Arc::new(Virtual::default());
        let sim = Sim::open(Arc::clone(&clock) as _, options).unwrap();
        let target = Target {
            tenant: "acme".parse().unwrap(),
            id: "database/dev_shop_db".parse().unwrap(),
            uid: Uuid::from_u128(1),
        };
        Self { clock, sim, target }
    }

    fn faulty(script: Planned) -> Self {
        let nature = Nature { remembers: true, ..Nature::default() };
        Self::new(Options { nature, script: Box::new(script), path: None })
    }

    fn call(&self, call: Call) -> Option<Result<Performed, CallError>> {
        self.sim.make(&self.target, &call).now_or_never()
    }

    fn create(&self) -> Option<Result<Performed, CallError>> {
        let token = create_token(self.target.uid);
        self.call(Call::Create { token, desired: desired("16") })
    }

    fn see(&self) -> Option<Seen> {
        self.sim.see(&self.target).now_or_never().unwrap().unwrap()
    }

    fn created(&self) -> usize {
        let is_create = |entry: &&Entry| matches!(entry, Entry::Created { .. });
        self.sim.with_world(|world| world.ledger().iter().filter(is_create).count())
    }

    fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }
}

fn desired(version: &str) -> Desired {
    Desired::new(json!({"engine": "postgres", "version": version, "storage_gib": 20,
        "size": "s", "database": "shop"}))
}

const DB: (KindName, &str) = (KindName::Database, "dev_shop_db");

#[test]
fn things_take_their_time() {
    let cloud = Cloud::new(Options::default());
    assert_eq!(cloud.create(), Some(Ok(Performed::Finished)));
    assert!(matches!(cloud.see().unwrap().state, SeenState::Pending(_)));
    assert!(cloud.sim.due().is_empty());
    cloud.pass(75);
    assert_eq!(cloud.sim.due(), std::slice::from_ref(&cloud.target));
    let seen = cloud.see().unwrap();
    assert_eq!(seen.state, SeenState::Ready);
    let names: Vec<_> = seen.outputs.keys().cloned().collect();
    assert_eq!(names, ["database", "host", "password", "port", "username"]);
    assert_eq!(cloud.call(Call::Delete), Some(Ok(Performed::Underway)));
    assert_eq!(cloud.see().unwrap().state, SeenState::Deleting);
    cloud.pass(30);
    assert_eq!(cloud.see(), None);
    assert_eq!(cloud.call(Call::Delete), Some(Ok(Performed::Finished)));
    assert_eq!(cloud.call(Call::Delete), Some(Ok(Performed::Finished)));
}

#[test]
fn creating_twice_makes_one_thing() {
    let script = Planned::default().on(Operation::Create, DB, 1, Fault::LostReply).on(
        Operation::Create,
        DB,
        2,
        Fault::CrashAfter,
    );
    let cloud = Cloud::faulty(script);
    assert!(matches!(cloud.create(), Some(Err(_))), "the answer is lost");
    assert_eq!(cloud.create(), None, "the process died");
    assert_eq!(cloud.create(), Some(Ok(Performed::Finished)));
    assert_eq!(cloud.created(), 1);
}

#[test]
fn a_stale_read_shows_what_was() {
    let script = Planned::default().on(Operation::Observe, DB, 1, Fault::Stale(1));
    let cloud = Cloud::faulty(script);
    cloud.create();
    assert_eq!(cloud.see(), None);
    assert!(cloud.see().is_some());
}

#[test]
fn somebody_elses_change_is_told_from_ours() {
    let cloud = Cloud::new(Options::default());
    cloud.create();
    let drift = Happening::Drift { detail: "size is l".into(), by: Some("bob".into()) };
    cloud.sim.happen(&cloud.target.tenant, &cloud.target.id, drift).unwrap();
    let seen = cloud.see().unwrap();
    assert_ne!(seen.applied, seen.actual);
    assert_eq!(seen.changed.unwrap().by.as_deref(), Some("bob"));
    cloud.call(Call::Update(desired("16"))).unwrap().unwrap();
    let seen = cloud.see().unwrap();
    assert_eq!(seen.applied, seen.actual);
}

#[test]
fn what_failed_for_good_recovers_with_another_spec() {
    let script =
        Planned::default().on(Operation::Create, DB, 1, Fault::FailsForGood("no room".into()));
    let cloud = Cloud::faulty(script);
    cloud.create();
    cloud.pass(100);
    assert_eq!(cloud.see().unwrap().state, SeenState::Failed("no room".into()));
    cloud.call(Call::Update(desired("17"))).unwrap().unwrap();
    cloud.pass(100);
    assert_eq!(cloud.see().unwrap().state, SeenState::Ready);
}

#[test]
fn the_world_outlives_the_process_even_when_its_last_line_is_cut() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("world.jsonl");
    let open = || Cloud::new(Options { path: Some(path.clone()), ..Options::default() });
    open().create();
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"{\"Updated\":{\"at\":").unwrap();
    drop(file);
    let cloud = open();
    assert!(cloud.see().is_some());
    cloud.call(Call::Update(desired("17"))).unwrap().unwrap();
    drop(cloud);
    assert_eq!(open().see().unwrap().applied, desired("17").digest);
}

#[test]
fn a_damaged_world_is_named_by_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("world.jsonl");
    std::fs::write(&path, "{}\n").unwrap();
    let options = Options { path: Some(path), ..Options::default() };
    let error = Sim::open(Arc::new(Virtual::default()), options).err().unwrap();
    assert!(error.to_string().ends_with("world.jsonl:1: not an effect"), "{error}");
}
