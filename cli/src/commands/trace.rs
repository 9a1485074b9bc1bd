//! `cairn trace` and `cairn wait`: how a deployment is doing.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Session;
use crate::answers::{Node, RESOURCE};
use crate::args::{Output, Trace, Wait};
use crate::failure::{Exit, Outcome};
use crate::look::{Look, Question, look, unknown};
use crate::progress::{Goal, Progress, waiting};
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
            if let Some(resume) = tree::resume(&last.deployment).filter(|_| as_of.is_none()) {
                session.terminal.say(&resume);
            }
            Ok(Exit::Done)
        }
    }
}

async fn json_tree(args: &Trace, session: &Session) -> Outcome {
    let query = format!(
        "query($name: String!, $asOf: Moment) {{ deployment(name: $name, asOf: $asOf) {{ name application environment \
         phase revision goodRevision leftBehind {{ resource uid cluster since }} stranded {{ cluster since reason }} rollout {{ name number planId purpose outcome reason stepsTotal }} \
         tree {{ member needs blockers {{ on reason since }} resource {{ ...R }} }} position }} }} {RESOURCE}"
    );
    let data: Value =
        session.client.ask(&query, json!({ "name": args.deployment, "asOf": args.as_of })).await?;
    match data.get("deployment").filter(|deployment| !deployment.is_null()) {
        Some(deployment) => {
            session.terminal.print(&deployment.to_string());
            Ok(Exit::Done)
        }
        None => Err(unknown(&session.client, &args.deployment).await),
    }
}

async fn watch(args: &Trace, session: &Session) -> Outcome {
    let mut drawn = 0;
    let mut printed = Printed::default();
    let question = Question { deployment: &args.deployment, ..Question::default() };
    loop {
        let last = look(&session.client, question).await?;
        let text = tree::draw(&last, session.terminal.colour_talk);
        if session.terminal.live {
            session.terminal.redraw(drawn, &text);
            drawn = text.lines().count();
        } else {
            let lines = printed.news(&last);
            let text = if printed.is_first() { vec![text] } else { lines };
            text.iter().for_each(|line| session.terminal.print(line));
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

/// What was printed of a deployment that is watched: what changes is said in a line.
#[derive(Default)]
struct Printed {
    heading: String,
    states: BTreeMap<String, String>,
    looks: u64,
}

impl Printed {
    const fn is_first(&self) -> bool {
        self.looks == 1
    }

    /// A line for everything that changed since the last look. Ages do.
    fn news(&mut self, last: &Look) -> Vec<String> {
        self.looks += 1;
        let nodes = last.deployment.tree.as_deref().unwrap_or_default();
        let state = |node: &Node| match waiting(node) {
            why if why.is_empty() => node.resource.state(),
            why => format!("{}  ({why})", node.resource.state()),
        };
        let states: BTreeMap<_, _> =
            nodes.iter().map(|node| (node.resource.id.clone(), state(node))).collect();
        let mut lines = Vec::new();
        let heading = tree::heading(&last.deployment, nodes);
        for (id, state) in &states {
            if self.states.get(id) != Some(state) {
                lines.push(format!("{id}  {state}"));
            }
        }
        let went = self.states.keys().filter(|id| !states.contains_key(*id));
        lines.extend(went.map(|id| format!("{id}  gone")));
        if heading != self.heading {
            lines.push(heading.clone());
        }
        (self.heading, self.states) = (heading, states);
        lines
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
