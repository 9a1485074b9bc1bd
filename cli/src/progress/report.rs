//! Progress as lines: one for everything that changed.

use std::collections::{BTreeMap, BTreeSet};

use super::Goal;
use crate::answers::Node;
use crate::look::Look;
use crate::terminal::age;
use crate::tree::is_held;

/// How a resource is that needs nothing more.
const READY: &str = "ready";

/// What was said already.
pub(super) struct Report {
    goal: Goal,
    shown: BTreeMap<String, String>,
    /// The deployment's own resources that were seen, and so have to go when it goes.
    members: BTreeSet<String>,
}

impl Report {
    pub(super) const fn of(goal: Goal) -> Self {
        Self { goal, shown: BTreeMap::new(), members: BTreeSet::new() }
    }

    /// A line for everything that changed since the last look; what is ready from the start is not news.
    pub(super) fn news(&mut self, last: &Look) -> Vec<String> {
        let nodes = last.deployment.tree.as_deref().unwrap_or_default();
        if self.shown.is_empty() {
            let ready = nodes.iter().filter(|node| node.resource.ready);
            self.shown.extend(ready.map(|node| (node.resource.id.clone(), READY.to_owned())));
        }
        let own = nodes.iter().filter(|node| node.member);
        self.members.extend(own.map(|node| node.resource.id.clone()));
        let mut lines = Vec::new();
        if self.goal == Goal::Gone {
            self.gone(nodes, &mut lines);
        }
        let mut done = match self.goal {
            Goal::Ready => nodes.iter().filter(|node| self.was_ready(node)).count(),
            Goal::Gone => self.members.len() - nodes.iter().filter(|node| node.member).count(),
        };
        let total = if self.goal == Goal::Ready { nodes.len() } else { self.members.len() };
        for node in nodes {
            let state = node.resource.state();
            let why = waiting(node);
            let seen = if why.is_empty() { state.clone() } else { format!("{state} ({why})") };
            if self.shown.get(&node.resource.id) == Some(&seen) {
                continue;
            }
            if self.goal == Goal::Ready {
                match (self.was_ready(node), seen == READY) {
                    (false, true) => done += 1,
                    (true, false) => done = done.saturating_sub(1),
                    (true, true) | (false, false) => {}
                }
            }
            let since = node.blockers.last().map(|blocker| age(blocker.since, last.time));
            let suffix = match since {
                Some(since) if is_held(node) => {
                    format!("  ({why}, {since}): cairn resume {}", node.resource.id)
                }
                Some(since) if !why.is_empty() => format!("  ({why}, {since})"),
                _ => String::new(),
            };
            lines.push(format!("[{done}/{total}] {}  {state}{suffix}", node.resource.id));
            self.shown.insert(node.resource.id.clone(), seen);
        }
        lines
    }

    /// A line for everything that was there at the last look, and is not any more.
    fn gone(&mut self, nodes: &[Node], lines: &mut Vec<String>) {
        let there: BTreeSet<&str> = nodes.iter().map(|node| node.resource.id.as_str()).collect();
        let left = self.members.iter().filter(|id| there.contains(id.as_str())).count();
        let went = self.members.iter().filter(|id| !there.contains(id.as_str()));
        let news: Vec<_> = went.filter(|id| self.shown.contains_key(*id)).cloned().collect();
        let (total, already) = (self.members.len(), self.members.len() - left - news.len());
        for (number, id) in news.into_iter().enumerate() {
            lines.push(format!("[{}/{total}] {id}  gone", already + number + 1));
            self.shown.remove(&id);
        }
    }

    fn was_ready(&self, node: &Node) -> bool {
        self.shown.get(&node.resource.id).is_some_and(|seen| seen == READY)
    }
}

/// What a resource waits for, without the time.
pub(crate) fn waiting(node: &Node) -> String {
    if node.resource.ready {
        return String::new();
    }
    node.blockers.first().map(|blocker| blocker.reason.clone()).unwrap_or_default()
}
