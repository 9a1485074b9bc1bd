//! The JSON Schema of `app.yaml`, for editors: completion, and a first check while typing.
//!
//! It is as strict as a schema can be; that what is referred to exists is found by [`super::parse`] alone.

use serde_json::{Map, Value, json};

use super::parts::RESOURCES_MAX;
use crate::kinds::workload::REPLICAS_MAX;

/// The names of workloads, containers, ports and resources.
const NAME: &str = LABEL;
/// The names of applications and environments.
const LABEL: &str = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";

/// The JSON Schema of `app.yaml`.
#[must_use]
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "app.yaml",
        "description": "An application: one workload written in short, or several under `workloads`.",
        "type": "object",
        "oneOf": [{"required": ["name"]}, {"required": ["application"]}],
        "if": {"required": ["workloads"]},
        "then": closed(top()),
        "else": closed(merged([top(), workload()])),
        "$defs": {
            "workload": closed(merged([workload(), json!({"resources": reference("resources")})])),
            "container": with(
                closed(merged([
                    container(),
                    json!({"before": named(closed_requiring(json!({"ready": {"enum": ["started", "healthy", "complete"]}}), "ready"), NAME), "resources": closed(quantities())}),
                ])),
                "required",
                json!(["image"]),
            ),
            "quantity": closed(json!({
                "cpu": text("Such as \"0.5\" or 250m.", Some(r"^\d+(?:m|\.\d+)?$")),
                "memory": text("Such as 256Mi.", Some(r"^(0\.\d+|[1-9]\d*(\.\d+)?)(K|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$")),
            })),
            "ports": ports(),
            "probe": probe(),
            "file": file(),
            "resource": resource(),
            "resources": with(named(reference("resource"), NAME), "maxProperties", json!(RESOURCES_MAX)),
            "scale": scale(),
            "strategy": strategy(),
            "texts": {"type": "array", "items": {"type": "string"}},
            "variables": {"description": "Variables of the environment; text with placeholders. Quote numbers.", "type": "object", "propertyNames": {"pattern": "^[^=]+$"}, "additionalProperties": {"type": "string"}},
            "resourceOverrides": named(closed(json!({"class": text("Another class.", None), "params": {"type": "object"}, "delete": on_delete()})), NAME),
            "environment": closed(merged([
                overrides(),
                json!({"workloads": named(closed(merged([overrides(), json!({"resources": reference("resourceOverrides")})])), NAME), "resources": reference("resourceOverrides")}),
            ])),
        },
    })
}

fn top() -> Value {
    json!({
        "name": text("The application's name.", Some(LABEL)),
        "application": text("The application's name; the same as `name`.", Some(LABEL)),
        "workloads": with(named(reference("workload"), NAME), "minProperties", json!(1)),
        "resources": reference("resources"),
        "environments": named(reference("environment"), LABEL),
        "delete": on_delete(),
    })
}

fn workload() -> Value {
    let own = json!({
        "containers": with(named(reference("container"), NAME), "minProperties", json!(1)),
        "service": closed(json!({"ports": reference("ports")})),
        "ports": reference("ports"),
        "port": port("The one port, called `http`."),
        "migrate": {
            "description": "A command that runs to the end once before each rollout.",
            "oneOf": [reference("texts"), closed(json!({"container": text("As which container it runs.", None), "image": text("Another image.", None), "command": reference("texts"), "args": reference("texts")}))],
        },
        "after": {"description": "Workloads that must be ready first.", "type": "array", "items": {"type": "string", "pattern": NAME}},
        "delegated": {"description": "Fields of the Deployment, StatefulSet or CronJob that are left to others, such as spec.replicas.", "type": "array", "items": {"type": "string", "pattern": r"^spec\..+$"}, "maxItems": 20},
        "metadata": {"description": "For ${metadata.…}.", "type": "object", "properties": {"annotations": {"type": "object", "additionalProperties": {"type": "string"}}}},
        "kind": {"description": "How it lives; follows from `port` and `schedule` where it is not said.", "enum": ["service", "worker", "stateful", "job", "cron"]},
    });
    merged([own, settings(), container(), quantities()])
}

fn settings() -> Value {
    json!({
        "replicas": {"description": "A fixed number of replicas.", "type": "integer", "minimum": 0, "maximum": REPLICAS_MAX},
        "scale": reference("scale"),
        "schedule": text("Five fields of a cron schedule, UTC.", Some(r"^\s*\S+(\s+\S+){4}\s*$")),
        "strategy": reference("strategy"),
    })
}

fn overrides() -> Value {
    merged([settings(), json!({"variables": reference("variables")})])
}

fn container() -> Value {
    json!({
        "image": {"description": "registry/name:tag, or `.` for an image supplied at deploy.", "type": "string", "minLength": 1},
        "command": reference("texts"),
        "args": reference("texts"),
        "variables": reference("variables"),
        "files": {"oneOf": [
            {"type": "object", "additionalProperties": reference("file")},
            {"type": "array", "deprecated": true},
        ]},
        "volumes": {"oneOf": [
            {"type": "object", "additionalProperties": closed_requiring(json!({"source": text("Such as ${resources.data}.", None), "path": text("A path inside the volume.", None), "readOnly": {"type": "boolean"}}), "source")},
            {"type": "array", "deprecated": true},
        ]},
        "livenessProbe": reference("probe"),
        "readinessProbe": reference("probe"),
    })
}

fn quantities() -> Value {
    json!({"limits": reference("quantity"), "requests": reference("quantity")})
}

fn ports() -> Value {
    let long = json!({"port": port("The port others connect to."), "targetPort": port("The port inside the container."), "protocol": {"enum": ["TCP", "UDP"]}});
    named(json!({"oneOf": [port("The port."), closed_requiring(long, "port")]}), NAME)
}

fn probe() -> Value {
    let header = closed(
        json!({"name": text("Its name.", Some("^[A-Za-z0-9_-]+$")), "value": {"type": "string", "minLength": 1}}),
    );
    let http = json!({
        "path": {"type": "string"},
        "port": port("The port inside the container."),
        "host": {"type": "string", "minLength": 1},
        "scheme": {"enum": ["HTTP", "HTTPS"]},
        "httpHeaders": {"type": "array", "items": with(header, "required", json!(["name", "value"]))},
    });
    let http = with(closed(http), "required", json!(["path", "port"]));
    let exec = closed_requiring(json!({"command": reference("texts")}), "command");
    with(closed(json!({"httpGet": http, "exec": exec})), "minProperties", json!(1))
}

fn file() -> Value {
    let file = closed(json!({
        "source": {"description": "A file beside this one.", "type": "string", "minLength": 1},
        "content": text("Text with placeholders.", None),
        "binaryContent": text("Base64.", None),
        "mode": text("Octal, such as \"0644\".", Some("^0?[0-7]{3}$")),
        "noExpand": {"description": "Leave placeholders as they are.", "type": "boolean"},
    }));
    let forms = ["source", "content", "binaryContent"].map(|key| json!({"required": [key]}));
    with(file, "oneOf", json!(forms))
}

fn resource() -> Value {
    let pattern = "^[A-Za-z0-9][A-Za-z0-9-]{0,61}[A-Za-z0-9]$";
    let long = closed_requiring(
        json!({
            "type": text("Such as postgres.", Some(pattern)),
            "class": text("Such as large.", Some(pattern)),
            "id": text("The same type, class and id are the same resource.", Some(r"^[a-z0-9]+(?:-+[a-z0-9]+)*(?:\.[a-z0-9]+(?:-+[a-z0-9]+)*)*$")),
            "metadata": {"type": "object", "properties": {"annotations": {"type": "object", "additionalProperties": {"type": "string"}}}},
            "params": {"type": "object"},
            "delete": on_delete(),
        }),
        "type",
    );
    json!({"oneOf": [text("The type, in short.", Some(pattern)), long]})
}

fn scale() -> Value {
    let count = |description: &str| json!({"description": description, "type": "integer", "minimum": 1, "maximum": REPLICAS_MAX});
    let range = json!({"min": count("The fewest."), "max": count("The most."), "cpu": {"description": "Average CPU use aimed at, in percent of the request.", "type": "integer", "minimum": 1, "maximum": 100}});
    json!({"oneOf": [{"type": "integer", "minimum": 0, "maximum": REPLICAS_MAX}, closed_requiring(range, "max")]})
}

fn strategy() -> Value {
    let span = |description: &str| text(description, Some("^[0-9]+[smhd]$"));
    let approval = json!({"description": "Somebody has to promote it.", "type": "boolean"});
    let check = json!({
        "name": text("What it is called.", None),
        "url": text("An address that answers with 2xx.", None),
        "query": text("A query of the environment's Prometheus.", None),
        "min": {"description": "The least it may give.", "type": ["number", "string"]},
        "max": {"description": "The most it may give.", "type": ["number", "string"]},
        "every": span("From one measurement to the next."),
        "failures": {"description": "So many may fail in one step.", "type": "integer", "minimum": 0},
    });
    let checks = json!({"description": "What is measured at each step.", "type": "array", "items": closed(check)});
    let drain = span("How long it still runs after its last traffic.");
    let step = json!({
        "weight": {"description": "The share of the traffic, in percent.", "type": "integer", "minimum": 0, "maximum": 100},
        "pause": span("How long it stays so."),
        "approval": approval,
    });
    let steps = json!({"type": "array", "minItems": 1, "items": closed_requiring(step, "weight")});
    let canary = closed(json!({"steps": steps, "checks": checks, "drain": drain}));
    let pause = span("How long it runs beside the old one before it gets the traffic.");
    let blue_green =
        closed(json!({"pause": pause, "approval": approval, "checks": checks, "drain": drain}));
    json!({
        "description": "How a new revision replaces the old.",
        "oneOf": [
            {"enum": ["rolling", "recreate", "canary", "blue-green"]},
            closed_requiring(json!({"canary": canary}), "canary"),
            closed_requiring(json!({"blue-green": blue_green}), "blue-green"),
        ],
    })
}

fn on_delete() -> Value {
    json!({"description": "What happens to it when it is no longer wanted.", "enum": ["protect", "snapshot", "allow"]})
}

fn text(description: &str, pattern: Option<&str>) -> Value {
    let text = json!({"description": description, "type": "string"});
    match pattern {
        Some(pattern) => with(text, "pattern", json!(pattern)),
        None => text,
    }
}

fn port(description: &str) -> Value {
    json!({"description": description, "type": "integer", "minimum": 1, "maximum": 65535})
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

/// A mapping with these keys and no others.
fn closed(properties: Value) -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

fn closed_requiring(properties: Value, key: &str) -> Value {
    with(closed(properties), "required", json!([key]))
}

/// A mapping from names to the same thing each.
fn named(value: Value, pattern: &str) -> Value {
    json!({"type": "object", "propertyNames": {"pattern": pattern}, "additionalProperties": value})
}

fn with(mut schema: Value, key: &str, value: Value) -> Value {
    if let Some(fields) = schema.as_object_mut() {
        fields.insert(key.to_owned(), value);
    }
    schema
}

fn merged<const N: usize>(parts: [Value; N]) -> Value {
    let mut fields = Map::new();
    for part in parts {
        if let Value::Object(part) = part {
            fields.extend(part);
        }
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::application::findings::Findings;
    use crate::application::scalar;
    use crate::application::yaml::documents;

    const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

    fn json_documents(path: &Path) -> Vec<Value> {
        let text = fs::read_to_string(path).unwrap();
        let mut findings = Findings::new([("file", text.as_str())]);
        documents(0, &mut findings).iter().map(scalar::json).collect()
    }

    #[test]
    fn the_stored_schema_is_that_of_the_code() {
        let path = Path::new(ROOT).join("schema/app.schema.json");
        let generated = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        if std::env::var_os("BLESS").is_some() {
            fs::write(&path, &generated).unwrap();
        }
        let stored = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            stored == generated,
            "schema/app.schema.json differs: `make bless`, then read the diff"
        );
    }

    #[test]
    fn the_samples_are_valid_by_the_schema() {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        for name in ["samples/shop/app.yaml", "samples/minimal.yaml", "samples/guide.yaml"] {
            for document in json_documents(&Path::new(ROOT).join(name)) {
                let errors: Vec<String> =
                    validator.iter_errors(&document).map(|e| e.to_string()).collect();
                assert_eq!(errors, Vec::<String>::new(), "{name}");
            }
        }
        for wrong in [
            json!({"image": "a"}),
            json!({"name": "a", "prot": 80}),
            json!({"name": "a", "workloads": {"ab": {}}, "image": "x"}),
            json!({"name": "a", "image": "b", "variables": {"A": 1}}),
            json!({"name": "a", "image": "b", "scale": {"min": 1}}),
        ] {
            assert!(!validator.is_valid(&wrong), "{wrong}");
        }
    }

    /// Where the specification's own schema is at hand, the Score samples are measured by it.
    #[test]
    fn the_score_samples_are_valid_by_scores_own_schema() {
        let Ok(text) =
            fs::read_to_string(Path::new(ROOT).join("../shared/data/score/score-v1b1.json"))
        else {
            return;
        };
        let validator = jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap();
        let folders =
            ["samples/score", "domain/tests/score"].map(|folder| Path::new(ROOT).join(folder));
        for entry in folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()) {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "yaml") {
                for document in json_documents(&path) {
                    let errors: Vec<String> =
                        validator.iter_errors(&document).map(|e| e.to_string()).collect();
                    assert_eq!(errors, Vec::<String>::new(), "{}", path.display());
                }
            }
        }
    }
}
