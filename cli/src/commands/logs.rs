//! `cairn logs`: what the workloads of a deployment write.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Session;
use crate::args::{Logs, Output};
use crate::failure::{Exit, Failure, Outcome};
use crate::look::unknown;
use crate::terminal::paint;

const QUERY: &str = "subscription($deployment: String!, $filter: LogFilter) { logs(deployment: $deployment, \
     filter: $filter) { workload pod container time text note } }";

/// Colours of prefixes, one a pod: those that are read on dark and on light.
const COLOURS: [&str; 6] = ["36", "33", "32", "35", "34", "31"];

#[derive(Debug, Deserialize)]
struct Line {
    workload: String,
    pod: Option<String>,
    container: Option<String>,
    time: Option<String>,
    text: String,
    note: bool,
}

/// Prints lines until there are no more, or until interrupted.
pub(super) async fn run(args: &Logs, session: &Session) -> Outcome {
    check(args, session).await?;
    let filter = json!({
        "workload": args.workload, "container": args.container, "tail": args.tail,
        "sinceSeconds": args.since, "previous": args.previous, "follow": args.follow,
    });
    let variables = json!({ "deployment": args.deployment, "filter": filter });
    let mut stream = session.client.follow(QUERY, variables).await?;
    let (mut lines, mut notes) = (0_u64, 0_u64);
    loop {
        let next = tokio::select! {
            next = stream.next() => next?,
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Interrupted),
        };
        let Some(data) = next else { break };
        let json = data.get("logs").cloned().unwrap_or_default();
        let line: Line =
            serde_json::from_value(json.clone()).map_err(|error| Failure::unreadable(&error))?;
        if line.note {
            notes += 1
        } else {
            lines += 1
        }
        match args.output {
            Output::Json => session.terminal.print(&json.to_string()),
            Output::Table if line.note => {
                let from = prefix(&line);
                session.terminal.say(&format!("{from}: {}", line.text));
            }
            Output::Table => session.terminal.print(&drawn(&line, args, session)),
        }
    }
    if args.follow {
        return Err(Failure::new(Exit::Unreachable, "the server ended the log"));
    }
    if lines == 0 && notes == 0 {
        session.terminal.say("nothing was written");
    }
    Ok(if lines == 0 && notes > 0 { Exit::Negative } else { Exit::Done })
}

/// A deployment that is not there is told with what was probably meant.
async fn check(args: &Logs, session: &Session) -> Outcome<()> {
    let query = "query($name: String!) { deployment(name: $name) { phase } }";
    let data: Value = session.client.ask(query, json!({ "name": args.deployment })).await?;
    match data.pointer("/deployment/phase").and_then(Value::as_str) {
        Some("deleted") => Err(Failure::not_found(format!("deployment `{}`", args.deployment))
            .hint("it was deleted: nothing of it runs")),
        Some(_) => Ok(()),
        None => Err(unknown(&session.client, &args.deployment).await),
    }
}

/// Who wrote it: the pod and its container; the workload where it is no pod's.
fn prefix(line: &Line) -> String {
    match (&line.pod, &line.container) {
        (Some(pod), Some(container)) => format!("{pod}/{container}"),
        (Some(pod), None) => pod.clone(),
        (None, _) => line.workload.clone(),
    }
}

fn drawn(line: &Line, args: &Logs, session: &Session) -> String {
    let from = prefix(line);
    let pod = line.pod.as_deref().unwrap_or_default();
    let sum: usize = pod.bytes().map(usize::from).sum();
    let colour = COLOURS.get(sum % COLOURS.len()).copied().unwrap_or_default();
    let from = paint(session.terminal.colour_data, colour, &from);
    match line.time.as_deref().filter(|_| args.timestamps) {
        Some(time) => format!("{from} {time} {}", line.text),
        None => format!("{from} {}", line.text),
    }
}
