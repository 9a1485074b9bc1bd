//! What can be said of each kind, and what else it can be.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use tests::samples::root;

/// More processor than any node has.
pub(super) const TOO_MUCH: &str = "1000";
/// What applications are about.
pub(super) const MODES: [&str; 10] = [
    "service",
    "worker",
    "scaled",
    "stateful",
    "cron",
    "containers",
    "disk",
    "routed",
    "objects",
    "chart",
];
/// Sizes of a disk, which cannot shrink: more than there are changes.
const SIZES: u32 = 24;

/// Properties, each with the values that it goes through. `NAME` is the application's name.
pub(super) type Properties = Vec<(&'static str, Vec<Value>)>;

/// What is gone through in a mode.
pub(super) fn of(mode: &str) -> Properties {
    match mode {
        "containers" => containers(),
        "disk" => disk(),
        "routed" => routed(),
        "objects" => vec![(
            "resources",
            objects().into_iter().map(|it| resource("manifests", &it)).collect(),
        )],
        "chart" => {
            vec![("resources", charts().into_iter().map(|it| resource("helm", &it)).collect())]
        }
        mode => one_container(mode),
    }
}

fn probe(path: &str) -> Value {
    json!({ "httpGet": { "path": path, "port": 8080 } })
}

fn images() -> Vec<Value> {
    vec![json!("registry.example/a:1"), json!("registry.example/a:2")]
}

fn one_container(mode: &str) -> Properties {
    let file =
        |path: &str, text: &str, mode: &str| json!({ path: { "content": text, "mode": mode } });
    let files = vec![
        Value::Null,
        file("/etc/a/one", "1", "0644"),
        file("/etc/a/one", "2", "0600"),
        file("/etc/b/two", "2", "0644"),
        json!({ "/etc/b/two": { "binaryContent": "AQID" } }),
    ];
    let mut properties = vec![
        ("image", images()),
        ("command", vec![Value::Null, json!(["/bin/a"]), json!(["/bin/b", "-x"])]),
        ("args", vec![Value::Null, json!(["--one"]), json!(["--one", "--two"])]),
        ("variables", vec![Value::Null, json!({ "A": "1" }), json!({ "A": "2", "B": "3" })]),
        ("files", files),
        ("limits", vec![Value::Null, json!({ "memory": "1G" }), json!({ "memory": "2G" })]),
        ("requests", vec![Value::Null, json!({ "cpu": "0.1" }), json!({ "cpu": "0.2" })]),
        ("metadata", vec![Value::Null, json!({ "annotations": { "team.example/owner": "a" } })]),
    ];
    properties.extend(of_mode(mode));
    properties
}

fn of_mode(mode: &str) -> Properties {
    match mode {
        "service" => vec![
            ("port", vec![json!(8080), json!(9090)]),
            (
                "livenessProbe",
                vec![Value::Null, probe("/live"), json!({ "exec": { "command": ["true"] } })],
            ),
            ("readinessProbe", vec![Value::Null, probe("/ready"), headers()]),
            ("replicas", vec![Value::Null, json!(2), json!(3)]),
            ("strategy", vec![Value::Null, json!("recreate"), json!("rolling")]),
            ("migrate", vec![Value::Null, json!(["migrate"]), json!({ "args": ["up"] })]),
        ],
        "scaled" => vec![
            ("port", vec![json!(8080), json!(9090)]),
            (
                "scale",
                vec![
                    json!({ "min": 1, "max": 3, "cpu": 70 }),
                    json!({ "min": 2, "max": 4, "cpu": 50 }),
                    Value::Null,
                ],
            ),
        ],
        "stateful" => vec![
            ("kind", vec![json!("stateful")]),
            ("port", vec![json!(8080), json!(9090)]),
            ("readinessProbe", vec![Value::Null, probe("/ready"), probe("/")]),
            ("replicas", vec![Value::Null, json!(2), json!(3)]),
        ],
        "cron" => vec![("schedule", vec![json!("0 * * * *"), json!("30 2 * * *")])],
        "worker" => vec![
            ("replicas", vec![Value::Null, json!(2), json!(0)]),
            ("delegated", vec![Value::Null, json!(["spec.revisionHistoryLimit"])]),
        ],
        other => panic!("{other} is no mode"),
    }
}

fn headers() -> Value {
    let headers = json!([{ "name": "X-Probe", "value": "1" }]);
    json!({ "httpGet": { "path": "/", "port": 8080, "scheme": "HTTPS", "httpHeaders": headers } })
}

/// Several containers, of which some come before others.
fn containers() -> Properties {
    let main = json!({ "image": "registry.example/a:1" });
    let before = |ready: &str| {
        let mut side =
            json!({ "image": "registry.example/side:1", "before": { "main": { "ready": ready } } });
        if ready == "healthy" {
            side["readinessProbe"] = json!({ "exec": { "command": ["true"] } });
        }
        side
    };
    let values = vec![
        json!({ "main": main }),
        json!({ "main": main, "side": { "image": "registry.example/side:1" } }),
        json!({ "main": main, "side": before("complete") }),
        json!({ "main": main, "side": before("started") }),
        json!({ "main": main, "side": before("healthy") }),
        json!({ "main": { "image": "registry.example/a:2", "resources": { "limits": { "memory": "1G" } } } }),
    ];
    let ports = vec![
        json!({ "http": 80 }),
        json!({ "http": { "port": 80, "targetPort": 8080 }, "dns": { "port": 53, "protocol": "UDP" } }),
        Value::Null,
    ];
    vec![("containers", values), ("ports", ports)]
}

fn disk() -> Properties {
    let source = "${resources.data}";
    let mounts = vec![
        json!({ "/data": { "source": source } }),
        json!({ "/other": { "source": source, "path": "below" } }),
        json!({ "/data": { "source": source, "readOnly": true } }),
    ];
    let disk = |gib: u32| json!({ "data": { "type": "volume", "delete": "allow", "params": { "size_gib": gib } } });
    vec![
        ("image", images()),
        ("strategy", vec![json!("recreate")]),
        ("volumes", mounts),
        ("resources", (1..=SIZES).map(disk).collect()),
    ]
}

fn resource(sort: &str, params: &Value) -> Value {
    json!({ "it": { "type": sort, "params": params } })
}

fn routed() -> Properties {
    let route = |params: Value| resource("route", &params);
    let values = vec![
        route(json!({ "workload": "NAME", "host": "NAME.test" })),
        route(json!({ "workload": "NAME", "host": "other-NAME.test" })),
        route(json!({ "workload": "NAME", "host": "other-NAME.test", "path": "/api" })),
        route(
            json!({ "workload": "NAME", "host": "other-NAME.test", "path": "/api", "port": "http" }),
        ),
        route(json!({ "workload": "NAME", "host": "NAME.test", "protocol": "http" })),
    ];
    vec![("image", images()), ("port", vec![json!(8080), json!(9090)]), ("resources", values)]
}

fn objects() -> Vec<Value> {
    vec![
        json!({ "files": ["one.yaml"] }),
        json!({ "files": ["two.yaml"] }),
        json!({ "files": ["one.yaml", "more.yaml"] }),
        json!({ "files": ["two.yaml", "more.yaml"], "delegated": { "*": ["spec.replicas"] } }),
        json!({ "files": ["two.yaml"], "adopt": true }),
        json!({ "files": ["two.yaml"], "adopt": true, "force": true }),
        json!({ "files": ["one.yaml"], "replace": true }),
    ]
}

fn charts() -> Vec<Value> {
    let chart = "./tiny";
    vec![
        json!({ "chart": chart }),
        json!({ "chart": chart, "values": { "message": "b" } }),
        json!({ "chart": chart, "values": { "message": "b", "more": true } }),
        json!({ "chart": chart, "values": { "more": true }, "delegated": { "*": ["spec.replicas"] } }),
        json!({ "chart": chart, "adopt": true, "force": true }),
        json!({ "chart": chart, "replace": true }),
    ]
}

const MORE: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: more}
spec:
  replicas: 1
  selector: {matchLabels: {app: more}}
  template:
    metadata: {labels: {app: more}}
    spec:
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: more
          image: registry.example/more:1
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
";

/// What the applications name beside themselves.
pub(super) fn write_files(folder: &Path) {
    let write = |path: &str, text: &str| {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let map = |data: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: one}}\ndata: {{message: {data}}}\n"
        )
    };
    write("one.yaml", &map("a"));
    write("two.yaml", &map("b"));
    write("more.yaml", MORE);
    write("tiny/Chart.yaml", "apiVersion: v2\nname: tiny\nversion: 1.0.0\n");
    write("tiny/values.yaml", "message: a\nmore: false\n");
    write("tiny/templates/one.yaml", &map("{{ .Values.message | quote }}"));
    write(
        "tiny/templates/more.yaml",
        &format!("{{{{- if .Values.more }}}}\n{MORE}{{{{- end }}}}\n"),
    );
}

/// Every name of a property in a value, at any depth.
fn names(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                found.insert(name.clone());
                names(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What needs another workload, another cluster or another time, and is tried where there are such.
const ELSEWHERE: [(&str, &str); 7] = [
    ("after", "planning, and the shop"),
    ("service", "the same as `ports`, as Score calls it"),
    ("source", "a file beside the application's: its content is tried"),
    ("noExpand", "the domain: what is sent to a cluster is text"),
    ("release", "helm: another name is another release"),
    ("container", "of `migrate`: planning"),
    ("class", "the tests of classes"),
];

#[test]
fn each_property_of_each_schema_is_gone_through() {
    let mut tried = BTreeSet::new();
    for mode in MODES {
        for (property, values) in of(mode) {
            tried.insert(property.to_owned());
            values.iter().for_each(|value| names(value, &mut tried));
        }
    }
    let text = std::fs::read_to_string(root().join("schema/app.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    let mut wanted = BTreeSet::new();
    for part in ["workload", "container", "file", "probe", "scale", "quantity", "ports"] {
        properties_of(&schema["$defs"][part], &mut wanted);
    }
    for file in ["manifests", "helm", "network", "stores"] {
        let text = root().join(format!("catalogue/classes/{file}.yaml"));
        wanted.extend(params_of(&std::fs::read_to_string(text).unwrap()));
    }
    let missing: Vec<_> = wanted
        .iter()
        .filter(|name| !tried.contains(*name) && ELSEWHERE.iter().all(|(known, _)| known != name))
        .collect();
    assert!(missing.is_empty(), "no sequence changes {missing:?}");
}

/// The names below `properties`, at any depth.
fn properties_of(schema: &Value, found: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::Object(properties)) = fields.get("properties") {
                found.extend(properties.keys().cloned());
            }
            fields.values().for_each(|value| properties_of(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| properties_of(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The params of the classes in a file whose resources are in a cluster.
fn params_of(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for document in text.split("\n---\n") {
        let line = |start: &str| document.lines().find_map(|line| line.strip_prefix(start));
        let in_a_cluster = ["manifests", "helm", "route", "volume"];
        if line("class: ").is_some()
            || !line("target: ").is_some_and(|kind| in_a_cluster.contains(&kind))
        {
            continue;
        }
        let params = document.lines().skip_while(|line| *line != "params:").skip(1);
        let params = params.take_while(|line| line.starts_with("  "));
        found.extend(
            params.filter_map(|line| line.trim().split_once(':').map(|(name, _)| name.to_owned())),
        );
    }
    // Files beside the application's become these.
    found.remove("objects");
    found
}
