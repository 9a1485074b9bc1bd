//! One thing, whole.

use serde_json::{Value, json};

use super::What;
use crate::args::{Get, Output};
use crate::commands::Session;
use crate::commands::apply::WHOLE;
use crate::failure::{Exit, Failure, Outcome};
use crate::look::{Question, look};
use crate::names::missing;
use crate::tree;

/// The deepest indentation of what is shown.
const DEPTH_MAX: usize = 16;

/// Shows one thing.
pub(super) async fn show(what: What, name: &str, args: &Get, session: &Session) -> Outcome {
    if what == What::Deployments && args.output == Output::Table {
        let question = Question { deployment: name, as_of: args.as_of.as_deref(), rollout: None };
        let last = look(&session.client, question).await?;
        session.terminal.print(&tree::draw(&last, session.terminal.colour_data));
        return Ok(Exit::Done);
    }
    let whole = format!("{WHOLE} approvedBy rollout");
    let (field, argument, fields) = match what {
        What::Resources(_) => (
            "resource",
            "id",
            "id uid phase ready since reason blocker { on reason since } notices { reason about message at } generation class classVersion deployment \
             lifetime external paused protected declaredAt revisedAt position drift { detail by since } \
             action { name generation since done failure } outputs { name value secret } \
             needs { resource output } neededBy { resource output } spec",
        ),
        What::Deployments => (
            "deployment",
            "name",
            "name application environment phase revision goodRevision members position changedAt \
             rollout { name number planId purpose outcome reason stepsTotal startedAt endedAt }",
        ),
        What::Applications => (
            "application",
            "name",
            "name revision changedAt position builds { workload container image } model",
        ),
        What::Environments => ("environment", "name", "name version changedAt position definition"),
        What::Classes => ("class", "name", "name version changedAt position definition"),
        What::Plan => ("plan", "id", whole.as_str()),
    };
    let past = if what == What::Plan { "" } else { ", asOf: $asOf" };
    let declared = if what == What::Plan { "" } else { ", $asOf: Moment" };
    let query = format!(
        "query($it: String!{declared}) {{ it: {field}({argument}: $it{past}) {{ {fields} }} }}"
    );
    let it = match what {
        What::Resources(Some(kind)) => format!("{kind}/{name}"),
        What::Classes => name.replace('/', "_"),
        What::Resources(None)
        | What::Deployments
        | What::Applications
        | What::Environments
        | What::Plan => name.to_owned(),
    };
    let data: Value = session.client.ask(&query, json!({ "it": it, "asOf": args.as_of })).await?;
    let found = data.get("it").filter(|found| !found.is_null());
    let Some(found) = found else {
        return Err(match what {
            What::Plan => Failure::not_found(format!("plan `{it}`"))
                .hint("a plan is made by `cairn plan`, which says its id"),
            What::Resources(_)
            | What::Deployments
            | What::Applications
            | What::Environments
            | What::Classes => missing(&session.client, field, &it).await,
        });
    };
    match (args.output, what) {
        (Output::Json, _) => session.terminal.print(&found.to_string()),
        (Output::Table, What::Plan) => {
            session
                .terminal
                .print(found.get("text").and_then(Value::as_str).unwrap_or_default().trim_end());
        }
        (Output::Table, _) => session.terminal.print(lines(found, 0).trim_end()),
    }
    Ok(Exit::Done)
}

/// A value as indented lines: what is empty is left out.
fn lines(value: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    let mut text = String::new();
    if let (Value::Object(fields), true) = (value, depth < DEPTH_MAX) {
        for (name, value) in fields.iter().filter(|(_, value)| !empty(value)) {
            text += &if value.is_object() || value.is_array() {
                format!("{indent}{name}:\n{}", lines(value, depth + 1))
            } else {
                format!("{indent}{name}: {}\n", plain(value))
            };
        }
    } else if let (Value::Array(items), true) = (value, depth < DEPTH_MAX) {
        for item in items {
            let below = lines(item, depth + 1);
            // The first field stands beside the dash.
            text += &format!("{indent}- {}", below.trim_start());
        }
    } else {
        text += &format!("{indent}{}\n", plain(value));
    }
    text
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_is_left_out() {
        let value = json!({"id": "a", "none": null, "list": [{"x": 1, "y": 2}, "b"], "map": {"z": true}, "void": []});
        assert_eq!(lines(&value, 0), "id: a\nlist:\n  - x: 1\n    y: 2\n  - b\nmap:\n  z: true\n");
    }
}
