//! What serde says of a value that does not fit, put as a person would.

use crate::application::suggest;

/// A mistake in a person's words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plain {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// The key that does not belong there, if that is the mistake.
    pub(crate) unknown: Option<String>,
}

/// Puts an error of serde's in other words. `written` is how the value stands in the file, if it stands in one.
pub(crate) fn plain(message: &str, written: Option<&str>) -> Plain {
    // "unknown field `x`, expected one of `a`, `b`"
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if let (true, Some((unknown, known))) = (message.starts_with("unknown"), quoted.split_first()) {
        let what = if message.starts_with("unknown field") { "key" } else { "value" };
        return Plain {
            message: format!("unknown {what} `{unknown}`"),
            hint: Some(suggest(unknown, known)),
            unknown: Some((*unknown).to_owned()),
        };
    }
    let said = |message: String| Plain { message, hint: None, unknown: None };
    if let (true, Some(missing)) = (message.starts_with("missing field"), quoted.first()) {
        return said(format!("the key `{missing}` is missing"));
    }
    // "invalid type: floating point `1.36`, expected a string"
    let Some((found, wanted)) = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))
        .and_then(|rest| rest.rsplit_once(", expected "))
    else {
        return said(message.to_owned());
    };
    let is_number = found.starts_with("integer") || found.starts_with("floating point");
    let value = written.map_or_else(|| value(found), str::to_owned);
    let wanted = expected(wanted);
    if wanted != "text" || !(is_number || found.starts_with("boolean")) {
        let value = if found.starts_with("string") { self::value(found) } else { value };
        return said(format!("must be {wanted}, not {value}"));
    }
    let sort = if is_number { "the number " } else { "the boolean " };
    let hint = written.map_or("quote it".to_owned(), |written| format!("quote it: \"{written}\""));
    Plain { hint: Some(hint), ..said(format!("must be text, not {sort}{value}")) }
}

/// What was found, without the name of its type where the value says enough.
fn value(found: &str) -> String {
    let inner = found.split_once('`').and_then(|(_, rest)| rest.rsplit_once('`'));
    match (found, inner) {
        (_, Some((value, _))) => value.to_owned(),
        ("map", _) => "a mapping".to_owned(),
        ("sequence", _) => "a list".to_owned(),
        ("null" | "unit value", _) => "nothing".to_owned(),
        (found, None) => found.strip_prefix("string ").unwrap_or(found).to_owned(),
    }
}

/// What was expected, in the words of files.
fn expected(wanted: &str) -> &str {
    match wanted {
        "a string" | "a borrowed string" => "text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a mapping",
        "u8" | "u16" | "u32" | "u64" | "i32" | "i64" => "a whole number",
        "f64" => "a number",
        wanted if wanted.starts_with("struct ") => "a mapping",
        wanted if wanted.starts_with("enum ") || wanted.contains("variant identifier") => "a word",
        wanted => wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_does_not_fit_is_told_in_the_words_of_files() {
        for (message, written, expected) in [
            (
                "invalid type: floating point `1.1`, expected a string",
                Some("1.10"),
                "must be text, not the number 1.10 (quote it: \"1.10\")",
            ),
            (
                "invalid type: boolean `true`, expected a string",
                Some("true"),
                "must be text, not the boolean true (quote it: \"true\")",
            ),
            (
                "invalid type: string \"x\", expected u32",
                Some("x"),
                "must be a whole number, not \"x\" ()",
            ),
            (
                "invalid value: integer `-1`, expected u32",
                Some("-1"),
                "must be a whole number, not -1 ()",
            ),
            ("invalid type: null, expected a map", None, "must be a mapping, not nothing ()"),
            ("invalid type: map, expected a string", None, "must be text, not a mapping ()"),
            ("missing field `name`", None, "the key `name` is missing ()"),
            ("there is no kind `x`", None, "there is no kind `x` ()"),
        ] {
            let Plain { message, hint, .. } = plain(message, written);
            assert_eq!(format!("{message} ({})", hint.unwrap_or_default()), expected);
        }
    }
}
