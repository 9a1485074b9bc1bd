//! Classes of support services: charts that give a capability to clusters which lack it.

use super::{Definition, Mistake, name_of};
use crate::kinds::KindName;
use crate::kinds::support_service::Capability;
use crate::name::{InvalidName, Name};
use crate::planning::suggest;

/// How the types of such classes begin: `support-<capability>`.
const SUPPORT: &str = "support-";

/// The type of the classes that give a capability.
#[must_use]
pub fn support_type(capability: Capability) -> String {
    format!("{SUPPORT}{}", capability.as_str())
}

/// The name of a class that gives a capability.
///
/// # Errors
/// [`InvalidName`] when the class is not a DNS label.
pub fn support_class(capability: Capability, class: &str) -> Result<Name, InvalidName> {
    name_of(&support_type(capability), class)
}

/// Whether a type is that of a support service, which environments name and developers do not.
#[must_use]
pub fn is_support(resource_type: &str) -> bool {
    let start = resource_type.get(..SUPPORT.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(SUPPORT))
}

impl Definition {
    /// What is wrong with it as a support service: it is shared, so nobody sets a param or has metadata.
    pub(super) fn wrong_support(&self) -> Vec<Mistake> {
        if !is_support(&self.resource_type) {
            return Vec::new();
        }
        let mut found = Vec::new();
        let capability = self.resource_type.get(SUPPORT.len()..).unwrap_or_default();
        if Capability::named(capability).is_none() {
            let message = format!("there is no capability `{capability}`");
            let known = Capability::ALL.map(Capability::as_str);
            found.push(Mistake::new("type", message).hint(suggest(
                "capabilities",
                capability,
                known,
            )));
        }
        if self.target != KindName::Helm {
            let message =
                format!("a support service is a chart: its target is helm, not {}", self.target);
            found.push(Mistake::new("target", message));
        }
        let open = self.params.iter().filter(|(_, param)| param.default.is_none());
        found.extend(open.map(|(name, _)| {
            Mistake::new(format!("params.{name}"), "has no default, and nobody sets it".to_owned())
                .hint("give it a default: a support service is shared by all that need it")
        }));
        let text = serde_json::to_string(&self.spec).unwrap_or_default();
        for placeholder in ["${metadata.", "${application}"] {
            if text.contains(placeholder) {
                let message = format!("`{placeholder}` means nothing here: no application owns it");
                found.push(Mistake::new("spec", message));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn mistakes(resource_type: &str, target: &str, spec: Value) -> Vec<String> {
        let definition = json!({
            "type": resource_type, "class": "x", "target": target, "spec": spec,
            "params": { "size": { "type": "integer" } },
        });
        let definition: Definition = serde_json::from_value(definition).unwrap();
        definition.wrong_support().iter().map(|it| format!("{}: {}", it.path, it.message)).collect()
    }

    #[test]
    fn a_support_service_is_a_chart_of_a_capability_that_nobody_has_to_complete() {
        assert!(mistakes("helm", "helm", json!({})).is_empty());
        assert_eq!(
            mistakes("support-gatway", "secret", json!({ "values": { "a": "${metadata.name}" } })),
            [
                "type: there is no capability `gatway`",
                "target: a support service is a chart: its target is helm, not secret",
                "params.size: has no default, and nobody sets it",
                "spec: `${metadata.` means nothing here: no application owns it",
            ]
        );
        assert!(is_support("Support-Dns") && !is_support("supper"));
    }
}
