//! Applications on the whole way: file, plan, spec, objects.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use domain::application::{Source, SourceFile, parse};
use domain::environment::Environment;
use domain::kinds::{Certificate, DnsRecord, Route, Volume, Workload};
use domain::lifecycle::Resources;
use domain::plan::{Plan, Purpose};
use domain::planning::{self, compare, expand};
use domain::text::Inputs;
use domain::{Name, OutputMap, OutputValue, ResourceId, SecretRef, Spec, catalogue};
use kubernetes::objects::{self, Object};
use kubernetes::provider::Hosted;
use reconcilers::converge::Desired;
use reconcilers::{Scene, Target};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) const SCALED: &str = "name: scaled
image: registry.example/scaled:1
port: 8080
scale: {min: 2, max: 5, cpu: 60}
requests: {cpu: 250m, memory: 128Mi}
limits: {memory: 256Mi}
livenessProbe: {httpGet: {path: /live, port: 8080}}
readinessProbe: {exec: {command: [/bin/ready, now]}}
";
pub(crate) const STATEFUL: &str = "name: stateful
workloads:
  db:
    kind: stateful
    image: registry.example/db:1
    port: 5432
    replicas: 3
    volumes: {/data: {source: '${resources.data}'}}
    resources: {data: {type: volume, params: {size_gib: 5}}}
";
const CRON: &str = "name: cron
schedule: '0 3 * * *'
image: registry.example/report:1
command: [/app/report, --all]
files: {/etc/report/settings: {content: 'level: high', mode: '0600'}}
";
const JOB: &str = "name: job
kind: job
image: registry.example/import:1
variables: {PASSWORD: '${resources.db.password}', HOST: '${resources.db.host}'}
resources: {db: postgres}
";
pub(crate) const BEFORE: &str = "name: before
port: 8080
containers:
  setup:
    image: registry.example/setup:1
    before: {main: {ready: complete}}
  proxy:
    image: registry.example/proxy:1
    readinessProbe: {exec: {command: [/bin/ready]}}
    before: {main: {ready: healthy}}
  journal:
    image: registry.example/journal:1
    before: {main: {ready: started}}
  main:
    image: registry.example/main:1
";

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Everything that an application becomes on a cluster, in the order in which it is applied.
pub(crate) struct Deployed(pub(crate) Vec<Value>);

/// The samples by name.
pub(crate) fn samples() -> Vec<(&'static str, Deployed)> {
    let text = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    vec![
        ("shop", deploy("shop", "app.yaml", &text("samples/shop/app.yaml"))),
        (
            "sidecar",
            deploy("sidecar", "sidecar.score.yaml", &text("samples/score/sidecar.score.yaml")),
        ),
        ("scaled", deploy("scaled", "app.yaml", SCALED)),
        ("stateful", deploy("stateful", "app.yaml", STATEFUL)),
        ("cron", deploy("cron", "app.yaml", CRON)),
        ("job", deploy("job", "app.yaml", JOB)),
        ("before", deploy("before", "app.yaml", BEFORE)),
    ]
}

/// The plan of an application that is nowhere yet, in an environment of one existing cluster.
fn plan(application: &str, path: &str, text: &str) -> Plan {
    let files = [SourceFile { path: path.into(), text: text.into() }];
    let (companions, images) = (BTreeMap::new(), BTreeMap::new());
    let source = Source {
        files: &files,
        companions: &companions,
        application: Some(application),
        images: &images,
    };
    let (model, _) = parse(&source).unwrap_or_else(|wrong| panic!("{application}: {wrong:#?}"));
    let classes = catalogue::shipped().unwrap().classes.into_iter();
    let classes: BTreeMap<Name, _> = classes.map(|it| (it.name().unwrap(), (1, it))).collect();
    let known: Vec<Name> = classes.keys().cloned().collect();
    let existing = json!({ "store": "file", "path": "real" });
    let spec = json!({ "location": "here", "existing": existing });
    let definition =
        json!({ "name": "dev", "domain": "dev.test", "clusters": { "real": { "spec": spec } } });
    let definition = Some(serde_json::from_value(definition).unwrap());
    let desired = expand(&planning::Context {
        application: &application.parse().unwrap(),
        environment: &Environment { version: 1, definition },
        model: &model,
        revision: 1,
        classes: &classes,
        clusters: &Resources::new(),
        known_classes: &known,
        current: None,
        asked: None,
        occupied: &BTreeMap::new(),
        left_behind: &[],
        failing_over: false,
    });
    let desired = desired.unwrap_or_else(|refusals| panic!("{application}: {refusals:#?}"));
    let options = planning::Options {
        purpose: Purpose::Deploy,
        allow_replace: false,
        allow_delete: false,
        allow_mass_delete: false,
    };
    let plan = compare(&desired, &Resources::new(), &BTreeSet::new(), &options);
    plan.unwrap_or_else(|refusals| panic!("{application}: {refusals:#?}"))
}

/// Goes through a plan as if all that it makes were ready at once.
pub(crate) fn deploy(application: &str, path: &str, text: &str) -> Deployed {
    let mut inputs = Inputs::default();
    let mut all: Vec<Value> = Vec::new();
    for step in plan(application, path, text).steps {
        let (id, spec) = (&step.resource, &step.spec.unwrap());
        let made = made::<Workload>(id, spec, &inputs)
            .or_else(|| made::<Volume>(id, spec, &inputs))
            .or_else(|| made::<Route>(id, spec, &inputs))
            .or_else(|| made::<Certificate>(id, spec, &inputs))
            .or_else(|| made::<DnsRecord>(id, spec, &inputs));
        let (objects, outputs) = made.unwrap_or_else(|| (Vec::new(), published(id, spec)));
        if all.is_empty() && !objects.is_empty() {
            all.push(objects::namespace(&target(id)).body);
        }
        all.extend(objects.iter().map(|object| object.filled(&BTreeMap::new())));
        inputs.outputs.insert(id.clone(), outputs);
    }
    Deployed(all)
}

fn target(id: &ResourceId) -> Target {
    let uid = Uuid::new_v5(&Uuid::NAMESPACE_OID, id.to_string().as_bytes());
    Target { tenant: "default".parse().unwrap(), id: id.clone(), uid }
}

/// What a resource becomes and publishes, if it is of this kind.
fn made<K: Hosted>(
    id: &ResourceId,
    spec: &Spec,
    inputs: &Inputs,
) -> Option<(Vec<Object>, OutputMap)> {
    let spec = K::of(spec)?;
    let target = &target(id);
    let scene = Scene::<K> { target, spec, inputs };
    let desired = Desired::new(K::desired(spec, inputs).unwrap());
    Some((K::objects(scene, &desired).unwrap(), K::published(scene, None)))
}

/// What a resource of another world would publish.
fn published(id: &ResourceId, spec: &Spec) -> OutputMap {
    let value = |name: &str, secret: bool| match secret {
        true => {
            let path = format!("{}-{name}", id.name);
            OutputValue::Secret(SecretRef { store: "local".into(), path, version: "1".into() })
        }
        false => OutputValue::plain(format!("{name}-of-{}", id.name)),
    };
    let outputs = spec.outputs().into_iter();
    outputs.map(|output| (output.name.clone(), value(&output.name, output.secret))).collect()
}

impl Deployed {
    pub(crate) fn of_kind(&self, kind: &str) -> Vec<&Value> {
        self.0.iter().filter(|object| object["kind"] == kind).collect()
    }

    /// The only one of a kind and a name.
    #[track_caller]
    pub(crate) fn one(&self, kind: &str, name: &str) -> &Value {
        let all = self.of_kind(kind);
        let mut named = all.iter().filter(|object| object["metadata"]["name"] == name);
        let found = named.next().unwrap_or_else(|| panic!("no {kind} {name}: {all:?}"));
        assert!(named.next().is_none(), "{kind} {name} is there twice");
        found
    }

    /// What runs pods, with the template of those.
    pub(crate) fn running(&self) -> Vec<(&Value, &Value)> {
        let paths = [
            ("Deployment", "/spec/template"),
            ("StatefulSet", "/spec/template"),
            ("Job", "/spec/template"),
            ("CronJob", "/spec/jobTemplate/spec/template"),
        ];
        let of = |(kind, path): (&str, &str)| {
            let found = self.of_kind(kind).into_iter();
            found.map(|object| (object, object.pointer(path).unwrap())).collect::<Vec<_>>()
        };
        paths.into_iter().flat_map(of).collect()
    }

    /// The object of a kind that is of the same incarnation as another.
    pub(crate) fn beside(&self, other: &Value, kind: &str) -> Option<&Value> {
        let uid = |object: &Value| object["metadata"]["labels"]["cairn.dev/uid"].clone();
        self.of_kind(kind).into_iter().find(|object| uid(object) == uid(other))
    }
}
