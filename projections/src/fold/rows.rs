//! The rows that only need the commit: what people read, and the names of things.

use domain::commit::{Commit, EventRecord};
use serde_json::value::RawValue;

use super::{clean, signed};
use crate::batch::{ActivityRow, Batch, Handle};
use crate::columns::Columns;

/// The largest event data kept in the activity view, in bytes; the log has the rest.
const EVENT_BYTES_MAX: usize = 1_024;

/// Notes the uid and the external name when a commit may have brought a new one.
pub(super) fn handles(batch: &mut Batch, commit: &Commit, columns: &Columns, since: i64) {
    let names = |event: &EventRecord| match event.event_type.as_str() {
        "Declared" => columns.uid.clone(),
        "ActionSucceeded" | "BecameReady" => columns.external.clone(),
        _ => None,
    };
    let handles = commit.events.iter().filter_map(names);
    let handles = handles.map(|handle| clean(&handle).into_owned());
    batch.handles.extend(handles.map(|handle| Handle {
        handle,
        stream: commit.stream.clone(),
        since,
    }));
}

#[derive(serde::Serialize)]
struct EventSummary<'a> {
    #[serde(rename = "type")]
    event_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

pub(super) fn activity(commit: &Commit, position: i64) -> ActivityRow {
    let summary = |event: &'_ EventRecord| {
        let small = event.data.get().len() <= EVENT_BYTES_MAX;
        serde_json::to_string(&EventSummary {
            event_type: &event.event_type,
            data: small.then_some(&event.data),
        })
    };
    let events: Vec<String> =
        commit.events.iter().filter_map(|event| summary(event).ok()).collect();
    ActivityRow {
        position,
        commit_id: commit.commit_id.to_string(),
        time: commit.time.as_micros(),
        stream: commit.stream.clone(),
        version: signed(commit.first_version),
        actor: clean(&commit.actor.to_string()).into_owned(),
        command: clean(&commit.command).into_owned(),
        intent: is_intent(commit),
        causation_id: commit.causation_id.map(|id| id.to_string()),
        correlation_id: commit.correlation_id.to_string(),
        traceparent: commit.traceparent.as_deref().map(|parent| clean(parent).into_owned()),
        events: format!("[{}]", events.join(",")),
    }
}

/// Somebody wanted something, in contrast to a reconciler that saw or did something.
fn is_intent(commit: &Commit) -> bool {
    const OBSERVATIONS: &[&str] = &[
        "ActionStarted",
        "ActionSucceeded",
        "ActionFailed",
        "OutputsPublished",
        "BecameReady",
        "BecameUnready",
        "Blocked",
        "DriftDetected",
        "DriftCleared",
        "Noticed",
        "CanaryStepped",
        "CanaryShifted",
        "CanaryMeasured",
        "CanaryFailed",
        "CanaryEnded",
        "Deleted",
        "Answered",
        "Stalled",
        "Ended",
        "RolloutEnded",
    ];
    commit.stream.kind() == domain::application::KIND
        || commit.events.iter().any(|event| !OBSERVATIONS.contains(&event.event_type.as_str()))
}
