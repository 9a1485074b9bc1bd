//! `cairn events`: the log, as far as it goes, or as it grows.

use serde_json::{Value, json};

use super::Session;
use crate::answers::Commit;
use crate::args::{Events, Output};
use crate::failure::{Exit, Failure, Outcome};

const QUERY: &str = "subscription($after: Position, $filter: EventFilter) { events(after: $after, filter: $filter) { \
     position commitId time subject firstVersion actor command causationId correlationId \
     events { id type schema data } } }";

/// Shows what happened, and what happens.
pub(super) async fn run(args: &Events, session: &Session) -> Outcome {
    let head: Value = session.client.ask("{ serverInfo { head } }", json!({})).await?;
    let head = head
        .pointer("/serverInfo/head")
        .and_then(Value::as_str)
        .and_then(|text| text.parse::<u64>().ok());
    let head = head.unwrap_or_default();
    if !args.follow && args.after >= head {
        return Ok(Exit::Done);
    }
    // Without --follow the stream ends at the head: an unfiltered stream always gets there.
    let filter = if args.follow { json!({ "subject": args.subject }) } else { json!({}) };
    let variables = json!({ "after": args.after.to_string(), "filter": filter });
    let mut stream = session.client.follow(QUERY, variables).await?;
    loop {
        let next = tokio::select! {
            next = stream.next() => next?,
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Interrupted),
        };
        let Some(data) = next else {
            return Err(Failure::new(Exit::Unreachable, "the server ended the stream"));
        };
        let json = data.get("events").cloned().unwrap_or_default();
        let commit: Commit = serde_json::from_value(json.clone()).map_err(|error| {
            Failure::new(Exit::Unreachable, format!("an event cannot be read: {error}"))
        })?;
        if args.subject.as_ref().is_none_or(|subject| *subject == commit.subject) {
            match args.output {
                Output::Json => session.terminal.print(&json.to_string()),
                Output::Table => session.terminal.print(&line(&commit)),
            }
        }
        if !args.follow && commit.position.parse::<u64>().is_ok_and(|position| position >= head) {
            return Ok(Exit::Done);
        }
    }
}

/// A commit in a line.
pub(super) fn line(commit: &Commit) -> String {
    let events: Vec<_> = commit.events.iter().map(|event| event.event_type.as_str()).collect();
    let time = commit.time.to_string();
    let time = time.split('.').next().unwrap_or_default().replace('T', " ");
    format!(
        "{:>6}  {time}  {:<22}  {:<40}  {}",
        commit.position,
        commit.actor,
        commit.subject,
        if events.is_empty() { commit.command.clone() } else { events.join(", ") }
    )
}
