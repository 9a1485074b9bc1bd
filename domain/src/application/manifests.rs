//! Kubernetes objects in files beside the application's: which they are, and what each says.
//!
//! Only keys and digests go into the model; what the objects say is [`super::Parsed::contents`], to be kept apart.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::findings::Place;
use super::objects::{OBJECT_BYTES_MAX, start, strip};
use super::reader::{Reader, Spot, describe};
use super::yaml::{Entry, Limits, Node, Value, documents_within};
use crate::commit::Hash;
use crate::kinds::manifests::{OBJECTS_MAX, ObjectKey};

/// The resource type whose files these are.
pub(super) const TYPE: &str = "manifests";
/// What a file of objects may hold: the largest public chart has 5.2 MB, 135 objects and 300,000 values.
const LIMITS: Limits = Limits {
    bytes: 16 * 1024 * 1024,
    documents: 1_000,
    depth: 128,
    nodes: 2_000_000,
    repeats: false,
};
/// Hooks of Helm that run when a chart is put in place. Others, such as tests, are no part of what is wanted.
const HOOKS: [&str; 5] =
    ["crd-install", "pre-install", "post-install", "pre-upgrade", "post-upgrade"];

/// What was found so far in the files of one resource.
#[derive(Default)]
struct Found {
    digests: BTreeMap<String, String>,
    /// Group, kind, namespace and name → where it stands: another version of the same is the same.
    places: BTreeMap<(String, String, Option<String>, String), Place>,
}

impl Reader<'_> {
    /// Puts, in the place of the files that a resource names, the objects that are in them.
    pub(super) fn manifests(
        &mut self,
        params: Option<&Entry>,
        spot: &Spot,
        name: &str,
    ) -> Map<String, Json> {
        let Some(entry) = params else {
            self.findings
                .error(spot.place, format!("{} names no file", spot.words()))
                .hint("add `params: {files: [objects.yaml]}`");
            return Map::new();
        };
        let mut params = self.params(entry, spot, name);
        let spot = spot.key(entry);
        let fields = self.mapping(&entry.value, &spot);
        let mut paths = Vec::new();
        if let Some(file) = fields.get("file") {
            paths.extend(
                self.literal(&file.value, &spot.key(file)).map(|path| (path, file.value.place)),
            );
        }
        if let Some(files) = fields.get("files") {
            let spot = spot.key(files);
            for (item, spot) in self.spots(&files.value, &spot) {
                let path = self.literal(item, &spot);
                paths.extend(path.map(|path| (path, item.place)));
            }
        }
        params.remove("file");
        params.remove("files");
        if paths.is_empty() && !params.contains_key("objects") {
            self.findings
                .error(entry.key_place, format!("{} names no file", spot.words()))
                .hint("add `files: [objects.yaml]`");
        }
        let mut found = Found::default();
        for (path, place) in paths {
            self.file_of_objects(&path, place, &mut found);
        }
        if found.digests.len() > OBJECTS_MAX {
            let count = found.digests.len();
            self.findings
                .error(
                    entry.key_place,
                    format!(
                        "there are {count} objects; at most {OBJECTS_MAX} can be kept together"
                    ),
                )
                .hint("make several resources of them");
        }
        if !found.digests.is_empty() {
            params.insert("objects".into(), json!(found.digests));
        }
        params
    }

    fn file_of_objects(&mut self, path: &str, place: Place, found: &mut Found) {
        let path = self.beside(path, place);
        self.sources.push(path.clone());
        let Some(bytes) = self.companions.get(&path) else {
            let message = format!("there is no file `{path}`, or it is too large to be sent");
            let hint =
                format!("paths are relative to this file; at most {} bytes are read", LIMITS.bytes);
            self.findings.error(place, message).hint(hint);
            return;
        };
        let Ok(text) = std::str::from_utf8(bytes) else {
            self.findings.error(place, format!("`{path}` is not UTF-8 text"));
            return;
        };
        let file = self.findings.add_file(path.clone(), text);
        let documents = documents_within(file, &mut self.findings, &LIMITS);
        if documents.is_empty() && !self.findings.has_errors() {
            let message = format!("there is no object in `{path}`");
            self.findings
                .error(place, message)
                .hint("write Kubernetes objects, with `---` between them");
        }
        for document in &documents {
            self.object(document, found);
        }
    }

    /// One object, or each of a list.
    fn object(&mut self, node: &Node, found: &mut Found) {
        if !matches!(node.value, Value::Mapping(_)) {
            let message = format!("an object is a mapping, not {}", describe(node));
            let hint = "begin with `apiVersion`, `kind` and `metadata`";
            self.findings.error(node.place, message).hint(hint);
            return;
        }
        let Some(api_version) = self.word(node, "apiVersion", "v1") else { return };
        let Some(kind) = self.word(node, "kind", "ConfigMap") else { return };
        let items = node.get("items").map(|items| &items.value);
        if let (true, Some(Value::Sequence(items))) = (kind.ends_with("List"), items) {
            items.iter().for_each(|item| self.object(item, found));
            return;
        }
        let mut body = self.kubernetes_json(node);
        if !is_steady(&body) {
            let message =
                format!("this {kind} is a hook that does not run when objects are put in place");
            self.findings.warning(start(node), message).hint("it is left out");
            return;
        }
        strip(&mut body);
        let Some(name) = self.object_name(node, &mut body) else { return };
        let namespace = body.pointer("/metadata/namespace").and_then(Json::as_str);
        let namespace = namespace.filter(|namespace| !namespace.is_empty());
        let key = match ObjectKey::new(&api_version, &kind, namespace, &name) {
            Ok(key) => key,
            Err(wrong) => {
                self.findings.error(start(node), wrong.to_string());
                return;
            }
        };
        if kind == "Secret" && api_version == "v1" && body.get("data").is_some() {
            let message =
                format!("the values of this Secret, {name}, go into the log for good, in clear");
            self.findings.warning(start(node), message).hint(
                "make it by a resource of the type `secret`, or let a controller such as external-secrets write it",
            );
        }
        self.keep(node, &key, &body, found);
    }

    fn keep(&mut self, node: &Node, key: &ObjectKey, body: &Json, found: &mut Found) {
        let identity =
            (key.group().to_owned(), key.kind.clone(), key.namespace.clone(), key.name.clone());
        if let Some(first) = found.places.get(&identity) {
            let first = self.findings.position(*first);
            let message = format!("{} {} is declared twice", key.kind, key.name);
            self.findings
                .error(start(node), message)
                .hint(format!("remove one of them; the first is at {first}"));
            return;
        }
        let json = body.to_string();
        if json.len() > OBJECT_BYTES_MAX {
            let message = format!(
                "{} {} has {} bytes; at most {OBJECT_BYTES_MAX} can be kept",
                key.kind,
                key.name,
                json.len()
            );
            self.findings.error(start(node), message).hint("no cluster takes more of one object");
            return;
        }
        let digest = Hash::of(json.as_bytes()).to_hex();
        found.places.insert(identity, start(node));
        found.digests.insert(key.to_string(), digest.clone());
        self.contents.insert(digest, json.into_bytes());
    }
}

/// Whether it is wanted for good.
fn is_steady(body: &Json) -> bool {
    let hooks = body.pointer("/metadata/annotations").and_then(|all| all.get("helm.sh/hook"));
    let Some(hooks) = hooks.and_then(Json::as_str) else { return true };
    hooks.split(',').any(|hook| HOOKS.contains(&hook.trim()))
}

#[cfg(test)]
mod tests {
    use super::super::{Parsed, Source, SourceFile, parse_whole};
    use super::*;
    use crate::diagnostic::Diagnostic;

    const APP: &str =
        "name: a\nresources:\n  objects: {type: manifests, params: {files: [o.yaml]}}\n";

    fn read(objects: &str) -> Result<Parsed, Vec<Diagnostic>> {
        let files = [SourceFile { path: "app.yaml".into(), text: APP.into() }];
        let companions = BTreeMap::from([("o.yaml".to_owned(), objects.as_bytes().to_vec())]);
        let images = BTreeMap::new();
        parse_whole(&Source {
            files: &files,
            companions: &companions,
            application: None,
            images: &images,
        })
    }

    fn objects(text: &str) -> BTreeMap<String, Json> {
        let parsed = read(text).unwrap();
        let named = parsed.model.resources["objects"].params["objects"].as_object().unwrap();
        let said = |digest: &Json| {
            let json = &parsed.contents[digest.as_str().unwrap()];
            assert_eq!(Hash::of(json).to_hex(), digest.as_str().unwrap());
            serde_json::from_slice(json).unwrap()
        };
        named.iter().map(|(key, digest)| (key.clone(), said(digest))).collect()
    }

    #[test]
    fn objects_are_read_as_kubernetes_reads_them() {
        let found = objects(
            "apiVersion: v1\nkind: List\nitems:\n\
             - {apiVersion: v1, kind: ConfigMap, metadata: {name: a, creationTimestamp: null}, data: {mode: 0644, on: yes, equals: =}}\n\
             - {apiVersion: v1, kind: Secret, metadata: {name: b, namespace: sup}, stringData: {k: v}}\n\
             ---\napiVersion: batch/v1\nkind: Job\nmetadata: {generateName: once-}\nspec: {ttlSecondsAfterFinished: 1, x: 1}\n\
             ---\napiVersion: v1\nkind: Pod\nmetadata: {name: t, annotations: {helm.sh/hook: test}}\n",
        );
        let keys: Vec<&str> = found.keys().map(String::as_str).collect();
        assert!(keys[0].starts_with("batch/v1 Job once-") && keys[0].len() == 26, "{keys:?}");
        assert_eq!(keys[1..], ["v1 ConfigMap a", "v1 Secret sup/b"], "the hook is left out");
        assert_eq!(
            found["v1 ConfigMap a"]["data"],
            json!({ "mode": 420, "on": true, "equals": "=" })
        );
        assert_eq!(found["v1 ConfigMap a"]["metadata"], json!({ "name": "a" }));
        assert_eq!(found["v1 Secret sup/b"]["data"], json!({ "k": "dg==" }));
        assert_eq!(found[keys[0]]["spec"], json!({ "x": 1 }));
    }

    #[test]
    fn what_is_wrong_is_shown_where_it_stands() {
        let good = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
        for (text, line, says) in [
            (format!("{good}---\nkind: ConfigMap\nmetadata: {{name: b}}\n"), 5, "no `apiVersion`"),
            (format!("{good}---\napiVersion: v1\nmetadata: {{name: b}}\n"), 5, "no `kind`"),
            (format!("{good}---\napiVersion: v1\nkind: ConfigMap\n"), 5, "no `metadata.name`"),
            (format!("{good}---\n{good}"), 5, "declared twice"),
            (format!("{good}---\n- a\n"), 5, "a mapping"),
            (format!("{good}data: [\n"), 5, "not YAML"),
            (format!("{good}---\n{}", good.replace("name: a", "name: ../a")), 5, "not a name"),
            (String::new(), 3, "no object"),
        ] {
            let errors = read(&text).unwrap_err();
            let first = &errors[0];
            assert!(first.message.contains(says), "{text}: {}", first.message);
            assert!(first.line.abs_diff(line) <= 1, "{text}: line {}", first.line);
        }
    }

    #[test]
    fn a_secret_in_clear_is_warned_of_and_too_many_objects_are_refused() {
        let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: b}\ndata: {k: dg==}\n";
        let warned = read(secret).unwrap().warnings;
        assert!(warned[0].message.contains("for good") && !warned[0].message.contains("dg=="));
        let many: String = (0..=OBJECTS_MAX)
            .map(|n| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{n}}}\n---\n"))
            .collect();
        assert!(read(&many).unwrap_err()[0].message.contains("301 objects"));
    }
}
