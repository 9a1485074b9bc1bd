//! `cairn admin quarantine` and `redrive`: what the views do not show to its end, and showing it again.

use std::sync::Arc;

use domain::{StreamId, Tenant};
use journal::{Journal, JournalError};
use projections::{Quarantined, QueryError, RedriveError, Redriven, Views};
use serde_json::{Value, json};

use crate::args::{LogOf, Output, Quarantine, Redrive, ViewsOf};
use crate::failure::{Exit, Failure, Outcome};
use crate::serve;
use crate::table::{cut, table};
use crate::terminal::{Terminal, clean};

/// The size of a page.
const PAGE: u32 = 100;
/// The most streams of a list: where there are more, what is wrong is not about streams.
const STREAMS_MAX: usize = 10_000;
/// The widest reason in a table.
const REASON_WIDTH_MAX: usize = 100;

pub(super) async fn list(args: &Quarantine, terminal: &Terminal) -> Outcome {
    let (_, views) = open(&args.log, &args.views).await?;
    let held = all(&views, terminal).await?;
    match args.output {
        Output::Json => {
            terminal.print(&Value::Array(held.iter().map(as_json).collect()).to_string())
        }
        Output::Table if held.is_empty() => terminal.say("nothing is in quarantine"),
        Output::Table => {
            terminal.print(&table(HEADING, &held.iter().map(row).collect::<Vec<_>>()));
            terminal.say(
                "each is shown as it was before that position; a version that understands it \
                 shows it to its end after `cairn admin redrive`",
            );
        }
    }
    Ok(Exit::Done)
}

pub(super) async fn redrive(args: Redrive, terminal: &Terminal) -> Outcome {
    let (journal, views) = open(&args.log, &args.views).await?;
    let streams = match args.stream {
        Some(stream) => vec![stream],
        None => all(&views, terminal).await?.into_iter().map(|held| held.stream).collect(),
    };
    let mut driven = Vec::new();
    for stream in streams {
        match projections::redrive(&journal, &views, &stream).await {
            // Somebody else was faster.
            Err(RedriveError::NotQuarantined(_)) if args.all => {}
            Err(error) if !args.all || !stays(&error) => return Err(failure(&error)),
            result => driven.push((stream, result)),
        }
    }
    match args.output {
        Output::Json => {
            terminal.print(&Value::Array(driven.iter().map(driven_json).collect()).to_string());
        }
        Output::Table if driven.is_empty() => terminal.say("nothing is in quarantine"),
        Output::Table => driven.iter().for_each(|driven| terminal.print(&said(driven))),
    }
    let left = driven.iter().filter(|(_, result)| result.is_err()).count();
    if left == 0 {
        return Ok(Exit::Done);
    }
    Err(Failure::new(Exit::Negative, format!("{left} of {} stay in quarantine", driven.len()))
        .hint("start a version of Cairn that understands them, then try again"))
}

/// The log and the views. The lock of a log in a folder is held, so that its server is not running.
async fn open(log: &LogOf, views: &ViewsOf) -> Outcome<(Arc<dyn Journal>, Views)> {
    let (data, journal) = super::open(log).await?;
    Ok((journal, serve::views(views.views.as_deref(), &data).await?))
}

/// Everything in quarantine.
async fn all(views: &Views, terminal: &Terminal) -> Outcome<Vec<Quarantined>> {
    let unreadable = |error: &QueryError| {
        serve::caused(Failure::new(Exit::Unreachable, "the quarantine cannot be read"), error)
    };
    let tenant = serve::TENANT.parse::<Tenant>();
    let tenant = tenant.map_err(|error| Failure::new(Exit::Invalid, error.to_string()))?;
    let (mut held, mut after) = (Vec::new(), None::<String>);
    while held.len() < STREAMS_MAX {
        let page = views.quarantine(&tenant, after.as_deref(), PAGE).await;
        let page = page.map_err(|error| unreadable(&error))?;
        held.extend(page.items);
        after = page.next;
        if after.is_none() {
            return Ok(held);
        }
    }
    terminal.say(&format!("only the first {STREAMS_MAX} are taken"));
    Ok(held)
}

const HEADING: [&str; 5] = ["STREAM", "POSITION", "TIME", "COMMITS", "REASON"];

fn row(held: &Quarantined) -> [String; 5] {
    let time = held.time.to_string();
    [
        held.stream.to_string(),
        held.position.to_string(),
        time.split('.').next().unwrap_or_default().replace('T', " "),
        held.commits.to_string(),
        cut(&clean(&held.reason).replace(['\n', '\t'], " "), REASON_WIDTH_MAX),
    ]
}

/// As the API says it.
fn as_json(held: &Quarantined) -> Value {
    json!({
        "stream": held.stream.to_string(),
        "subject": format!("{}/{}", held.stream.kind(), held.stream.name()),
        "position": held.position.to_string(),
        "time": held.time.to_string(),
        "reason": held.reason,
        "commits": held.commits,
    })
}

type Driven = (StreamId, Result<Redriven, RedriveError>);

fn said((stream, result): &Driven) -> String {
    match result {
        Ok(Redriven { commits: 1, position }) => {
            format!("{stream} is shown again: 1 commit, up to position {position}")
        }
        Ok(Redriven { commits, position }) => {
            format!("{stream} is shown again: {commits} commits, up to position {position}")
        }
        Err(error) => clean(&error.to_string()),
    }
}

fn driven_json((stream, result): &Driven) -> Value {
    let stream = stream.to_string();
    match result {
        Ok(Redriven { commits, position }) => json!({
            "stream": stream, "shown": true, "commits": commits, "position": position.to_string(),
        }),
        Err(error) => json!({ "stream": stream, "shown": false, "reason": error.to_string() }),
    }
}

/// Whether it is about this stream, and the others may do better.
fn stays(error: &RedriveError) -> bool {
    match error {
        RedriveError::StillPoisoned { .. }
        | RedriveError::Journal(JournalError::Damaged { .. }) => true,
        RedriveError::NotQuarantined(_)
        | RedriveError::Projection(_)
        | RedriveError::Contended
        | RedriveError::Journal(_)
        | RedriveError::Query(_)
        | RedriveError::Store(_) => false,
    }
}

fn failure(error: &RedriveError) -> Failure {
    let (exit, hint) = match error {
        RedriveError::NotQuarantined(_) => {
            (Exit::NotFound, "`cairn admin quarantine` lists what is")
        }
        RedriveError::StillPoisoned { .. } => {
            (Exit::Negative, "start a version of Cairn that understands it, then try again")
        }
        RedriveError::Projection(_) => {
            (Exit::Negative, "build the views anew: `cairn admin rebuild`")
        }
        RedriveError::Journal(JournalError::Damaged { .. }) => {
            (Exit::Negative, "check the log: `cairn admin verify`")
        }
        RedriveError::Contended => (Exit::Refused, "try again"),
        RedriveError::Journal(_) | RedriveError::Query(_) | RedriveError::Store(_) => {
            (Exit::Unreachable, "check the log and the views, then try again")
        }
    };
    let failure = Failure::new(exit, clean(&error.to_string())).hint(hint);
    let source = std::error::Error::source(error);
    source.map_or(failure.clone(), |source| serve::caused(failure, source))
}
