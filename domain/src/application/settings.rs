//! How a workload lives: what Score does not say, from keys of `app.yaml` or from annotations.

use std::collections::BTreeMap;

use super::findings::Place;
use super::keys::suggest;
use super::pattern::is_schedule;
use super::reader::{Fields, Reader, Spot};
use super::yaml::{Entry, Node, Scalar, Value};
use crate::kinds::workload::{Mode, REPLICAS_MAX, Scale, Strategy};

/// The prefix of annotations that say what Score does not.
const PREFIX: &str = "cairn.dev/";
/// The annotation by which score-k8s is told what a workload becomes (score-k8s: `Deployment` or `StatefulSet`).
const SCORE_K8S_KIND: &str = "k8s.score.dev/kind";
/// The keys of settings.
pub(super) const SETTINGS: &[&str] = &["kind", "schedule", "replicas", "scale", "strategy"];
/// Average CPU use aimed at where none is said, in percent of the request (Kubernetes: 80).
const CPU_PERCENT: u32 = 80;
const SORTS: &[(&str, Sort)] = &[
    ("service", Sort::Service),
    ("worker", Sort::Worker),
    ("stateful", Sort::Stateful),
    ("job", Sort::Job),
    ("cron", Sort::Cron),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Service,
    Worker,
    Stateful,
    Job,
    Cron,
}

/// What was said of how a workload lives.
#[derive(Default)]
pub(super) struct Settings {
    sort: Option<(Sort, Place)>,
    pub(super) schedule: Option<String>,
    pub(super) scale: Option<Scale>,
    pub(super) strategy: Option<Strategy>,
}

impl Reader<'_> {
    /// The settings among the keys of a workload.
    pub(super) fn settings(&mut self, fields: Fields<'_>, spot: &Spot) -> Settings {
        let mut settings = Settings::default();
        if let Some(entry) = fields.get("kind") {
            let sort = self.choice(&entry.value, &spot.key(entry), SORTS);
            settings.sort = sort.map(|sort| (sort, entry.value.place));
        }
        if let Some(entry) = fields.get("schedule") {
            settings.schedule = self.schedule(&entry.value, &spot.key(entry));
        }
        if let Some(entry) = fields.get("strategy") {
            settings.strategy = self.strategy(&entry.value, &spot.key(entry));
        }
        if let Some(entry) = fields.get("scale") {
            settings.scale = self.scale(&entry.value, &spot.key(entry));
        }
        if let Some(entry) = fields.get("replicas") {
            if fields.has("scale") {
                self.findings
                    .error(entry.key_place, "both `replicas` and `scale` are set")
                    .hint("keep `replicas` for a fixed number, or `scale` for a range");
            }
            let replicas = self.integer(&entry.value, &spot.key(entry), 0..=REPLICAS_MAX);
            settings.scale = replicas.map(Scale::Fixed);
        }
        settings
    }

    /// The settings among the annotations of a Score workload.
    pub(super) fn annotated(&mut self, annotations: &Node, spot: &Spot) -> Settings {
        let Value::Mapping(entries) = &annotations.value else { return Settings::default() };
        let mut settings = Vec::new();
        settings.extend(said_to_score_k8s(entries));
        for entry in entries {
            let Some(key) = entry.key.strip_prefix(PREFIX) else { continue };
            let known = ["kind", "schedule", "replicas", "strategy"];
            if !known.contains(&key) {
                let message = format!("the annotation `{}` has no meaning", entry.key);
                self.findings.warning(entry.key_place, message).hint(suggest(key, &known));
                continue;
            }
            let mut entry = Entry { key: key.to_owned(), ..entry.clone() };
            // Annotations are always text, and numbers must be read all the same.
            if let Value::Scalar(Scalar { plain, .. }) = &mut entry.value.value {
                *plain = key == "replicas";
            }
            settings.push(entry);
        }
        let place = annotations.place;
        let node = Node { place, value: Value::Mapping(settings) };
        let fields = self.mapping(&node, spot);
        self.settings(fields, &Spot { path: format!("{}.cairn.dev", spot.path), place })
    }

    pub(super) fn schedule(&mut self, node: &Node, spot: &Spot) -> Option<String> {
        let text = self.text(node, spot)?;
        if !is_schedule(&text) {
            let message =
                format!("{} must be five fields of a cron schedule, not {text:?}", spot.words());
            let hint = match text.as_str() {
                "@hourly" => "write \"0 * * * *\"",
                "@daily" | "@midnight" => "write \"0 0 * * *\"",
                "@weekly" => "write \"0 0 * * 0\"",
                "@monthly" => "write \"0 0 1 * *\"",
                "@yearly" | "@annually" => "write \"0 0 1 1 *\"",
                _ => {
                    "minute, hour, day of month, month, day of week, in UTC: \"0 3 * * *\" is 03:00 each day"
                }
            };
            self.findings.error(node.place, message).hint(hint);
        }
        Some(text)
    }

    /// `scale: 3` or `scale: {min, max, cpu}`.
    pub(super) fn scale(&mut self, node: &Node, spot: &Spot) -> Option<Scale> {
        if matches!(node.value, Value::Scalar(_)) {
            return self.integer(node, spot, 0..=REPLICAS_MAX).map(Scale::Fixed);
        }
        let fields = self.fields(node, spot, &["min", "max", "cpu"]);
        let mut number = |key: &str, most| {
            let entry = fields.get(key)?;
            self.integer(&entry.value, &spot.key(entry), 1..=most).map(|n| (n, entry.value.place))
        };
        let min = number("min", REPLICAS_MAX);
        let max = number("max", REPLICAS_MAX);
        let cpu = number("cpu", 100);
        self.required(fields, "max", spot, "5");
        let (min, (max, place)) = (min.map_or(1, |(min, _)| min), max?);
        if min > max {
            let message = format!("{}: `min` is {min}, more than `max`, {max}", spot.words());
            self.findings.error(place, message).hint("exchange them");
        }
        Some(Scale::Auto { min, max, cpu_percent: cpu.map_or(CPU_PERCENT, |(cpu, _)| cpu) })
    }

    /// Which mode follows: what was said, else a schedule means cron, ports a service, and neither a worker.
    pub(super) fn mode(&mut self, settings: &Settings, ports: usize, place: Place) -> Mode {
        let said = settings.sort;
        match (said.map(|(sort, _)| sort), &settings.schedule) {
            (None | Some(Sort::Cron), Some(schedule)) => {
                return Mode::Cron { schedule: schedule.clone() };
            }
            (Some(Sort::Service | Sort::Worker | Sort::Stateful | Sort::Job), Some(_)) => {
                let place = said.map_or(place, |(_, place)| place);
                self.findings
                    .error(place, "a workload with a `schedule` is of the kind `cron`")
                    .hint("remove `kind`, or `schedule`");
            }
            (Some(Sort::Cron), None) => {
                let place = said.map_or(place, |(_, place)| place);
                self.findings
                    .error(place, "the kind `cron` needs a `schedule`")
                    .hint("add `schedule: \"0 3 * * *\"`");
            }
            (Some(Sort::Service), None) if ports == 0 => {
                let place = said.map_or(place, |(_, place)| place);
                self.findings
                    .error(place, "the kind `service` needs a port to answer on")
                    .hint("add a port, or say `kind: worker`");
            }
            (None | Some(Sort::Service | Sort::Worker | Sort::Stateful | Sort::Job), None) => {}
        }
        match said.map(|(sort, _)| sort) {
            Some(Sort::Service) => Mode::Service,
            Some(Sort::Worker | Sort::Cron) => Mode::Worker,
            Some(Sort::Stateful) => Mode::Stateful,
            Some(Sort::Job) => Mode::Job,
            None if ports > 0 => Mode::Service,
            None => Mode::Worker,
        }
    }
}

/// The kind, where the developer said it to score-k8s and not to us.
fn said_to_score_k8s(entries: &[Entry]) -> Option<Entry> {
    let own = entries.iter().any(|entry| entry.key.strip_prefix(PREFIX) == Some("kind"));
    let entry = entries.iter().find(|entry| !own && entry.key == SCORE_K8S_KIND)?;
    let Value::Scalar(scalar) = &entry.value.value else { return None };
    let value = Value::Scalar(Scalar { text: "stateful".to_owned(), plain: false });
    let value = Node { place: entry.value.place, value };
    let is_stateful = scalar.text == "StatefulSet";
    is_stateful.then(|| Entry { key: "kind".to_owned(), key_place: entry.key_place, value })
}

/// Annotations that the developer meant for somebody else than us.
pub(super) fn without_settings(
    mut annotations: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    annotations.retain(|key, _| !key.starts_with(PREFIX));
    annotations
}
