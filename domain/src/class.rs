//! A class: the platform team's definition of a resource type. Versioned.

mod mistakes;
mod support;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decider::{Decider, Rejection};
use crate::kind::OutputDeclaration;
use crate::kinds::KindName;
use crate::name::{InvalidName, Name};
use crate::time::Time;

pub use mistakes::Mistake;
pub use support::{is_support, support_class, support_type};

/// The aggregate's kind in streams.
pub const KIND: &str = "class";
/// The class that is meant when none is named.
pub const DEFAULT_CLASS: &str = "default";

/// What a class says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// The resource type that developers write, such as `postgres`.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// The class within the type, such as `small`.
    #[serde(default = "default_class")]
    pub class: String,
    /// The kind that is made.
    pub target: KindName,
    /// One line for the catalogue.
    #[serde(default)]
    pub description: String,
    /// The parameters that developers may set.
    #[serde(default)]
    pub params: BTreeMap<String, Param>,
    /// The target's spec, with `${params.x}`, `${metadata.x}`, `${environment.x}`, `${resource.x}` in its strings.
    /// A string that is exactly one placeholder takes the value's own type.
    #[serde(default)]
    pub spec: serde_json::Map<String, Value>,
    /// For the kind `extension`: the outputs it promises.
    #[serde(default)]
    pub outputs: Vec<OutputDeclaration>,
    /// More names for outputs: what developers write → what the kind publishes.
    #[serde(default)]
    pub aliases: BTreeMap<String, String>,
    /// What becomes of a change that somebody else makes to what was made from it.
    #[serde(default, skip_serializing_if = "Drift::is_reverted")]
    pub drift: Drift,
}

/// What becomes of a change that somebody else makes. It is in the log with who made it, either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Drift {
    /// It is set right.
    #[default]
    Revert,
    /// It stays, until something else is wanted. What was deleted is made again all the same, and with it the rest is
    /// set right.
    Accept,
}

impl Drift {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    const fn is_reverted(&self) -> bool {
        matches!(self, Self::Revert)
    }
}

fn default_class() -> String {
    DEFAULT_CLASS.to_owned()
}

/// A parameter's type, default and range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// The type.
    #[serde(rename = "type")]
    pub param_type: ParamType,
    /// One line for the catalogue.
    #[serde(default)]
    pub description: String,
    /// The value where the developer sets none; without one the parameter is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The least number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The greatest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The only values allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty", rename = "enum")]
    pub one_of: Vec<Value>,
}

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ParamType {
    /// Text, which may hold placeholders.
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// True or false.
    Boolean,
    /// Anything.
    Any,
}

impl Definition {
    /// The name of the class's stream: `<type>_<class>`, in lower case.
    ///
    /// # Errors
    /// [`InvalidName`] when type or class is not a DNS label.
    pub fn name(&self) -> Result<Name, InvalidName> {
        name_of(&self.resource_type, &self.class)
    }
}

/// The name of the stream of a class.
///
/// # Errors
/// [`InvalidName`] when type or class is not a DNS label.
pub fn name_of(resource_type: &str, class: &str) -> Result<Name, InvalidName> {
    Name::join(&[&resource_type.to_ascii_lowercase(), &class.to_ascii_lowercase()])
}

/// A class and its versions so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Class {
    /// The number of the last version; 0 before the first.
    pub version: u64,
    /// What it says; none before the first version and after withdrawal.
    pub definition: Option<Definition>,
}

/// What a platform team wants of a class.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the fields are those of the events they lead to")]
pub enum Command {
    /// Says what it is.
    Define { definition: Definition, at: Time },
    /// Offers it no longer. Resources made from it live on.
    Withdraw { at: Time },
}

/// What happened to a class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the fields are those of the state they lead to")]
pub enum Event {
    /// It has a new version.
    Defined { version: u64, definition: Definition, at: Time },
    /// It is offered no longer.
    Withdrawn { at: Time },
}

/// Why a definition is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A default breaks its own rules.
    #[error("the class is not valid: {0}")]
    Invalid(String),
    /// There is none of this name.
    #[error("there is no such class")]
    NotFound,
}

impl Rejection for Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "INVALID_CLASS",
            Self::NotFound => "NOT_FOUND",
        }
    }
}

impl Decider for Class {
    type State = Self;
    type Command = Command;
    type Event = Event;
    type Rejection = Refused;

    fn decide(state: &Self, command: Command) -> Result<Vec<Event>, Refused> {
        match command {
            Command::Define { definition, at } => {
                if let Err(invalid) = definition.name() {
                    return Err(Refused::Invalid(invalid.to_string()));
                }
                for (name, param) in &definition.params {
                    if let Some(default) = &param.default {
                        param.check(default).map_err(|why| {
                            Refused::Invalid(format!("params.{name}.default {why}"))
                        })?;
                    }
                }
                if state.definition.as_ref() == Some(&definition) {
                    return Ok(Vec::new());
                }
                if let Some(Mistake { path, message, hint }) = definition.mistakes().pop() {
                    let hint = hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                    return Err(Refused::Invalid(format!("{path}: {message}{hint}")));
                }
                Ok(vec![Event::Defined { version: state.version + 1, definition, at }])
            }
            Command::Withdraw { .. } if state.version == 0 => Err(Refused::NotFound),
            Command::Withdraw { .. } if state.definition.is_none() => Ok(Vec::new()),
            Command::Withdraw { at } => Ok(vec![Event::Withdrawn { at }]),
        }
    }

    fn evolve(state: Self, event: Event) -> Self {
        match event {
            Event::Defined { version, definition, .. } => {
                Self { version, definition: Some(definition) }
            }
            Event::Withdrawn { .. } => Self { definition: None, ..state },
        }
    }
}

impl Param {
    /// Checks a value against type, range and list.
    ///
    /// # Errors
    /// The reason, to be read after the parameter's name.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        let fits = match self.param_type {
            ParamType::String => value.is_string(),
            ParamType::Integer => value.is_i64() || value.is_u64(),
            ParamType::Number => value.is_number(),
            ParamType::Boolean => value.is_boolean(),
            ParamType::Any => true,
        };
        if !fits {
            let wanted = serde_json::to_value(self.param_type).unwrap_or_default();
            return Err(format!(
                "must be of type {}, not {value}",
                wanted.as_str().unwrap_or_default()
            ));
        }
        if let Some(number) = value.as_f64() {
            let range = (self.min.unwrap_or(f64::MIN), self.max.unwrap_or(f64::MAX));
            if number < range.0 || number > range.1 {
                let bound = |b: Option<f64>| b.map_or("…".to_owned(), |b| b.to_string());
                return Err(format!(
                    "must be {} to {}, not {number}",
                    bound(self.min),
                    bound(self.max)
                ));
            }
        }
        if !self.one_of.is_empty() && !self.one_of.contains(value) {
            let list: Vec<String> = self.one_of.iter().map(ToString::to_string).collect();
            return Err(format!("must be one of {}, not {value}", list.join(", ")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decider::testing::given;

    const NOW: Time = Time::from_micros(1);

    fn small(default: i64) -> Definition {
        serde_json::from_value(serde_json::json!({
            "type": "volume", "class": "small", "target": "volume",
            "params": {"size_gib": {"type": "integer", "default": default, "min": 10, "max": 100}},
            "spec": {"size_gib": "${params.size_gib}"}
        }))
        .unwrap()
    }

    #[test]
    fn a_changed_definition_is_a_new_version() {
        let defined =
            |version, default| Event::Defined { version, definition: small(default), at: NOW };
        given::<Class>([defined(1, 20)])
            .when(Command::Define { definition: small(30), at: NOW })
            .then([defined(2, 30)]);
        given::<Class>([defined(1, 20)])
            .when(Command::Define { definition: small(20), at: NOW })
            .then_nothing();
    }

    #[test]
    fn a_default_outside_its_range_is_refused() {
        given::<Class>([])
            .when(Command::Define { definition: small(5), at: NOW })
            .then_refused("INVALID_CLASS");
    }

    #[test]
    fn what_the_target_does_not_have_is_refused() {
        let mut definition = small(20);
        definition.spec.insert("sise".into(), 1.into());
        given::<Class>([])
            .when(Command::Define { definition, at: NOW })
            .then_refused("INVALID_CLASS");
    }

    #[test]
    fn withdrawing_what_never_was_is_refused() {
        given::<Class>([]).when(Command::Withdraw { at: NOW }).then_refused("NOT_FOUND");
    }
}
