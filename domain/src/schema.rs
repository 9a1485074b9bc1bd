//! The contracts of the log as JSON Schemas, and the upcasts between their versions.

use std::collections::BTreeMap;

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use crate::{EventRecord, KindName};

/// Rewrites an event of an older schema into the current one. The first argument is the stream's kind.
pub type Upcast = fn(&str, EventRecord) -> EventRecord;

/// The upcast of this version: every event is still in its first schema.
#[must_use]
pub fn upcast(_kind: &str, event: EventRecord) -> EventRecord {
    event
}

/// Every contract: path below `schema/events/` → JSON Schema.
#[must_use]
pub fn contracts() -> BTreeMap<String, Value> {
    let mut contracts = BTreeMap::new();
    for kind in KindName::ALL {
        contracts.insert(format!("{kind}/spec.v1.json"), kind.spec_schema().to_value());
    }
    events::<crate::lifecycle::Event>("resource", &mut contracts);
    events::<crate::application::Event>(crate::application::KIND, &mut contracts);
    events::<crate::class::Event>(crate::class::KIND, &mut contracts);
    events::<crate::environment::Event>(crate::environment::KIND, &mut contracts);
    events::<crate::account::Event>(crate::account::KIND, &mut contracts);
    events::<crate::plan::Event>(crate::plan::KIND, &mut contracts);
    events::<crate::deployment::Event>(crate::deployment::KIND, &mut contracts);
    events::<crate::request::Event>(crate::request::KIND, &mut contracts);
    events::<crate::content::Event>(crate::content::KIND, &mut contracts);
    events::<crate::rollout::Event>(crate::rollout::KIND, &mut contracts);
    contracts
}

/// Splits an enum's schema into one contract for each event.
fn events<E: JsonSchema>(kind: &str, contracts: &mut BTreeMap<String, Value>) {
    let root = SchemaGenerator::default().into_root_schema_for::<E>().to_value();
    let definitions = root.get("$defs").cloned().unwrap_or_default();
    for variant in root.get("oneOf").and_then(Value::as_array).into_iter().flatten() {
        let Some((name, data)) = variant
            .get("properties")
            .and_then(Value::as_object)
            .and_then(|fields| fields.iter().next())
        else {
            continue;
        };
        let mut contract = data.clone();
        if let Some(fields) = contract.as_object_mut() {
            fields.insert("title".into(), Value::String(name.clone()));
            fields.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
            if let Some(description) = variant.get("description") {
                fields.insert("description".into(), description.clone());
            }
            let used = reachable(&data.to_string(), &definitions);
            if !used.is_empty() {
                fields.insert("$defs".into(), Value::Object(used));
            }
        }
        contracts.insert(format!("{kind}/{}.v1.json", kebab(name)), contract);
    }
}

/// The definitions that a schema refers to, directly or through others.
fn reachable(text: &str, definitions: &Value) -> serde_json::Map<String, Value> {
    let mut found = serde_json::Map::new();
    let mut texts = vec![text.to_owned()];
    while let Some(text) = texts.pop() {
        for (name, definition) in definitions.as_object().into_iter().flatten() {
            if text.contains(&format!("\"#/$defs/{name}\"")) && !found.contains_key(name) {
                texts.push(definition.to_string());
                found.insert(name.clone(), definition.clone());
            }
        }
    }
    found
}

/// `BecameReady` → `became-ready`.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(character.to_ascii_lowercase());
    }
    kebab
}
