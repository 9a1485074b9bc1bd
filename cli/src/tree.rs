//! A deployment's graph as a tree: what is needed below what needs it.

use std::collections::{BTreeMap, BTreeSet};

use domain::Time;

use crate::answers::{Deployment, LeftBehind, Node};
use crate::look::Look;
use crate::table::{cut, table};
use crate::terminal::{age, paint};

/// The widest name in a tree.
const NAME_WIDTH_MAX: usize = 64;
/// The reason that the reconcilers give for taking no action.
const PAUSED: &str = "it is paused";
/// The deepest tree that is drawn.
const DEPTH_MAX: usize = 32;

/// Draws a deployment: a heading, and a line a resource.
pub(crate) fn draw(look: &Look, colour: bool) -> String {
    let (deployment, now) = (&look.deployment, look.time);
    let nodes = deployment.tree.as_deref().unwrap_or_default();
    if nodes.is_empty() && deployment.phase == "deleted" {
        let name = &deployment.name;
        return format!(
            "deployment/{name} is deleted: see it as it was with --as-of, or `cairn history deployment/{name}`"
        );
    }
    if nodes.is_empty() {
        return format!("{}\n(no resources)", heading(deployment, nodes));
    }
    let by_id: BTreeMap<&str, &Node> =
        nodes.iter().map(|node| (node.resource.id.as_str(), node)).collect();
    let needed: BTreeSet<&str> =
        nodes.iter().flat_map(|node| node.needs.iter().map(String::as_str)).collect();
    let mut drawing = Drawing { by_id, drawn: BTreeSet::new(), rows: Vec::new(), now, colour };
    let roots = nodes.iter().filter(|node| !needed.contains(node.resource.id.as_str()));
    for node in roots {
        drawing.draw(node, "", "", 0);
    }
    // Circles have no root: none of ours should be one, yet nothing is left out.
    for node in nodes {
        if !drawing.drawn.contains(node.resource.id.as_str()) {
            drawing.draw(node, "", "", 0);
        }
    }
    let rows = table(["RESOURCE", "READY", "SINCE", "STATE", "BLOCKER"], &drawing.rows);
    let warnings = warnings(nodes, now);
    let (left, stranded) = (left_behind(deployment, now), stranded(deployment, now));
    format!("{}{stranded}\n{rows}{warnings}{left}", heading(deployment, nodes))
}

/// Why it is still in a cluster that is lost; empty where it is not, or need not leave.
fn stranded(deployment: &Deployment, now: Time) -> String {
    deployment.stranded.as_ref().map_or_else(String::new, |stranded| {
        let since = age(stranded.since, now);
        format!("\ncannot leave {}, lost since {since}: {}", stranded.cluster, stranded.reason)
    })
}

/// What it left in clusters that were lost; empty where that is nothing.
fn left_behind(deployment: &Deployment, now: Time) -> String {
    if deployment.left_behind.is_empty() {
        return String::new();
    }
    let row = |left: &LeftBehind| {
        [cut(&left.resource, NAME_WIDTH_MAX), left.cluster.clone(), age(left.since, now)]
    };
    let rows: Vec<[String; 3]> = deployment.left_behind.iter().map(row).collect();
    let hint = "it is removed by the next plan that finds the cluster ready";
    format!("\n\n{}\n{hint}", table(["LEFT BEHIND", "IN", "SINCE"], &rows))
}

/// What the world warns of that resources live in which are not ready; empty when of nothing.
fn warnings(nodes: &[Node], now: Time) -> String {
    let unready = nodes.iter().filter(|node| !node.resource.ready);
    let rows = unready.flat_map(|node| {
        let id = &node.resource.id;
        node.resource.notices.iter().map(move |notice| {
            let what = format!("{}: {}", notice.about, notice.message);
            [cut(id, NAME_WIDTH_MAX), notice.reason.clone(), age(notice.at, now), what]
        })
    });
    let rows: Vec<[String; 4]> = rows.collect();
    if rows.is_empty() {
        return String::new();
    }
    format!("\n\n{}", table(["RESOURCE", "WARNING", "SINCE", "ABOUT"], &rows))
}

/// What to do about the resources of a deployment that are paused, and hold others up or are held up themselves.
pub(crate) fn resume(deployment: &Deployment) -> Option<String> {
    let nodes = deployment.tree.as_deref().unwrap_or_default();
    let held = nodes.iter().filter(|node| is_held(node));
    let commands: Vec<_> = held.map(|node| format!("cairn resume {}", node.resource.id)).collect();
    (!commands.is_empty()).then(|| format!("take actions again with: {}", commands.join("; ")))
}

/// Whether a resource is not ready because it is paused.
pub(crate) fn is_held(node: &Node) -> bool {
    let own = node.blockers.first().filter(|blocker| blocker.on.is_none());
    let paused = node.resource.phase == "paused";
    !node.resource.ready && (paused || own.is_some_and(|blocker| blocker.reason == PAUSED))
}

pub(crate) fn heading(deployment: &Deployment, nodes: &[Node]) -> String {
    let ready = nodes.iter().filter(|node| node.resource.ready).count();
    let revision =
        deployment.revision.map(|revision| format!(" revision {revision}")).unwrap_or_default();
    let rollout = deployment.rollout.as_ref().map(|rollout| {
        let reason =
            rollout.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!(", {} {} {}{reason}", rollout.purpose, rollout.number, rollout.outcome)
    });
    let rollout = rollout.unwrap_or_default();
    format!("deployment/{}{revision}{rollout}, {ready}/{} ready", deployment.name, nodes.len())
}

struct Drawing<'a> {
    by_id: BTreeMap<&'a str, &'a Node>,
    drawn: BTreeSet<&'a str>,
    rows: Vec<[String; 5]>,
    now: Time,
    colour: bool,
}

impl<'a> Drawing<'a> {
    fn draw(&mut self, node: &'a Node, branch: &str, indent: &str, depth: usize) {
        let id = node.resource.id.as_str();
        let again = !self.drawn.insert(id);
        let name = cut(id, NAME_WIDTH_MAX);
        if again {
            let seen = if node.needs.is_empty() { name } else { format!("{name} …") };
            self.rows.push([
                format!("{branch}{seen}"),
                ready(node, self.colour),
                String::new(),
                String::new(),
                String::new(),
            ]);
            return;
        }
        let since = node.resource.since.map(|since| age(since, self.now)).unwrap_or_default();
        let blocker = blocker(node, self.now).unwrap_or_default();
        self.rows.push([
            format!("{branch}{name}"),
            ready(node, self.colour),
            since,
            node.resource.state(),
            blocker,
        ]);
        if depth >= DEPTH_MAX {
            return;
        }
        let below: Vec<&Node> =
            node.needs.iter().filter_map(|id| self.by_id.get(id.as_str()).copied()).collect();
        let last = below.len().saturating_sub(1);
        for (index, child) in below.into_iter().enumerate() {
            let (branch, next) =
                if index == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            self.draw(child, &format!("{indent}{branch}"), &format!("{indent}{next}"), depth + 1);
        }
    }
}

fn ready(node: &Node, colour: bool) -> String {
    if node.resource.ready { paint(colour, "32", "yes") } else { paint(colour, "33", "no") }
}

/// What a resource waits for, and what is behind that, with the time it has been so.
pub(crate) fn blocker(node: &Node, now: Time) -> Option<String> {
    if node.resource.ready {
        return None;
    }
    let (first, last) = (node.blockers.first()?, node.blockers.last()?);
    let since = age(last.since, now);
    match &first.on {
        Some(on) if node.blockers.len() > 1 => {
            let cause = node
                .blockers
                .iter()
                .rev()
                .nth(1)
                .and_then(|blocker| blocker.on.as_ref())
                .unwrap_or(on);
            Some(format!("{cause}: {} ({since})", last.reason))
        }
        _ => Some(format!("{} ({since})", last.reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: Time = Time::from_micros(60_000_000);

    fn look() -> Look {
        let resource = |id: &str, phase: &str| {
            let on = (phase == "blocked").then(|| json!({"on": "database/d"}));
            json!({"id": id, "phase": phase, "ready": phase == "ready", "since": "1970-01-01T00:00:48Z", "blocker": on})
        };
        let waits = json!({"on": "database/d", "reason": "waits for database/d", "since": "1970-01-01T00:00:30Z"});
        let broken = json!({"on": null, "reason": "disk is full", "since": "1970-01-01T00:00:50Z"});
        let deployment = serde_json::from_value(json!({
            "name": "dev_shop", "phase": "rolling", "revision": 2,
            "rollout": {"name": "dev_shop_1", "number": 1, "revision": 2, "purpose": "deploy", "outcome": "running"},
            "tree": [
                {"resource": resource("cluster/c", "ready"), "member": false, "needs": [], "blockers": []},
                {"resource": resource("database/d", "failing"), "member": true, "needs": ["cluster/c"], "blockers": [broken]},
                {"resource": resource("workload/w", "blocked"), "member": true, "needs": ["cluster/c", "database/d"],
                 "blockers": [waits, broken]},
            ]
        }))
        .unwrap();
        Look { deployment, time: NOW }
    }

    #[test]
    fn what_is_paused_is_to_be_resumed() {
        let mut deployment = look().deployment;
        assert_eq!(resume(&deployment), None);
        let tree = deployment.tree.as_mut().unwrap();
        for node in tree.iter_mut().filter(|node| !node.resource.ready) {
            node.blockers.last_mut().unwrap().reason = "it is paused".into();
        }
        let expected = "take actions again with: cairn resume database/d";
        assert_eq!(resume(&deployment).as_deref(), Some(expected));
    }

    #[test]
    fn what_the_world_warns_of_is_told_of_what_is_not_ready() {
        let mut look = look();
        let notice = json!({"reason": "FailedScheduling", "about": "Pod w-1", "message": "0/3 nodes",
            "at": "1970-01-01T00:00:40Z"});
        for node in look.deployment.tree.as_mut().unwrap() {
            node.resource.notices = vec![serde_json::from_value(notice.clone()).unwrap()];
        }
        let drawn = draw(&look, false);
        let (_, warned) = drawn.split_once("\n\n").unwrap();
        assert_eq!(
            warned,
            "RESOURCE    WARNING           SINCE  ABOUT\n\
             database/d  FailedScheduling  20s    Pod w-1: 0/3 nodes\n\
             workload/w  FailedScheduling  20s    Pod w-1: 0/3 nodes"
        );
    }

    #[test]
    fn what_was_left_behind_is_told_of() {
        let mut look = look();
        let left = json!({"resource": "workload/w", "cluster": "cluster/a", "since": "1970-01-01T00:00:40Z"});
        look.deployment.left_behind = vec![serde_json::from_value(left).unwrap()];
        let drawn = draw(&look, false);
        let (_, left) = drawn.split_once("\n\n").unwrap();
        assert_eq!(
            left,
            "LEFT BEHIND  IN         SINCE\n\
             workload/w   cluster/a  20s\n\
             it is removed by the next plan that finds the cluster ready"
        );
    }

    #[test]
    fn why_it_cannot_leave_a_lost_cluster_is_told_first() {
        let mut look = look();
        let stranded =
            json!({"cluster": "cluster/a", "since": "1970-01-01T00:00:40Z", "reason": "no room"});
        look.deployment.stranded = Some(serde_json::from_value(stranded).unwrap());
        let drawn = draw(&look, false);
        assert_eq!(drawn.lines().nth(1), Some("cannot leave cluster/a, lost since 20s: no room"));
    }

    #[test]
    fn what_is_needed_is_drawn_below_what_needs_it() {
        assert_eq!(
            draw(&look(), false),
            "deployment/dev_shop revision 2, deploy 1 running, 1/3 ready\n\
             RESOURCE         READY  SINCE  STATE    BLOCKER\n\
             workload/w       no     12s    waiting  database/d: disk is full (10s)\n\
             ├─ cluster/c     yes    12s    ready\n\
             └─ database/d    no     12s    failing  disk is full (10s)\n\
             \u{20}  └─ cluster/c  yes"
        );
    }
}
