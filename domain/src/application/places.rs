//! Where in the files something stands that a path of the model names, such as `workloads.web.resources.db.class`.
//!
//! A model has one shape and files have several: Score documents, `app.yaml` in full and in short, and what an
//! environment changes of either. So a path is looked for in every way in which it may be written; what is written
//! in full counts, else what leads furthest.

use super::findings::{Findings, Place};
use super::parse::{SourceFile, is_score};
use super::yaml::{Entry, Node, Value, documents};
use crate::diagnostic::{Diagnostic, Severity};

/// The annotation that says `scale` in a Score document.
const REPLICAS: &str = "metadata.annotations.cairn.dev/replicas";

/// Which part of an entry is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its key: it should not be there.
    Key,
    /// Its value, where that is a single one.
    Value,
}

/// The files of an application, read for the places of things in them.
pub struct Places<'a> {
    findings: Findings<'a>,
    documents: Vec<Node>,
}

/// Something that was looked for.
struct Found {
    key: Place,
    /// The value's place, if it is a single one.
    scalar: Option<Place>,
    /// How many steps of the path are written.
    depth: usize,
    /// All of them are.
    complete: bool,
}

impl<'a> Places<'a> {
    /// Reads files. What is wrong with them is no matter here: [`super::parse`] tells of it.
    #[must_use]
    pub fn of(files: &'a [SourceFile]) -> Self {
        let texts = files.iter().map(|file| (file.path.as_str(), file.text.as_str()));
        let mut findings = Findings::new(texts);
        let mut all = Vec::new();
        for file in 0..files.len() {
            all.extend(documents(file, &mut findings));
        }
        Self { findings, documents: all }
    }

    /// Says what is wrong with what a path of the model names in an environment, where it is written. None when no
    /// file says anything of it.
    #[must_use]
    pub fn diagnose(
        &self,
        environment: &str,
        path: &str,
        part: Part,
        message: &str,
    ) -> Option<Diagnostic> {
        let found = self.find(environment, path)?;
        let place = match part {
            Part::Value if found.complete => found.scalar.unwrap_or(found.key),
            Part::Value | Part::Key => found.key,
        };
        Some(self.findings.diagnostic(Severity::Error, place, message.to_owned()))
    }

    fn find(&self, environment: &str, path: &str) -> Option<Found> {
        let (root, rest) = path.split_once('.').unwrap_or((path, ""));
        match root {
            "workloads" => {
                let (name, rest) = rest.split_once('.').unwrap_or((rest, ""));
                let (key, body) = self.workload(name)?;
                let changed = self.changed_workload(environment, name, rest);
                changed.or_else(|| best(ways(rest).iter().map(|way| walk(body, key, way))))
            }
            "resources" => {
                let app = self.app()?;
                let changed = format!("environments.{environment}.{path}");
                let changed = is_field(rest).then(|| walk(app, app.place, &changed));
                changed
                    .filter(|found| found.complete)
                    .or_else(|| best([walk(app, app.place, path)].into_iter()))
            }
            "name" => {
                let document = self.app().or_else(|| self.documents.first())?;
                let ways = ["name", "application", "metadata.name"].into_iter();
                best(ways.map(|way| walk(document, document.place, way)))
            }
            _ => None,
        }
    }

    /// The document of `app.yaml`.
    fn app(&self) -> Option<&Node> {
        let mut apps = self.documents.iter().filter(|document| !is_score(document));
        apps.find(|document| matches!(document.value, Value::Mapping(_)))
    }

    /// Where a workload is named, and what says how it is.
    fn workload(&self, name: &str) -> Option<(Place, &Node)> {
        let is_named = |node: &&Node| scalar(node) == Some(name);
        self.documents.iter().find_map(|document| {
            if is_score(document) {
                let own = document.get("metadata")?.get("name").filter(is_named)?;
                return Some((own.place, document));
            }
            match document.get("workloads") {
                Some(Node { value: Value::Mapping(entries), .. }) => {
                    let entry = entries.iter().find(|entry| entry.key == name)?;
                    Some((entry.key_place, &entry.value))
                }
                Some(_) => None,
                None => {
                    let own = document.get("application").or_else(|| document.get("name"));
                    own.filter(is_named).map(|own| (own.place, document))
                }
            }
        })
    }

    /// What an environment says of a workload in the place of the workload itself.
    fn changed_workload(&self, environment: &str, name: &str, rest: &str) -> Option<Found> {
        let app = self.app()?;
        let ways = match rest.split('.').collect::<Vec<_>>().as_slice() {
            ["scale"] => vec!["scale".to_owned(), "replicas".to_owned()],
            ["containers", _, "variables", variable @ ..] => {
                vec![format!("variables.{}", variable.join("."))]
            }
            ["resources", field @ ..] if is_field(&field.join(".")) => vec![rest.to_owned()],
            _ => return None,
        };
        let all = ways.iter().flat_map(|way| {
            [
                format!("environments.{environment}.workloads.{name}.{way}"),
                // Where there is one workload, its name is left out.
                format!("environments.{environment}.{way}"),
            ]
        });
        all.map(|way| walk(app, app.place, &way)).find(|found| found.complete)
    }
}

/// Whether a path below `resources` leads to something of a resource that an environment can change.
fn is_field(rest: &str) -> bool {
    let field = rest.split('.').nth(1);
    field.is_some_and(|field| matches!(field, "class" | "params"))
}

/// How a path below a workload may be written.
fn ways(rest: &str) -> Vec<String> {
    let mut ways = vec![rest.to_owned()];
    if rest == "scale" {
        ways.extend(["replicas".to_owned(), REPLICAS.to_owned()]);
    }
    if rest.starts_with("ports") {
        ways.extend([format!("service.{rest}"), "port".to_owned()]);
    }
    if let Some((_, field)) =
        rest.strip_prefix("containers.").and_then(|within| within.split_once('.'))
    {
        ways.push(field.to_owned());
    }
    // What a migration does not say itself it has from the container.
    if let Some(of_container) = rest.strip_prefix("migrate.") {
        let field = of_container.rsplit('.').next().unwrap_or_default();
        ways.push(format!("migrate.{field}"));
        ways.extend(self::ways(of_container));
    }
    ways
}

/// The first that is written in full, else the first of those that lead furthest.
fn best(all: impl Iterator<Item = Found>) -> Option<Found> {
    all.reduce(|best, other| {
        let further = other.depth > best.depth;
        if !best.complete && (other.complete || further) { other } else { best }
    })
}

/// Follows a path as far as it is written.
fn walk(from: &Node, key: Place, path: &str) -> Found {
    let (mut node, mut key, mut rest, mut depth) = (from, key, path, 0);
    while !rest.is_empty() {
        // `db: postgres` says the type alone.
        let short = rest == "type" && scalar(node).is_some();
        if short {
            rest = "";
        } else if let Some((at, inner, left)) = step(node, rest) {
            (key, node, rest) = (at, inner, left);
        } else {
            break;
        }
        depth += 1;
    }
    // A file and a volume are named by their path, and have their text in one of these.
    let within = path.contains("files.") || path.contains("volumes.");
    let text = ["content", "source"].into_iter().filter(|_| within).find_map(|key| node.get(key));
    let node = text.unwrap_or(node);
    let scalar = matches!(node.value, Value::Scalar(_)).then_some(node.place);
    Found { key, scalar, depth, complete: rest.is_empty() }
}

/// One step along a path: to where, and what is left of it. Keys may hold dots themselves.
fn step<'n, 'p>(node: &'n Node, path: &'p str) -> Option<(Place, &'n Node, &'p str)> {
    match &node.value {
        Value::Scalar(_) => None,
        Value::Mapping(entries) => {
            let left = |entry: &Entry| after(path, &entry.key);
            let fitting = entries.iter().filter_map(|entry| Some((entry, left(entry)?)));
            let (entry, left) = fitting.max_by_key(|(entry, _)| entry.key.len())?;
            Some((entry.key_place, &entry.value, left))
        }
        Value::Sequence(items) => {
            if let Some((index, left)) = path.strip_prefix('[').and_then(|it| it.split_once(']')) {
                let item = items.get(index.parse::<usize>().ok()?)?;
                return Some((item.place, item, left.trim_start_matches('.')));
            }
            // The older form of files and volumes: a list whose items name their target.
            items.iter().find_map(|item| {
                let target = scalar(item.get("target")?)?;
                Some((item.place, item, after(path, target)?))
            })
        }
    }
}

/// What is left of a path behind a key, if the path begins with it.
fn after<'p>(path: &'p str, key: &str) -> Option<&'p str> {
    let left = path.strip_prefix(key)?;
    if left.is_empty() || left.starts_with('[') { Some(left) } else { left.strip_prefix('.') }
}

fn scalar(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Scalar(scalar) => Some(&scalar.text),
        Value::Sequence(_) | Value::Mapping(_) => None,
    }
}
