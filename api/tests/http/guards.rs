//! What is refused before it is run.

use reqwest::StatusCode;
use serde_json::json;

use crate::server::{Server, json_of};

#[tokio::test]
async fn nobody_asks_without_a_token() {
    let server = Server::start().await;
    let body = json!({ "query": "{ serverInfo { version } }" }).to_string();
    for authorization in [None, Some("Bearer wrong"), Some("Basic YTpi"), Some("Bearer ")] {
        let mut request =
            server.bare().header("content-type", "application/json").body(body.clone());
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{authorization:?}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        assert_eq!(json_of(response).await["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
    }
    assert_eq!(server.get("/metrics", None).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn only_a_post_of_json_is_read() {
    let server = Server::start().await;
    let got = server.get("/graphql?query={serverInfo{version}}", Some(&server.token)).await;
    assert_eq!(got.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(got.headers()["allow"], "POST");
    let said = json_of(got).await["errors"][0]["message"].to_string();
    assert!(said.contains("GET is not answered at /graphql: send POST"), "{said}");
    let lost = server.get("/graphq", Some(&server.token)).await;
    assert_eq!(lost.status(), StatusCode::NOT_FOUND);
    let said = json_of(lost).await["errors"][0]["message"].to_string();
    assert!(said.contains("send GraphQL to /graphql"), "{said}");
    let body = json!({ "query": "{ serverInfo { version } }" }).to_string();
    for content_type in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
    {
        let request = server.bare().bearer_auth(&server.token).header("content-type", content_type);
        let response = request.body(body.clone()).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
    }
    let request = server
        .bare()
        .bearer_auth(&server.token)
        .header("content-type", "Application/JSON; charset=utf-8");
    assert_eq!(request.body(body).send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn what_is_too_much_is_refused_with_its_measure() {
    let server = Server::start().await;
    let aliases: String = (0..21).map(|n| format!("a{n}: version ")).collect();
    let roots: String = (0..11).map(|_| "serverInfo { version } ").collect();
    let deep = (0..12).fold("version".to_owned(), |inner, _| format!("serverInfo {{ {inner} }}"));
    for (query, measure) in [
        (format!("{{ serverInfo {{ {aliases} }} }}"), "aliases"),
        (format!("{{ {roots} }}"), "root fields"),
        (format!("{{ {deep} }}"), "levels"),
        ("{ a ".repeat(2_001), "tokens"),
        (format!("{{ serverInfo {{ version }} }} #{}", "x".repeat(20_000)), "bytes"),
    ] {
        let response = server.request(&json!({ "query": query })).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{measure}");
        let answer = json_of(response).await;
        let message = answer["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains(measure), "{message}");
    }
    let large = json!({ "query": "{ serverInfo { version } }", "variables": { "x": "x".repeat(api::BODY_BYTES_MAX) } });
    let response = server.request(&large).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let said = json_of(response).await["errors"][0].to_string();
    assert!(said.contains("TOO_LARGE") && said.contains("split the application"), "{said}");
}

#[tokio::test]
async fn complexity_counts_what_a_list_multiplies() {
    let server = Server::start().await;
    let fields = "id phase ready since reason needs { resource } neededBy { resource }";
    let list = |n: u32| format!("l{n}: resources(first: 100) {{ nodes {{ {fields} }} }}");
    let answer = server.ask(&format!("{{ {} }}", list(0)), json!({})).await;
    assert!(answer.get("errors").is_none(), "{answer}");
    let trees = |n: u32| {
        format!(
            "t{n}: deployments(first: 100) {{ nodes {{ tree {{ resource {{ {fields} }} }} }} }}"
        )
    };
    let lists: Vec<_> = (0..4).map(trees).collect();
    let answer = server.ask(&format!("{{ {} }}", lists.join(" ")), json!({})).await;
    assert_eq!(answer["errors"][0]["message"], "Query is too complex.");
}

#[tokio::test]
async fn a_batch_is_refused_and_so_is_what_is_no_request() {
    let server = Server::start().await;
    for body in
        [json!([{ "query": "{ serverInfo { version } }" }]), json!("x"), json!({ "query": "{" })]
    {
        let response = server.request(&body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(json_of(response).await["errors"][0]["extensions"]["code"], "BAD_REQUEST");
    }
}

#[tokio::test]
async fn the_schema_is_not_told_to_those_who_guess() {
    let server = Server::start().await;
    let answer = server.ask("{ serverInfo { versio } }", json!({})).await;
    let message = answer["errors"][0]["message"].as_str().unwrap().to_owned();
    assert!(!message.contains("Did you mean"), "{message}");
    assert_eq!(answer["errors"][0]["extensions"]["code"], "INVALID_DOCUMENT");
    let answer = server.ask("{ __schema { types { name } } }", json!({})).await;
    assert!(answer["data"]["__schema"].is_null(), "{answer}");
}

#[tokio::test]
async fn probes_tell_how_the_server_is() {
    let server = Server::start().await;
    assert_eq!(server.get("/livez", None).await.text().await.unwrap(), "ok\n");
    let head = server.executor.journal().head().await.unwrap();
    server.views.at_least(head, std::time::Duration::from_secs(60)).await.unwrap();
    let response = server.get("/readyz?verbose", None).await;
    assert_eq!(response.status(), StatusCode::OK);
    let text = response.text().await.unwrap();
    assert!(text.contains("[+] log ok") && text.contains("[+] views ok"), "{text}");
    let metrics = server.get("/metrics", Some(&server.token)).await.text().await.unwrap();
    assert!(metrics.contains("cairn_projection_lag 0"), "{metrics}");
}

#[tokio::test]
async fn a_question_that_was_answered_before_is_refused_for_its_variables_as_the_first_time() {
    let query = "query($first: Int!, $kind: String!) { \
        a: resources(first: $first, filter: { kinds: [$kind] }) { nodes { id needs { resource } } } \
        b: deployments(first: $first) { nodes { tree { resource { id needs { resource } neededBy { resource } } } } } \
        c: deployments(first: $first) { nodes { tree { resource { id needs { resource } neededBy { resource } } } } } }";
    let bad = [
        json!({}),
        json!({ "first": 1 }),
        json!({ "first": "1", "kind": "bucket" }),
        json!({ "first": 1.5, "kind": "bucket" }),
        json!({ "first": 1, "kind": ["bucket"] }),
        json!({ "first": null, "kind": "bucket" }),
        json!({ "first": 0, "kind": "bucket" }),
        json!({ "first": 10_000, "kind": "bucket" }),
        json!({ "first": 1, "kind": "no-such-kind" }),
    ];
    let refusals = async |server: &Server| {
        let mut answers = Vec::new();
        for variables in &bad {
            let request = server.request(&json!({ "query": query, "variables": variables }));
            let response = request.send().await.unwrap();
            let status = response.status();
            let mut answer = json_of(response).await;
            for error in answer["errors"].as_array_mut().into_iter().flatten() {
                error["extensions"]["traceId"].take();
            }
            answers.push((status, answer));
        }
        answers
    };
    let server = Server::start().await;
    let first = refusals(&server).await;
    let good = json!({ "first": 1, "kind": "bucket" });
    for _ in 0..2 {
        assert!(server.ask(query, good.clone()).await.get("errors").is_none());
    }
    assert_eq!(refusals(&server).await, first);
    assert!(first.iter().filter(|(_, answer)| answer.get("errors").is_some()).count() > 6);
}

#[tokio::test]
async fn files_that_would_fill_the_memory_are_refused_before_they_are_unpacked() {
    use base64::Engine as _;
    let server = Server::start().await;
    let zeros = |mebibytes: usize| {
        let packed = reconcilers::contents::packed(&vec![0; mebibytes * 1024 * 1024]).unwrap();
        base64::engine::general_purpose::STANDARD.encode(packed)
    };
    let (much, bomb) = (zeros(16), zeros(17));
    let file = json!({ "path": "app.yaml", "text": "name: shop\nimage: web:1\n" });
    let companion = |(number, base64): (usize, &String)| json!({ "path": format!("{number}"), "base64": base64, "zstd": true });
    for (sent, place, words) in [
        (vec![&bomb], 0, "it holds more than 16777216 bytes"),
        (vec![&much; 5], 4, "all files together hold more than 67108864 bytes"),
        (vec![&"AAAA".to_owned()], 0, ""),
    ] {
        let companions: Vec<_> = sent.into_iter().enumerate().map(companion).collect();
        let input = json!({ "idempotencyKey": format!("{place}{words}"), "files": [file], "companions": companions });
        let told =
            server.change("applicationApply", "ApplicationApplyInput", input, "revision").await;
        let error = &told["userErrors"][0];
        assert_eq!(error["code"], "INVALID_ZSTD", "{told}");
        assert_eq!(error["path"], format!("input.companions.{place}.base64"));
        assert!(error["message"].as_str().unwrap().contains(words), "{told}");
    }
}
