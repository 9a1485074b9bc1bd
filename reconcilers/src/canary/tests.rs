//! A workload with a canary, in a world that does at once what it is told.

use domain::Decider as _;
use domain::kinds::KindName;
use domain::lifecycle::{Lifetime, Measured};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::converge::converge;

const UID: Uuid = Uuid::from_u128(1);
const STEPS: &str = r#"[{"weight": 10, "pause_seconds": 60}, {"weight": 50, "approval": true}]"#;

struct Toy {
    resource: Resource,
    main: Option<Seen>,
    canary: Option<Seen>,
    /// Digests that never become ready, as images.
    bad: &'static str,
    /// What a measurement gives.
    passes: bool,
    now: Time,
    shares: Vec<u32>,
}

fn spec(image: &str, checks: &Value) -> domain::Spec {
    let steps: Value = serde_json::from_str(STEPS).unwrap();
    let canary = json!({ "steps": steps, "checks": checks, "drain_seconds": 30 });
    let spec = json!({
        "mode": "service", "cluster": "cluster/a", "scale": { "fixed": 4 },
        "containers": { "main": { "image": image } }, "strategy": { "canary": canary },
    });
    KindName::Workload.read_spec(spec).unwrap()
}

fn seen(desired: &Desired, bad: &str) -> Seen {
    let ill = desired.spec.to_string().contains(&format!("\"{bad}\""));
    let state = if ill { SeenState::Failed("it crashes".into()) } else { SeenState::Ready };
    Seen::new(desired.digest, state)
}

impl Toy {
    fn new(checks: &Value) -> Self {
        let declare = Command::Declare {
            uid: UID,
            spec: spec("web:1", checks),
            class: None,
            lifetime: Lifetime::Kept,
            protected: false,
            at: Time::from_micros(0),
        };
        let resource =
            Resource::fold(Resource::Absent, Resource::decide(&Resource::Absent, declare).unwrap());
        let (now, shares) = (Time::from_micros(0), Vec::new());
        let mut toy =
            Self { resource, main: None, canary: None, bad: "none", passes: true, now, shares };
        assert_eq!(toy.settle(), None);
        toy
    }

    fn tell(&mut self, command: Command) {
        let events = Resource::decide(&self.resource, command).unwrap();
        self.resource = Resource::fold(self.resource.clone(), events);
    }

    fn revise(&mut self, image: &str, checks: &Value) {
        let (spec, at) = (spec(image, checks), self.now);
        self.tell(Command::Revise { spec, class: None, generation: None, at });
    }

    fn body(&self) -> &Body {
        self.resource.body().unwrap()
    }

    fn step(&self) -> Step<Call> {
        let body = self.body();
        let subject: Subject<'_, Workload> = Subject {
            resource: &self.resource,
            spec: <Workload as domain::kinds::TypedSpec>::of(&body.spec).unwrap(),
            unmet: None,
            dependent: None,
            unneeded: false,
            accepts_drift: false,
            at: self.now,
        };
        let canary = self.canary.clone().map(Box::new);
        let seen = self.main.clone().map(|main| Seen { canary, ..main });
        next(&subject, &Inputs::default(), seen.as_ref())
            .unwrap_or_else(|| converge(&subject, &Inputs::default(), &seen))
    }

    fn perform(&mut self, call: Call) {
        match call {
            Call::Create { desired, .. } | Call::Update(desired) => {
                self.main = Some(seen(&desired, self.bad));
            }
            Call::Canary { desired, .. } => self.canary = Some(seen(&desired, self.bad)),
            Call::RemoveCanary => {
                assert_eq!(
                    self.body().canary.as_ref().map_or(0, |it| it.weight),
                    0,
                    "no traffic is lost"
                );
                self.canary = None;
            }
            Call::Measure { step, generation, checks } => {
                let measured = checks.iter().map(|check| Measured {
                    check: check.name.clone(),
                    passed: self.passes || check.name == "slow",
                    detail: "0.1 is more than 0.01".into(),
                });
                let (measured, at) = (measured.collect(), self.now);
                self.tell(Command::MeasureCanary { uid: UID, generation, step, measured, at });
            }
            Call::Delete => panic!("nobody asked for that"),
        }
    }

    /// Steps until nothing is left to be done now; what is waited for, if anything is.
    fn settle(&mut self) -> Option<String> {
        for _ in 0..64 {
            let weight = self.body().canary.as_ref().map_or(0, |canary| canary.weight);
            if self.shares.last().copied().unwrap_or(0) != weight {
                self.shares.push(weight);
            }
            match self.step() {
                Step::Settled => return None,
                Step::Wait(waiting) => return Some(waiting.reason),
                Step::Perform(call) => self.perform(call),
                Step::PerformThenRecord(call, command) => {
                    self.perform(call);
                    self.tell(command);
                }
                Step::Record(command) => self.tell(command),
            }
        }
        panic!("it does not come to rest: {:?}", self.step());
    }

    fn pass(&mut self, seconds: u32) {
        self.now = after(self.now, seconds);
    }

    fn runs(&self, image: &str) -> bool {
        let spec = spec(image, &json!([]));
        let spec = <Workload as domain::kinds::TypedSpec>::of(&spec).unwrap();
        let desired = Desired::new(Workload::desired(spec, &Inputs::default()).unwrap());
        self.main.as_ref().is_some_and(|main| main.applied == desired.digest)
    }
}

#[test]
fn a_revision_is_tried_step_by_step_and_then_replaces_the_old() {
    let none = json!([]);
    let mut toy = Toy::new(&none);
    toy.revise("web:2", &none);
    assert!(toy.settle().unwrap().contains("gets 10 % of the traffic until"));
    assert!(toy.runs("web:1") && !toy.body().is_ready());
    toy.pass(60);
    assert!(toy.settle().unwrap().contains("has yet to be promoted"));
    toy.pass(86_400);
    assert!(toy.settle().unwrap().contains("has yet to be promoted"), "nobody has decided");
    toy.tell(Command::Promote { full: false, at: toy.now });
    assert!(toy.settle().unwrap().contains("runs dry"));
    assert!(toy.runs("web:2") && toy.body().is_ready(), "it is done, whatever runs dry");
    toy.pass(30);
    assert_eq!(toy.settle(), None);
    assert!(toy.canary.is_none() && toy.body().canary.is_none());
    assert_eq!(toy.shares, [10, 50, 0]);
}

#[test]
fn going_back_takes_away_what_is_tried_and_touches_nothing_else() {
    let none = json!([]);
    let mut toy = Toy::new(&none);
    let before = toy.main.clone();
    toy.revise("web:2", &none);
    toy.settle();
    toy.revise("web:1", &none);
    assert!(toy.settle().unwrap().contains("runs dry"));
    assert!(toy.body().is_ready(), "what runs was never touched");
    toy.pass(30);
    assert_eq!(toy.settle(), None);
    assert_eq!((toy.main, toy.canary), (before, None));
    assert_eq!(toy.shares, [10, 0]);
}

#[test]
fn a_fix_takes_the_place_of_what_is_tried_from_the_first_step() {
    let none = json!([]);
    let mut toy = Toy::new(&none);
    toy.revise("web:2", &none);
    toy.settle();
    toy.pass(60);
    toy.settle();
    toy.revise("web:3", &none);
    assert!(toy.settle().unwrap().contains("gets 10 %"));
    assert_eq!(toy.shares, [10, 50, 0, 10]);
    toy.tell(Command::Promote { full: true, at: toy.now });
    toy.settle();
    toy.pass(30);
    assert_eq!(toy.settle(), None);
    assert!(toy.runs("web:3"));
}

#[test]
fn what_is_no_good_fails_and_what_runs_goes_on() {
    let none = json!([]);
    let mut toy = Toy::new(&none);
    toy.bad = "web:2";
    toy.revise("web:2", &none);
    toy.settle();
    assert!(toy.runs("web:1") && toy.canary.is_none());
    let failure = toy.body().action.as_ref().unwrap().failure.as_ref().unwrap();
    assert_eq!(failure.message, "the new revision: it crashes");
    assert_eq!(toy.shares, [0; 0], "it never had any traffic");
    toy.revise("web:3", &none);
    assert!(toy.settle().unwrap().contains("gets 10 %"));
}

#[test]
fn checks_that_fail_too_often_end_it() {
    let checks = json!([
        {"name": "slow", "url": "http://p", "every_seconds": 1, "failures_max": 0},
        {"name": "errors", "url": "http://p", "query": "e", "max": "0.01", "every_seconds": 10, "failures_max": 1},
    ]);
    let mut toy = Toy::new(&checks);
    toy.revise("web:2", &checks);
    toy.settle();
    toy.passes = false;
    toy.pass(10);
    assert!(toy.settle().unwrap().contains("gets 10 %"), "one may fail");
    toy.pass(10);
    assert!(toy.settle().unwrap().contains("runs dry"));
    toy.pass(30);
    let waits = toy.settle().unwrap();
    assert!(
        waits.contains("at 10 % of the traffic, the check `errors` failed 2 times: 0.1"),
        "{waits}"
    );
    assert!(toy.runs("web:1"));
}

#[test]
fn beside_what_is_not_well_nothing_is_tried() {
    let none = json!([]);
    let mut toy = Toy::new(&none);
    toy.main.as_mut().unwrap().state = SeenState::Pending("1 of 4 ready".into());
    toy.revise("web:2", &none);
    assert_eq!(toy.settle(), None);
    assert!(toy.runs("web:2") && toy.shares.is_empty());
}

proptest! {
    /// Whatever is wanted when, and whoever decides what: in the end the last revision runs, alone.
    #[test]
    fn it_comes_to_an_end(turns in prop::collection::vec((0_u8..5, 1_u32..90), 1..12)) {
        let none = json!([]);
        let mut toy = Toy::new(&none);
        let images = ["web:1", "web:2", "web:3"];
        let mut last = "web:1";
        for (what, seconds) in turns {
            match what {
                image @ 0..=2 => {
                    last = images[usize::from(image)];
                    toy.revise(last, &none);
                }
                _ => {
                    let promote = Command::Promote { full: what == 4, at: toy.now };
                    if let Ok(events) = Resource::decide(&toy.resource, promote) {
                        toy.resource = Resource::fold(toy.resource.clone(), events);
                    }
                }
            }
            toy.settle();
            toy.pass(seconds);
        }
        for _ in 0..8 {
            let promote = Command::Promote { full: true, at: toy.now };
            if let Ok(events) = Resource::decide(&toy.resource, promote) {
                toy.resource = Resource::fold(toy.resource.clone(), events);
            }
            toy.settle();
            toy.pass(60);
        }
        prop_assert_eq!(toy.settle(), None);
        prop_assert!(toy.runs(last) && toy.body().is_ready() && toy.canary.is_none());
    }
}
