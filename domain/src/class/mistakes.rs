//! What is wrong with a definition, before anybody asks for a resource made from it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Definition, Param, ParamType};
use crate::diagnostic::plain;
use crate::kinds::KindName;
use crate::planning::{fill, suggest};

/// What a class may refer to besides its params and the developer's metadata.
const PLACEHOLDERS: [&str; 8] = [
    "application",
    "cluster",
    "environment.domain",
    "environment.location",
    "environment.name",
    "environment.tier",
    "resource.name",
    "resource.type",
];

/// One thing wrong with a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where, as a dotted path into the definition.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Mistake {
    pub(super) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl Definition {
    /// Everything that would be kept silently, or be found only by whoever asks for the class: keys that the target
    /// does not have, values that do not fit it, placeholders without a meaning, params without an effect.
    #[must_use]
    pub fn mistakes(&self) -> Vec<Mistake> {
        let schema = self.target.spec_schema();
        let known: Vec<&str> = match schema.get("properties").and_then(Value::as_object) {
            Some(fields) => fields.keys().map(String::as_str).collect(),
            None => Vec::new(),
        };
        let mut found = Vec::new();
        let mut used = BTreeSet::new();
        for (key, value) in &self.spec {
            let is_known = known.contains(&key.as_str());
            if !is_known {
                let message = format!("a {} has no `{key}`", self.target);
                let hint = suggest("keys", key, known.iter().copied());
                found.push(Mistake::new(format!("spec.{key}"), message).hint(hint));
            }
            found.extend(self.wrong_value(key, value, is_known, &mut used));
        }
        found.extend(self.missing(schema.get("required")));
        // What an extension is given is all of its params.
        if self.target != KindName::Extension {
            let idle = self.params.keys().filter(|name| !used.contains(*name));
            found.extend(idle.map(|name| {
                Mistake::new(format!("params.{name}"), format!("the param `{name}` has no effect"))
                    .hint(format!("use it under `spec`, as ${{params.{name}}}, or take it out"))
            }));
        }
        found.extend(self.wrong_aliases());
        found.extend(self.wrong_support());
        found
    }

    /// What is wrong with one value of the spec; the params that it uses are noted.
    fn wrong_value(
        &self,
        key: &str,
        value: &Value,
        is_known: bool,
        used: &mut BTreeSet<String>,
    ) -> Option<Mistake> {
        let path = format!("spec.{key}");
        let (unknown, certain) = (RefCell::new(None), Cell::new(true));
        let params = RefCell::new(BTreeSet::new());
        let value_of = |name: &str| {
            if let Some(param) = name.strip_prefix("params.") {
                params.borrow_mut().insert(param.split('.').next().unwrap_or(param).to_owned());
            }
            let sample = self.sample(name);
            match &sample {
                None => *unknown.borrow_mut() = Some(name.to_owned()),
                // What a text will be is not known before somebody asks.
                Some(Value::String(_)) => certain.set(false),
                Some(_) => {}
            }
            sample
        };
        let filled = fill(&Map::from_iter([(key.to_owned(), value.clone())]), &value_of);
        used.append(&mut params.borrow_mut());
        let fields = match (filled, unknown.take()) {
            (Ok(fields), _) => fields,
            (Err(_), Some(name)) => return Some(self.unknown_placeholder(path, &name)),
            (Err(why), None) => {
                let why = why.split_once(": ").map_or(why.as_str(), |(_, why)| why);
                return Some(Mistake::new(path, why));
            }
        };
        if !is_known || !certain.get() || self.is_completed() {
            return None;
        }
        let error = self.target.read_spec(Value::Object(fields)).err()?.to_string();
        // The other keys are not there, of course.
        if error.starts_with("missing field") {
            return None;
        }
        let plain = plain(&error, None);
        Some(Mistake { path, message: plain.message, hint: plain.hint })
    }

    /// A value of the right type for a placeholder; none for one that means nothing.
    fn sample(&self, name: &str) -> Option<Value> {
        let text = || Some(Value::String(String::new()));
        match name.split_once('.') {
            Some(("params", path)) => {
                let param = self.params.get(path.split('.').next().unwrap_or(path))?;
                if path.contains('.') { text() } else { Some(param.sample()) }
            }
            Some(("metadata", _)) => text(),
            _ => PLACEHOLDERS.contains(&name).then(text).flatten(),
        }
    }

    fn unknown_placeholder(&self, path: String, name: &str) -> Mistake {
        if let Some(param) = name.strip_prefix("params.") {
            let hint = suggest("params", param, self.params.keys().map(String::as_str));
            return Mistake::new(path, format!("there is no param `{param}`")).hint(hint);
        }
        let known = PLACEHOLDERS.into_iter().chain(["params.NAME", "metadata.KEY"]);
        Mistake::new(path, format!("`${{{name}}}` means nothing in a class")).hint(suggest(
            "placeholders",
            name,
            known,
        ))
    }

    /// The keys without which the target cannot be made, where the plan does not fill them in.
    fn missing(&self, required: Option<&Value>) -> Vec<Mistake> {
        let required = required.and_then(Value::as_array).into_iter().flatten();
        let missing = required
            .filter_map(Value::as_str)
            .filter(|key| !self.spec.contains_key(*key) && !self.is_completed());
        missing
            .map(|key| {
                let message = format!("the key `{key}` is missing in `spec`");
                Mistake::new("spec", message)
                    .hint(format!("a {} cannot be made without it", self.target))
            })
            .collect()
    }

    /// The plan fills in what such a class leaves open, and reads what it says in its own way.
    const fn is_completed(&self) -> bool {
        matches!(self.target, KindName::Route | KindName::DnsRecord | KindName::Extension)
    }

    fn wrong_aliases(&self) -> Vec<Mistake> {
        // The outputs of the other kinds are not said here.
        if self.target != KindName::Extension {
            return Vec::new();
        }
        let known = || self.outputs.iter().map(|output| output.name.as_str());
        let wrong = self.aliases.iter().filter(|(_, output)| !known().any(|one| one == *output));
        wrong
            .map(|(alias, output)| {
                let message = format!("there is no output `{output}`");
                Mistake::new(format!("aliases.{alias}"), message).hint(suggest(
                    "outputs",
                    output,
                    known(),
                ))
            })
            .collect()
    }
}

impl Param {
    /// The default, or a value of the same type.
    fn sample(&self) -> Value {
        match (&self.default, self.param_type) {
            (Some(default), ParamType::Integer | ParamType::Number | ParamType::Boolean) => {
                default.clone()
            }
            (None, ParamType::Integer | ParamType::Number) => Value::from(0),
            (None, ParamType::Boolean) => Value::from(false),
            (_, ParamType::String | ParamType::Any) => Value::from(""),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn mistakes(definition: Value) -> Vec<String> {
        let definition: Definition = serde_json::from_value(definition).unwrap();
        let line = |it: Mistake| {
            let hint = it.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{}: {}{hint}", it.path, it.message)
        };
        definition.mistakes().into_iter().map(line).collect()
    }

    fn bucket(spec: Value) -> Value {
        json!({"type": "s3", "target": "bucket", "spec": spec})
    }

    #[test]
    fn a_key_that_the_target_does_not_have_is_a_mistake() {
        assert_eq!(
            mistakes(bucket(json!({"region": "eu", "expire_day": 3}))),
            ["spec.expire_day: a bucket has no `expire_day` (did you mean `expire_days`?)"]
        );
    }

    #[test]
    fn a_value_that_does_not_fit_is_a_mistake() {
        assert_eq!(
            mistakes(bucket(json!({"region": 7, "expire_days": "many"}))),
            [
                "spec.expire_days: must be a whole number, not \"many\"",
                "spec.region: must be text, not the number 7 (quote it)"
            ]
        );
        let by_param = json!({"type": "s3", "target": "bucket", "params": {"days": {"type": "boolean"}},
            "spec": {"region": "${environment.location}", "expire_days": "${params.days}"}});
        assert_eq!(mistakes(by_param), ["spec.expire_days: must be a whole number, not false"]);
    }

    #[test]
    fn a_placeholder_without_a_meaning_is_a_mistake() {
        let class = json!({"type": "s3", "target": "bucket", "params": {"expire": {"type": "integer"}},
            "spec": {"region": "${environment.locaton}", "expire_days": "${params.expires}"}});
        assert_eq!(
            mistakes(class),
            [
                "spec.expire_days: there is no param `expires` (did you mean `expire`?)",
                "spec.region: `${environment.locaton}` means nothing in a class (did you mean `environment.location`?)",
                "params.expire: the param `expire` has no effect (use it under `spec`, as ${params.expire}, or take it out)",
            ]
        );
        assert_eq!(
            mistakes(bucket(json!({"region": "${metadata.region"}))),
            ["spec.region: a placeholder is never closed by `}`"]
        );
    }

    #[test]
    fn what_cannot_be_left_out_is_missed() {
        assert_eq!(
            mistakes(bucket(json!({"versioning": true}))),
            ["spec: the key `region` is missing in `spec` (a bucket cannot be made without it)"]
        );
        assert_eq!(mistakes(json!({"type": "r", "target": "route"})), [""; 0]);
    }

    #[test]
    fn an_alias_of_no_output_is_a_mistake() {
        let class = json!({"type": "x", "target": "extension", "outputs": [{"name": "host"}],
            "aliases": {"server": "hots"}});
        assert_eq!(
            mistakes(class),
            ["aliases.server: there is no output `hots` (did you mean `host`?)"]
        );
    }
}
