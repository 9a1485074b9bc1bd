//! What happens, as it happens: history, then live, without a gap or a repetition.

use async_graphql::{
    Context, ID, InputObject, Json, SimpleObject, Subscription as GraphqlSubscription,
};
use domain::StreamId;
use domain::secrecy::hide;
use futures::{Stream, StreamExt as _};
use journal::Recorded;
use serde_json::Value;

use super::logs::{LogFilter, LogLine, logs};
use super::plane;
use super::types::{Position, Timestamp, subject};
use crate::fault::Fault;

/// What can be followed.
pub(crate) struct Subscription;

/// What is followed. Every field left out lets everything through.
#[derive(Clone, Default, InputObject)]
pub(crate) struct EventFilter {
    /// Of these kinds of things, such as workload or deployment.
    kinds: Option<Vec<String>>,
    /// About one thing, `kind/name`.
    subject: Option<String>,
    /// Only things whose names begin so, such as dev_shop.
    name_prefix: Option<String>,
}

/// One commit of the log.
#[derive(SimpleObject)]
pub(crate) struct Commit {
    /// Its place in the log; the argument `after` to go on from here.
    position: Position,
    /// Its id.
    commit_id: ID,
    /// When it was decided.
    time: Timestamp,
    /// Whose life it is about, as `kind/name`.
    subject: String,
    /// The version of its first event in the life of its subject.
    first_version: u64,
    /// Who, such as user:anna or reconciler:workload.
    actor: String,
    /// Which command.
    command: String,
    /// The commit that caused it.
    causation_id: Option<ID>,
    /// The first commit of the whole consequence.
    correlation_id: ID,
    /// What happened, in order.
    events: Vec<LoggedEvent>,
}

/// An event, whole.
#[derive(SimpleObject)]
pub(crate) struct LoggedEvent {
    /// Its id.
    id: ID,
    /// Its type, in the past tense.
    #[graphql(name = "type")]
    event_type: String,
    /// The version of its data's schema; see schema/events.
    schema: u32,
    /// Its data. References to secrets, never their values.
    data: Json<Value>,
}

/// What can be followed.
#[GraphqlSubscription]
impl Subscription {
    /// Every commit after a position, then every new one as it comes.
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "After this position; from the first commit on when none is given.")]
        after: Option<Position>,
        #[graphql(desc = "Which.")] filter: Option<EventFilter>,
    ) -> async_graphql::Result<impl Stream<Item = Option<async_graphql::Result<Commit>>> + use<>>
    {
        let plane = plane(ctx);
        let journal = plane.probed.executor.journal();
        let after = after.map_or(journal::Position::START, |position| position.0);
        let head = journal.head().await.map_err(Fault::from)?;
        if after > head {
            let message = format!("the log ends at position {head}, before {after}");
            return Err(Fault::bad_input(message).into());
        }
        let tenant = plane.tenant.clone();
        let filter = filter.unwrap_or_default();
        Ok(journal.follow(after).filter_map(move |recorded| {
            let shown = match recorded {
                Ok(recorded) => {
                    let stream = &recorded.sealed.commit.stream;
                    let wanted = *stream.tenant() == tenant && filter.lets_through(stream);
                    wanted.then(|| Some(Ok(Commit::of(&recorded))))
                }
                Err(error) => Some(Some(Err(Fault::from(error).into()))),
            };
            std::future::ready(shown)
        }))
    }

    /// What the workloads of a deployment write, read where they run. Ends with what there is, unless it is followed.
    async fn logs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which deployment.")] deployment: String,
        #[graphql(desc = "Which lines.")] filter: Option<LogFilter>,
    ) -> async_graphql::Result<impl Stream<Item = Option<async_graphql::Result<LogLine>>> + use<>>
    {
        Ok(logs(plane(ctx), &deployment, filter.unwrap_or_default()).await?)
    }
}

impl EventFilter {
    fn lets_through(&self, stream: &StreamId) -> bool {
        let kind =
            self.kinds.as_ref().is_none_or(|kinds| kinds.iter().any(|kind| kind == stream.kind()));
        let subject = self.subject.as_deref().is_none_or(|subject| {
            subject.split_once('/') == Some((stream.kind(), stream.name().as_str()))
        });
        let prefix = self
            .name_prefix
            .as_deref()
            .is_none_or(|prefix| stream.name().as_str().starts_with(prefix));
        kind && subject && prefix
    }
}

impl Commit {
    fn of(recorded: &Recorded) -> Self {
        let commit = &recorded.sealed.commit;
        let events = commit.events.iter().enumerate().map(|(index, event)| LoggedEvent {
            id: ID(format!("{}/{index}", commit.commit_id)),
            event_type: event.event_type.clone(),
            schema: event.schema,
            data: Json(hide("", &serde_json::from_str(event.data.get()).unwrap_or_default())),
        });
        Self {
            position: Position(recorded.position),
            commit_id: ID(commit.commit_id.to_string()),
            time: Timestamp(commit.time),
            subject: subject(&commit.stream),
            first_version: commit.first_version,
            actor: commit.actor.to_string(),
            command: commit.command.clone(),
            causation_id: commit.causation_id.map(|id| ID(id.to_string())),
            correlation_id: ID(commit.correlation_id.to_string()),
            events: events.collect(),
        }
    }
}
