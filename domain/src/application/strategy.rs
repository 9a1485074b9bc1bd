//! How a new revision of a workload replaces the old: a word, or the steps of a canary.

use super::reader::{Fields, Reader, Spot};
use super::yaml::{Node, Value};
use crate::kinds::workload::{
    Canary, CanaryStep, Check, DRAIN_SECONDS, PAUSE_SECONDS_MAX, Strategy,
};

/// The pause of a step where none is said, in seconds, for those who only say `canary`.
const PAUSE_SECONDS: u32 = 5 * 60;
/// Seconds from one measurement to the next where none are said.
const EVERY_SECONDS: u32 = 30;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Rolling,
    Recreate,
    Canary,
    BlueGreen,
}

const SORTS: &[(&str, Sort)] = &[
    ("rolling", Sort::Rolling),
    ("recreate", Sort::Recreate),
    ("canary", Sort::Canary),
    ("blue-green", Sort::BlueGreen),
];

const fn step(weight: u32, pause_seconds: u32, approval: bool) -> CanaryStep {
    CanaryStep { weight, pause_seconds, approval }
}

/// What `canary` alone means: a tenth, then half of the traffic.
fn canary() -> Canary {
    let steps = vec![step(10, PAUSE_SECONDS, false), step(50, PAUSE_SECONDS, false)];
    Canary { steps, full: false, checks: Vec::new(), drain_seconds: DRAIN_SECONDS }
}

/// All of it beside the old one, without traffic; then all of the traffic.
fn blue_green(pause_seconds: u32, approval: bool) -> Canary {
    let steps = vec![step(0, pause_seconds, approval), step(100, 0, false)];
    Canary { steps, full: true, ..canary() }
}

impl Reader<'_> {
    /// `strategy: rolling`, or `strategy: {canary: {steps, checks, drain}}`.
    pub(super) fn strategy(&mut self, node: &Node, spot: &Spot) -> Option<Strategy> {
        if matches!(node.value, Value::Scalar(_)) {
            return Some(match self.choice(node, spot, SORTS)? {
                Sort::Rolling => Strategy::Rolling,
                Sort::Recreate => Strategy::Recreate,
                Sort::Canary => Strategy::Canary(canary()),
                Sort::BlueGreen => Strategy::Canary(blue_green(0, true)),
            });
        }
        let fields = self.fields(node, spot, &["canary", "blue-green"]);
        if let (Some(_), Some(second)) = (fields.get("canary"), fields.get("blue-green")) {
            self.findings
                .error(second.key_place, "both `canary` and `blue-green` are set")
                .hint("keep one of them");
            return None;
        }
        if let Some(entry) = fields.get("blue-green") {
            let spot = spot.key(entry);
            let fields =
                self.fields(&entry.value, &spot, &["pause", "approval", "checks", "drain"]);
            let pause = self.seconds(fields, "pause", &spot);
            let approval = self.switch(fields, "approval", &spot);
            // Without a pause somebody has to look at it.
            let approval = approval.unwrap_or(pause.is_none());
            let whole = blue_green(pause.unwrap_or_default(), approval);
            return Some(Strategy::Canary(self.measured(whole, fields, &spot)));
        }
        let Some(entry) = fields.get("canary") else {
            self.findings
                .error(node.place, format!("{} says neither `canary` nor `blue-green`", spot.words()))
                .hint("write `strategy: rolling`, or `strategy: {canary: {steps: [{weight: 10, pause: 5m}]}}`");
            return None;
        };
        let spot = spot.key(entry);
        let fields = self.fields(&entry.value, &spot, &["steps", "checks", "drain"]);
        let mut whole = canary();
        if let Some(steps) = fields.get("steps") {
            let spot = spot.key(steps);
            let steps = self.spots(&steps.value, &spot).into_iter();
            whole.steps = steps.filter_map(|(node, spot)| self.canary_step(node, &spot)).collect();
        }
        Some(Strategy::Canary(self.measured(whole, fields, &spot)))
    }

    fn canary_step(&mut self, node: &Node, spot: &Spot) -> Option<CanaryStep> {
        let fields = self.fields(node, spot, &["weight", "pause", "approval"]);
        let weight = self.required(fields, "weight", spot, "10")?;
        let weight = self.integer(&weight.value, &spot.key(weight), 0..=100);
        let pause = self.seconds(fields, "pause", spot).unwrap_or_default();
        let approval = self.switch(fields, "approval", spot).unwrap_or_default();
        Some(step(weight?, pause, approval))
    }

    /// What both sorts may say: what is measured, and how long it still runs in the end.
    fn measured(&mut self, whole: Canary, fields: Fields<'_>, spot: &Spot) -> Canary {
        let drain_seconds = self.seconds(fields, "drain", spot).unwrap_or(DRAIN_SECONDS);
        let mut checks = Vec::new();
        if let Some(entry) = fields.get("checks") {
            let spot = spot.key(entry);
            for (node, spot) in self.spots(&entry.value, &spot) {
                checks.extend(self.measurement(node, &spot));
            }
        }
        Canary { checks, drain_seconds, ..whole }
    }

    /// `{name, url}`, or `{name, query, min, max}` for the Prometheus of the environment.
    fn measurement(&mut self, node: &Node, spot: &Spot) -> Option<Check> {
        let known = ["name", "url", "query", "min", "max", "every", "failures"];
        let fields = self.fields(node, spot, &known);
        let mut text = |key: &str| {
            let entry = fields.get(key)?;
            self.literal(&entry.value, &spot.key(entry))
        };
        let (name, url, query) = (text("name"), text("url"), text("query"));
        let (min, max) = (self.limit(fields, "min", spot), self.limit(fields, "max", spot));
        let wrong = match (&url, &query) {
            (Some(_), Some(_)) => Some("both `url` and `query` are set"),
            (None, None) => Some("it has neither `url` nor `query`"),
            (None, Some(_)) if min.is_none() && max.is_none() => {
                Some("it does not say what the query may give")
            }
            (Some(_), None) if min.is_some() || max.is_some() => {
                Some("`min` and `max` are for queries")
            }
            _ => None,
        };
        if let Some(wrong) = wrong {
            self.findings.error(node.place, format!("{}: {wrong}", spot.words())).hint(
                "write `{name: smoke, url: https://…}`, or `{name: errors, query: …, max: 0.01}`",
            );
            return None;
        }
        let every_seconds = self.seconds(fields, "every", spot).unwrap_or(EVERY_SECONDS).max(1);
        let failures_max = fields
            .get("failures")
            .and_then(|entry| self.integer(&entry.value, &spot.key(entry), 0..=1_000));
        Some(Check {
            name: name.unwrap_or_else(|| query.clone().or(url.clone()).unwrap_or_default()),
            url: url.unwrap_or_default(),
            query,
            min,
            max,
            every_seconds,
            failures_max: failures_max.unwrap_or_default(),
        })
    }

    /// A number, as it is written.
    fn limit(&mut self, fields: Fields<'_>, key: &str, spot: &Spot) -> Option<String> {
        let entry = fields.get(key)?;
        let spot = spot.key(entry);
        let text = self.scalar(&entry.value, &spot, "a number")?.text.clone();
        if !text.parse::<f64>().is_ok_and(f64::is_finite) {
            let message = format!("{} must be a number, not `{text}`", spot.words());
            self.findings.error(entry.value.place, message).hint("write `0.01`");
        }
        Some(text)
    }

    fn switch(&mut self, fields: Fields<'_>, key: &str, spot: &Spot) -> Option<bool> {
        let entry = fields.get(key)?;
        self.boolean(&entry.value, &spot.key(entry))
    }

    /// A span of time, such as `90s`, `10m`, `2h` or `1d`.
    fn seconds(&mut self, fields: Fields<'_>, key: &str, spot: &Spot) -> Option<u32> {
        let entry = fields.get(key)?;
        let spot = spot.key(entry);
        let text = self.literal(&entry.value, &spot)?;
        let seconds = span(&text).filter(|seconds| *seconds <= PAUSE_SECONDS_MAX);
        if seconds.is_none() {
            let message =
                format!("{} must be a span of time up to a week, not `{text}`", spot.words());
            self.findings
                .error(entry.value.place, message)
                .hint("write `90s`, `10m`, `2h` or `1d`");
        }
        seconds
    }
}

fn span(text: &str) -> Option<u32> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let of_one = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.parse::<u32>().ok()?.checked_mul(of_one)
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn spans_are_numbers_with_a_unit() {
        assert_eq!([span("90s"), span("10m"), span("2h")], [Some(90), Some(600), Some(7_200)]);
        assert!(
            ["", "m", "1", "1w", "-1m", "1.5h", "9999999999s", "99999999d", "1µ"]
                .iter()
                .all(|text| span(text).is_none())
        );
    }
}
