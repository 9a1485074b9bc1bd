//! `cairn class apply` and `cairn env apply`: the platform team's files.

use domain::catalogue::{self, Catalogue};
use domain::diagnostic;
use serde::Serialize;
use serde_json::{Value, json};

use super::change::refuse;
use super::{Session, key};
use crate::args::Rule;
use crate::failure::{Exit, Failure, Outcome};
use crate::sources::many;
use crate::terminal::Terminal;

/// Defines every class of a file.
pub(super) async fn class(
    args: &Rule,
    terminal: &Terminal,
    session: impl Fn() -> Outcome<Session>,
) -> Outcome {
    let Rule::Apply { file } = args;
    let catalogue = read(file, terminal)?;
    if !catalogue.environments.is_empty() {
        return Err(Failure::new(Exit::Invalid, format!("{file} defines an environment"))
            .hint("use `cairn env apply`"));
    }
    if catalogue.classes.is_empty() {
        return Err(holds_none(file, "class", "catalogue/classes/postgres.yaml"));
    }
    let session = session()?;
    for definition in &catalogue.classes {
        let input = json!({ "idempotencyKey": key(), "definition": said(definition)? });
        define(&session, "classDefine", "ClassDefineInput", "class", input).await?;
    }
    Ok(Exit::Done)
}

/// Defines every environment of a file, and the classes beside them.
pub(super) async fn environment(
    args: &Rule,
    terminal: &Terminal,
    session: impl Fn() -> Outcome<Session>,
) -> Outcome {
    let Rule::Apply { file } = args;
    let catalogue = read(file, terminal)?;
    if catalogue.environments.is_empty() {
        let none = holds_none(file, "environment", "catalogue/environments/prod.yaml");
        let classes = !catalogue.classes.is_empty();
        return Err(if classes { none.hint("use `cairn class apply`") } else { none });
    }
    let session = session()?;
    for definition in &catalogue.classes {
        let input = json!({ "idempotencyKey": key(), "definition": said(definition)? });
        define(&session, "classDefine", "ClassDefineInput", "class", input).await?;
    }
    // A cluster that several of them use is changed in all of them at once.
    let all: Vec<Value> = catalogue.environments.iter().map(said).collect::<Outcome<_>>()?;
    for definition in &all {
        let input = json!({ "idempotencyKey": key(), "definition": definition, "alongside": all });
        define(&session, "environmentDefine", "EnvironmentDefineInput", "environment", input)
            .await?;
    }
    Ok(Exit::Done)
}

fn holds_none(file: &str, what: &str, sample: &str) -> Failure {
    Failure::new(Exit::Invalid, format!("{file} defines no {what}"))
        .hint(format!("a definition begins with `kind: {what}`; {sample} is one to copy"))
}

fn said(definition: &impl Serialize) -> Outcome<Value> {
    serde_json::to_value(definition).map_err(|error| {
        Failure::new(Exit::Invalid, format!("the definition cannot be sent: {error}"))
    })
}

fn read(path: &str, terminal: &Terminal) -> Outcome<Catalogue> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let exit = if error.kind() == std::io::ErrorKind::NotFound {
            Exit::NotFound
        } else {
            Exit::Invalid
        };
        Failure::new(exit, format!("cannot read {path}: {error}"))
    })?;
    catalogue::parse(path, &text).map_err(|errors| {
        for error in &errors {
            let shown = if terminal.colour_talk {
                diagnostic::render_in_colour(error, &text)
            } else {
                diagnostic::render(error, &text)
            };
            terminal.say(&format!("{}\n", shown.trim_end()));
        }
        Failure::new(Exit::Invalid, format!("{path} is not valid: {}", many(errors.len())))
    })
}

async fn define(
    session: &Session,
    mutation: &str,
    input_type: &str,
    what: &str,
    input: Value,
) -> Outcome<()> {
    let query = format!(
        "mutation($input: {input_type}!) {{ {mutation}(input: $input) {{ name version unchanged \
         userErrors {{ code path message hint }} }} }}"
    );
    let data: Value = session.client.ask(&query, json!({ "input": input })).await?;
    let payload = refuse(&data, mutation, &format!("the {what} was refused"))?;
    let name = payload.get("name").and_then(Value::as_str).unwrap_or_default();
    let version = payload.get("version").and_then(Value::as_u64).unwrap_or_default();
    let unchanged = payload.get("unchanged").and_then(Value::as_bool).unwrap_or_default();
    let done = if unchanged { "unchanged" } else { "defined" };
    session.terminal.print(&format!("{what} {name} version {version} {done}"));
    Ok(())
}
