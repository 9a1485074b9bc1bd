//! Waiting for a deployment: the tree redrawn on a terminal, otherwise a line a change.

mod report;
mod verdict;

use std::fmt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::timeout_at;

use crate::answers::Deployment;
use crate::client::{Client, Events};
use crate::commands::Session;
use crate::failure::{Exit, Failure, Outcome};
use crate::look::{Look, Question, look};
use crate::progress::report::Report;
pub(crate) use crate::progress::report::waiting;
use crate::progress::verdict::Verdict;
use crate::terminal::duration;
use crate::tree;

/// How often the tree is looked at when nothing is heard: shared resources have other names, and ages grow.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long events are gathered before the tree is looked at.
const GATHER: Duration = Duration::from_millis(50);

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

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "ready",
            Self::Gone => "gone",
        })
    }
}

/// A deployment that is waited for.
pub(crate) struct Progress<'a> {
    session: &'a Session,
    client: Client,
    deployment: &'a str,
    rollout: Option<&'a str>,
    goal: Goal,
    started: Instant,
    patience: Duration,
    report: Report,
    /// That it is being taken back was said.
    told: Option<Instant>,
    drawn: usize,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(
        session: &'a Session,
        deployment: &'a str,
        rollout: Option<&'a str>,
        goal: Goal,
        patience: Duration,
    ) -> Self {
        let (started, report) = (Instant::now(), Report::of(goal));
        let client = session.client.patient();
        let (told, drawn) = (None, 0);
        Self { session, client, deployment, rollout, goal, started, patience, report, told, drawn }
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
        let mut events: Option<Events> = None;
        let mut seen: Option<Look> = None;
        loop {
            let looked = async {
                if events.is_none() {
                    events = self.subscribe().await?;
                }
                look(&self.client, self.question()).await
            };
            // The first look is taken in any case.
            let last = match (timeout_at(deadline.into(), looked).await, &seen) {
                (Ok(last), _) => last?,
                (Err(_), Some(seen)) => return Err(self.timed_out(seen)),
                (Err(_), None) => look(&self.client, self.question()).await?,
            };
            self.show(&last);
            match self.judge(&last.deployment)? {
                Verdict::NotYet => {}
                Verdict::TakenBack(text) => self.tell(&text),
                Verdict::Done(text) => {
                    self.session.terminal.print(&text);
                    return Ok(Exit::Done);
                }
            }
            if Instant::now() >= deadline {
                return Err(self.timed_out(&last));
            }
            seen = Some(last);
            self.gather(&mut events, deadline).await;
        }
    }

    /// Follows what happens to the deployment. Without it, it is looked at now and then.
    async fn subscribe(&self) -> Outcome<Option<Events>> {
        let head: Value = self.client.ask("{ serverInfo { head } }", json!({})).await?;
        let after = head.pointer("/serverInfo/head").cloned().unwrap_or_default();
        let variables = json!({ "after": after, "prefix": self.deployment });
        Ok(self.client.follow(EVENTS, variables).await.ok())
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

    fn question(&self) -> Question<'a> {
        let number = self.rollout.and_then(|name| name.rsplit('_').next()?.parse().ok());
        Question { deployment: self.deployment, as_of: None, rollout: number }
    }

    fn show(&mut self, last: &Look) {
        if self.session.terminal.live {
            self.redraw(last);
        } else {
            for line in self.report.news(last) {
                self.session.terminal.say(&line);
            }
        }
    }

    /// Says once that what was waited for will not come, while the way back is gone.
    fn tell(&mut self, text: &str) {
        if self.told.is_none() {
            self.told = Some(Instant::now());
            self.session.terminal.say(text);
            self.drawn = 0;
        }
    }

    fn redraw(&mut self, last: &Look) {
        let terminal = &self.session.terminal;
        let (height, width) = terminal.size();
        let drawn = tree::draw(last, terminal.colour_talk);
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

    fn timed_out(&self, last: &Look) -> Failure {
        let spent = duration(i64::try_from(self.patience.as_secs()).unwrap_or_default());
        let mut failure = Failure::new(
            Exit::TimedOut,
            format!("{} is not {} after {spent}", self.deployment, self.goal),
        );
        let Look { deployment, time } = last;
        let nodes = deployment.tree.as_deref().unwrap_or_default();
        for node in nodes.iter().filter(|node| !node.resource.ready) {
            let blocker = tree::blocker(node, *time).unwrap_or_else(|| node.resource.state());
            failure = failure.detail(format!("{}: {blocker}", node.resource.id));
        }
        let resume = tree::resume(deployment).map(|resume| format!("{resume}; then "));
        let goes_on = if is_running(deployment) { "the rollout goes on; " } else { "" };
        failure.hint(format!(
            "{}{goes_on}wait again with: cairn wait {}",
            resume.unwrap_or_default(),
            self.deployment
        ))
    }
}

fn is_running(deployment: &Deployment) -> bool {
    deployment.rollout.as_ref().is_some_and(|rollout| rollout.outcome == "running")
}
