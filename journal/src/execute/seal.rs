//! From what was decided to the commit that is stored.

use domain::commit::{Commit, Context, EventRecord, Sealed};
use domain::{Decider, StreamId};

use super::Outcome;
use crate::ExecuteError;
use crate::codec::Description;
use crate::state::Folded;

/// A command on its way.
pub(super) struct Request<'a> {
    pub(super) stream: &'a StreamId,
    pub(super) context: &'a Context,
    pub(super) command: &'a Description,
}

/// The events as a commit that continues the stream from where it was judged.
pub(super) fn seal<D: Decider>(
    request: &Request<'_>,
    current: &Folded<D::State>,
    events: &[D::Event],
) -> Outcome<Sealed, D> {
    let context = request.context;
    let records: Result<Vec<_>, _> = events.iter().map(EventRecord::encode).collect();
    let commit = Commit {
        commit_id: context.commit_id,
        stream: request.stream.clone(),
        first_version: current.version + 1,
        time: context.time,
        actor: context.actor.clone(),
        command: request.command.name.clone(),
        command_hash: request.command.digest,
        causation_id: context.causation_id,
        correlation_id: context.correlation_id,
        traceparent: context.traceparent.clone(),
        prev_hash: current.hash,
        events: records.map_err(|source| ExecuteError::Seal(source.into()))?,
    };
    Ok(commit.seal()?)
}
