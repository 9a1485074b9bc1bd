//! What an unquoted scalar means: by YAML 1.2's core schema, and where older readers differ.

use serde_json::{Map, Number, Value as Json};

use super::yaml::{Node, Value, is_null};

/// What an unquoted scalar means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Meaning {
    Text,
    /// Text for us, something else for readers of YAML 1.1: what.
    Disputed(&'static str),
    Null,
    Boolean(bool),
    Integer(i64),
    Float(f64),
}

/// Tells what an unquoted scalar means.
pub(super) fn meaning(text: &str) -> Meaning {
    match text {
        _ if is_null(text) => return Meaning::Null,
        "true" | "True" | "TRUE" => return Meaning::Boolean(true),
        "false" | "False" | "FALSE" => return Meaning::Boolean(false),
        ".nan" | ".NaN" | ".NAN" => return Meaning::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "-.inf" => return Meaning::Float(f64::INFINITY),
        _ => {}
    }
    if matches!(text.to_ascii_lowercase().as_str(), "y" | "n" | "yes" | "no" | "on" | "off") {
        return Meaning::Disputed("a boolean");
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Meaning::Text;
    }
    let radix = |prefix, radix| digits.strip_prefix(prefix).map(|d| i64::from_str_radix(d, radix));
    if let Some(Ok(number)) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Meaning::Integer(number);
    }
    let all = |allowed: fn(char) -> bool| digits.chars().all(allowed);
    if digits.len() > 1 && digits.starts_with('0') && all(|c| c.is_ascii_digit()) {
        return Meaning::Disputed("an octal number");
    }
    if all(|c| c.is_ascii_digit()) {
        return text.parse().map_or(Meaning::Float(f64::INFINITY), Meaning::Integer);
    }
    if is_sexagesimal(digits) {
        return Meaning::Disputed("a number to the base of 60");
    }
    if is_date(digits) {
        return Meaning::Disputed("a date");
    }
    if digits.contains('_') && all(|c| c.is_ascii_digit() || matches!(c, '_' | '.')) {
        return Meaning::Disputed("a number");
    }
    let float = all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    match text.parse() {
        Ok(number) if float => Meaning::Float(number),
        _ => Meaning::Text,
    }
}

fn is_sexagesimal(digits: &str) -> bool {
    let mut groups = digits.split(':');
    let first =
        groups.next().is_some_and(|g| !g.is_empty() && g.chars().all(|c| c.is_ascii_digit()));
    let mut others = groups.peekable();
    first
        && others.peek().is_some()
        && others.all(|g| matches!(g.parse::<u8>(), Ok(0..=59)) && g.len() <= 2)
}

fn is_date(digits: &str) -> bool {
    let groups: Vec<&str> = digits.split('-').collect();
    let numeric = |text: &str, length: usize| {
        text.len() == length && text.chars().all(|c| c.is_ascii_digit())
    };
    matches!(groups.as_slice(), [y, m, d] if numeric(y, 4) && numeric(m, 2) && numeric(d, 2))
}

/// A float as the whole number that it is.
pub(super) fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[allow(clippy::cast_possible_truncation, reason = "a whole number that fits, as checked")]
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

/// A node as JSON, by YAML 1.2's core schema.
pub(super) fn json(node: &Node) -> Json {
    match &node.value {
        Value::Sequence(items) => Json::Array(items.iter().map(json).collect()),
        Value::Mapping(entries) => {
            let fields = entries.iter().map(|entry| (entry.key.clone(), json(&entry.value)));
            Json::Object(fields.collect::<Map<_, _>>())
        }
        Value::Scalar(scalar) if !scalar.plain => Json::String(scalar.text.clone()),
        Value::Scalar(scalar) => match meaning(&scalar.text) {
            Meaning::Null => Json::Null,
            Meaning::Boolean(value) => Json::Bool(value),
            Meaning::Integer(number) => Json::Number(number.into()),
            Meaning::Float(number) => Number::from_f64(number)
                .map_or_else(|| Json::String(scalar.text.clone()), Json::Number),
            Meaning::Text | Meaning::Disputed(_) => Json::String(scalar.text.clone()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_mean_what_the_core_schema_says() {
        assert_eq!(meaning("~"), Meaning::Null);
        assert_eq!(meaning("true"), Meaning::Boolean(true));
        assert_eq!(meaning("-12"), Meaning::Integer(-12));
        assert_eq!(meaning("0x1F90"), Meaning::Integer(8080));
        assert_eq!(meaning("8080.0"), Meaning::Float(8080.0));
        assert_eq!(meaning("1e3"), Meaning::Float(1000.0));
        for text in ["web", "1.2.3", "10.0.0.1", "1Gi", "-", "v1", "1-2", "0.5.x", "::1", "a:1"] {
            assert_eq!(meaning(text), Meaning::Text, "{text}");
        }
        for text in ["yes", "Off", "0123", "1:30", "2026-11-21", "1_000"] {
            assert!(matches!(meaning(text), Meaning::Disputed(_)), "{text}");
        }
    }
}
