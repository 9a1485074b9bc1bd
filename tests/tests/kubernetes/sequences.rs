//! Sequences of changes on a real API server, in which each property of each kind changes: each ends in what is wanted,
//! after which nothing is written any more; and what is good again after something bad recovers.

mod properties;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use domain::lifecycle::Command;
use domain::plan::Purpose;
use domain::{Resource, ResourceId};
use futures::future::join_all;
use properties::{MODES, TOO_MUCH};
use serde_json::{Map, Value, json};
use servers::kubernetes::{Call, ControlPlane, Faulty, Options};
use tests::rng::Rng;
use tests::{Plane, context, namespace, now};

/// Changes of one application, one after the other.
const LENGTH: usize = 20;
/// Changes in all, unless `CAIRN_TRANSITIONS` says otherwise.
const TRANSITIONS: usize = 500;
/// Sequences at the same time.
const AT_ONCE: usize = 25;
/// After so many changes it is looked whether all is settled.
const SETTLED_EVERY: usize = 5;
/// How long a change may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// An application, and which of its properties says what.
struct Subject {
    name: String,
    mode: &'static str,
    properties: Vec<(&'static str, Vec<Value>)>,
    chosen: Vec<usize>,
    rng: Rng,
    /// What was done to it, for whoever reads of a failure.
    story: String,
}

impl Subject {
    fn new(number: usize) -> Self {
        let mode = MODES[number % MODES.len()];
        let properties = properties::of(mode);
        let chosen = vec![0; properties.len()];
        let rng = Rng::new(u64::try_from(number).unwrap());
        Self {
            name: format!("seq-{number}-{mode}"),
            mode,
            properties,
            chosen,
            rng,
            story: String::new(),
        }
    }

    /// Another value of a property: all of them in turn, then any.
    fn change(&mut self, turn: usize) {
        let which = match self.properties.len() {
            all if turn < all => turn,
            all => self.rng.below(all),
        };
        let (property, values) = &self.properties[which];
        self.chosen[which] = (self.chosen[which] + 1) % values.len();
        writeln!(self.story, "{property} = {}", values[self.chosen[which]]).unwrap();
    }

    /// Its file. JSON is YAML.
    fn text(&self, is_bad: bool) -> String {
        let said = self.properties.iter().zip(&self.chosen);
        let mut fields: Map<String, Value> = said
            .map(|((property, values), chosen)| ((*property).to_owned(), values[*chosen].clone()))
            .filter(|(_, value)| !value.is_null())
            .collect();
        fields.insert("name".into(), json!(self.name));
        if is_bad {
            fields.insert("requests".into(), json!({ "cpu": TOO_MUCH }));
        }
        Value::Object(fields).to_string().replace("NAME", &self.name)
    }

    /// What it is all about.
    fn id(&self) -> String {
        let (kind, own) = match self.mode {
            "routed" => ("route", "it"),
            "objects" => ("manifests", "it"),
            "chart" => ("helm", "it"),
            _ => ("workload", self.name.as_str()),
        };
        format!("{kind}/dev_{}_{own}", self.name)
    }

    /// Whether it can ask for more than there is.
    fn can_be_bad(&self) -> bool {
        let has_pods = ["service", "worker", "scaled", "stateful", "disk"].contains(&self.mode);
        // What migrates first would be stuck there.
        let others = ["\"replicas\":0", "\"migrate\""];
        has_pods && !others.iter().any(|other| self.text(false).contains(other))
    }

    async fn apply(&self, plane: &Plane, folder: &Path, is_bad: bool) {
        let file = folder.join(format!("{}.yaml", self.name));
        std::fs::write(&file, self.text(is_bad)).unwrap();
        plane.apply(&self.name, &[&file], &[]).await;
    }

    /// One change, now and then after a bad one that it has to recover from.
    async fn step(&mut self, plane: &Plane, folder: &Path, turn: usize) {
        if turn > 0 && self.can_be_bad() && self.rng.below(6) == 0 {
            writeln!(self.story, "bad").unwrap();
            self.apply(plane, folder, true).await;
            plane.begin(&self.name, Purpose::Deploy).await;
            let stuck = async || plane.blocker(&self.id()).await.contains("Unschedulable");
            plane.until(&format!("{} to be stuck:\n{}", self.name, self.story), stuck).await;
        }
        self.change(turn);
        self.apply(plane, folder, false).await;
        plane.begin(&self.name, Purpose::Deploy).await;
        self.ready(plane).await;
    }

    async fn ready(&self, plane: &Plane) {
        let Self { name, story, .. } = self;
        if tokio::time::timeout(PATIENCE, plane.ready(name)).await.is_err() {
            let resource = plane.resource(&self.id()).await;
            panic!("{name} is not ready: {resource:?}\n{story}");
        }
    }

    /// Has it looked at again.
    async fn look_again(&self, plane: &Plane) {
        let id: ResourceId = self.id().parse().unwrap();
        let stream = id.stream(plane.tenant());
        for command in [Command::Pause { at: now() }, Command::Resume { at: now() }] {
            plane.executor.execute::<Resource>(&stream, command, context()).await.unwrap();
        }
        self.ready(plane).await;
    }
}

/// What is as wanted is looked at again, and is not written to.
async fn settled(plane: &Plane, faulty: &Faulty, subjects: &[Subject]) {
    let _ = faulty.calls();
    join_all(subjects.iter().map(|subject| subject.look_again(plane))).await;
    let calls = faulty.calls();
    for Subject { name, story, .. } in subjects {
        let place = format!("/namespaces/{}/", namespace(name));
        let writes = |call: &&Call| call.method != "GET" && call.path.contains(&place);
        let writes: Vec<_> = calls.iter().filter(writes).collect();
        assert!(writes.is_empty(), "{name} was settled: {writes:?}\n{story}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sequence_of_changes_converges_and_then_nothing_is_written() {
    let wanted = std::env::var("CAIRN_TRANSITIONS").ok().and_then(|text| text.parse().ok());
    let wanted: usize = wanted.unwrap_or(TRANSITIONS);
    // One sort of two uses disks, some of them several.
    let disks = 20 + u32::try_from(wanted / LENGTH).unwrap();
    let cluster = ControlPlane::start(&Options { disks, ..Options::default() });
    let faulty = Faulty::start(&cluster);
    let directory = tempfile::tempdir().unwrap();
    properties::write_files(directory.path());
    let plane = Plane::start_on(directory.path(), &faulty.kubeconfig()).await;
    // Not more at once than there are nodes for.
    let at_once = (wanted / LENGTH).min(AT_ONCE);
    for first in (0..wanted / LENGTH).step_by(at_once) {
        let mut subjects: Vec<Subject> = (first..first + at_once).map(Subject::new).collect();
        for turn in 0..LENGTH {
            let steps =
                subjects.iter_mut().map(|subject| subject.step(&plane, directory.path(), turn));
            join_all(steps).await;
            if turn % SETTLED_EVERY == SETTLED_EVERY - 1 {
                settled(&plane, &faulty, &subjects).await;
            }
        }
        join_all(subjects.iter().map(|subject| plane.delete(&subject.name))).await;
    }
    plane.stop().await;
}
