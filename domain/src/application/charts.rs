//! Charts of Helm beside the application's file, and the values for them.
//!
//! Only paths and digests go into the model; what the files hold is [`super::Parsed::contents`], to be kept apart.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::findings::Place;
use super::reader::{Reader, Spot, Use, describe};
use super::yaml::{Entry, Limits, Node, Value, documents_within};
use crate::commit::Hash;
use crate::kinds::helm::FILES_MAX;

/// The resource type whose charts these are.
pub(super) const TYPE: &str = "helm";
/// What one file of a chart, or its archive, may hold: what can be kept in the log as one content.
const FILE_BYTES_MAX: usize = 2_000_000;
/// What a file of values may hold: the longest that a public chart brings along has 200 KB.
const LIMITS: Limits =
    Limits { bytes: 1024 * 1024, documents: 1, depth: 64, nodes: 100_000, repeats: true };

impl Reader<'_> {
    /// Puts, in the place of the folder or archive and of the files of values that a resource names, what is in them.
    pub(super) fn chart(
        &mut self,
        params: Option<&Entry>,
        spot: &Spot,
        name: &str,
    ) -> Map<String, Json> {
        let Some(entry) = params else {
            self.findings
                .error(spot.place, format!("{} names no chart", spot.words()))
                .hint("add `params: {chart: ./charts/web}`, or a chart of a repository");
            return Map::new();
        };
        let mut params = self.params(entry, spot, name);
        let spot = spot.key(entry);
        let fields = self.mapping(&entry.value, &spot);
        if let Some(chart) = self.which_chart(&mut params, entry, &spot) {
            params.insert("chart".into(), chart);
        }
        if let Some(files) = fields.get("values_files") {
            let spot = spot.key(files);
            let mut values = json!({});
            for (item, spot) in self.spots(&files.value, &spot) {
                if let Some(path) = self.literal(item, &spot) {
                    merge(&mut values, self.file_of_values(&path, item.place, name));
                }
            }
            merge(&mut values, params.remove("values").unwrap_or(Json::Null));
            params.remove("values_files");
            params.insert("values".into(), values);
        }
        params
    }

    /// The chart that the params `chart`, `repository`, `version` and `sha256` name. One that is a mapping already is
    /// taken as it is.
    fn which_chart(
        &mut self,
        params: &mut Map<String, Json>,
        entry: &Entry,
        spot: &Spot,
    ) -> Option<Json> {
        let fields = self.mapping(&entry.value, spot);
        let Some(named) = fields.get("chart") else {
            self.findings
                .error(entry.key_place, format!("{} names no chart", spot.words()))
                .hint("add `chart: ./charts/web`, `chart: oci://…`, or `chart: web` with its `repository`");
            return None;
        };
        if matches!(named.value.value, Value::Mapping(_)) {
            return None;
        }
        let name = self.literal(&named.value, &spot.key(named))?;
        let mut chart = Map::new();
        for key in ["repository", "version", "sha256"] {
            if let Some(field) = fields.get(key) {
                let text = self.literal(&field.value, &spot.key(field))?;
                chart.insert(key.into(), json!(text));
            }
            params.remove(key);
        }
        if chart.contains_key("repository") {
            chart.insert("name".into(), json!(name));
        } else if name.starts_with("oci://") {
            chart.insert("oci".into(), json!(name));
        } else {
            chart.remove("version");
            self.sent_along(&name, named.value.place, &mut chart);
        }
        Some(Json::Object(chart))
    }

    /// A folder or an archive that was sent along.
    fn sent_along(&mut self, path: &str, place: Place, chart: &mut Map<String, Json>) {
        let path = self.beside(path.trim_end_matches('/'), place);
        self.sources.push(path.clone());
        let companions = self.companions;
        if let Some(bytes) = companions.get(&path) {
            if let Some(digest) = self.keep_file(&path, bytes, place) {
                chart.insert("archive".into(), json!(digest));
            }
            return;
        }
        let folder = format!("{path}/");
        let within = companions.range(folder.clone()..);
        let within = within.take_while(|(path, _)| path.starts_with(&folder));
        let files: BTreeMap<&str, &Vec<u8>> =
            within.map(|(path, bytes)| (path.split_at(folder.len()).1, bytes)).collect();
        if !files.contains_key("Chart.yaml") {
            let what =
                if files.is_empty() { "there is no chart" } else { "there is no Chart.yaml" };
            self.findings
                .error(place, format!("{what} at `{path}`, or it is too large to be sent"))
                .hint("paths are relative to this file; a chart is a folder with a Chart.yaml, or an archive of one");
            return;
        }
        if files.len() > FILES_MAX {
            let message =
                format!("`{path}` has {} files; at most {FILES_MAX} are kept", files.len());
            self.findings.error(place, message).hint("package the chart: `helm package`");
            return;
        }
        let mut digests = Map::new();
        for (name, bytes) in files {
            let digest = self.keep_file(&format!("{path}/{name}"), bytes, place);
            digests.extend(digest.map(|digest| (name.to_owned(), json!(digest))));
        }
        chart.insert("files".into(), Json::Object(digests));
    }

    fn keep_file(&mut self, path: &str, bytes: &[u8], place: Place) -> Option<String> {
        if bytes.len() > FILE_BYTES_MAX {
            let message = format!(
                "`{path}` has {} bytes; at most {FILE_BYTES_MAX} of a chart's file can be kept",
                bytes.len()
            );
            self.findings.error(place, message).hint("put the chart into a repository");
            return None;
        }
        let digest = Hash::of(bytes).to_hex();
        self.contents.insert(digest.clone(), bytes.to_vec());
        Some(digest)
    }

    fn file_of_values(&mut self, path: &str, place: Place, resource: &str) -> Json {
        let path = self.beside(path, place);
        self.sources.push(path.clone());
        let Some(bytes) = self.companions.get(&path) else {
            self.findings
                .error(place, format!("there is no file `{path}`, or it is too large to be sent"))
                .hint("paths are relative to this file");
            return Json::Null;
        };
        let Ok(text) = std::str::from_utf8(bytes) else {
            self.findings.error(place, format!("`{path}` is not UTF-8 text"));
            return Json::Null;
        };
        let file = self.findings.add_file(path, text);
        let documents = documents_within(file, &mut self.findings, &LIMITS);
        let Some(node) = documents.first() else { return Json::Null };
        if !matches!(node.value, Value::Mapping(_)) {
            let message = format!("values are a mapping, not {}", describe(node));
            self.findings.error(node.place, message).hint("write `key: value` lines");
            return Json::Null;
        }
        self.placeholders(node, resource);
        let mut values = self.kubernetes_json(node);
        keep_dollars(&mut values);
        values
    }

    /// Notes what a file of values refers to.
    fn placeholders(&mut self, node: &Node, resource: &str) {
        match &node.value {
            Value::Sequence(items) => {
                items.iter().for_each(|item| self.placeholders(item, resource));
            }
            Value::Mapping(entries) => {
                entries.iter().for_each(|entry| self.placeholders(&entry.value, resource));
            }
            Value::Scalar(scalar) => {
                let text = with_dollars_kept(&scalar.text);
                let param_of = Some(resource.to_owned());
                self.uses.push(Use { place: node.place, text, param_of });
            }
        }
    }
}

/// A text of a file that others may have written: only what refers to a resource or to metadata is a placeholder.
fn with_dollars_kept(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        kept.push_str(before);
        let refers = after.starts_with("{resources.") || after.starts_with("{metadata.");
        kept.push_str(if refers { "$" } else { "$$" });
        rest = after;
    }
    kept.push_str(rest);
    kept
}

fn keep_dollars(value: &mut Json) {
    match value {
        Json::String(text) => *text = with_dollars_kept(text),
        Json::Array(items) => items.iter_mut().for_each(keep_dollars),
        Json::Object(fields) => fields.values_mut().for_each(keep_dollars),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// Puts values over others, as Helm does: mappings are merged, everything else is replaced.
fn merge(into: &mut Json, over: Json) {
    match (into, over) {
        (_, Json::Null) => {}
        (Json::Object(fields), Json::Object(over)) => {
            for (key, value) in over {
                match fields.get_mut(&key) {
                    Some(there) if there.is_object() && value.is_object() => merge(there, value),
                    Some(there) => *there = value,
                    None => {
                        fields.insert(key, value);
                    }
                }
            }
        }
        (into, over) => *into = over,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Parsed, Source, SourceFile, parse_whole};
    use super::*;
    use crate::diagnostic::Diagnostic;

    fn read(params: &str, companions: &[(&str, &str)]) -> Result<Parsed, Vec<Diagnostic>> {
        let text = format!("name: a\nresources:\n  web: {{type: helm, params: {params}}}\n");
        let files = [SourceFile { path: "dir/app.yaml".into(), text }];
        let companions =
            companions.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
        let (companions, images) = (companions.collect(), BTreeMap::new());
        parse_whole(&Source {
            files: &files,
            companions: &companions,
            application: None,
            images: &images,
        })
    }

    fn params(text: &str, companions: &[(&str, &str)]) -> Map<String, Json> {
        read(text, companions).unwrap().model.resources["web"].params.clone()
    }

    #[test]
    fn a_chart_is_in_a_repository_a_registry_a_folder_or_an_archive() {
        let pinned =
            params("{chart: web, repository: 'https://a.test', version: 1.2.3, sha256: x}", &[]);
        assert_eq!(
            pinned["chart"],
            json!({ "name": "web", "repository": "https://a.test", "version": "1.2.3", "sha256": "x" })
        );
        assert_eq!(
            params("{chart: 'oci://a.test/web', version: 1.2.3}", &[])["chart"],
            json!({ "oci": "oci://a.test/web", "version": "1.2.3" })
        );
        let folder = [
            ("dir/charts/web/Chart.yaml", "name: web"),
            ("dir/charts/web/templates/a.yaml", "a: b"),
        ];
        let parsed = read("{chart: ./charts/web/}", &folder.map(|(path, text)| (path, text)));
        assert!(
            parsed.unwrap_err()[0].message.contains("there is no chart"),
            "a path is taken as it is written"
        );
        let parsed = read("{chart: charts/web}", &folder).unwrap();
        let chart = &parsed.model.resources["web"].params["chart"];
        let digest = Hash::of(b"a: b").to_hex();
        assert_eq!(chart["files"]["templates/a.yaml"], json!(digest));
        assert_eq!(parsed.contents[&digest], b"a: b");
        let archive = params("{chart: web.tgz}", &[("dir/web.tgz", "packed")]);
        assert_eq!(archive["chart"], json!({ "archive": Hash::of(b"packed").to_hex() }));
        assert!(read("{values: {}}", &[]).unwrap_err()[0].message.contains("names no chart"));
    }

    #[test]
    fn values_of_files_are_merged_and_only_what_refers_to_something_is_a_placeholder() {
        let files = [
            ("dir/c.tgz", ""),
            ("dir/one.yaml", "a: {b: 1, c: yes}\ncommand: [echo, $HOME, \"${POD}\", \"$$\"]\n"),
            ("dir/two.yaml", "a: {b: 2}\nlist: [1]\n"),
        ];
        let found = params(
            "{chart: c.tgz, values_files: [one.yaml, two.yaml], values: {list: [2], a: {d: x}}}",
            &files,
        );
        assert_eq!(
            found["values"],
            json!({ "a": { "b": 2, "c": true, "d": "x" }, "command": ["echo", "$$HOME", "$${POD}", "$$$$"], "list": [2] })
        );
        let unknown = [("dir/c.tgz", ""), ("dir/one.yaml", "host: ${resources.nope.host}\n")];
        let errors = read("{chart: c.tgz, values_files: [one.yaml]}", &unknown).unwrap_err();
        assert_eq!((errors[0].file.as_str(), errors[0].line), ("dir/one.yaml", 1));
    }
}
