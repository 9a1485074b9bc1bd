//! Reading and subscribing: what the messages ask for, and the events as messages.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::watch;
use tonic::Status;

use crate::State;
use crate::proto::streams::read_req::Options;
use crate::proto::streams::read_req::options::all_options::AllOption;
use crate::proto::streams::read_req::options::filter_options::{Filter, Window};
use crate::proto::streams::read_req::options::stream_options::RevisionOption;
use crate::proto::streams::read_req::options::{
    AllOptions, CountOption, FilterOption, FilterOptions, ReadDirection, StreamOption,
};
use crate::proto::streams::read_resp::read_event::{Position, RecordedEvent};
use crate::proto::streams::read_resp::{
    Checkpoint, Content, ReadEvent, StreamNotFound, SubscriptionConfirmation,
};
use crate::proto::streams::{ReadResp, read_resp};
use crate::proto::{StreamIdentifier, Uuid, uuid};
use crate::store::{Event, Found};

pub(crate) type Responses = BoxStream<'static, Result<ReadResp, Status>>;

/// The window where the client names none.
const WINDOW: u32 = 32;

fn response(content: Content) -> ReadResp {
    ReadResp { content: Some(content) }
}

fn name(identifier: Option<&StreamIdentifier>) -> Result<String, Status> {
    let name = identifier.ok_or_else(|| Status::invalid_argument("no stream is named"))?;
    String::from_utf8(name.stream_name.to_vec())
        .map_err(|_| Status::invalid_argument("the stream's name is not UTF-8"))
}

/// An event as the servers send it. Positions are told only where the order of all is read.
fn event(event: &Event, in_all: bool) -> ReadResp {
    let mut metadata = event.metadata.clone();
    metadata.insert("created".into(), "0".into());
    let position = if in_all { event.position } else { u64::MAX };
    let recorded = RecordedEvent {
        id: Some(Uuid { value: Some(uuid::Value::String(event.id.to_string())) }),
        stream_identifier: Some(StreamIdentifier { stream_name: event.stream.clone().into() }),
        stream_revision: event.revision,
        prepare_position: position,
        commit_position: position,
        metadata,
        custom_metadata: event.custom_metadata.clone(),
        data: event.data.clone(),
    };
    let position =
        if in_all { Position::CommitPosition(position) } else { Position::NoPosition(()) };
    let position = Some(position);
    response(Content::Event(ReadEvent { event: Some(recorded), link: None, position }))
}

/// What of the order of all is wanted.
#[derive(Default)]
struct Wanted {
    prefixes: Option<Vec<String>>,
    /// How many events are looked at between two checkpoints.
    interval: usize,
}

impl Wanted {
    fn of(filter: Option<FilterOption>) -> Result<Self, Status> {
        let filter = match filter {
            Some(FilterOption::Filter(filter)) => filter,
            Some(FilterOption::NoFilter(())) | None => return Ok(Self::default()),
        };
        let FilterOptions { filter, window, checkpoint_interval_multiplier } = filter;
        let expression = match filter {
            Some(Filter::StreamIdentifier(expression)) if expression.regex.is_empty() => expression,
            Some(_) | None => {
                return Err(Status::unimplemented("filters here are prefixes of streams"));
            }
        };
        let window = match window {
            Some(Window::Max(max)) => max,
            Some(Window::Count(())) | None => WINDOW,
        };
        let interval = window.saturating_mul(checkpoint_interval_multiplier).max(1) as usize;
        Ok(Self { prefixes: Some(expression.prefix), interval })
    }

    fn has(&self, event: &Event) -> bool {
        let prefixes = self.prefixes.as_ref();
        prefixes.is_none_or(|all| all.iter().any(|prefix| event.stream.starts_with(prefix)))
    }
}

/// Begins what was asked for.
pub(crate) fn read(state: &Arc<State>, options: Options) -> Result<Responses, Status> {
    let backwards = options.read_direction == ReadDirection::Backwards as i32;
    let count = match options.count_option {
        Some(CountOption::Count(count)) => Some(usize::try_from(count).unwrap_or(usize::MAX)),
        Some(CountOption::Subscription(_)) => None,
        None => return Err(Status::invalid_argument("no count is named")),
    };
    match (options.stream_option, count) {
        (Some(StreamOption::Stream(wanted)), Some(count)) => {
            let name = name(wanted.stream_identifier.as_ref())?;
            let from = wanted.revision_option.unwrap_or(RevisionOption::Start(()));
            read_stream(state, name, from, backwards, count)
        }
        (Some(StreamOption::All(all)), Some(count)) => {
            let wanted = Wanted::of(options.filter_option)?;
            Ok(read_all(state, all, wanted, backwards, count))
        }
        (Some(StreamOption::All(all)), None) => {
            let wanted = Wanted::of(options.filter_option)?;
            Ok(subscribe(state, all, wanted))
        }
        (Some(StreamOption::Stream(_)), None) => {
            Err(Status::unimplemented("subscriptions here are to all streams"))
        }
        (None, _) => Err(Status::invalid_argument("no stream is named")),
    }
}

fn read_stream(
    state: &Arc<State>,
    name: String,
    from: RevisionOption,
    backwards: bool,
    count: usize,
) -> Result<Responses, Status> {
    let mut events = match state.store().stream(&name) {
        Found::Events(events) => events,
        Found::Nothing => {
            let stream_identifier = Some(StreamIdentifier { stream_name: name.into() });
            let nothing = Content::StreamNotFound(StreamNotFound { stream_identifier });
            return Ok(stream::iter([Ok(response(nothing))]).boxed());
        }
        Found::Deleted => {
            let mut status = Status::failed_precondition("the stream is deleted");
            let exception = "stream-deleted".parse().expect("a word");
            status.metadata_mut().insert("exception", exception);
            return Err(status);
        }
    };
    let last = events.last().map_or(0, |event| event.revision);
    match (from, backwards) {
        (RevisionOption::Revision(first), false) => events.retain(|e| e.revision >= first),
        (RevisionOption::Revision(first), true) => events.retain(|e| e.revision <= first),
        (RevisionOption::Start(()), false) | (RevisionOption::End(()), true) => {}
        (RevisionOption::Start(()), true) | (RevisionOption::End(()), false) => events.clear(),
    }
    if backwards {
        events.reverse();
    }
    events.truncate(count);
    let last = response(Content::LastStreamPosition(last));
    let events = stream::iter(events).map(|found| Ok(event(&found, false)));
    Ok(events.chain(stream::iter([Ok(last)])).boxed())
}

fn read_all(
    state: &Arc<State>,
    all: AllOptions,
    wanted: Wanted,
    backwards: bool,
    count: usize,
) -> Responses {
    let store = state.store();
    let start = match all.all_option {
        Some(AllOption::Position(position)) => store.index_of(position.commit_position),
        Some(AllOption::End(())) => store.all.len(),
        Some(AllOption::Start(())) | None => 0,
    };
    let events: Vec<Arc<Event>> = if backwards {
        store.all.iter().take(start).rev().cloned().collect()
    } else {
        store.all.iter().skip(start).cloned().collect()
    };
    let events = events.into_iter().filter(move |event| wanted.has(event)).take(count);
    stream::iter(events.map(|found| Ok(event(&found, true)))).boxed()
}

struct Subscription {
    state: Arc<State>,
    grown: watch::Receiver<usize>,
    held: watch::Receiver<bool>,
    wanted: Wanted,
    /// The next event to look at.
    index: usize,
    /// How many were looked at since the last checkpoint.
    looked_at: usize,
}

fn subscribe(state: &Arc<State>, all: AllOptions, wanted: Wanted) -> Responses {
    let index = match all.all_option {
        Some(AllOption::Position(position)) => {
            state.store().index_of(position.commit_position.saturating_add(1))
        }
        Some(AllOption::End(())) => state.store().all.len(),
        Some(AllOption::Start(())) | None => 0,
    };
    let (grown, held) = (state.grown.subscribe(), state.held.subscribe());
    let state = Arc::clone(state);
    let subscription = Subscription { state, grown, held, wanted, index, looked_at: 0 };
    let subscription_id = ::uuid::Uuid::new_v4().to_string();
    let confirmed = Content::Confirmation(SubscriptionConfirmation { subscription_id });
    let events = stream::unfold(subscription, |mut subscription| async {
        let next = subscription.next().await?;
        Some((Ok(next), subscription))
    });
    stream::iter([Ok(response(confirmed))]).chain(events).boxed()
}

impl Subscription {
    async fn next(&mut self) -> Option<ReadResp> {
        loop {
            self.held.wait_for(|held| !held).await.ok()?;
            let next = self.state.store().all.get(self.index).cloned();
            let Some(next) = next else {
                let index = self.index;
                self.grown.wait_for(|count| *count > index).await.ok()?;
                continue;
            };
            if self.looked_at >= self.wanted.interval && self.wanted.prefixes.is_some() {
                self.looked_at = 0;
                if let Some(last) = self.last_position() {
                    let (commit_position, prepare_position) = (last, last);
                    let reached = Checkpoint { commit_position, prepare_position };
                    return Some(response(read_resp::Content::Checkpoint(reached)));
                }
            }
            self.index += 1;
            self.looked_at += 1;
            if self.wanted.has(&next) {
                return Some(event(&next, true));
            }
        }
    }

    /// Where the last event that was looked at is.
    fn last_position(&self) -> Option<u64> {
        let last = self.index.checked_sub(1)?;
        self.state.store().all.get(last).map(|event| event.position)
    }
}
