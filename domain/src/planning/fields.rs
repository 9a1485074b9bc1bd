//! What changes between two specs, field by field.

use serde_json::Value;

use crate::commit::Hash;
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
            changes.push(FieldChange { path, old: old.map(shortened), new: new.map(shortened) });
        }
        _ => {}
    }
}

/// The longest value in a list of changes, in bytes of JSON: a plan names changes, the spec has the whole.
const VALUE_BYTES_MAX: usize = 1_024;
/// How much of a longer value is kept, in characters.
const START_LENGTH: usize = 200;

/// The value, or how it begins and a digest of the whole.
fn shortened(value: &Value) -> Value {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if text.len() <= VALUE_BYTES_MAX {
        return value.clone();
    }
    let start: String = text.chars().take(START_LENGTH).collect();
    let digest = Hash::of(text.as_bytes()).to_hex();
    Value::String(format!("{start}… ({} bytes, SHA-256 {digest})", text.len()))
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
    #[test]
    fn a_long_value_is_named_by_its_beginning_and_digest() {
        let long = |letter: &str| json!({"file": letter.repeat(100_000)});
        let changes = differences(&long("a"), &long("b"));
        assert!(serde_json::to_string(&changes).unwrap().len() < 1_000);
        assert_ne!(changes[0].old, changes[0].new);
    }
}
