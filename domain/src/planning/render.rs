//! A plan as text: readable without colour, replacements first, no secret in it.

use std::fmt::Write as _;

use serde_json::Value;

use crate::plan::{FieldChange, Plan, Purpose, Step, StepAction};
use crate::secrecy::{HIDDEN_VALUE, hide, is_in_clear};

/// The most characters of one value in a line.
const VALUE_LENGTH_MAX: usize = 80;

/// Shows a plan to a person.
#[must_use]
pub fn render(plan: &Plan) -> String {
    let mut out = String::new();
    let header = &plan.header;
    let purpose = match header.purpose {
        Purpose::Deploy => "deploy",
        Purpose::Rollback => "roll back to",
        Purpose::Failover => "fail over",
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
        out.push_str("\nNo changes: this is what is wanted already.\n");
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
    let more = [
        (count(|action| action.leaves().is_some()), "to leave behind"),
        (count(|action| matches!(action, StepAction::CleanUp { .. })), "to clean up"),
    ];
    let more = more.into_iter().filter(|(count, _)| *count > 0);
    let more: String = more.map(|(count, what)| format!(", {count} {what}")).collect();
    format!(
        "{} to create, {} to change, {} to replace, {} to delete{more}",
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
        StepAction::Delete | StepAction::CleanUp { .. } => "  -",
        StepAction::Relocate { .. } => " >+",
        StepAction::Leave { .. } => "  >",
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
    match &step.action {
        StepAction::Replace { why } => {
            let _ = writeln!(out, "      ! replaced: {why}");
        }
        StepAction::Relocate { from, .. } | StepAction::Leave { from, .. } => {
            let _ = writeln!(out, "      ! what is in {from} is left behind: it cannot be reached");
        }
        StepAction::Create
        | StepAction::Change
        | StepAction::Delete
        | StepAction::CleanUp { .. } => {}
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
    let text = hide(path, value).to_string();
    if text.chars().count() <= VALUE_LENGTH_MAX {
        return text;
    }
    let start: String = text.chars().take(VALUE_LENGTH_MAX).collect();
    format!("{start}… ({} characters)", text.chars().count())
}

fn hides(path: &str, value: &Value) -> bool {
    value.as_str().is_some_and(|text| is_in_clear(path, text))
}
