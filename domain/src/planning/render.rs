//! A plan as text: readable without colour, replacements first, no secret in it.

use std::fmt::Write as _;

use serde_json::Value;

use crate::plan::{FieldChange, Plan, Purpose, Step, StepAction};

/// The most characters of one value in a line.
const VALUE_LENGTH_MAX: usize = 80;
/// What stands in the place of a value that is not shown.
const HIDDEN_VALUE: &str = "(hidden)";
/// Names of fields and variables whose values are not shown, even where the file has them in clear.
const HIDDEN: [&str; 7] =
    ["password", "passwd", "secret", "token", "credential", "private", "api_key"];

/// Shows a plan to a person.
#[must_use]
pub fn render(plan: &Plan) -> String {
    let mut out = String::new();
    let header = &plan.header;
    let purpose = match header.purpose {
        Purpose::Deploy => "deploy",
        Purpose::Rollback => "roll back to",
        Purpose::Delete => "delete",
    };
    let _ = write!(
        out,
        "{purpose} {} revision {} in {}",
        header.application, header.revision, header.environment
    );
    out.push('\n');
    if let Some(placement) = &header.placement {
        let best = placement.scores.first();
        let reasons = best.map(|score| score.reasons.join(", ")).unwrap_or_default();
        let _ = writeln!(out, "on {}: {reasons}", placement.cluster);
    }
    if plan.steps.is_empty() {
        out.push_str("\nNo changes: everything is as wanted.\n");
    }
    let replaces = |step: &&Step| matches!(step.action, StepAction::Replace { .. });
    for step in plan.steps.iter().filter(replaces) {
        render_step(step, &mut out);
    }
    for step in plan.steps.iter().filter(|step| !replaces(step)) {
        render_step(step, &mut out);
    }
    if !header.notes.is_empty() {
        out.push('\n');
    }
    for note in &header.notes {
        let _ = writeln!(out, "note: {note}");
    }
    let _ = write!(out, "\nPlan: {}.\n", counts(plan));
    out
}

fn counts(plan: &Plan) -> String {
    let count = |wanted: fn(&StepAction) -> bool| {
        plan.steps.iter().filter(|step| wanted(&step.action)).count()
    };
    format!(
        "{} to create, {} to change, {} to replace, {} to delete",
        count(|action| matches!(action, StepAction::Create)),
        count(|action| matches!(action, StepAction::Change)),
        count(|action| matches!(action, StepAction::Replace { .. })),
        count(|action| matches!(action, StepAction::Delete)),
    )
}

fn render_step(step: &Step, out: &mut String) {
    let symbol = match step.action {
        StepAction::Create => "  +",
        StepAction::Change => "  ~",
        StepAction::Replace { .. } => "-/+",
        StepAction::Delete => "  -",
    };
    let _ = write!(out, "\n{symbol} {}", step.resource);
    if let Some(class) = &step.class {
        let _ = write!(out, " ({} v{})", class.name, class.version);
    }
    if step.protected {
        out.push_str(" protected");
    }
    if let [first, more @ ..] = step.why.as_slice() {
        let _ = write!(out, "  # {first}");
        if !more.is_empty() {
            let _ = write!(out, ", and {} more", more.len());
        }
    }
    out.push('\n');
    if let StepAction::Replace { why } = &step.action {
        let _ = writeln!(out, "      ! replaced: {why}");
    }
    match (&step.action, &step.spec) {
        (StepAction::Create, Some(spec)) => render_fields("", &spec.to_value(), out),
        _ => step.changes.iter().for_each(|change| render_change(change, out)),
    }
}

fn render_fields(path: &str, value: &Value, out: &mut String) {
    if let Value::Object(fields) = value
        && !fields.is_empty()
    {
        for (key, value) in fields {
            let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            render_fields(&inner, value, out);
        }
    } else {
        let _ = writeln!(out, "      {path} = {}", shown(path, value));
    }
}

fn render_change(change: &FieldChange, out: &mut String) {
    let path = &change.path;
    let _ = match (&change.old, &change.new) {
        (Some(old), Some(new)) if hides(path, old) || hides(path, new) => {
            writeln!(out, "      ~ {path}: (hidden, differs)")
        }
        (Some(old), Some(new)) => {
            writeln!(out, "      ~ {path}: {} -> {}", shown(path, old), shown(path, new))
        }
        (None, Some(new)) => writeln!(out, "      + {path} = {}", shown(path, new)),
        (Some(old), None) => writeln!(out, "      - {path} = {}", shown(path, old)),
        (None, None) => Ok(()),
    };
}

fn shown(path: &str, value: &Value) -> String {
    if hides(path, value) {
        return HIDDEN_VALUE.to_owned();
    }
    let text = value.to_string();
    if text.chars().count() <= VALUE_LENGTH_MAX {
        return text;
    }
    let start: String = text.chars().take(VALUE_LENGTH_MAX).collect();
    format!("{start}… ({} characters)", text.chars().count())
}

/// A value of a field, without what looks like a secret in clear.
#[must_use]
pub fn hide(path: &str, value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter();
            fields
                .map(|(key, value)| (key.clone(), hide(&format!("{path}.{key}"), value)))
                .collect()
        }
        Value::Array(items) => items.iter().map(|item| hide(path, item)).collect(),
        value if hides(path, value) => HIDDEN_VALUE.into(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// Hides what looks like a secret in clear: by the name of its field, or as the password of a URL. A reference is no
/// secret.
fn hides(path: &str, value: &Value) -> bool {
    let Value::String(text) = value else { return false };
    if text.starts_with("${") && text.ends_with('}') {
        return false;
    }
    let name = path.rsplit('.').next().unwrap_or(path).to_ascii_lowercase();
    let in_url = || {
        let (_, rest) = text.split_once("://")?;
        let (user, _) = rest.split_once('@')?;
        let (_, password) = user.split_once(':')?;
        Some(!password.is_empty() && !password.starts_with("${"))
    };
    HIDDEN.iter().any(|hidden| name.contains(hidden)) || in_url() == Some(true)
}
