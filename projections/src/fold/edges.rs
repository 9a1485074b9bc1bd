//! The edges that start at an aggregate: what a resource needs, which clusters an environment offers.

use std::collections::BTreeSet;

use domain::environment::Environment;
use domain::{Need, StreamId};

use super::clean;
use crate::batch::{Batch, EdgeChange, EdgeKey};
use crate::state::State;

/// While this is the same, so are the spec and what the resource needs, or the clusters that the environment offers.
pub(super) type Mark = Option<(Option<uuid::Uuid>, u64)>;

pub(super) fn mark(state: &State) -> Mark {
    match state {
        State::Resource(resource) => resource.body().map(|body| (Some(body.uid), body.generation)),
        State::Environment(Environment { version, definition }) => {
            definition.is_some().then_some((None, *version))
        }
        State::Account(_)
        | State::Application(_)
        | State::Class(_)
        | State::Content(_)
        | State::Deployment(_)
        | State::Plan(_)
        | State::Request(_)
        | State::Rollout(_) => None,
    }
}

pub(super) fn edges_of(stream: &StreamId, state: &State) -> BTreeSet<EdgeKey> {
    let needs = match state {
        State::Resource(resource) => {
            resource.body().map(|body| body.spec.needs()).unwrap_or_default()
        }
        State::Environment(Environment { definition: Some(definition), .. }) => {
            definition.offered().map(Need::ready).collect()
        }
        State::Environment(Environment { definition: None, .. })
        | State::Account(_)
        | State::Application(_)
        | State::Class(_)
        | State::Content(_)
        | State::Deployment(_)
        | State::Plan(_)
        | State::Request(_)
        | State::Rollout(_) => return BTreeSet::new(),
    };
    let key = |need: Need| EdgeKey {
        source: stream.to_string(),
        target: need.resource.stream(stream.tenant()).to_string(),
        output: clean(&need.output.unwrap_or_default()).into_owned(),
    };
    needs.into_iter().map(key).collect()
}

pub(super) fn rewire(
    batch: &mut Batch,
    before: &BTreeSet<EdgeKey>,
    after: BTreeSet<EdgeKey>,
    at: i64,
) -> BTreeSet<EdgeKey> {
    let gone = before.difference(&after).cloned();
    batch.edges.extend(gone.map(|edge| EdgeChange::Closed { edge, at }));
    let new = after.difference(before).cloned();
    batch.edges.extend(new.map(|edge| EdgeChange::Opened { edge, at }));
    after
}
