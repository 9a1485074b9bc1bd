//! `cairn events`: the log, as far as it goes, or as it grows.

use std::collections::BTreeSet;

use domain::KindName;
use domain::planning::nearest;
use serde_json::{Value, json};

use super::Session;
use crate::answers::Commit;
use crate::args::{Events, Output};
use crate::failure::{Exit, Failure, Outcome};

const QUERY: &str = "subscription($after: Position, $filter: EventFilter) { events(after: $after, filter: $filter) { \
     position commitId time subject firstVersion actor command causationId correlationId \
     events { id type schema data } } }";

/// What there is besides resources that something happens to.
const OTHERS: [&str; 7] =
    ["account", "application", "class", "deployment", "environment", "plan", "request"];

/// The most names that are kept to suggest one of them.
const SUBJECTS_MAX: usize = 10_000;

/// Shows what happened, and what happens.
pub(super) async fn run(args: &Events, session: &Session) -> Outcome {
    args.subject.as_deref().map(check).transpose()?;
    let mut others = BTreeSet::new();
    let head: Value = session.client.ask("{ serverInfo { head } }", json!({})).await?;
    let head = head
        .pointer("/serverInfo/head")
        .and_then(Value::as_str)
        .and_then(|text| text.parse::<u64>().ok());
    let head = head.unwrap_or_default();
    if !args.follow && args.after >= head {
        session.terminal.say(&format!("nothing happened after position {}", args.after));
        return Ok(Exit::Done);
    }
    let mut shown = false;
    // Without --follow the stream ends at the head: an unfiltered stream always gets there.
    let filter = if args.follow { json!({ "subject": args.subject }) } else { json!({}) };
    let variables = json!({ "after": args.after.to_string(), "filter": filter });
    let mut stream = session.client.follow(QUERY, variables).await?;
    let mut seen = args.after.to_string();
    loop {
        let next = tokio::select! {
            next = stream.next() => next.map_err(|failure| {
                failure.hint(format!("go on from there: cairn events --follow --after {seen}"))
            })?,
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Interrupted),
        };
        let Some(data) = next else {
            return Err(Failure::new(Exit::Unreachable, "the server ended the stream"));
        };
        let json = data.get("events").cloned().unwrap_or_default();
        let commit: Commit =
            serde_json::from_value(json.clone()).map_err(|error| Failure::unreadable(&error))?;
        seen.clone_from(&commit.position);
        if args.subject.as_ref().is_none_or(|subject| *subject == commit.subject) {
            shown = true;
            match args.output {
                Output::Json => session.terminal.print(&json.to_string()),
                Output::Table => session.terminal.print(&line(&commit)),
            }
        } else if !shown && others.len() < SUBJECTS_MAX {
            others.insert(commit.subject.clone());
        }
        if !args.follow && commit.position.parse::<u64>().is_ok_and(|position| position >= head) {
            if let Some(subject) = args.subject.as_deref().filter(|_| !shown) {
                session.terminal.say(&nothing(subject, args.after, &others));
            }
            return Ok(Exit::Done);
        }
    }
}

/// Whether something can happen to a subject at all.
fn check(subject: &str) -> Outcome<()> {
    let mut kinds: Vec<&str> = KindName::ALL.iter().map(|kind| kind.as_str()).collect();
    kinds.extend(OTHERS);
    let known = |kind: &str| kinds.contains(&kind);
    let Some((kind, _)) = subject.split_once('/') else {
        return Err(Failure::new(Exit::Invalid, format!("`{subject}` is not the name of a thing"))
            .hint("write kind/name, such as deployment/dev_shop or database/dev_shop_db"));
    };
    if known(kind) {
        return Ok(());
    }
    let hint = match nearest(kind, kinds.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", kinds.join(", ")),
    };
    Err(Failure::new(Exit::Invalid, format!("there is no kind `{kind}`")).hint(hint))
}

/// What is said where nothing is shown, with what was probably meant.
fn nothing(subject: &str, after: u64, others: &BTreeSet<String>) -> String {
    let kind = subject.split_once('/').map_or(subject, |(kind, _)| kind);
    let alike = others.iter().map(String::as_str);
    let alike = alike.filter(|other| other.split_once('/').is_some_and(|(of, _)| of == kind));
    let hint = match nearest(subject, alike) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => String::new(),
    };
    let since = if after == 0 { String::new() } else { format!(" after position {after}") };
    format!("nothing is recorded of {subject}{since}{hint}")
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
