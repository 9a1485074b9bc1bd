//! `cairn why` and `cairn history`: where things come from.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Session;
use super::events::line;
use crate::answers::Commit;
use crate::args::{History, Output, Why};
use crate::failure::{Exit, Failure, Outcome};
use crate::table::table;

const COMMIT: &str = "fragment C on Activity { position commitId time subject actor command intent causationId \
     correlationId events { type data } }";

#[derive(Debug, Deserialize)]
struct Explained {
    subject: String,
    uid: Option<String>,
    phase: String,
    chain: Vec<Commit>,
    recent: Vec<Commit>,
}

/// Explains where a thing comes from.
pub(super) async fn why(args: &Why, session: &Session) -> Outcome {
    let query = format!(
        "query($id: String!) {{ why(id: $id) {{ subject uid phase chain {{ ...C }} recent {{ ...C }} }} }} {COMMIT}"
    );
    let data: Value = session.client.ask(&query, json!({ "id": args.id })).await?;
    let json = data.get("why").filter(|why| !why.is_null()).ok_or_else(|| unknown(&args.id))?;
    if args.output == Output::Json {
        session.terminal.print(&json.to_string());
        return Ok(Exit::Done);
    }
    let why: Explained =
        serde_json::from_value(json.clone()).map_err(|error| Failure::unreadable(&error))?;
    let uid = why.uid.map(|uid| format!(" (uid {uid})")).unwrap_or_default();
    session.terminal.print(&format!("{}{uid} is {}", why.subject, why.phase));
    session.terminal.print("\nbecause");
    for (depth, commit) in why.chain.iter().enumerate() {
        let arrow = if depth == 0 { "" } else { "└─ because " };
        let indent = "   ".repeat(depth.saturating_sub(1));
        session.terminal.print(&format!("  {indent}{arrow}{}", sentence(commit)));
    }
    session.terminal.print("\nlately");
    for commit in &why.recent {
        session.terminal.print(&line(commit));
    }
    Ok(Exit::Done)
}

/// A commit as a sentence: who did what to what, when.
fn sentence(commit: &Commit) -> String {
    let time = commit.time.to_string();
    let time = time.split('.').next().unwrap_or_default().replace('T', " ");
    let what = match commit.command.as_str() {
        // The question itself is in the event: the name of the change that was asked for.
        "Receive" => {
            let mutation = commit.events.first().and_then(|event| event.data.as_ref());
            let mutation = mutation.and_then(|data| data.get("mutation")).and_then(Value::as_str);
            format!("asked for {}", mutation.unwrap_or("a change"))
        }
        command => format!("{command} {}", commit.subject),
    };
    format!("{} {what} at {time} (position {})", commit.actor, commit.position)
}

#[derive(Debug, Deserialize)]
struct Version {
    commit: Commit,
    phase: String,
    ready: bool,
}

/// Shows the states that a thing was in.
pub(super) async fn history(args: &History, session: &Session) -> Outcome {
    let query = format!(
        "query($id: String!, $first: Int!) {{ history(id: $id, first: $first) {{ nodes {{ phase ready \
         commit {{ ...C }} }} }} }} {COMMIT}"
    );
    let data: Value =
        session.client.ask(&query, json!({ "id": args.id, "first": args.limit })).await?;
    let nodes = data.pointer("/history/nodes").ok_or_else(|| unknown(&args.id))?;
    if nodes.as_array().is_none_or(Vec::is_empty) {
        return Err(unknown(&args.id));
    }
    if args.output == Output::Json {
        session.terminal.print(&nodes.to_string());
        return Ok(Exit::Done);
    }
    let versions: Vec<Version> =
        serde_json::from_value(nodes.clone()).map_err(|error| Failure::unreadable(&error))?;
    let rows: Vec<_> = versions
        .iter()
        .map(|version| {
            let commit = &version.commit;
            let events: Vec<_> =
                commit.events.iter().map(|event| event.event_type.as_str()).collect();
            let time = commit.time.to_string();
            [
                commit.position.clone(),
                time.split('.').next().unwrap_or_default().replace('T', " "),
                version.phase.clone(),
                if version.ready { "yes" } else { "no" }.to_owned(),
                commit.actor.clone(),
                events.join(", "),
            ]
        })
        .collect();
    session.terminal.print(&table(["POSITION", "TIME", "PHASE", "READY", "ACTOR", "WHAT"], &rows));
    Ok(Exit::Done)
}

fn unknown(id: &str) -> Failure {
    Failure::not_found(format!("thing `{id}`"))
        .hint(match id.contains(['/', ':']) {
            true => "name it by kind/name, by its uid, or by the provider's name for it".to_owned(),
            false => format!(
                "name it by kind/name, such as deployment/{id}, by its uid, or by the provider's name for it"
            ),
        })
}
