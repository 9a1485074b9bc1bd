//! Sequences of changes on a real API server, in which each property of a workload changes: each ends in what is wanted,
//! after which nothing is written any more; and what is good again after something bad recovers.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use domain::lifecycle::Command;
use domain::plan::Purpose;
use domain::{Resource, ResourceId};
use futures::future::join_all;
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
/// More processor than any node has.
const TOO_MUCH: &str = "1000";

/// What can be said of a workload, and what else it can be: each list is gone through.
fn properties(mode: &str) -> Vec<(&'static str, Vec<Value>)> {
    let probe = |path: &str| json!({ "httpGet": { "path": path, "port": 8080 } });
    let file =
        |path: &str, text: &str, mode: &str| json!({ path: { "content": text, "mode": mode } });
    let mut properties = vec![
        ("image", vec![json!("registry.example/a:1"), json!("registry.example/a:2")]),
        ("command", vec![Value::Null, json!(["/bin/a"]), json!(["/bin/b", "-x"])]),
        ("args", vec![Value::Null, json!(["--one"]), json!(["--one", "--two"])]),
        ("variables", vec![Value::Null, json!({ "A": "1" }), json!({ "A": "2", "B": "3" })]),
        (
            "files",
            vec![
                Value::Null,
                file("/etc/a/one", "1", "0644"),
                file("/etc/a/one", "2", "0600"),
                file("/etc/b/two", "2", "0644"),
            ],
        ),
        ("limits", vec![Value::Null, json!({ "memory": "1G" }), json!({ "memory": "2G" })]),
        ("requests", vec![Value::Null, json!({ "cpu": "0.1" }), json!({ "cpu": "0.2" })]),
        ("metadata", vec![Value::Null, json!({ "annotations": { "team.example/owner": "a" } })]),
    ];
    match mode {
        "service" => properties.extend([
            ("port", vec![json!(8080), json!(9090)]),
            ("livenessProbe", vec![Value::Null, probe("/live"), probe("/alive")]),
            ("readinessProbe", vec![Value::Null, probe("/ready"), probe("/")]),
            ("replicas", vec![Value::Null, json!(2), json!(3)]),
            ("strategy", vec![Value::Null, json!("recreate"), json!("rolling")]),
        ]),
        "scaled" => properties.extend([
            ("port", vec![json!(8080), json!(9090)]),
            (
                "scale",
                vec![
                    json!({ "min": 1, "max": 3, "cpu": 70 }),
                    json!({ "min": 2, "max": 4, "cpu": 50 }),
                    Value::Null,
                ],
            ),
        ]),
        "stateful" => properties.extend([
            ("kind", vec![json!("stateful")]),
            ("port", vec![json!(8080), json!(9090)]),
            ("readinessProbe", vec![Value::Null, probe("/ready"), probe("/")]),
            ("replicas", vec![Value::Null, json!(2), json!(3)]),
        ]),
        "cron" => {
            properties.push(("schedule", vec![json!("0 * * * *"), json!("30 2 * * *")]));
        }
        _ => properties.push(("replicas", vec![Value::Null, json!(2), json!(0)])),
    }
    properties
}

/// An application of one workload, and which of its properties says what.
struct Subject {
    name: String,
    properties: Vec<(&'static str, Vec<Value>)>,
    chosen: Vec<usize>,
    rng: Rng,
    /// What was done to it, for whoever reads of a failure.
    story: String,
}

impl Subject {
    fn new(number: usize) -> Self {
        let modes = ["service", "worker", "scaled", "stateful", "cron"];
        let mode = modes[number % modes.len()];
        let properties = properties(mode);
        let chosen = vec![0; properties.len()];
        let rng = Rng::new(u64::try_from(number).unwrap());
        Self { name: format!("seq-{number}-{mode}"), properties, chosen, rng, story: String::new() }
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
        Value::Object(fields).to_string()
    }

    fn workload(&self) -> String {
        format!("workload/dev_{}_{}", self.name, self.name)
    }

    async fn apply(&self, plane: &Plane, folder: &Path, is_bad: bool) {
        let file = folder.join(format!("{}.yaml", self.name));
        std::fs::write(&file, self.text(is_bad)).unwrap();
        plane.apply(&self.name, &[&file], &[]).await;
    }

    /// One change, now and then after a bad one that it has to recover from.
    async fn step(&mut self, plane: &Plane, folder: &Path, turn: usize) {
        let runs_pods =
            !self.name.ends_with("cron") && !self.text(false).contains("\"replicas\":0");
        if turn > 0 && runs_pods && self.rng.below(6) == 0 {
            writeln!(self.story, "bad").unwrap();
            self.apply(plane, folder, true).await;
            plane.begin(&self.name, Purpose::Deploy).await;
            let stuck = async || plane.blocker(&self.workload()).await.contains("Unschedulable");
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
            let resource = plane.resource(&self.workload()).await;
            panic!("{name} is not ready: {resource:?}\n{story}");
        }
    }

    /// Has it looked at again.
    async fn look_again(&self, plane: &Plane) {
        let id: ResourceId = self.workload().parse().unwrap();
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
    let cluster = ControlPlane::start(&Options { nodes: 3, ..Options::default() });
    let faulty = Faulty::start(&cluster);
    let directory = tempfile::tempdir().unwrap();
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
