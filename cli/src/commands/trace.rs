//! `cairn trace` and `cairn wait`: how a deployment is doing.

use serde_json::{Value, json};

use super::Session;
use crate::answers::RESOURCE;
use crate::args::{Output, Trace, Wait};
use crate::failure::{Exit, Outcome};
use crate::look::{Question, look, unknown};
use crate::progress::{Goal, Progress};
use crate::tree;

/// How often a watched deployment is looked at.
const WATCH_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

/// Shows a deployment's graph.
pub(super) async fn run(args: &Trace, session: &Session) -> Outcome {
    match args.output {
        Output::Json => json_tree(args, session).await,
        Output::Table if args.watch => watch(args, session).await,
        Output::Table => {
            let (deployment, as_of) = (args.deployment.as_str(), args.as_of.as_deref());
            let question = Question { deployment, as_of, rollout: None };
            let last = look(&session.client, question).await?;
            session.terminal.print(&tree::draw(&last, session.terminal.colour_data));
            Ok(Exit::Done)
        }
    }
}

async fn json_tree(args: &Trace, session: &Session) -> Outcome {
    let query = format!(
        "query($name: String!, $asOf: Moment) {{ deployment(name: $name, asOf: $asOf) {{ name application environment \
         phase revision goodRevision rollout {{ name number planId purpose outcome reason stepsTotal }} \
         tree {{ member needs blockers {{ on reason since }} resource {{ ...R }} }} position }} }} {RESOURCE}"
    );
    let data: Value =
        session.client.ask(&query, json!({ "name": args.deployment, "asOf": args.as_of })).await?;
    match data.get("deployment").filter(|deployment| !deployment.is_null()) {
        Some(deployment) => {
            session.terminal.print(&deployment.to_string());
            Ok(Exit::Done)
        }
        None => Err(unknown(&args.deployment)),
    }
}

async fn watch(args: &Trace, session: &Session) -> Outcome {
    let mut drawn = 0;
    let mut printed = String::new();
    let question = Question { deployment: &args.deployment, ..Question::default() };
    loop {
        let last = look(&session.client, question).await?;
        let text = tree::draw(&last, session.terminal.colour_talk);
        if session.terminal.live {
            session.terminal.redraw(drawn, &text);
            drawn = text.lines().count();
        } else if text != printed {
            session.terminal.print(&text);
            printed = text;
        }
        if last.deployment.phase == "deleted" {
            return Ok(Exit::Done);
        }
        tokio::select! {
            () = tokio::time::sleep(WATCH_EVERY) => {}
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Interrupted),
        }
    }
}

/// Waits until a deployment is ready, or gone where it is being taken down.
pub(super) async fn wait(args: &Wait, session: &Session) -> Outcome {
    let question = Question { deployment: &args.deployment, ..Question::default() };
    let last = look(&session.client, question).await?;
    let rollout = last.deployment.rollout.as_ref();
    let goes = rollout.is_some_and(|rollout| rollout.purpose == "delete");
    let goal = if goes { Goal::Gone } else { Goal::Ready };
    let name = rollout.map(|rollout| rollout.name.as_str());
    Progress::new(session, &args.deployment, name, goal, args.patience.timeout).run().await
}
