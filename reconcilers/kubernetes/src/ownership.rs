//! What of an object is ours, by its managed fields, and who took what is not any more.
//!
//! Kubernetes notes for every field who applied it or wrote it last. So no schema, default or normal form has to be
//! known here: what we applied and do not own has been changed or removed by somebody else, whose name stands there
//! (Kubernetes: server-side apply, field management).

use serde_json::{Map, Value};

use crate::labels::FIELD_MANAGER;

/// A field that we applied and do not own any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Where, such as `spec.template.spec.containers[name=main].image`.
    pub path: String,
    /// Who owns it now; none where nobody does: it was removed.
    pub by: Option<String>,
}

/// The first field of `desired` that is not ours in an object with these managed fields.
#[must_use]
pub fn lost(desired: &Value, managed: &[Value]) -> Option<Lost> {
    let ours = managed.iter().find(|entry| is_ours(entry)).and_then(|entry| entry.get("fieldsV1"));
    let empty = Value::Object(Map::new());
    let ours = ours.unwrap_or(&empty);
    let mut steps = Vec::new();
    if !walk(desired, ours, &mut steps) {
        return None;
    }
    let path = words(&steps);
    Some(Lost { by: owner(managed, &steps), path })
}

/// The fields that we own, as text that is the same as long as they are.
#[must_use]
pub fn owned(managed: &[Value]) -> String {
    let ours = managed.iter().find(|entry| is_ours(entry));
    ours.and_then(|entry| entry.get("fieldsV1")).map(Value::to_string).unwrap_or_default()
}

/// Who put a finalizer on an object.
#[must_use]
pub fn holder(managed: &[Value], finalizer: &str) -> Option<String> {
    let field = format!("v:{}", Value::from(finalizer));
    let put = |entry: &&Value| {
        let fields = entry.pointer("/fieldsV1/f:metadata/f:finalizers");
        fields.is_some_and(|fields| fields.get(&field).is_some())
    };
    let entry = managed.iter().find(put)?;
    Some(entry.get("manager")?.as_str()?.to_owned())
}

/// Whether an entry is of what we apply.
fn is_ours(entry: &Value) -> bool {
    let says = |field: &str, value: &str| entry.get(field).and_then(Value::as_str) == Some(value);
    says("manager", FIELD_MANAGER)
        && says("operation", "Apply")
        && entry.get("subresource").is_none()
}

/// Whether something is lost; then `steps` lead to it.
fn walk(desired: &Value, owned: &Value, steps: &mut Vec<String>) -> bool {
    match desired {
        Value::Object(fields) => fields.iter().any(|(name, value)| {
            if is_identity(steps, name) || is_nothing(value) {
                return false;
            }
            step(value, owned.get(format!("f:{name}")), format!("f:{name}"), steps)
        }),
        Value::Array(items) => items.iter().any(|item| {
            let (key, child) = member(item, owned);
            step(item, child, key, steps)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn step(value: &Value, owned: Option<&Value>, key: String, steps: &mut Vec<String>) -> bool {
    steps.push(key);
    let lost = match owned {
        None => true,
        // A leaf, or a list or map that belongs to one manager as a whole.
        Some(Value::Object(fields)) if fields.is_empty() => false,
        Some(owned) => walk(value, owned, steps),
    };
    if !lost {
        steps.pop();
    }
    lost
}

/// What says which object it is, is nobody's.
fn is_identity(steps: &[String], name: &str) -> bool {
    match steps {
        [] => matches!(name, "apiVersion" | "kind"),
        [one] => one == "f:metadata" && matches!(name, "name" | "namespace"),
        _ => false,
    }
}

/// What is empty is not stored, so nobody owns it.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// An item of a list among the owned ones: by its key fields, which may be left to their defaults, or by its value.
fn member<'a>(item: &Value, owned: &'a Value) -> (String, Option<&'a Value>) {
    let owned = owned.as_object().into_iter().flatten();
    let mut named = "k:{}".to_owned();
    for (key, child) in owned {
        if let Some(fields) = key.strip_prefix("k:") {
            let Ok(Value::Object(fields)) = serde_json::from_str(fields) else { continue };
            let same =
                |(name, value): (&String, &Value)| item.get(name).is_none_or(|said| said == value);
            if fields.iter().all(same) {
                return (key.clone(), Some(child));
            }
            let said =
                fields.keys().filter_map(|name| Some((name.clone(), item.get(name)?.clone())));
            named = format!("k:{}", Value::Object(said.collect()));
        } else if let Some(value) = key.strip_prefix("v:") {
            if serde_json::from_str::<Value>(value).is_ok_and(|value| value == *item) {
                return (key.clone(), Some(child));
            }
            named = format!("v:{item}");
        }
    }
    (named, None)
}

/// Who else owns what the steps lead to, or something in it: the last that wrote.
fn owner(managed: &[Value], steps: &[String]) -> Option<String> {
    let theirs = managed.iter().filter(|entry| !is_ours(entry));
    let owning = theirs.filter(|entry| {
        let fields = entry.get("fieldsV1");
        fields
            .and_then(|fields| steps.iter().try_fold(fields, |fields, step| fields.get(step)))
            .is_some()
    });
    let last = owning.max_by_key(|entry| entry.get("time").and_then(Value::as_str))?;
    last.get("manager").and_then(Value::as_str).map(str::to_owned)
}

/// The steps as people write them.
fn words(steps: &[String]) -> String {
    let mut words = String::new();
    for step in steps {
        if let Some(field) = step.strip_prefix("f:") {
            if !words.is_empty() {
                words.push('.');
            }
            words.push_str(field);
        } else if let Some(Ok(Value::Object(key))) =
            step.strip_prefix("k:").map(serde_json::from_str)
        {
            let plain =
                |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let pairs = key.iter().map(|(name, value)| format!("{name}={}", plain(value)));
            words += &format!("[{}]", pairs.collect::<Vec<_>>().join(","));
        } else {
            words += &format!("[{}]", step.trim_start_matches("v:"));
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ours(fields: Value) -> Value {
        json!({ "manager": "cairn", "operation": "Apply", "fieldsV1": fields })
    }

    fn theirs(manager: &str, time: &str, fields: Value) -> Value {
        json!({ "manager": manager, "operation": "Update", "time": time, "fieldsV1": fields })
    }

    fn deployment() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "web", "namespace": "dev-shop", "labels": { "a": "b" } },
            "spec": {
                "replicas": 2,
                "template": { "spec": { "containers": [
                    { "name": "main", "image": "web:1", "ports": [{ "containerPort": 80 }] },
                ], "volumes": [] } },
            },
        })
    }

    fn all() -> Value {
        json!({
            "f:metadata": { "f:labels": { "f:a": {} } },
            "f:spec": {
                "f:replicas": {},
                "f:template": { "f:spec": { "f:containers": { "k:{\"name\":\"main\"}": {
                    ".": {}, "f:name": {}, "f:image": {},
                    "f:ports": { "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:containerPort": {} } },
                } } } },
            },
        })
    }

    #[test]
    fn what_is_all_ours_is_not_drift() {
        assert_eq!(lost(&deployment(), &[ours(all())]), None);
    }

    #[test]
    fn what_somebody_changed_has_a_path_and_a_name() {
        let mut fields = all();
        fields["f:spec"].as_object_mut().unwrap().remove("f:replicas");
        let scaled = json!({ "f:spec": { "f:replicas": {} } });
        let managed = [
            ours(fields),
            theirs("before", "2026-01-01T00:00:00Z", scaled.clone()),
            theirs("kubectl-scale", "2026-01-02T00:00:00Z", scaled),
        ];
        let found = lost(&deployment(), &managed).unwrap();
        assert_eq!(
            (found.path.as_str(), found.by.as_deref()),
            ("spec.replicas", Some("kubectl-scale"))
        );
    }

    #[test]
    fn what_somebody_removed_is_lost_without_an_owner() {
        let mut fields = all();
        let containers = fields.pointer_mut("/f:spec/f:template/f:spec/f:containers").unwrap();
        containers["k:{\"name\":\"main\"}"].as_object_mut().unwrap().remove("f:image");
        let found = lost(&deployment(), &[ours(fields)]).unwrap();
        assert_eq!(found.path, "spec.template.spec.containers[name=main].image");
        assert_eq!(found.by, None);
    }

    #[test]
    fn what_others_add_is_theirs() {
        let injected = json!({ "f:spec": { "f:template": { "f:spec": { "f:containers": {
            "k:{\"name\":\"sidecar\"}": { ".": {}, "f:image": {} } } } } } });
        let managed = [ours(all()), theirs("injector", "2026-01-01T00:00:00Z", injected)];
        assert_eq!(lost(&deployment(), &managed), None);
    }

    #[test]
    fn a_list_of_one_manager_is_ours_as_a_whole() {
        let desired =
            json!({ "spec": { "ingress": [{ "from": [{ "podSelector": { "a": "b" } }] }] } });
        assert_eq!(lost(&desired, &[ours(json!({ "f:spec": { "f:ingress": {} } }))]), None);
        assert_eq!(lost(&desired, &[ours(json!({ "f:spec": {} }))]), None, "all of spec");
        assert!(lost(&desired, &[]).is_some());
    }
}
