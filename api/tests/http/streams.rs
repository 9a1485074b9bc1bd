//! Subscriptions: history, then live, without a gap or a repetition, until the server closes.

use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::server::{Server, files};

/// The events of a stream, one by one.
struct Events {
    bytes: futures::stream::BoxStream<'static, Vec<u8>>,
    buffer: String,
}

impl Events {
    async fn open(server: &Server, after: Option<&str>, filter: Value) -> Self {
        let query = "subscription($after: Position, $filter: EventFilter) { \
             events(after: $after, filter: $filter) { position subject events { type } } }";
        Self::of(
            server,
            json!({ "query": query, "variables": { "after": after, "filter": filter } }),
        )
        .await
    }

    /// The answers to a subscription.
    async fn of(server: &Server, body: Value) -> Self {
        let response =
            server.request(&body).header("accept", "text/event-stream").send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let bytes = response
            .bytes_stream()
            .map(|bytes| bytes.map(|bytes| bytes.to_vec()).unwrap_or_default());
        Self { bytes: bytes.boxed(), buffer: String::new() }
    }

    /// The next event: its name and its data.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((frame, rest)) = self.buffer.split_once("\n\n") {
                let (frame, rest) = (frame.to_owned(), rest.to_owned());
                self.buffer = rest;
                let field = |name: &str| {
                    let value = frame.lines().find_map(|line| line.strip_prefix(name));
                    value.map(|value| value.trim_start().to_owned()).unwrap_or_default()
                };
                if !field("event:").is_empty() {
                    return Some((
                        field("event:"),
                        serde_json::from_str(&field("data:")).unwrap_or_default(),
                    ));
                }
                continue;
            }
            self.buffer += &String::from_utf8(self.bytes.next().await?).unwrap();
        }
    }

    async fn position(&mut self) -> u64 {
        let (name, data) = self.next().await.unwrap();
        assert_eq!(name, "next");
        data["data"]["events"]["position"]
            .as_str()
            .unwrap_or_else(|| panic!("{data}"))
            .parse()
            .unwrap()
    }
}

async fn apply(server: &Server, number: u32) {
    let image = format!("registry.example/web:{number}");
    let input = json!({ "idempotencyKey": image, "files": files(&image) });
    server.change("applicationApply", "ApplicationApplyInput", input, "revision").await;
}

#[tokio::test]
async fn history_and_then_what_happens_without_a_gap() {
    let server = Server::start().await;
    let head = server.executor.journal().head().await.unwrap().get();
    let mut events = Events::open(&server, None, json!({})).await;
    for expected in 1..=head {
        assert_eq!(events.position().await, expected);
    }
    apply(&server, 1).await;
    let head = server.executor.journal().head().await.unwrap().get();
    let mut from_the_middle = Events::open(&server, Some("5"), json!({})).await;
    for expected in 6..=head {
        assert_eq!(from_the_middle.position().await, expected);
    }
}

#[tokio::test]
async fn a_filter_lets_through_what_was_asked_for() {
    let server = Server::start().await;
    let filter = json!({ "subject": "application/shop" });
    let mut events = Events::open(&server, None, filter).await;
    apply(&server, 1).await;
    apply(&server, 2).await;
    for _ in 0..2 {
        let (_, data) = events.next().await.unwrap();
        assert_eq!(data["data"]["events"]["subject"], "application/shop");
        assert_eq!(data["data"]["events"]["events"][0]["type"], "RevisionApplied");
    }
}

#[tokio::test]
async fn a_position_that_is_not_there_is_an_error_and_the_end() {
    let server = Server::start().await;
    let mut events = Events::open(&server, Some("999999"), json!({})).await;
    let (name, data) = events.next().await.unwrap();
    assert_eq!(
        (name.as_str(), &data["errors"][0]["extensions"]["code"]),
        ("next", &json!("BAD_INPUT"))
    );
    assert_eq!(events.next().await.unwrap().0, "complete");
}

#[tokio::test]
async fn a_server_that_sees_no_world_says_that_it_can_read_no_logs() {
    let server = Server::start().await;
    let query =
        "subscription { logs(deployment: \"dev_shop\", filter: { follow: true }) { text } }";
    let mut events = Events::of(&server, json!({ "query": query })).await;
    let (_, data) = events.next().await.unwrap();
    assert_eq!(data["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{data}");
    assert_eq!(events.next().await.unwrap().0, "complete");
}

#[tokio::test]
async fn streams_end_when_the_server_closes() {
    let server = Server::start().await;
    let mut events = Events::open(&server, None, json!({ "subject": "application/none" })).await;
    drop(server);
    assert_eq!(events.next().await.unwrap().0, "complete");
}
