//! Subscriptions as server-sent events: the protocol of graphql-sse, one connection for each.

use std::convert::Infallible;
use std::time::Duration;

use async_graphql::Request;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use futures::stream;

use super::{Served, closed, graphql};

/// How often a silent stream says that it lives: below the usual 30 to 60 s of proxies.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Answers with `next` events, and `complete` when there are no more.
pub(super) fn stream(served: &Served, request: Request) -> Response {
    let answers = served.schema.execute_stream(request).map(|answer| {
        let next = Event::default().event("next");
        let json = graphql::coded(answer);
        next.json_data(json).unwrap_or_else(|_| Event::default().event("complete"))
    });
    let complete = stream::once(async { Event::default().event("complete").data("") });
    let events = answers
        .take_until(Box::pin(closed(served.closing.clone())))
        .chain(complete)
        .map(Ok::<_, Infallible>);
    Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response()
}
