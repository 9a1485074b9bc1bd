//! Fills in a class's spec: `${params.x}`, `${metadata.x}`, `${environment.x}`, `${resource.x}`, `${application}`,
//! `${cluster}`. `$${` is a literal `${`.
//!
//! Values come in with their strings in the notation of [`Text`], so that references to outputs survive; what
//! comes out is in that notation too.

use serde_json::{Map, Value};

use crate::text::{Part, Text};

/// Fills in every string of a template.
///
/// # Errors
/// The placeholder without a value, in words, to be read after the class's name.
pub(crate) fn fill(
    template: &Map<String, Value>,
    value_of: &dyn Fn(&str) -> Option<Value>,
) -> Result<Map<String, Value>, String> {
    let fields = template.iter();
    fields.map(|(key, value)| Ok((key.clone(), fill_value(value, value_of, key)?))).collect()
}

fn fill_value(
    template: &Value,
    value_of: &dyn Fn(&str) -> Option<Value>,
    path: &str,
) -> Result<Value, String> {
    match template {
        Value::String(text) => {
            fill_text(text, value_of).map_err(|why| format!("spec.{path}: {why}"))
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.map(|(at, item)| fill_value(item, value_of, &format!("{path}[{at}]"))).collect()
        }
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| {
                Ok((key.clone(), fill_value(value, value_of, &format!("{path}.{key}"))?))
            });
            fields.collect::<Result<Map<_, _>, String>>().map(Value::Object)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(template.clone()),
    }
}

fn fill_text(template: &str, value_of: &dyn Fn(&str) -> Option<Value>) -> Result<Value, String> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            parts.push(Part::Literal(format!("{before}${{")));
            rest = after;
            continue;
        }
        let (name, after) = after.split_once('}').ok_or("a placeholder is never closed by `}`")?;
        let value = value_of(name).ok_or_else(|| format!("`${{{name}}}` has no value"))?;
        if before.is_empty() && after.is_empty() && parts.is_empty() {
            return Ok(value);
        }
        parts.push(Part::Literal(before.to_owned()));
        if let Value::String(text) = &value {
            let text: Text = text.parse().unwrap_or_else(|_| Text::literal(text.as_str()));
            parts.extend(text.parts().iter().cloned());
        } else {
            parts.push(Part::Literal(value.to_string()));
        }
        rest = after;
    }
    parts.push(Part::Literal(rest.to_owned()));
    Ok(Value::String(Text::from_parts(parts).to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn filled(template: Value) -> Result<Value, String> {
        let value_of = |name: &str| match name {
            "params.size" => Some(json!(20)),
            "params.host" => Some(json!("${database/a.host}")),
            _ => None,
        };
        let template = template.as_object().cloned().unwrap_or_default();
        fill(&template, &value_of).map(Value::Object)
    }

    #[test]
    fn a_lone_placeholder_keeps_the_type_of_its_value() {
        let template = json!({"a": "${params.size}", "b": "x${params.size}y", "c": ["${params.host}:1"], "d": "$${x}"});
        let expected = json!({"a": 20, "b": "x20y", "c": ["${database/a.host}:1"], "d": "$${x}"});
        assert_eq!(filled(template), Ok(expected));
    }

    #[test]
    fn a_placeholder_without_value_is_named_with_its_place() {
        let error = filled(json!({"a": {"b": "${nope}"}})).unwrap_err();
        assert_eq!(error, "spec.a.b: `${nope}` has no value");
        assert!(filled(json!({"a": "${params"})).is_err());
    }
}
