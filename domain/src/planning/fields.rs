//! What changes between two specs, field by field.

use serde_json::Value;

use crate::plan::FieldChange;

/// The differences between two values, by path. Lists are compared as a whole.
pub(super) fn differences(old: &Value, new: &Value) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    collect(String::new(), Some(old), Some(new), &mut changes);
    changes
}

fn collect(path: String, old: Option<&Value>, new: Option<&Value>, changes: &mut Vec<FieldChange>) {
    match (old, new) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let added = after.keys().filter(|key| !before.contains_key(*key));
            for key in before.keys().chain(added) {
                let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect(inner, before.get(key), after.get(key), changes);
            }
        }
        (old, new) if old != new => {
            changes.push(FieldChange { path, old: old.cloned(), new: new.cloned() });
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_listed() {
        let changes = differences(
            &json!({"a": 1, "b": {"c": 2, "d": [1]}, "gone": true}),
            &json!({"a": 1, "b": {"c": 3, "d": [1, 2]}, "new": {"x": 1}}),
        );
        let lines: Vec<String> =
            changes.iter().map(|c| format!("{} {:?} {:?}", c.path, c.old, c.new)).collect();
        assert_eq!(
            lines,
            [
                "b.c Some(Number(2)) Some(Number(3))",
                "b.d Some(Array [Number(1)]) Some(Array [Number(1), Number(2)])",
                "gone Some(Bool(true)) None",
                "new None Some(Object {\"x\": Number(1)})",
            ]
        );
    }
}
