//! From a request and its class to a resource's spec.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Wanted;
use super::build::{Builder, Published};
use super::refusal::{Refusal, RefusalCode, suggest};
use super::requests::{Claim, Request, Target};
use super::texts::Place;
use super::{graph, template};
use crate::application::{Piece, metadata_value, pieces};
use crate::class::{Param, ParamType};
use crate::kinds::KindName;
use crate::lifecycle::ClassRef;
use crate::name::{Name, ResourceId};
use crate::text::{Text, json_needs};

/// A claim being built.
pub(super) struct Draft<'d> {
    pub(super) id: &'d ResourceId,
    pub(super) definer: Request<'d>,
    pub(super) path: String,
    /// What it is, in words.
    pub(super) words: String,
}

impl<'a> Builder<'a> {
    /// Builds every resource made from a class, each after those that its parameters refer to.
    pub(super) fn build_resources(&mut self) {
        for request in self.requests.workload_requests() {
            self.check_workload_request(&request);
        }
        let mut claims = std::mem::take(&mut self.requests.claims);
        let ids: Vec<ResourceId> = claims.keys().cloned().collect();
        let index: BTreeMap<&ResourceId, usize> = ids.iter().zip(0..).collect();
        let before: Vec<Vec<usize>> =
            claims.values().map(|claim| self.referred(claim, &index)).collect();
        let order = graph::order(&before).unwrap_or_else(|cycle| {
            let names = cycle.iter().chain(cycle.first()).filter_map(|node| ids.get(*node));
            let names: Vec<String> = names.map(ToString::to_string).collect();
            let message = format!("params refer to each other in a circle: {}", names.join(" -> "));
            let path = cycle.first().and_then(|node| claims.get(ids.get(*node)?));
            let path = path.map(|claim| claim.definer.path()).unwrap_or_default();
            self.refuse(Refusal::new(RefusalCode::Cycle, path, message));
            Vec::new()
        });
        for id in order.into_iter().filter_map(|node| ids.get(node)) {
            if let Some(claim) = claims.remove(id) {
                self.build_resource(id, claim);
            }
        }
    }

    /// The claims that a claim's parameters refer to.
    fn referred(&self, claim: &Claim<'a>, index: &BTreeMap<&ResourceId, usize>) -> Vec<usize> {
        let mut names = Vec::new();
        claim.definer.request.params.values().for_each(|value| collect_names(value, &mut names));
        let targets =
            names.iter().filter_map(|name| self.requests.target(claim.definer.scope, name));
        let ids = targets.filter_map(|target| match target {
            Target::Resource(id) => index.get(id).copied(),
            Target::Workload(_) | Target::Broken => None,
        });
        ids.collect()
    }

    fn build_resource(&mut self, id: &ResourceId, claim: Claim<'a>) {
        let definer = claim.definer.clone();
        let draft = Draft { id, path: definer.path(), words: definer.words(), definer };
        let definition = claim.matched.definition;
        let Some(params) = self.params(&draft, &definition.params) else { return };
        let filled = template::fill(&definition.spec, &|name| self.value_of(name, &draft, &params));
        let mut fields = match filled {
            Ok(fields) => fields,
            Err(why) => return self.refuse_spec(&draft, &claim.matched.name, &why),
        };
        if definition.target == KindName::Extension {
            complete_extension(&mut fields, definition, &params);
        }
        if self.complete(&draft, definition.target, &mut fields).is_none() {
            return;
        }
        let value = Value::Object(fields);
        let references = json_needs(&value);
        let spec = match definition.target.read_spec(value) {
            Ok(spec) => spec,
            Err(error) => {
                return self.refuse_spec(&draft, &claim.matched.name, &error.to_string());
            }
        };
        let needs = spec.needs();
        if let Some(lost) = references.iter().find(|need| needs.binary_search(need).is_err()) {
            let why = format!("a field that must be known beforehand refers to {}", lost.resource);
            return self.refuse_spec(&draft, &claim.matched.name, &why);
        }
        for violation in spec.validate() {
            let message = format!("{}.{violation}", id.kind);
            let refusal = Refusal::new(RefusalCode::InvalidSpec, &draft.path, message);
            self.refuse(refusal.hint(format!("the class is {}", claim.matched.name)));
        }
        let published = Published { outputs: spec.outputs(), aliases: definition.aliases.clone() };
        self.published.insert(id.clone(), published);
        let class = ClassRef { name: claim.matched.name, version: claim.matched.version };
        let lifetime = self.own();
        let wanted = Wanted {
            spec,
            class: Some(class),
            lifetime,
            protected: claim.protected,
            why: claim.why,
            place: draft.path,
            as_found: false,
        };
        self.add(id.clone(), wanted);
    }

    fn refuse_spec(&mut self, draft: &Draft<'_>, class: &Name, why: &str) {
        let message = format!("class {class} does not make a valid {}: {why}", draft.id.kind);
        let hint =
            "correct its params; if they are right, the class is wrong: ask the platform team";
        self.refuse(Refusal::new(RefusalCode::InvalidSpec, &draft.path, message).hint(hint));
    }

    /// The parameters with defaults, checked. None when one was refused.
    fn params(
        &mut self,
        draft: &Draft<'_>,
        declared: &BTreeMap<String, Param>,
    ) -> Option<Map<String, Value>> {
        let given = &draft.definer.request.params;
        let mut complete = true;
        for name in given.keys().filter(|name| !declared.contains_key(*name)) {
            complete = false;
            let path = format!("{}.params.{name}", draft.path);
            let message =
                format!("`{}` has no param `{name}`", draft.definer.request.resource_type);
            self.refuse(Refusal::new(RefusalCode::UnknownParam, path, message).hint(suggest(
                "params",
                name,
                declared.keys().map(String::as_str),
            )));
        }
        let mut params = Map::new();
        for (name, param) in declared {
            let path = format!("{}.params.{name}", draft.path);
            let Some(value) = given.get(name).or(param.default.as_ref()) else {
                complete = false;
                let message =
                    format!("`{}` needs the param `{name}`", draft.definer.request.resource_type);
                let refusal = Refusal::new(RefusalCode::InvalidParam, path, message);
                self.refuse(match param.description.as_str() {
                    "" => refusal.hint(format!("add `params: {{{name}: …}}`")),
                    meaning => refusal.hint(meaning),
                });
                continue;
            };
            let place = Place { scope: draft.definer.scope, path, bare_output: None };
            match self
                .param(value, &place, &draft.id.name, &[name])
                .map(|value| typed(value, param))
            {
                Some(Ok(value)) => {
                    params.insert(name.clone(), value);
                }
                Some(Err(why)) => {
                    complete = false;
                    let message = format!("{name} {why}");
                    self.refuse(Refusal::new(RefusalCode::InvalidParam, place.path, message));
                }
                None => complete = false,
            }
        }
        complete.then_some(params)
    }

    /// The value of a placeholder in a class.
    fn value_of(
        &self,
        name: &str,
        draft: &Draft<'_>,
        params: &Map<String, Value>,
    ) -> Option<Value> {
        match name {
            "application" => literal(self.scene.context.application.as_str()),
            "resource.name" => literal(draft.id.name.as_str()),
            "resource.type" => literal(&draft.definer.request.resource_type),
            _ => {
                let Some((root, path)) = name.split_once('.') else {
                    return self.place_value(name);
                };
                match root {
                    "params" => {
                        let mut path = path.split('.');
                        let first = params.get(path.next()?)?;
                        path.try_fold(first, |value, key| value.as_object()?.get(key)).cloned()
                    }
                    "metadata" => {
                        let workload = self.scene.model.workloads.get(draft.definer.scope?)?;
                        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
                        literal(&metadata_value(&workload.metadata, &path)?)
                    }
                    _ => self.place_value(name),
                }
            }
        }
    }

    /// The value of a placeholder that does not depend on who asks.
    pub(super) fn place_value(&self, name: &str) -> Option<Value> {
        let definition = self.scene.definition;
        match name {
            "cluster" => literal(&self.site.id.to_string()),
            "environment.name" => literal(&definition.name),
            "environment.tier" => serde_json::to_value(definition.tier).ok(),
            "environment.domain" => literal(&definition.domain),
            "environment.location" => {
                literal(definition.location.as_deref().unwrap_or(&self.site.spec.location))
            }
            _ => None,
        }
    }
}

/// A value as text, in the notation of [`Text`].
fn literal(value: &str) -> Option<Value> {
    Some(Value::String(Text::literal(value).to_string()))
}

/// The names of the resources that placeholders inside a parameter refer to.
fn collect_names(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::String(raw) => {
            let pieces = pieces(raw).unwrap_or_default().into_iter();
            names.extend(pieces.filter_map(|piece| match piece {
                Piece::Resource { name, .. } => Some(name),
                Piece::Literal(_) | Piece::Metadata(_) => None,
            }));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_names(item, names)),
        Value::Object(fields) => fields.values().for_each(|item| collect_names(item, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Checks a parameter; `"8080"` is a number where a number is wanted, and a number is text where text is.
fn typed(value: Value, param: &Param) -> Result<Value, String> {
    let Some(text) = value.as_str() else {
        let value = match (param.param_type, &value) {
            (ParamType::String, Value::Number(_) | Value::Bool(_)) => {
                Value::String(value.to_string())
            }
            _ => value,
        };
        return param.check(&value).map(|()| value);
    };
    let is_literal = text.parse::<Text>().is_ok_and(|text| text.references().next().is_none());
    match param.param_type {
        ParamType::String | ParamType::Any if !is_literal => Ok(value),
        ParamType::String | ParamType::Any => param.check(&value).map(|()| value),
        ParamType::Integer | ParamType::Number | ParamType::Boolean if !is_literal => {
            Err("must be known beforehand: it cannot refer to an output".to_owned())
        }
        ParamType::Integer | ParamType::Number | ParamType::Boolean => {
            let parsed: Value = serde_json::from_str(text).unwrap_or_else(|_| value.clone());
            param.check(&parsed).map(|()| parsed)
        }
    }
}

/// What every extension says of itself, unless its class says otherwise.
fn complete_extension(
    fields: &mut Map<String, Value>,
    definition: &crate::class::Definition,
    params: &Map<String, Value>,
) {
    let resource_type = Value::String(definition.resource_type.clone());
    let outputs = serde_json::to_value(&definition.outputs).unwrap_or_default();
    fields.entry("type").or_insert(resource_type);
    fields.entry("params").or_insert_with(|| Value::Object(params.clone()));
    fields.entry("outputs").or_insert(outputs);
}
