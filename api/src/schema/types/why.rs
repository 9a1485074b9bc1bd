//! Who did what, when, and why.

use async_graphql::{ID, Json, SimpleObject};
use projections::queries::{Activity as Row, EventNote, Version as VersionRow, Why as WhyRow};
use serde_json::Value;

use super::{Position, Timestamp, subject};

/// One commit: what somebody wanted, or what a reconciler saw or did.
#[derive(SimpleObject)]
pub(crate) struct Activity {
    /// Its place in the log.
    position: Position,
    /// Its id.
    commit_id: ID,
    /// When it was decided.
    time: Timestamp,
    /// Whose life it is about, as `kind/name`.
    subject: String,
    /// Who, such as user:anna or reconciler:workload.
    actor: String,
    /// Which command.
    command: String,
    /// Somebody wanted something; otherwise a reconciler saw or did something.
    intent: bool,
    /// The commit that caused it.
    causation_id: Option<ID>,
    /// The first commit of the whole consequence.
    correlation_id: ID,
    /// W3C trace context.
    traceparent: Option<String>,
    /// What happened, in order.
    events: Vec<Event>,
}

/// What happened.
#[derive(SimpleObject)]
pub(crate) struct Event {
    /// The event's type, in the past tense.
    #[graphql(name = "type")]
    event_type: String,
    /// Its data; none where it is large.
    data: Option<Json<Value>>,
}

/// A state that an aggregate was in, and the commit that led to it.
#[derive(SimpleObject)]
pub(crate) struct Version {
    /// The commit.
    commit: Activity,
    /// The phase it led to.
    phase: String,
    /// As wanted.
    ready: bool,
}

/// Where a thing comes from.
#[derive(SimpleObject)]
pub(crate) struct Why {
    /// What it is, as `kind/name`.
    subject: String,
    /// Its incarnation.
    uid: Option<ID>,
    /// Its phase now.
    phase: String,
    /// The last intent about it, what caused that, and so on. The last one is the person or the build behind it.
    chain: Vec<Activity>,
    /// What happened to it lately, the last first.
    recent: Vec<Activity>,
}

impl Activity {
    pub(crate) fn of(row: Row) -> Self {
        let events = row.notes().into_iter().map(Event::of).collect();
        Self {
            position: Position(row.position),
            commit_id: ID(row.commit_id.to_string()),
            time: Timestamp(row.time),
            subject: subject(&row.stream),
            actor: row.actor,
            command: row.command,
            intent: row.intent,
            causation_id: row.causation_id.map(|id| ID(id.to_string())),
            correlation_id: ID(row.correlation_id.to_string()),
            traceparent: row.traceparent,
            events,
        }
    }
}

impl Event {
    fn of(note: EventNote) -> Self {
        let data = note.data.and_then(|data| serde_json::from_str(data.get()).ok());
        Self { event_type: note.event_type, data: data.map(Json) }
    }
}

impl Version {
    pub(crate) fn of(row: VersionRow) -> Self {
        Self { commit: Activity::of(row.activity), phase: row.phase, ready: row.ready }
    }
}

impl Why {
    pub(crate) fn of(why: WhyRow) -> Self {
        Self {
            subject: subject(&why.row.stream),
            uid: why.row.uid.map(ID),
            phase: why.row.phase,
            chain: why.chain.into_iter().map(Activity::of).collect(),
            recent: why.recent.into_iter().map(Activity::of).collect(),
        }
    }
}
