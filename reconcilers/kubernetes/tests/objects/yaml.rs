//! Objects as YAML, as a person reads them.

use serde_json::{Value, json};

/// YAML, one line for each value. Text that could be taken for something else is quoted as in JSON.
fn lines(value: &Value) -> Vec<String> {
    let under = |(key, value): (&String, &Value)| {
        let key = scalar(&json!(key));
        let mut lines = lines(value);
        let nested = value.as_object().is_some_and(|fields| !fields.is_empty())
            || value.as_array().is_some_and(|items| !items.is_empty());
        if !nested {
            return vec![format!("{key}: {}", lines.remove(0))];
        }
        std::iter::once(format!("{key}:"))
            .chain(lines.into_iter().map(|line| format!("  {line}")))
            .collect()
    };
    let item = |item: &Value| {
        let marked = |(number, line)| format!("{} {line}", if number == 0 { "-" } else { " " });
        lines(item).into_iter().enumerate().map(marked).collect::<Vec<_>>()
    };
    match value {
        Value::Object(fields) if !fields.is_empty() => fields.iter().flat_map(under).collect(),
        Value::Array(items) if !items.is_empty() => items.iter().flat_map(item).collect(),
        scalar_or_empty => vec![scalar(scalar_or_empty)],
    }
}

fn scalar(value: &Value) -> String {
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let is_plain = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_alphabetic())
            && text.chars().all(|one| one.is_ascii_alphanumeric() || "./-_".contains(one))
            && !words.contains(&text.to_lowercase().as_str())
    };
    match value.as_str() {
        Some(text) if is_plain(text) => text.to_owned(),
        _ => value.to_string(),
    }
}

pub(crate) fn yaml(object: &Value) -> String {
    let text = lines(object).join("\n") + "\n";
    assert_eq!(&serde_saphyr::from_str::<Value>(&text).unwrap(), object, "{text}");
    text
}
