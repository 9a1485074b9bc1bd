//! From the texts of files to one model.

use std::collections::BTreeMap;

use super::findings::{Findings, Place};
use super::keys::suggest;
use super::model::Model;
use super::reader::{Fields, Reader, describe};
use super::score::{Draft, Drafts};
use super::yaml::{Node, Value, documents};
use super::{charts, manifests};
use crate::diagnostic::Diagnostic;
use crate::name::is_label;

/// The most files of one application.
const FILES_MAX: usize = 256;

/// A file of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path, as diagnostics name it.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// All that an application is read from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Score files, or an `app.yaml`, or both.
    pub files: &'a [SourceFile],
    /// The contents of the files that [`companions`] names, by the paths it gives.
    pub companions: &'a BTreeMap<String, Vec<u8>>,
    /// The application's name, in the place of what the files say.
    pub application: Option<&'a str>,
    /// Images that were supplied: by `workload/container`, by workload if it has one container, or by container.
    pub images: &'a BTreeMap<String, String>,
}

/// Reads an application. Warnings come with the model.
///
/// # Errors
/// Everything that is wrong, in the order of files and lines; warnings among them.
pub fn parse(source: &Source<'_>) -> Result<(Model, Vec<Diagnostic>), Vec<Diagnostic>> {
    parse_whole(source).map(|parsed| (parsed.model, parsed.warnings))
}

/// An application as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// What it says.
    pub model: Model,
    /// What should be looked at.
    pub warnings: Vec<Diagnostic>,
    /// Digest → what the model names by it: Kubernetes objects as JSON, files of charts as they are.
    pub contents: BTreeMap<String, Vec<u8>>,
}

/// Reads an application with what it names by digests.
///
/// # Errors
/// As [`parse`].
pub fn parse_whole(source: &Source<'_>) -> Result<Parsed, Vec<Diagnostic>> {
    let (mut reader, drafts) = read(source.files, source.companions);
    let anywhere = Place::new(0, 0..0);
    let name = reader.application_name(source.application, &drafts, anywhere);
    let mut requests = drafts.resources.requests.values();
    let objects = requests.any(|it| [manifests::TYPE, charts::TYPE].contains(&&*it.resource_type));
    if drafts.workloads.is_empty() && !objects && !reader.findings.has_errors() {
        reader
            .findings
            .error(anywhere, "there is no workload in this application")
            .hint("the least is `name: web` and `image: registry/web:1`");
    }
    let mut model = reader.check_all(drafts, name);
    reader.supply_images(&mut model, source.images, anywhere);
    let contents = std::mem::take(&mut reader.contents);
    reader.findings.finish().map(|warnings| Parsed { model, warnings, contents })
}

/// The files that application files name, to be sent along: relative to where the application file's own path is.
#[must_use]
pub fn companions(files: &[SourceFile]) -> Vec<String> {
    let none = BTreeMap::new();
    let (mut reader, _) = read(files, &none);
    reader.sources.sort();
    reader.sources.dedup();
    reader.sources
}

fn read<'a>(
    files: &'a [SourceFile],
    companions: &'a BTreeMap<String, Vec<u8>>,
) -> (Reader<'a>, Drafts) {
    let texts = files.iter().take(FILES_MAX).map(|file| (file.path.as_str(), file.text.as_str()));
    let findings = Findings::new(texts);
    let mut reader = Reader {
        findings,
        companions,
        contents: BTreeMap::new(),
        sources: Vec::new(),
        uses: Vec::new(),
        misspelt: Vec::new(),
    };
    if files.len() > FILES_MAX {
        let message = format!("an application is read from at most {FILES_MAX} files");
        reader.findings.error(Place::new(0, 0..0), message).hint("split the application");
    }
    let mut all = Vec::new();
    for file in 0..files.len().min(FILES_MAX) {
        all.extend(documents(file, &mut reader.findings));
    }
    let drafts = reader.drafts(&all);
    (reader, drafts)
}

impl Reader<'_> {
    fn drafts(&mut self, documents: &[Node]) -> Drafts {
        let mut drafts = Drafts::default();
        let mut app: Option<&Node> = None;
        for document in documents {
            if !matches!(document.value, Value::Mapping(_)) {
                let message =
                    format!("an application file is a mapping, not {}", describe(document));
                let hint = "the least is `name: web` and `image: registry/web:1`, each on its line";
                self.findings.error(document.place, message).hint(hint);
            } else if is_score(document) {
                drafts.workloads.extend(self.score(document));
            } else if let Some(first) = app {
                let first = self.findings.position(first.place);
                let message =
                    format!("there are two application documents; the other is at {first}");
                let hint = "put all workloads under the `workloads` of one, or use Score files";
                self.findings.error(document.place, message).hint(hint);
            } else {
                app = Some(document);
                self.app(document, &mut drafts);
            }
        }
        self.refuse_duplicates(&mut drafts.workloads);
        if let Some(document) = app {
            self.environments(document, &mut drafts);
        }
        drafts
    }

    fn refuse_duplicates(&mut self, drafts: &mut Vec<Draft>) {
        let mut seen: BTreeMap<String, Place> = BTreeMap::new();
        drafts.retain(|draft| {
            let Some(first) = seen.get(&draft.name) else {
                seen.insert(draft.name.clone(), draft.place);
                return true;
            };
            if !draft.name.is_empty() {
                let first = self.findings.position(*first);
                let message =
                    format!("the workload `{}` is already declared at {first}", draft.name);
                self.findings.error(draft.place, message).hint("rename one of them");
            }
            false
        });
    }

    fn application_name(
        &mut self,
        given: Option<&str>,
        drafts: &Drafts,
        anywhere: Place,
    ) -> String {
        if let Some(name) = given {
            self.named(name, anywhere, "an application", is_label);
            return name.to_owned();
        }
        match (&drafts.name, drafts.workloads.as_slice()) {
            (Some((name, _)), _) => name.clone(),
            (None, [draft]) => draft.name.clone(),
            (None, []) => String::new(),
            (None, [_, second, ..]) => {
                let message = "several Score files form one application, and none gives it a name";
                self.findings.error(second.place, message).hint("name it: `--app <name>`");
                String::new()
            }
        }
    }

    fn supply_images(
        &mut self,
        model: &mut Model,
        images: &BTreeMap<String, String>,
        anywhere: Place,
    ) {
        for (key, image) in images {
            let mut targets = Vec::new();
            let mut known = Vec::new();
            for (workload, body) in &mut model.workloads {
                let single = body.containers.len() == 1;
                for (name, container) in &mut body.containers {
                    let full = format!("{workload}/{name}");
                    let rank = match key {
                        _ if *key == full => Some(0),
                        _ if single && key == workload => Some(1),
                        _ if key == name => Some(2),
                        _ => None,
                    };
                    known.push(full);
                    targets.extend(rank.map(|rank| (rank, container)));
                }
            }
            let best = targets.iter().map(|(rank, _)| *rank).min();
            targets.retain(|(rank, _)| Some(*rank) == best);
            match targets.as_mut_slice() {
                [(_, container)] => container.image.clone_from(image),
                [] => {
                    let known: Vec<&str> = known.iter().map(String::as_str).collect();
                    let message = format!(
                        "an image was supplied for `{key}`, and there is no such container"
                    );
                    self.findings.error(anywhere, message).hint(suggest(key, &known));
                }
                [..] => {
                    let message = format!(
                        "an image was supplied for `{key}`, and several workloads have such a container"
                    );
                    self.findings.error(anywhere, message).hint("write workload/container=image");
                }
            }
        }
    }
}

/// True for a Score document, also for one that forgot to say so.
pub(super) fn is_score(document: &Node) -> bool {
    let has = |key| document.get(key).is_some();
    let app = ["name", "application", "workloads"].into_iter().any(has);
    has("apiVersion") || (!app && has("metadata") && has("containers"))
}

impl<'n> Fields<'n> {
    /// The entries of a node that was checked before.
    pub(super) fn of(node: &'n Node) -> Self {
        match &node.value {
            Value::Mapping(entries) => Self::from_entries(entries),
            Value::Scalar(_) | Value::Sequence(_) => Self::from_entries(&[]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_lines_are_an_application() {
        let files = [SourceFile {
            path: "app.yaml".into(),
            text: "name: web\nimage: shop/web:1.4\nport: 8080\n".into(),
        }];
        let (companions, images) = (BTreeMap::new(), BTreeMap::new());
        let source =
            Source { files: &files, companions: &companions, application: None, images: &images };
        let (model, warnings) = parse(&source).unwrap();
        assert_eq!(model.name, "web");
        assert_eq!(warnings, []);
    }
}
