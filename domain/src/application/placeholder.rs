//! `${metadata.a.b}` and `${resources.name.output}`: text that is filled in when a plan is made.
//!
//! `$$` is a `$`, so `$${` is a literal `${`; `\.` is a dot inside a key. A `$` before anything but `$` and `{` stands
//! for itself. These are the rules of Score's reference library (score-go `framework/substitution.go`).

use std::ops::Range;

use serde_json::Value;

/// A piece of a text with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Taken as it is.
    Literal(String),
    /// A value of the workload's metadata; never empty.
    Metadata(Vec<String>),
    /// An output of a resource, or the resource itself.
    Resource {
        /// The name under `resources`.
        name: String,
        /// The keys that lead to the output; none for the resource itself, as in `source: ${resources.data}`.
        output: Option<Vec<String>>,
    },
}

/// A placeholder that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct PlaceholderError {
    /// Where in the text, in bytes.
    pub range: Range<usize>,
    /// What is wrong.
    pub reason: Reason,
}

/// What is wrong with a placeholder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Close it, or write `$${` for a literal `${`.
    #[error("a placeholder is opened by `${{` and never closed by `}}`")]
    Unclosed,
    /// Only metadata and resources can be referred to.
    #[error("`${{{0}}}` refers to neither `metadata` nor `resources`")]
    UnknownRoot(String),
    /// There is a key too few, or an empty one.
    #[error("`${{{0}}}` has an empty key")]
    EmptyKey(String),
}

impl Reason {
    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Unclosed => "add the `}`, or write `$${` for a literal `${`",
            Self::UnknownRoot(_) => {
                "write ${metadata.<key>} or ${resources.<name>.<output>}, or `$${` for a literal `${`"
            }
            Self::EmptyKey(_) => {
                "write ${metadata.<key>} or ${resources.<name>.<output>}; `\\.` is a dot inside a key"
            }
        }
    }
}

/// Takes a text apart. Neighbouring literals are one piece, and there are no empty ones.
///
/// # Errors
/// [`PlaceholderError`], the first one met.
pub fn pieces(text: &str) -> Result<Vec<Piece>, PlaceholderError> {
    Ok(located(text)?.into_iter().map(|(piece, _)| piece).collect())
}

/// Takes a text apart, with the place of every piece that is not literal.
pub(super) fn located(text: &str) -> Result<Vec<(Piece, Range<usize>)>, PlaceholderError> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        literal.push_str(before);
        let at = text.len() - after.len() - 1;
        if let Some(after) = after.strip_prefix('$') {
            literal.push('$');
            rest = after;
        } else if let Some(inner) = after.strip_prefix('{') {
            let Some((reference, after)) = inner.split_once('}') else {
                return Err(PlaceholderError { range: at..text.len(), reason: Reason::Unclosed });
            };
            let range = at..text.len() - after.len();
            push_literal(&mut pieces, &mut literal);
            let piece = piece(reference)
                .map_err(|reason| PlaceholderError { range: range.clone(), reason })?;
            pieces.push((piece, range));
            rest = after;
        } else {
            literal.push('$');
            rest = after;
        }
    }
    literal.push_str(rest);
    push_literal(&mut pieces, &mut literal);
    Ok(pieces)
}

fn push_literal(pieces: &mut Vec<(Piece, Range<usize>)>, literal: &mut String) {
    if !literal.is_empty() {
        pieces.push((Piece::Literal(std::mem::take(literal)), 0..0));
    }
}

fn piece(reference: &str) -> Result<Piece, Reason> {
    let mut keys = keys(reference).into_iter();
    let root = keys.next().unwrap_or_default();
    let path: Vec<String> = keys.collect();
    if root != "metadata" && root != "resources" {
        return Err(Reason::UnknownRoot(reference.to_owned()));
    }
    if path.is_empty() || path.iter().any(String::is_empty) {
        return Err(Reason::EmptyKey(reference.to_owned()));
    }
    if root == "metadata" {
        return Ok(Piece::Metadata(path));
    }
    let mut path = path.into_iter();
    let name = path.next().unwrap_or_default();
    let output: Vec<String> = path.collect();
    Ok(Piece::Resource { name, output: (!output.is_empty()).then_some(output) })
}

/// Splits at dots that no backslash escapes.
fn keys(reference: &str) -> Vec<String> {
    let mut keys = vec![String::new()];
    let mut characters = reference.chars().peekable();
    while let Some(character) = characters.next() {
        let escaped = character == '\\' && characters.peek() == Some(&'.');
        match (character, keys.last_mut()) {
            ('.', _) => keys.push(String::new()),
            (_, Some(key)) => {
                key.push(if escaped { '.' } else { character });
                if escaped {
                    characters.next();
                }
            }
            (_, None) => {}
        }
    }
    keys
}

/// The metadata a path leads to, as text: a string as it is, anything else as JSON. None when there is no such key.
#[must_use]
pub fn metadata_value(metadata: &Value, path: &[String]) -> Option<String> {
    let found = path.iter().try_fold(metadata, |value, key| value.as_object()?.get(key))?;
    Some(found.as_str().map_or_else(|| found.to_string(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn literal(text: &str) -> Piece {
        Piece::Literal(text.into())
    }

    fn output(name: &str, keys: &[&str]) -> Piece {
        let keys: Vec<String> = keys.iter().map(|key| (*key).into()).collect();
        Piece::Resource { name: name.into(), output: (!keys.is_empty()).then_some(keys) }
    }

    #[test]
    fn a_text_is_taken_apart_at_its_placeholders() {
        let table: &[(&str, &[Piece])] = &[
            ("", &[]),
            ("plain $HOME $ text", &[literal("plain $HOME $ text")]),
            ("$${resources.db.host}", &[literal("${resources.db.host}")]),
            ("a$$b", &[literal("a$b")]),
            ("${resources.data}", &[output("data", &[])]),
            (
                "redis://${resources.r.host}:1",
                &[literal("redis://"), output("r", &["host"]), literal(":1")],
            ),
            ("${resources.r.a\\.b.c}", &[output("r", &["a.b", "c"])]),
            (
                "${metadata.annotations.x\\.io/y}",
                &[Piece::Metadata(vec!["annotations".into(), "x.io/y".into()])],
            ),
            ("$$${metadata.name}", &[literal("$"), Piece::Metadata(vec!["name".into()])]),
        ];
        for (text, expected) in table {
            assert_eq!(pieces(text).unwrap(), *expected, "{text}");
        }
    }

    #[test]
    fn a_malformed_placeholder_is_refused_where_it_stands() {
        let refused = |text: &str| pieces(text).unwrap_err();
        assert_eq!(refused("a ${resources.x").range, 2..15);
        assert!(matches!(refused("${HOME}").reason, Reason::UnknownRoot(_)));
        assert!(matches!(refused("${}").reason, Reason::UnknownRoot(_)));
        assert!(matches!(refused("${metadata}").reason, Reason::EmptyKey(_)));
        assert!(matches!(refused("${resources..host}").reason, Reason::EmptyKey(_)));
    }

    #[test]
    fn metadata_is_found_by_its_path() {
        let metadata = serde_json::json!({"name": "web", "a": {"b.c": 3}});
        let value = |path: &[&str]| {
            let path: Vec<String> = path.iter().map(|key| (*key).into()).collect();
            metadata_value(&metadata, &path)
        };
        assert_eq!(value(&["name"]).as_deref(), Some("web"));
        assert_eq!(value(&["a", "b.c"]).as_deref(), Some("3"));
        assert_eq!(value(&["name", "x"]), None);
    }

    proptest! {
        #[test]
        fn text_with_doubled_dollars_is_literal(text in "[$a{}\\\\. ]{0,16}") {
            let expected: Vec<Piece> = if text.is_empty() { vec![] } else { vec![literal(&text)] };
            prop_assert_eq!(pieces(&text.replace('$', "$$")).unwrap(), expected);
        }
    }
}
