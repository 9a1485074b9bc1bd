//! From the developer's placeholders to references between resources.

use serde_json::Value;

use super::Wanted;
use super::build::Builder;
use super::names;
use super::refusal::{Refusal, RefusalCode, suggest};
use super::requests::{Scope, Target};
use crate::application::{Piece, metadata_value, pieces};
use crate::kinds::secret::Spec as SecretSpec;
use crate::kinds::support_service::Capability;
use crate::kinds::{KindName, Spec};
use crate::name::{Name, ResourceId};
use crate::text::{OutputRef, Part, Text};

/// The length of a generated secret value; without meaning for one that is put together from a template.
const SECRET_LENGTH: u32 = 32;

/// Where a text stands.
#[derive(Clone)]
pub(super) struct Place<'p> {
    /// What its placeholders may refer to.
    pub(super) scope: Scope<'p>,
    /// For messages.
    pub(super) path: String,
    /// The output that is meant by a resource alone, as in `source: ${resources.data}`.
    pub(super) bare_output: Option<&'p str>,
}

/// A text with its references found.
pub(super) struct Found {
    pub(super) text: Text,
    /// At least one of its references is to a secret output.
    pub(super) secret: bool,
}

impl Builder<'_> {
    /// Finds what the placeholders of a text refer to. None when that was refused.
    pub(super) fn find_references(&mut self, raw: &str, place: &Place<'_>) -> Option<Found> {
        let pieces = match pieces(raw) {
            Ok(pieces) => pieces,
            Err(error) => {
                let hint = error.reason.hint();
                let refusal =
                    Refusal::new(RefusalCode::InvalidPlaceholder, &place.path, error.to_string());
                self.refuse(refusal.hint(hint));
                return None;
            }
        };
        let mut parts = Vec::with_capacity(pieces.len());
        let (mut complete, mut secret) = (true, false);
        for piece in pieces {
            match self.part(piece, place) {
                Ok(Some((part, is_secret))) => {
                    parts.push(part);
                    secret |= is_secret;
                }
                Ok(None) => complete = false,
                Err(refusal) => {
                    complete = false;
                    self.refuse(refusal);
                }
            }
        }
        complete.then(|| Found { text: Text::from_parts(parts), secret })
    }

    /// Finds references, and puts a text that mixes a secret with anything else into a secret of its own, named
    /// after `owner` and `words`.
    pub(super) fn text(
        &mut self,
        raw: &str,
        place: &Place<'_>,
        owner: &Name,
        words: &[&str],
    ) -> Option<Text> {
        let found = self.find_references(raw, place)?;
        if !found.secret || found.text.parts().len() == 1 {
            return Some(found.text);
        }
        let why = format!("the secret in {}", place.path);
        let mut name = Name::join(&[owner.as_str(), &names::label(words)]);
        if name.as_ref().is_ok_and(|name| self.is_taken(name)) {
            name = Name::join(&[owner.as_str(), &names::digest(&words.join("\0"))]);
        }
        let id = match name {
            Ok(name) => ResourceId::new(KindName::Secret, name),
            Err(invalid) => {
                self.refuse(Refusal::new(
                    RefusalCode::InvalidName,
                    &place.path,
                    invalid.to_string(),
                ));
                return None;
            }
        };
        let store = self.support(Capability::Secrets, &why);
        let spec =
            Spec::Secret(SecretSpec { template: Some(found.text), length: SECRET_LENGTH, store });
        let lifetime = self.own();
        let (why, place) = (vec![why], place.path.clone());
        let wanted =
            Wanted { spec, class: None, lifetime, protected: false, why, place, as_found: false };
        self.add(id.clone(), wanted);
        Some(Text::output(id, "value"))
    }

    fn is_taken(&self, name: &Name) -> bool {
        self.built.wanted.contains_key(&ResourceId::new(KindName::Secret, name.clone()))
    }

    /// One piece, and whether it is secret. None when what it refers to was refused already.
    fn part(&mut self, piece: Piece, place: &Place<'_>) -> Result<Option<(Part, bool)>, Refusal> {
        match piece {
            Piece::Literal(text) => Ok(Some((Part::Literal(text), false))),
            Piece::Metadata(path) => {
                let value = self.metadata(place, &path)?;
                Ok(Some((Part::Literal(value), false)))
            }
            Piece::Resource { name, output } => self.reference(&name, output.as_deref(), place),
        }
    }

    fn metadata(&self, place: &Place<'_>, path: &[String]) -> Result<String, Refusal> {
        let application;
        let metadata = match place.scope.and_then(|name| self.scene.model.workloads.get(name)) {
            Some(workload) => &workload.metadata,
            None => {
                application = serde_json::json!({ "name": self.scene.model.name });
                &application
            }
        };
        metadata_value(metadata, path).ok_or_else(|| {
            let keys = metadata.as_object().into_iter().flat_map(|fields| fields.keys());
            let word = path.first().map_or("", String::as_str);
            let message = format!("there is no metadata `{}`", path.join("."));
            Refusal::new(RefusalCode::InvalidPlaceholder, &place.path, message).hint(suggest(
                "metadata",
                word,
                keys.map(String::as_str),
            ))
        })
    }

    fn reference(
        &self,
        name: &str,
        output: Option<&[String]>,
        place: &Place<'_>,
    ) -> Result<Option<(Part, bool)>, Refusal> {
        let output = match (output, place.bare_output) {
            (Some(keys), _) => keys.join("."),
            (None, Some(output)) => output.to_owned(),
            (None, None) => {
                let message = format!("`${{resources.{name}}}` names no output");
                return Err(Refusal::new(RefusalCode::InvalidPlaceholder, &place.path, message)
                    .hint(format!("write ${{resources.{name}.<output>}}")));
            }
        };
        match self.requests.target(place.scope, name) {
            None => {
                let message = format!("there is no resource `{name}`");
                let hint = suggest(
                    "resources",
                    name,
                    self.requests.visible(place.scope).map(|(name, _)| name),
                );
                Err(Refusal::new(RefusalCode::UnknownResource, &place.path, message).hint(hint))
            }
            Some(Target::Broken) => Ok(None),
            Some(Target::Workload(request)) => {
                let value = self.workload_output(request, &output, &place.path)?;
                Ok(value.map(|value| (Part::Literal(value), false)))
            }
            Some(Target::Resource(id)) => self.output(id, name, &output, place),
        }
    }

    fn output(
        &self,
        id: &ResourceId,
        name: &str,
        output: &str,
        place: &Place<'_>,
    ) -> Result<Option<(Part, bool)>, Refusal> {
        let Some(published) = self.published.get(id) else { return Ok(None) };
        let own = published.aliases.get(output).map_or(output, String::as_str);
        if let Some(declared) = published.outputs.iter().find(|declared| declared.name == own) {
            let part = Part::Output(OutputRef { resource: id.clone(), output: own.to_owned() });
            return Ok(Some((part, declared.secret)));
        }
        let known = published.outputs.iter().map(|declared| declared.name.as_str());
        let known = known.chain(published.aliases.keys().map(String::as_str));
        let message = format!("resource `{name}` has no output `{output}`");
        Err(Refusal::new(RefusalCode::UnknownOutput, &place.path, message)
            .hint(suggest("outputs", output, known)))
    }

    /// Finds the references in every string of a parameter; strings come out in the notation of [`Text`].
    pub(super) fn param(
        &mut self,
        value: &Value,
        place: &Place<'_>,
        owner: &Name,
        words: &[&str],
    ) -> Option<Value> {
        match value {
            Value::String(raw) => {
                let text = self.text(raw, place, owner, words)?;
                Some(Value::String(text.to_string()))
            }
            Value::Array(items) => {
                let mut found = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    let place = Place { path: format!("{}[{index}]", place.path), ..place.clone() };
                    let number = index.to_string();
                    found.push(self.param(item, &place, owner, &[words, &[&number]].concat())?);
                }
                Some(Value::Array(found))
            }
            Value::Object(fields) => {
                let mut found = serde_json::Map::new();
                for (key, item) in fields {
                    let place = Place { path: format!("{}.{key}", place.path), ..place.clone() };
                    let item = self.param(item, &place, owner, &[words, &[key]].concat())?;
                    found.insert(key.clone(), item);
                }
                Some(Value::Object(found))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Some(value.clone()),
        }
    }
}
