//! Changes: once, with their failures as data, and visible to whoever made them.

use domain::commit::{ActorSort, Context};
use domain::lifecycle::{Command, Lifetime};
use domain::{Actor, Resource, ResourceId, Time};
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::server::{Server, files};

async fn apply(server: &Server, key: &str, image: &str) -> Value {
    let input = json!({ "idempotencyKey": key, "files": files(image) });
    server
        .change("applicationApply", "ApplicationApplyInput", input, "name revision warnings")
        .await
}

async fn deploy(server: &Server, key: &str, application: &str, environment: &str) -> Value {
    let input =
        json!({ "idempotencyKey": key, "application": application, "environment": environment });
    let fields = "deploymentName rollout planId revision deployment { name phase revision }";
    server.change("deploymentDeploy", "DeploymentDeployInput", input, fields).await
}

#[tokio::test]
async fn asking_twice_is_asking_once() {
    let server = Server::start().await;
    let first = apply(&server, "k1", "registry.example/web:1").await;
    assert_eq!((&first["revision"], &first["unchanged"]), (&json!(1), &json!(false)));
    // Another change comes between, and the first answer stays the first answer.
    assert_eq!(apply(&server, "k2", "registry.example/web:2").await["revision"], 2);
    assert_eq!(apply(&server, "k1", "registry.example/web:1").await, first);
    assert_eq!(apply(&server, "k3", "registry.example/web:2").await["unchanged"], true);
}

#[tokio::test]
async fn many_who_ask_the_same_at_once_get_one_answer() {
    let server = Server::start().await;
    apply(&server, "a", "registry.example/web:1").await;
    let asked = (0..8).map(|_| deploy(&server, "same", "shop", "dev"));
    let answers = futures::future::join_all(asked).await;
    let first = answers.first().unwrap();
    assert_eq!(first["rollout"], "dev_shop_1");
    for answer in &answers {
        assert_eq!(answer["commandId"], first["commandId"]);
        assert_eq!(answer["planId"], first["planId"]);
        assert_eq!(answer["rollout"], first["rollout"]);
    }
}

#[tokio::test]
async fn a_key_that_was_used_for_another_request_is_refused() {
    let server = Server::start().await;
    apply(&server, "k", "registry.example/web:1").await;
    let other = apply(&server, "k", "registry.example/web:2").await;
    assert_eq!(other["userErrors"][0]["code"], "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(other["revision"], Value::Null);
    let elsewhere = deploy(&server, "k", "shop", "dev").await;
    assert_eq!(elsewhere["userErrors"][0]["code"], "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(apply(&server, "", "x/y:1").await["userErrors"][0]["code"], "INVALID_KEY");

    // The same input, to another mutation.
    let input = json!({ "idempotencyKey": "p", "application": "shop", "environment": "dev" });
    let plan = "deploymentPlan";
    let planned = server.change(plan, "DeploymentDeployInput", input, "planId").await;
    assert!(planned["planId"].is_string(), "{planned}");
    let deployed = deploy(&server, "p", "shop", "dev").await;
    assert_eq!(deployed["userErrors"][0]["code"], "IDEMPOTENCY_KEY_REUSED", "{deployed}");
}

#[tokio::test]
async fn expected_failures_are_data_with_a_place_and_a_hint() {
    let server = Server::start().await;
    let input = json!({
        "idempotencyKey": "bad",
        "files": [{ "path": "shop.yaml", "text": "name: shop\nimage: web:1\nport: eighty\n" }],
    });
    let bad = server.change("applicationApply", "ApplicationApplyInput", input, "revision").await;
    assert_eq!(bad["userErrors"][0]["code"], "INVALID_APPLICATION");
    assert!(bad["userErrors"][0]["path"].as_str().unwrap().starts_with("shop.yaml:3:"), "{bad}");
    let missing = deploy(&server, "missing", "nothing", "dev").await;
    assert_eq!(missing["userErrors"][0]["code"], "NOT_FOUND");
    assert_eq!(missing["rollout"], Value::Null);
    // The refusal is the answer for ever, too: what is there now does not change it.
    assert_eq!(deploy(&server, "missing", "nothing", "dev").await, missing);
    let fault = json!({ "idempotencyKey": "f", "id": "database/dev_shop_db", "fault": "HEAL" });
    let fault = server.change("simulatorFault", "SimulatorFaultInput", fault, "resourceId").await;
    assert_eq!(fault["userErrors"][0]["code"], "NOT_FOUND");
}

#[tokio::test]
async fn who_changed_something_sees_it() {
    let server = Server::start().await;
    apply(&server, "a", "registry.example/web:1").await;
    let deployed = deploy(&server, "d", "shop", "dev").await;
    assert_eq!(deployed["deployment"]["name"], "dev_shop", "{deployed}");
    let query = "query($at: Position!) { deployment(name: \"dev_shop\", atLeast: $at) { revision rollout { outcome } } \
         plan(id: \"PLAN\", atLeast: $at) { counts { create } text } }";
    let query = query.replace("PLAN", deployed["planId"].as_str().unwrap());
    let seen = server.ask(&query, json!({ "at": deployed["position"] })).await;
    assert_eq!(seen["data"]["deployment"]["revision"], 1, "{seen}");
    assert!(seen["data"]["plan"]["counts"]["create"].as_u64().unwrap() > 0, "{seen}");
    assert!(seen["data"]["plan"]["text"].as_str().unwrap().contains("workload/dev_shop"), "{seen}");
}

#[tokio::test]
async fn everything_that_follows_from_a_request_leads_back_to_it() {
    let server = Server::start().await;
    apply(&server, "a", "registry.example/web:1").await;
    let deployed = deploy(&server, "d", "shop", "dev").await;
    let query = "query($at: Position!) { why(id: \"deployment/dev_shop\", atLeast: $at) { chain { actor command commitId } } }";
    let why = server.ask(query, json!({ "at": deployed["position"] })).await;
    let chain = why["data"]["why"]["chain"].as_array().unwrap();
    assert_eq!(chain.last().unwrap()["commitId"], deployed["commandId"], "{why}");
    assert_eq!(chain.last().unwrap()["actor"], "user:anna");
}

#[tokio::test]
async fn the_past_stays_as_it_was() {
    let server = Server::start().await;
    let first = apply(&server, "1", "registry.example/web:1").await;
    let second = apply(&server, "2", "registry.example/web:2").await;
    let query = "query($then: Moment!, $now: Position!) { \
         then: application(name: \"shop\", asOf: $then, atLeast: $now) { revision } \
         now: application(name: \"shop\") { revision } before: application(name: \"shop\", asOf: \"1\") { revision } }";
    let seen =
        server.ask(query, json!({ "then": first["position"], "now": second["position"] })).await;
    assert_eq!(
        seen["data"],
        json!({ "then": { "revision": 1 }, "now": { "revision": 2 }, "before": null })
    );
    let future = server
        .ask("{ application(name: \"shop\", asOf: \"999999\") { revision } }", json!({}))
        .await;
    assert_eq!(future["errors"][0]["extensions"]["code"], "BAD_INPUT");
    assert!(future["errors"][0]["extensions"]["traceId"].is_string());
    let wrong = server
        .ask("{ application(name: \"shop\", asOf: \"yesterday\") { revision } }", json!({}))
        .await;
    assert!(wrong["errors"][0]["message"].as_str().unwrap().contains("a moment is"), "{wrong}");
}

#[tokio::test]
async fn pages_have_a_size_and_a_cursor() {
    let server = Server::start().await;
    let query = "query($first: Int!, $after: String) { classes(first: $first, after: $after) { \
         nodes { name } pageInfo { hasNextPage endCursor } } }";
    let mut names = Vec::new();
    let mut after = Value::Null;
    loop {
        let page = server.ask(query, json!({ "first": 3, "after": after })).await;
        let page = &page["data"]["classes"];
        names.extend(page["nodes"].as_array().unwrap().iter().map(|node| node["name"].to_string()));
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    let all = server.ask(query, json!({ "first": 100 })).await;
    assert_eq!(names.len(), all["data"]["classes"]["nodes"].as_array().unwrap().len());
    for first in [0, 101, -1] {
        let refused = server.ask(query, json!({ "first": first })).await;
        assert_eq!(refused["errors"][0]["extensions"]["code"], "BAD_INPUT");
    }
    let unfit =
        server.request(&json!({ "query": "{ classes { nodes { name } } }" })).send().await.unwrap();
    assert_eq!(unfit.status(), StatusCode::BAD_REQUEST);
}

/// Declares a resource that stays until somebody deletes it; gives its position.
async fn declare(server: &Server, id: &str, spec: Value) -> u64 {
    let id: ResourceId = id.parse().unwrap();
    let spec = id.kind.read_spec(spec).unwrap();
    let (lifetime, at) = (Lifetime::Kept, Time::from_micros(1));
    let uid = Uuid::new_v4();
    let declare = Command::Declare { uid, spec, class: None, lifetime, protected: false, at };
    let context = Context {
        commit_id: uid,
        time: at,
        actor: Actor::new(ActorSort::User, "anna"),
        causation_id: None,
        correlation_id: uid,
        traceparent: None,
    };
    let stream = id.stream(&"default".parse().unwrap());
    server.executor.execute::<Resource>(&stream, declare, context).await.unwrap().position.get()
}

#[tokio::test]
async fn what_others_need_is_not_deleted_under_them() {
    let server = Server::start().await;
    let cluster =
        json!({ "location": "eu-west", "version": "1.36", "nodes_min": 1, "nodes_max": 2 });
    declare(&server, "cluster/dev-a", cluster).await;
    let database = json!({
        "engine": "postgres", "version": "16", "storage_gib": 20, "size": "small", "database": "shop",
        "highly_available": false, "backup_days": 7, "cluster": "cluster/dev-a",
    });
    let at = declare(&server, "database/dev_shop_db", database).await;
    let query = "query($at: Position!) { resource(id: \"cluster/dev-a\", atLeast: $at) { neededBy { resource } } }";
    let seen = server.ask(query, json!({ "at": at.to_string() })).await;
    assert_eq!(
        seen["data"]["resource"]["neededBy"][0]["resource"], "database/dev_shop_db",
        "{seen}"
    );
    let delete = |key: &'static str, id: &'static str| {
        let input = json!({ "idempotencyKey": key, "id": id });
        server.change("resourceDelete", "ResourceInput", input, "")
    };
    let refused = delete("c", "cluster/dev-a").await;
    assert_eq!(refused["userErrors"][0]["code"], "IN_USE", "{refused}");
    let message = refused["userErrors"][0]["message"].as_str().unwrap();
    assert_eq!(message, "database/dev_shop_db needs cluster/dev-a");
    let deleted = delete("d", "database/dev_shop_db").await;
    assert_eq!(deleted["userErrors"], json!([]), "{deleted}");
}

#[tokio::test]
async fn a_cluster_is_not_defined_otherwise_by_another_environment() {
    let server = Server::start().await;
    let environment = |name: &str, nodes: u32| {
        json!({ "name": name, "domain": format!("{name}.test"), "clusters": {
            "shared": { "spec": { "location": "eu", "version": "1.36", "nodes_min": 1, "nodes_max": nodes } } } })
    };
    let define = async |key: &str, definition: Value, alongside: Vec<Value>| {
        let input =
            json!({ "idempotencyKey": key, "definition": definition, "alongside": alongside });
        server.change("environmentDefine", "EnvironmentDefineInput", input, "version").await
    };
    let first = define("1", environment("one", 3), vec![]).await;
    assert_eq!(first["version"], 1);
    let other = define("2", environment("two", 5), vec![]).await;
    let error = &other["userErrors"][0];
    assert_eq!(error["code"], "CLUSTER_DEFINED_OTHERWISE", "{other}");
    assert_eq!(
        error["message"],
        "cluster `shared` is defined otherwise by environment `one`: nodes_max is 3 there and 5 here"
    );
    assert_eq!(define("3", environment("two", 3), vec![]).await["version"], 1);
    // Together they may change it.
    let both = [environment("one", 5), environment("two", 5)];
    assert_eq!(define("4", both[0].clone(), both.to_vec()).await["version"], 2);
    assert_eq!(define("5", both[1].clone(), both.to_vec()).await["version"], 2);
    // What was accepted once is not judged again by what others say since then.
    assert_eq!(define("1", environment("one", 3), vec![]).await, first);
}

#[tokio::test]
async fn a_moment_outside_the_log_is_refused_with_its_bounds() {
    let server = Server::start().await;
    for (moment, expected) in [
        ("2001-01-01T00:00:00Z", "the log begins at "),
        ("0", "(position 1), after position 0"),
        ("999999", "the log ends at position "),
    ] {
        let query = "query($at: Moment) { environments(first: 1, asOf: $at) { nodes { name } } }";
        let body = json!({ "query": query, "variables": { "at": moment } });
        let answer: Value = server.request(&body).send().await.unwrap().json().await.unwrap();
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"]["code"], "BAD_INPUT", "{answer}");
        assert!(error["message"].as_str().unwrap().contains(expected), "{answer}");
    }
}
