//! What can only be checked once everything is read: that what is referred to is there, and that nothing goes in circles.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::findings::Place;
use super::keys::suggest;
use super::model::Model;
use super::parts::RESOURCES_MAX;
use super::placeholder::{Piece, located, metadata_value};
use super::reader::{Reader, Use};
use super::score::{Draft, Drafts};
use crate::kinds::workload::Readiness;

/// The most workloads of one application.
const WORKLOADS_MAX: usize = 200;

/// What a placeholder may refer to.
struct Scope<'s> {
    metadata: &'s Value,
    /// Every resource in sight.
    resources: BTreeSet<&'s str>,
}

impl Reader<'_> {
    /// Checks everything, and makes the model.
    pub(super) fn check_all(&mut self, mut drafts: Drafts, name: String) -> Model {
        self.check_limits(&drafts);
        self.check_after(&drafts.workloads);
        for draft in &drafts.workloads {
            self.check_draft(draft, &drafts);
        }
        let metadata = json!({ "name": name });
        let resources = drafts.resources.places.keys().map(String::as_str).collect();
        let scope = Scope { metadata: &metadata, resources };
        let edges = self.check_uses(&drafts.uses, &scope);
        self.check_cycle(&edges, &drafts.resources.places, "the resource");
        drafts.model.name = name;
        drafts.model.resources = drafts.resources.requests;
        let workloads = drafts.workloads.into_iter();
        drafts.model.workloads = workloads.map(|draft| (draft.name, draft.workload)).collect();
        drafts.model
    }

    fn check_limits(&mut self, drafts: &Drafts) {
        if let Some(draft) = drafts.workloads.get(WORKLOADS_MAX) {
            let message = format!("an application has at most {WORKLOADS_MAX} workloads");
            self.findings.error(draft.place, message).hint("split the application");
        }
        let mut count = drafts.resources.requests.len();
        for draft in &drafts.workloads {
            count += draft.workload.resources.len();
            if count > RESOURCES_MAX {
                let message = format!("an application has at most {RESOURCES_MAX} resources");
                self.findings.error(draft.place, message).hint("split the application");
                return;
            }
        }
    }

    fn check_draft(&mut self, draft: &Draft, drafts: &Drafts) {
        for (name, place) in &draft.resources {
            if let Some(other) = drafts.resources.places.get(name) {
                let other = self.findings.position(*other);
                let message =
                    format!("the application already has a resource `{name}`, at {other}");
                self.findings.error(*place, message).hint("remove this one, or rename it");
            }
        }
        let shared = drafts.resources.places.keys();
        let resources = draft.resources.keys().chain(shared).map(String::as_str).collect();
        let scope = Scope { metadata: &draft.workload.metadata, resources };
        let edges = self.check_uses(&draft.uses, &scope);
        self.check_cycle(&edges, &draft.resources, "the resource");
        self.check_before(draft);
    }

    /// Checks placeholders; gives the edges from resources to what their parameters refer to.
    fn check_uses(
        &mut self,
        uses: &[Use],
        scope: &Scope<'_>,
    ) -> BTreeMap<String, BTreeSet<String>> {
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for used in uses {
            let pieces = match located(&used.text) {
                Ok(pieces) => pieces,
                Err(error) => {
                    let place = self.narrow(used, &error.range);
                    let hint = error.reason.hint();
                    self.findings.error(place, error.reason.to_string()).hint(hint);
                    continue;
                }
            };
            for (piece, range) in pieces {
                match piece {
                    Piece::Literal(_) => {}
                    Piece::Metadata(path) => self.check_metadata(used, &range, &path, scope),
                    Piece::Resource { name, .. } => {
                        if let Some(resource) = &used.param_of {
                            edges.entry(resource.clone()).or_default().insert(name.clone());
                        }
                        if !scope.resources.contains(name.as_str()) {
                            let place = self.narrow(used, &range);
                            let known: Vec<&str> = scope.resources.iter().copied().collect();
                            let hint = match known.is_empty() {
                                true => format!("declare it: `resources: {{{name}: {{type: …}}}}`"),
                                false => suggest(&name, &known),
                            };
                            let message = format!("there is no resource `{name}`");
                            self.findings.error(place, message).hint(hint);
                        }
                    }
                }
            }
        }
        edges
    }

    fn check_metadata(
        &mut self,
        used: &Use,
        range: &std::ops::Range<usize>,
        path: &[String],
        scope: &Scope<'_>,
    ) {
        if metadata_value(scope.metadata, path).is_some() {
            return;
        }
        let place = self.narrow(used, range);
        let mut within = scope.metadata;
        for key in path {
            match within.get(key) {
                Some(value) => within = value,
                None => {
                    let known = within.as_object().into_iter().flat_map(|fields| fields.keys());
                    let known: Vec<&str> = known.map(String::as_str).collect();
                    let message = format!("the metadata has no `{}`", path.join("."));
                    self.findings.error(place, message).hint(suggest(key, &known));
                    return;
                }
            }
        }
    }

    /// The place of a part of a text: where it is written in the file, if it is written there as it is.
    fn narrow(&self, used: &Use, range: &std::ops::Range<usize>) -> Place {
        let written = self.findings.text(used.place.file()).get(used.place.range());
        let part = used.text.get(range.clone()).unwrap_or_default();
        // The same part may stand there several times: take the one with as many before it.
        let before = used.text.get(..range.start).unwrap_or_default().matches(part).count();
        let found = written.filter(|_| !part.is_empty()).and_then(|text| {
            text.match_indices(part).nth(before).or_else(|| text.match_indices(part).next())
        });
        match found {
            Some((at, _)) => {
                let start = used.place.start + at;
                Place::new(used.place.file(), start..start + part.len())
            }
            None => used.place,
        }
    }

    fn check_before(&mut self, draft: &Draft) {
        let names: Vec<&str> = draft.workload.containers.keys().map(String::as_str).collect();
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, container) in &draft.workload.containers {
            let place = draft.containers.get(name).copied().unwrap_or(draft.place);
            for (other, state) in &container.before {
                edges.entry(name.clone()).or_default().insert(other.clone());
                if other == name {
                    let message = format!("the container `{name}` cannot start before itself");
                    self.findings.error(place, message).hint("remove it from `before`");
                } else if !names.contains(&other.as_str()) {
                    let message = format!("`before` of `{name}`: there is no container `{other}`");
                    self.findings.error(place, message).hint(suggest(other, &names));
                }
                let probed = container.liveness.is_some() || container.readiness.is_some();
                if *state == Readiness::Healthy && !probed {
                    let message = format!("nothing tells when the container `{name}` is healthy");
                    let hint = "add a `readinessProbe`, or write `ready: started`";
                    self.findings.error(place, message).hint(hint);
                }
            }
        }
        for (name, others) in &mut edges {
            others.remove(name);
        }
        self.check_cycle(&edges, &draft.containers, "the container");
    }

    fn check_after(&mut self, drafts: &[Draft]) {
        let names: Vec<&str> = drafts.iter().map(|draft| draft.name.as_str()).collect();
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for draft in drafts {
            for (other, place) in &draft.after {
                if *other == draft.name {
                    let message = format!("the workload `{other}` cannot wait for itself");
                    self.findings.error(*place, message).hint("remove it from `after`");
                } else if !names.contains(&other.as_str()) {
                    let message = format!("there is no workload `{other}`");
                    self.findings.error(*place, message).hint(suggest(other, &names));
                } else {
                    edges.entry(draft.name.clone()).or_default().insert(other.clone());
                }
            }
        }
        let places = drafts.iter().map(|draft| (draft.name.clone(), draft.place)).collect();
        self.check_cycle(&edges, &places, "the workload");
    }

    fn check_cycle(
        &mut self,
        edges: &BTreeMap<String, BTreeSet<String>>,
        places: &BTreeMap<String, Place>,
        what: &str,
    ) {
        let Some(path) = cycle(edges) else { return };
        let first = path.first().map_or("", |name| name.as_str());
        let Some(place) = places.get(first).copied() else { return };
        let path: Vec<&str> = path.iter().map(|name| name.as_str()).collect();
        let message = format!("{what} `{first}` waits for itself: {}", path.join(" → "));
        self.findings.error(place, message).hint("remove one of these references");
    }
}

/// A way that leads back to where it began, if there is one: the first name is repeated at the end.
fn cycle(edges: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<&String>> {
    let mut left: BTreeSet<&String> = edges.keys().collect();
    loop {
        let leads_on = |name: &&String| {
            edges.get(*name).is_some_and(|next| next.iter().any(|n| left.contains(n)))
        };
        let still: BTreeSet<&String> = left.iter().copied().filter(leads_on).collect();
        if still.len() == left.len() {
            break;
        }
        left = still;
    }
    let mut path = vec![*left.first()?];
    loop {
        let next = edges.get(*path.last()?)?.iter().find(|name| left.contains(name))?;
        if let Some(start) = path.iter().position(|name| *name == next) {
            path.push(next);
            return Some(path.split_off(start));
        }
        path.push(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(edges: &[(&str, &[&str])]) -> Option<String> {
        let edges = edges
            .iter()
            .map(|(from, to)| ((*from).to_owned(), to.iter().map(|n| (*n).to_owned()).collect()))
            .collect();
        cycle(&edges).map(|path| path.into_iter().cloned().collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_cycle_is_found_and_named() {
        assert_eq!(found(&[("a", &["b"]), ("b", &["c"])]), None);
        assert_eq!(found(&[("a", &["a"])]).as_deref(), Some("a a"));
        assert_eq!(
            found(&[("a", &["b"]), ("b", &["c", "x"]), ("c", &["d"]), ("d", &["b"])]).as_deref(),
            Some("b c d b")
        );
    }
}
