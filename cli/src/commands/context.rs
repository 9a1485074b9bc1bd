//! `cairn context`: which servers are known, and which one is meant where none is named.

use serde_json::{Value, json};

use crate::args::{ContextOf, Output};
use crate::config::{self, Config, Context};
use crate::failure::{Exit, Failure, Outcome};
use crate::table::table;
use crate::terminal::Terminal;

/// Lists contexts, shows one, or changes to one.
pub(super) fn run(args: &ContextOf, named: Option<&str>, terminal: &Terminal) -> Outcome {
    let config = Config::load()?;
    match args {
        ContextOf::List { output } => list(&config, *output, terminal),
        ContextOf::Use { name } => change(config, name, terminal),
        ContextOf::Show { name, output } => {
            show(&config, name.as_deref().or(named), *output, terminal)
        }
    }
}

fn list(config: &Config, output: Output, terminal: &Terminal) -> Outcome {
    let is_current = |name: &str| config.current.as_deref() == Some(name);
    match output {
        Output::Json => {
            let all = config.contexts.iter();
            let all: Vec<_> = all.map(|(name, it)| shown(name, it, is_current(name))).collect();
            terminal.print(&Value::Array(all).to_string());
        }
        Output::Table if config.contexts.is_empty() => {
            terminal.say("there are no contexts yet: `cairn up` makes one");
        }
        Output::Table => {
            let row = |(name, context): (&String, &Context)| {
                let mark = if is_current(name) { "*" } else { "" };
                [mark.to_owned(), name.clone(), context.server.clone()]
            };
            let rows: Vec<_> = config.contexts.iter().map(row).collect();
            terminal.print(&table(["CURRENT", "CONTEXT", "SERVER"], &rows));
        }
    }
    Ok(Exit::Done)
}

fn change(mut config: Config, name: &str, terminal: &Terminal) -> Outcome {
    let server = config.context(name)?.server.clone();
    config.current = Some(name.to_owned());
    config.save()?;
    terminal.print(&format!("commands go to the context {name} at {server}"));
    Ok(Exit::Done)
}

fn show(config: &Config, name: Option<&str>, output: Output, terminal: &Terminal) -> Outcome {
    let Some(name) = name.or(config.current.as_deref()) else {
        let hint = match config.contexts.is_empty() {
            true => "`cairn up` makes one",
            false => "choose one: cairn context use NAME",
        };
        return Err(Failure::not_found("current context").hint(hint));
    };
    let context = config.context(name)?;
    let is_current = config.current.as_deref() == Some(name);
    match output {
        Output::Json => terminal.print(&shown(name, context, is_current).to_string()),
        Output::Table => {
            let mark = if is_current { " (current)" } else { "" };
            terminal.print(&format!("{name}{mark}\n  server  {}", context.server));
            let token = if context.token.is_empty() { "none" } else { "kept in" };
            terminal.print(&format!("  token   {token} {}", config::path()?.display()));
        }
    }
    Ok(Exit::Done)
}

/// A context for programs. The token stays where it is.
fn shown(name: &str, context: &Context, is_current: bool) -> Value {
    let has_token = !context.token.is_empty();
    json!({ "name": name, "server": context.server, "current": is_current, "hasToken": has_token })
}
