//! Text with references to other resources' outputs, and the values those outputs have.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::kind::Need;
use crate::name::ResourceId;

/// A place where a secret value is kept. The value itself is in no event, view, log or answer (invariant 12).
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct SecretRef {
    /// Which store: `sim`, `local`, `aws-secrets-manager`, `kubernetes`.
    pub store: String,
    /// Where in the store.
    pub path: String,
    /// Which version: changes when the value is rotated, and so rolls whoever uses it.
    pub version: String,
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "secret://{}/{}@{}", self.store, self.path, self.version)
    }
}

/// A value that a resource publishes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OutputValue {
    /// In clear.
    Plain(String),
    /// Only where to find it.
    Secret(SecretRef),
}

impl OutputValue {
    /// A value in clear.
    pub fn plain(value: impl fmt::Display) -> Self {
        Self::Plain(value.to_string())
    }
}

impl fmt::Display for OutputValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(value) => f.write_str(value),
            Self::Secret(reference) => reference.fmt(f),
        }
    }
}

/// Output name → value.
pub type OutputMap = BTreeMap<String, OutputValue>;

/// The outputs of every resource that a spec needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    /// By resource.
    pub outputs: BTreeMap<ResourceId, OutputMap>,
}

/// An output of a resource: `${database/dev_shop_db.host}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputRef {
    /// Whose.
    pub resource: ResourceId,
    /// Which.
    pub output: String,
}

/// A piece of a [`Text`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Taken as it is.
    Literal(String),
    /// Filled in once the resource has published it.
    Output(OutputRef),
}

/// Text with references to outputs. Written as one string: `${kind/name.output}` is a reference, `$$` is a `$`;
/// a `$` before anything but `$` and `{` may stand alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Text(Vec<Part>);

impl Text {
    /// Text without references, whatever it contains.
    #[must_use]
    pub fn literal(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() { Self::default() } else { Self(vec![Part::Literal(text)]) }
    }

    /// One output, nothing around it.
    #[must_use]
    pub fn output(resource: ResourceId, output: impl Into<String>) -> Self {
        Self(vec![Part::Output(OutputRef { resource, output: output.into() })])
    }

    /// Joins parts; neighbouring literals become one, empty ones vanish.
    #[must_use]
    pub fn from_parts(parts: impl IntoIterator<Item = Part>) -> Self {
        let mut joined: Vec<Part> = Vec::new();
        for part in parts {
            match (joined.last_mut(), part) {
                (_, Part::Literal(text)) if text.is_empty() => {}
                (Some(Part::Literal(before)), Part::Literal(text)) => before.push_str(&text),
                (_, part) => joined.push(part),
            }
        }
        Self(joined)
    }

    /// The parts in order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The outputs it refers to.
    pub fn references(&self) -> impl Iterator<Item = &OutputRef> {
        self.0.iter().filter_map(|part| match part {
            Part::Output(reference) => Some(reference),
            Part::Literal(_) => None,
        })
    }

    /// The needs that its references are.
    pub fn needs(&self) -> impl Iterator<Item = Need> {
        self.references().map(|r| Need::output(r.resource.clone(), r.output.clone()))
    }

    /// Fills in the references.
    ///
    /// # Errors
    /// [`Unresolved`] when an output is not published yet, or a secret stands inside a longer text.
    pub fn resolve(&self, inputs: &Inputs) -> Result<OutputValue, Unresolved> {
        if let [Part::Output(reference)] = self.0.as_slice() {
            return lookup(reference, inputs).cloned();
        }
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Output(reference) => match lookup(reference, inputs)? {
                    OutputValue::Plain(value) => text.push_str(value),
                    OutputValue::Secret(_) => {
                        return Err(Unresolved::SecretInText(reference.clone()));
                    }
                },
            }
        }
        Ok(OutputValue::Plain(text))
    }
}

fn lookup<'a>(reference: &OutputRef, inputs: &'a Inputs) -> Result<&'a OutputValue, Unresolved> {
    let missing = || Unresolved::Missing(reference.clone());
    inputs
        .outputs
        .get(&reference.resource)
        .ok_or_else(missing)?
        .get(&reference.output)
        .ok_or_else(missing)
}

/// A reference has no value to put in its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// Wait: the resource has not published it yet.
    #[error("{} has not published `{}`", .0.resource, .0.output)]
    Missing(OutputRef),
    /// A mistake in planning, which puts such texts into a `secret` resource.
    #[error("the secret `{}` of {} stands inside a longer text", .0.output, .0.resource)]
    SecretInText(OutputRef),
}

/// Replaces every text inside a spec's JSON by its value; a secret becomes `{"secretRef": …}`.
///
/// # Errors
/// [`Unresolved`], the first one met.
pub fn resolve_json(value: &Value, inputs: &Inputs) -> Result<Value, Unresolved> {
    Ok(match value {
        Value::String(text) if text.contains('$') => match text.parse::<Text>() {
            Ok(text) => match text.resolve(inputs)? {
                OutputValue::Plain(value) => Value::String(value),
                OutputValue::Secret(reference) => serde_json::json!({ "secretRef": reference }),
            },
            Err(_) => Value::String(text.clone()),
        },
        Value::Array(items) => Value::Array(
            items.iter().map(|item| resolve_json(item, inputs)).collect::<Result<_, _>>()?,
        ),
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(key, value)| Ok((key.clone(), resolve_json(value, inputs)?)))
                .collect::<Result<_, _>>()?,
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    })
}

/// The needs of every text inside a JSON value, such as a generic resource's parameters.
#[must_use]
pub fn json_needs(value: &Value) -> Vec<Need> {
    match value {
        Value::String(text) => {
            text.parse::<Text>().map(|text| text.needs().collect()).unwrap_or_default()
        }
        Value::Array(items) => items.iter().flat_map(json_needs).collect(),
        Value::Object(fields) => fields.values().flat_map(json_needs).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            match part {
                Part::Literal(text) => {
                    let mut characters = text.chars().peekable();
                    while let Some(character) = characters.next() {
                        let ambiguous = match characters.peek() {
                            Some(next) => matches!(next, '{' | '$'),
                            None => index + 1 < self.0.len(),
                        };
                        f.write_str(if character == '$' && ambiguous { "$" } else { "" })?;
                        f.write_char(character)?;
                    }
                }
                Part::Output(OutputRef { resource, output }) => {
                    write!(f, "${{{resource}.{output}}}")?
                }
            }
        }
        Ok(())
    }
}

/// The text has a malformed reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`${{{0}` is not a reference: write ${{kind/name.output}}, or $${{ for a literal ${{")]
pub struct InvalidText(String);

impl FromStr for Text {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, from)) = rest.split_once('$') {
            parts.push(Part::Literal(before.to_owned()));
            if let Some(reference) = from.strip_prefix('{') {
                let invalid = || InvalidText(reference.chars().take(80).collect());
                let (inner, after) = reference.split_once('}').ok_or_else(invalid)?;
                let (resource, output) = inner.split_once('.').ok_or_else(invalid)?;
                let resource = resource.parse().map_err(|_| invalid())?;
                parts.push(Part::Output(OutputRef { resource, output: output.to_owned() }));
                rest = after;
            } else {
                parts.push(Part::Literal("$".to_owned()));
                rest = from.strip_prefix('$').unwrap_or(from);
            }
        }
        parts.push(Part::Literal(rest.to_owned()));
        Ok(Self::from_parts(parts))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::literal(text)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Text {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Text; ${kind/name.output} refers to an output, $${ is a literal ${"
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn db() -> ResourceId {
        "database/dev_shop_db".parse().unwrap()
    }

    #[test]
    fn references_are_filled_in() {
        let text: Text = "postgres://${database/dev_shop_db.host}:5432".parse().unwrap();
        let outputs = OutputMap::from([
            ("host".into(), OutputValue::plain("db.local")),
            (
                "password".into(),
                OutputValue::Secret(SecretRef {
                    store: "s".into(),
                    path: "p".into(),
                    version: "1".into(),
                }),
            ),
        ]);
        let inputs = Inputs { outputs: BTreeMap::from([(db(), outputs)]) };
        assert_eq!(text.resolve(&inputs), Ok(OutputValue::plain("postgres://db.local:5432")));
        let mixed: Text = "x${database/dev_shop_db.password}".parse().unwrap();
        assert!(matches!(mixed.resolve(&inputs), Err(Unresolved::SecretInText(_))));
        assert!(matches!(text.resolve(&Inputs::default()), Err(Unresolved::Missing(_))));
    }

    proptest! {
        #[test]
        fn any_literal_survives_the_trip_through_text(literal in "[$a{}\\\\ ]{0,12}") {
            let text = Text::from_parts([Part::Literal(literal), Part::Output(OutputRef { resource: db(), output: "host".into() })]);
            prop_assert_eq!(text.to_string().parse::<Text>().unwrap(), text);
        }
    }
}
