//! What a chart became: the objects in the text that Helm wrote.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::findings::Findings;
use super::objects::{OBJECT_BYTES_MAX, start, strip};
use super::reader::Reader;
use super::yaml::{Limits, Node, Value, documents_within};
use crate::diagnostic::Diagnostic;
use crate::kinds::helm::hook::{self, Said};
use crate::kinds::manifests::ObjectKey;

/// What a chart may become: the largest public one has 5.2 MB, and 135 objects.
const LIMITS: Limits = Limits {
    bytes: 16 * 1024 * 1024,
    documents: 5_000,
    depth: 128,
    nodes: 2_000_000,
    repeats: true,
};

/// An object of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// Which.
    pub key: ObjectKey,
    /// What it says.
    pub body: Json,
    /// Whether it is one for certain moments.
    pub hook: Said,
}

/// Reads what a chart became. Hooks of tests are left out.
///
/// # Errors
/// What is wrong in it, with its place in that text.
pub fn rendered(text: &str) -> Result<Vec<Rendered>, Vec<Diagnostic>> {
    let none = BTreeMap::new();
    let mut reader = Reader {
        findings: Findings::new([]),
        companions: &none,
        contents: BTreeMap::new(),
        sources: Vec::new(),
        uses: Vec::new(),
        misspelt: Vec::new(),
    };
    let file = reader.findings.add_file("what the chart became".to_owned(), text);
    let documents = documents_within(file, &mut reader.findings, &LIMITS);
    let mut found = Vec::new();
    for document in &documents {
        reader.rendered(document, &mut found);
    }
    reader.refuse_twice(&found, &documents);
    reader.findings.finish().map(|_| found)
}

impl Reader<'_> {
    /// One object, or each of a list.
    fn rendered(&mut self, node: &Node, found: &mut Vec<Rendered>) {
        let Value::Mapping(fields) = &node.value else {
            self.findings.error(node.place, "an object is a mapping");
            return;
        };
        // Templates that come to nothing leave an empty mapping behind.
        if fields.is_empty() {
            return;
        }
        let Some(api_version) = self.word(node, "apiVersion", "v1") else { return };
        let Some(kind) = self.word(node, "kind", "ConfigMap") else { return };
        let items = node.get("items").map(|items| &items.value);
        if let (true, Some(Value::Sequence(items))) = (kind.ends_with("List"), items) {
            items.iter().for_each(|item| self.rendered(item, found));
            return;
        }
        let mut body = self.kubernetes_json(node);
        let hook = hook::said(&body);
        if hook == Said::Other {
            return;
        }
        strip(&mut body);
        let Some(name) = self.object_name(node, &mut body) else { return };
        let namespace = body.pointer("/metadata/namespace").and_then(Json::as_str);
        let namespace = namespace.filter(|namespace| !namespace.is_empty());
        match ObjectKey::new(&api_version, &kind, namespace, &name) {
            Ok(_) if body.to_string().len() > OBJECT_BYTES_MAX => {
                let message = format!(
                    "{kind} {name} is larger than the {OBJECT_BYTES_MAX} bytes of an object"
                );
                self.findings.error(start(node), message);
            }
            Ok(key) => found.push(Rendered { key, body, hook }),
            Err(wrong) => {
                self.findings.error(start(node), wrong.to_string());
            }
        }
    }

    /// Two objects of one name would be fought over for ever.
    fn refuse_twice(&mut self, found: &[Rendered], documents: &[Node]) {
        let Some(place) = documents.first().map(|node| node.place) else { return };
        let mut known = BTreeSet::new();
        for Rendered { key, hook, .. } in found {
            let identity = (key.group(), &key.kind, &key.namespace, &key.name);
            if *hook == Said::NoHook && !known.insert(identity) {
                self.findings.error(place, format!("the chart makes {key} twice"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_helm_wrote_is_read_as_helm_reads_it() {
        let found = rendered(
            "---\n# Source: web/templates/a.yaml\n---\n# Source: b\napiVersion: v1\nkind: ConfigMap\n\
             metadata: {name: a, labels: {x: one, x: two}}\ndata: {on: \"yes\"}\n\
             ---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: h, annotations: {helm.sh/hook: pre-install}}\n\
             ---\napiVersion: v1\nkind: Pod\nmetadata: {name: t, annotations: {helm.sh/hook: test}}\n---\n{}\n",
        )
        .unwrap();
        let keys: Vec<String> = found.iter().map(|one| one.key.to_string()).collect();
        assert_eq!(keys, ["v1 ConfigMap a", "batch/v1 Job h"]);
        assert_eq!(found[0].body.pointer("/metadata/labels/x").unwrap(), "two");
        assert!(matches!(found[1].hook, Said::Hook(..)) && found[0].hook == Said::NoHook);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let good = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
        for (text, says) in [
            (format!("{good}---\n{good}"), "twice"),
            ("a: b\n".to_owned(), "no `apiVersion`"),
            ("a: [\n".to_owned(), "not YAML"),
            (good.replace("name: a", "name: a/b"), "not a name"),
        ] {
            let errors = rendered(&text).unwrap_err();
            assert!(errors[0].message.contains(says), "{text}: {}", errors[0].message);
        }
    }
}
