//! Waiting for a deployment: the tree redrawn on a terminal, otherwise a line a change.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout_at;

use crate::answers::{Deployment, Node, RESOURCE};
use crate::client::{Client, Events};
use crate::commands::Session;
use crate::failure::{Exit, Failure, Outcome};
use crate::terminal::{age, duration, now};
use crate::tree;

/// How often the tree is looked at when nothing is heard: shared resources have other names, and ages grow.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long events are gathered before the tree is looked at.
const GATHER: Duration = Duration::from_millis(50);
/// How long a server may be away before waiting for it ends.
const AWAY_MAX: Duration = Duration::from_secs(30);

/// How a resource is that needs nothing more.
const READY: &str = "ready";

const EVENTS: &str = "subscription($after: Position, $prefix: String) { \
     events(after: $after, filter: { namePrefix: $prefix }) { position } }";

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Everything is ready, and no rollout runs.
    Ready,
    /// Nothing is left.
    Gone,
}

/// A deployment that is waited for.
pub(crate) struct Progress<'a> {
    session: &'a Session,
    deployment: &'a str,
    rollout: Option<&'a str>,
    goal: Goal,
    started: Instant,
    patience: Duration,
    shown: BTreeMap<String, String>,
    drawn: usize,
}

/// Asks for a deployment and its tree.
pub(crate) async fn look(
    client: &Client,
    name: &str,
    as_of: Option<&str>,
) -> Outcome<Option<Deployment>> {
    #[derive(Deserialize)]
    struct Answer {
        deployment: Option<Deployment>,
    }
    let query = format!(
        "query($name: String!, $asOf: Moment) {{ deployment(name: $name, asOf: $asOf) {{ name phase revision \
         rollout {{ name number purpose outcome reason stepsTotal }} \
         tree {{ member needs blockers {{ on reason since }} resource {{ ...R }} }} }} }} {RESOURCE}"
    );
    let answer: Answer = client.ask(&query, json!({ "name": name, "asOf": as_of })).await?;
    Ok(answer.deployment)
}

enum Verdict {
    NotYet,
    Done(String),
}

impl<'a> Progress<'a> {
    pub(crate) fn new(
        session: &'a Session,
        deployment: &'a str,
        rollout: Option<&'a str>,
        goal: Goal,
        patience: Duration,
    ) -> Self {
        let (started, shown) = (Instant::now(), BTreeMap::new());
        Self { session, deployment, rollout, goal, started, patience, shown, drawn: 0 }
    }

    /// Waits, and says what it waits for.
    pub(crate) async fn run(mut self) -> Outcome {
        let deployment = self.deployment.to_owned();
        let stopped = match self.rollout {
            Some(_) => "stopped waiting; the rollout goes on",
            None => "stopped waiting",
        };
        tokio::select! {
            outcome = self.follow() => outcome,
            _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Interrupted, stopped)
                .hint(format!("wait again with: cairn wait {deployment}"))),
        }
    }

    async fn follow(&mut self) -> Outcome {
        let deadline = self.started + self.patience;
        let mut away: Option<Instant> = None;
        let mut events: Option<Events> = None;
        loop {
            if events.is_none() {
                events = self.subscribe().await.ok();
            }
            let last = match look(&self.session.client, self.deployment, None).await {
                Ok(last) => last,
                Err(failure) if failure.exit == Exit::Unreachable => {
                    let since = *away.get_or_insert_with(Instant::now);
                    if since.elapsed() > AWAY_MAX || Instant::now() >= deadline {
                        return Err(failure);
                    }
                    if since.elapsed() < GATHER {
                        self.session.terminal.say("the server is away; trying again");
                    }
                    events = None;
                    tokio::time::sleep(LOOK_EVERY).await;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            away = None;
            self.show(last.as_ref());
            if let Verdict::Done(text) = self.judge(last.as_ref())? {
                self.session.terminal.print(&text);
                return Ok(Exit::Done);
            }
            if Instant::now() >= deadline {
                return Err(self.timed_out(last.as_ref()));
            }
            self.gather(&mut events, deadline).await;
        }
    }

    async fn subscribe(&self) -> Outcome<Events> {
        let head: Value = self.session.client.ask("{ serverInfo { head } }", json!({})).await?;
        let after = head.pointer("/serverInfo/head").cloned().unwrap_or_default();
        let variables = json!({ "after": after, "prefix": self.deployment });
        self.session.client.follow(EVENTS, variables).await
    }

    /// Waits for something to happen, then a moment for what comes with it.
    async fn gather(&self, events: &mut Option<Events>, deadline: Instant) {
        let until = deadline.min(Instant::now() + LOOK_EVERY).into();
        let Some(stream) = events else {
            tokio::time::sleep_until(until).await;
            return;
        };
        let mut lost = !matches!(timeout_at(until, stream.next()).await, Err(_) | Ok(Ok(Some(_))));
        let gathered = (Instant::now() + GATHER).into();
        while let Ok(next) = timeout_at(gathered, stream.next()).await {
            if !matches!(next, Ok(Some(_))) {
                lost = true;
                break;
            }
        }
        if lost {
            *events = None;
        }
    }

    fn judge(&self, last: Option<&Deployment>) -> Outcome<Verdict> {
        let Some(last) = last else {
            return Err(Failure::not_found(format!("deployment `{}`", self.deployment)));
        };
        let nodes = last.tree.as_deref().unwrap_or_default();
        let took = duration(i64::try_from(self.started.elapsed().as_secs()).unwrap_or_default());
        if let Some(rollout) = &last.rollout {
            if self.rollout.is_some_and(|ours| ours != rollout.name) {
                return Err(Failure::new(
                    Exit::Negative,
                    format!("rollout {} took its place", rollout.name),
                )
                .hint(format!("wait for that one with: cairn wait {}", self.deployment)));
            }
            if rollout.outcome == "failed" {
                let reason = rollout.reason.clone().unwrap_or_default();
                return Err(Failure::new(
                    Exit::Negative,
                    format!("{} {} failed", rollout.purpose, rollout.number),
                )
                .detail(reason)
                .hint(format!("see the graph with: cairn trace {}", self.deployment)));
            }
        }
        let running = last.rollout.as_ref().is_some_and(|rollout| rollout.outcome == "running");
        let ready = nodes.iter().all(|node| node.resource.ready);
        Ok(match self.goal {
            Goal::Ready if last.phase == "deleted" => {
                return Err(Failure::new(
                    Exit::Negative,
                    format!("{} is deleted", self.deployment),
                ));
            }
            Goal::Ready if !running && ready => {
                let revision = last.revision.unwrap_or_default();
                Verdict::Done(format!(
                    "{} revision {revision} is ready: {} resources, {took}",
                    last.name,
                    nodes.len()
                ))
            }
            Goal::Gone if last.phase == "deleted" => {
                Verdict::Done(format!("{} is gone, {took}", last.name))
            }
            Goal::Ready | Goal::Gone => Verdict::NotYet,
        })
    }

    fn show(&mut self, last: Option<&Deployment>) {
        let Some(last) = last else { return };
        if self.session.terminal.live {
            self.redraw(last);
        } else {
            self.report(last);
        }
    }

    fn redraw(&mut self, last: &Deployment) {
        let terminal = &self.session.terminal;
        let (height, width) = terminal.size();
        let drawn = tree::draw(last, now(), terminal.colour_talk);
        let mut lines: Vec<_> =
            drawn.lines().map(|line| crate::table::cut(line, width.saturating_sub(1))).collect();
        let room = height.saturating_sub(2).max(4);
        if lines.len() > room {
            let more = lines.len() - room;
            lines.truncate(room);
            lines.push(format!("… {more} more: cairn trace {}", self.deployment));
        }
        terminal.redraw(self.drawn, &lines.join("\n"));
        self.drawn = lines.len();
    }

    /// A line for everything that changed; what is ready from the start is not news.
    fn report(&mut self, last: &Deployment) {
        let nodes = last.tree.as_deref().unwrap_or_default();
        let (total, first) = (nodes.len(), self.shown.is_empty());
        let was_ready = |shown: &BTreeMap<String, String>, node: &Node| {
            shown.get(&node.resource.id).is_some_and(|seen| seen == READY)
        };
        if first {
            let ready = nodes.iter().filter(|node| node.resource.ready);
            self.shown.extend(ready.map(|node| (node.resource.id.clone(), READY.to_owned())));
        }
        let mut done = nodes.iter().filter(|node| was_ready(&self.shown, node)).count();
        for node in nodes {
            let state = node.resource.state();
            let why = waiting(node);
            let seen = if why.is_empty() { state.clone() } else { format!("{state} ({why})") };
            if self.shown.get(&node.resource.id) == Some(&seen) {
                continue;
            }
            match (was_ready(&self.shown, node), seen == READY) {
                (false, true) => done += 1,
                (true, false) => done = done.saturating_sub(1),
                (true, true) | (false, false) => {}
            }
            let since = node.blockers.last().map(|blocker| age(blocker.since, now()));
            let suffix = match since {
                Some(since) if !why.is_empty() => format!("  ({why}, {since})"),
                _ => String::new(),
            };
            let line = format!("[{done}/{total}] {}  {state}{suffix}", node.resource.id);
            self.session.terminal.say(&line);
            self.shown.insert(node.resource.id.clone(), seen);
        }
    }

    fn timed_out(&self, last: Option<&Deployment>) -> Failure {
        let spent = duration(i64::try_from(self.patience.as_secs()).unwrap_or_default());
        let mut failure =
            Failure::new(Exit::TimedOut, format!("{} is not there after {spent}", self.deployment));
        let nodes = last.and_then(|last| last.tree.as_deref()).unwrap_or_default();
        for node in nodes.iter().filter(|node| !node.resource.ready) {
            let blocker = tree::blocker(node, now()).unwrap_or_else(|| node.resource.state());
            failure = failure.detail(format!("{}: {blocker}", node.resource.id));
        }
        let running = last.and_then(|last| last.rollout.as_ref());
        let running = running.is_some_and(|rollout| rollout.outcome == "running");
        let goes_on = if running { "the rollout goes on; " } else { "" };
        failure.hint(format!("{goes_on}wait again with: cairn wait {}", self.deployment))
    }
}

/// What a resource waits for, without the time.
fn waiting(node: &Node) -> String {
    if node.resource.ready {
        return String::new();
    }
    node.blockers.first().map(|blocker| blocker.reason.clone()).unwrap_or_default()
}
