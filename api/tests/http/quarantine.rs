//! What the views do not understand is set aside, is shown as such, and can be driven again.

use std::sync::Arc;

use domain::StreamId;
use journal::Token;
use journal::testing::{Older, commit};
use serde_json::{Value, json};

use crate::server::{Server, files};

const SHOP: &str = "ev.default.application.shop";
const SPELL: &str = "ev.default.spell.cast";

async fn redrive(server: &Server, key: &str, stream: &str) -> Value {
    let input = json!({ "idempotencyKey": key, "stream": stream });
    let fields = "stream subject commits";
    server.change("quarantineRedrive", "QuarantineRedriveInput", input, fields).await
}

async fn apply(server: &Server, image: &str) -> Value {
    let input = json!({ "idempotencyKey": image, "files": files(image) });
    server.change("applicationApply", "ApplicationApplyInput", input, "revision").await
}

/// What is in quarantine, once the views show a position; and what they show of the application.
async fn shown(server: &Server, at: &Value) -> (Value, Value) {
    let query = "query($at: Position!) { application(name: \"shop\", atLeast: $at) { revision } \
         quarantine(first: 10) { nodes { stream subject reason commits } } }";
    let mut answer = server.ask(query, json!({ "at": at })).await;
    assert!(answer.get("errors").is_none(), "{answer}");
    let data = &mut answer["data"];
    (data["quarantine"]["nodes"].take(), data["application"].take())
}

#[tokio::test]
async fn a_poisoned_stream_is_shown_as_such_stops_no_other_and_is_driven_again() {
    // The server's views are those of a program that came before revisions.
    let older = |journal| Arc::new(Older::new(journal, "RevisionApplied")) as _;
    let server = Server::with_views_of(older).await;
    apply(&server, "registry.example/web:1").await;
    let second = apply(&server, "registry.example/web:2").await;
    // What comes after it in other streams is shown.
    let outputs = json!([{ "name": "host" }]);
    let class = json!({ "type": "queue", "class": "late", "target": "extension", "spec": {}, "outputs": outputs });
    let input = json!({ "idempotencyKey": "late", "definition": class });
    let fields = "version class { name }";
    let late = server.change("classDefine", "ClassDefineInput", input, fields).await;
    assert_eq!(late["class"]["name"], "queue_late", "{late}");

    let (held, application) = shown(&server, &late["position"]).await;
    assert_eq!(held.as_array().unwrap().len(), 1, "{held}");
    assert_eq!(
        (&held[0]["stream"], &held[0]["subject"]),
        (&json!(SHOP), &json!("application/shop"))
    );
    assert_eq!((&held[0]["commits"], &application), (&json!(2), &Value::Null));
    let reason = held[0]["reason"].as_str().unwrap();
    assert!(reason.contains("`RevisionApplied` of schema 9"), "{reason}");

    let driven = redrive(&server, "again", SHOP).await;
    let nothing = json!([]);
    assert_eq!((&driven["commits"], &driven["userErrors"]), (&json!(2), &nothing), "{driven}");
    assert_eq!(
        (&driven["unchanged"], &driven["subject"]),
        (&json!(false), &json!("application/shop"))
    );
    assert_eq!(redrive(&server, "again", SHOP).await, driven, "asking twice is asking once");
    assert_eq!(redrive(&server, "anew", SHOP).await["unchanged"], true);
    let (held, application) = shown(&server, &second["position"]).await;
    assert_eq!((held, application), (nothing, json!({ "revision": 2 })));
}

#[tokio::test]
async fn what_cannot_be_driven_again_is_refused_with_a_reason() {
    let server = Server::start().await;
    let spell: StreamId = SPELL.parse().unwrap();
    let journal = server.executor.journal();
    let cast = journal.append(Token::EMPTY, commit(&spell, 1, None, &[1])).await.unwrap();
    let (held, _) = shown(&server, &json!(cast.position.to_string())).await;
    assert_eq!(held[0]["stream"], SPELL, "{held}");

    let refused = |stream: &'static str| {
        let server = &server;
        async move {
            let driven = redrive(server, stream, stream).await;
            assert_eq!((&driven["stream"], &driven["commits"]), (&Value::Null, &Value::Null));
            let error = &driven["userErrors"][0];
            assert_eq!(error["path"], "input.stream", "{driven}");
            (error["code"].as_str().unwrap().to_owned(), error["message"].to_string())
        }
    };
    let (code, message) = refused(SPELL).await;
    assert_eq!(code, "STILL_POISONED");
    assert!(message.contains("still cannot be shown, at position"), "{message}");
    assert_eq!(shown(&server, &json!("0")).await.0, held, "it stays as it was");
    assert_eq!(refused("nonsense").await.0, "INVALID_STREAM");
    assert_eq!(refused("ev.default.spell.never-cast").await.0, "NOT_FOUND");
    assert_eq!(refused("ev.other.spell.cast").await.0, "NOT_FOUND", "another tenant's is not told");
}

#[tokio::test]
async fn who_has_no_token_drives_nothing() {
    let server = Server::start().await;
    let query = "mutation { quarantineRedrive(input: { idempotencyKey: \"k\", stream: \"ev.default.class.x\" }) { stream } }";
    let asked = server.bare().header("content-type", "application/json");
    let answer = asked.body(json!({ "query": query }).to_string()).send().await.unwrap();
    assert_eq!(answer.status(), reqwest::StatusCode::UNAUTHORIZED);
}
