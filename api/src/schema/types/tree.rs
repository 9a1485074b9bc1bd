//! A deployment's whole graph, with the chain of blockers at everything that is not ready.

use std::collections::{BTreeMap, BTreeSet};

use async_graphql::{ID, SimpleObject};
use domain::lifecycle::Body;
use domain::{ResourceId, StreamId};
use projections::queries::Tree as Rows;
use projections::{AsOf, Row, State};

use super::Resource;
use super::resource::{Blocker, reason, subject};
use crate::fault::Fault;

/// The longest chain of blockers that is followed: deeper than any graph of ours.
const CHAIN_MAX: usize = 16;

/// One resource of a deployment's graph.
#[derive(SimpleObject)]
pub(crate) struct TreeNode {
    /// The resource.
    resource: Resource,
    /// It belongs to the deployment; otherwise it is shared.
    member: bool,
    /// What it needs, by id. All of them are nodes too.
    needs: Vec<ID>,
    /// Why it is not ready: what it waits for, what that waits for, and so on. The last one is the cause.
    blockers: Vec<Blocker>,
}

/// What is known of a node while chains are followed.
struct Known {
    reason: Option<Blocker>,
    next: Option<ResourceId>,
}

/// Shows a tree.
pub(crate) fn nodes(
    rows: Rows,
    deployment: &str,
    as_of: Option<AsOf>,
) -> Result<Vec<TreeNode>, Fault> {
    let known = known(&rows.nodes)?;
    let mut needs: BTreeMap<StreamId, BTreeSet<String>> = BTreeMap::new();
    for edge in rows.edges {
        needs.entry(edge.source).or_default().insert(subject(&edge.target));
    }
    let node = |row: Row| {
        let id = row.stream.resource();
        let needs = needs.remove(&row.stream).unwrap_or_default();
        Ok(TreeNode {
            member: row.deployment.as_deref() == Some(deployment),
            needs: needs.into_iter().map(ID).collect(),
            blockers: id.map(|id| chain(&known, &id)).unwrap_or_default(),
            resource: Resource::of(row, as_of)?,
        })
    };
    rows.nodes.into_iter().map(node).collect()
}

fn known(rows: &[Row]) -> Result<BTreeMap<ResourceId, Known>, Fault> {
    let mut known = BTreeMap::new();
    for row in rows {
        let (Some(id), State::Resource(life)) = (row.stream.resource(), row.state()?) else {
            continue;
        };
        if let Some(body) = life.body() {
            known.insert(id, Known::of(body));
        }
    }
    Ok(known)
}

impl Known {
    fn of(body: &Body) -> Self {
        let next = body.blocker.as_ref().and_then(|blocker| blocker.on.clone());
        let waits = body.blocker.as_ref().map(Blocker::of);
        let own = reason(body).map(|reason| Blocker {
            on: None,
            reason,
            since: super::Timestamp(body.readiness.since),
        });
        Self { reason: if body.is_ready() { None } else { waits.or(own) }, next }
    }
}

/// What a resource waits for, what that waits for, and so on; ends at a circle.
fn chain(known: &BTreeMap<ResourceId, Known>, id: &ResourceId) -> Vec<Blocker> {
    let (mut chain, mut seen, mut at) = (Vec::new(), BTreeSet::new(), Some(id));
    while let Some(node) = at.and_then(|id| known.get(id)) {
        if chain.len() >= CHAIN_MAX || at.is_some_and(|id| !seen.insert(id)) {
            break;
        }
        chain.extend(node.reason.clone());
        at = node.next.as_ref().filter(|_| node.reason.is_some());
    }
    chain
}
