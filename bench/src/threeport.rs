//! What a portal does most, over HTTP, beside what is known of Threeport's REST API on a machine of two cores.
//!
//! Threeport is not run here. Its figures are of its release 0.6.1 on PostgreSQL with fsync, which keeps no history;
//! Cairn's log syncs as well, and its views are on PostgreSQL with fsync.

use std::time::Duration;

use serde_json::{Value, json};
use servers::postgres::{Options, Postgres};

use crate::ask::Question;
use crate::report::Report;
use crate::server::Server;

/// Threeport's creates a second by 64 connections, of 0.9 kB each.
const CREATES: f64 = 388.0;
/// Its gets by id a second by 64 connections.
const GETS: f64 = 2_367.0;
/// Its lists a second of 50 documents by 16 connections.
const LISTS: f64 = 357.0;

/// Applications that are made.
const APPLICATIONS: u64 = 12_800;
/// Gets of one.
const ASKED: u64 = 64_000;
/// Lists of 50.
const LISTED: u64 = 8_000;

const CREATE: &str = "mutation($i: ApplicationApplyInput!) { applicationApply(input: $i) { revision userErrors { message } } }";
const GET: &str = "query($n: String!) { application(name: $n) { name revision model changedAt } }";
const LIST: &str = "query($a: String) { applications(first: 50, after: $a) { nodes { name revision model changedAt } } }";

/// Makes applications, and asks for them.
pub(crate) async fn measure(report: &mut Report, scale: u64) -> anyhow::Result<()> {
    let postgres = Postgres::start(&Options { fsync: true, ..Options::default() });
    let server = Server::start_with(1, &["--views", &postgres.url()]).await?;
    let access = server.access();
    let applications = APPLICATIONS / scale;
    let creates = access.rate(64, applications, creation()).await?;
    shown(&server, applications - 1).await?;
    let name = |number: u64| json!({ "n": name(number % applications) });
    let get = Question { query: GET, variables: name, proof: "\"revision\":1" };
    let gets = access.rate(64, ASKED / scale, get).await?;
    let list = Question { query: LIST, variables: |_| json!({}), proof: "\"revision\":1" };
    let lists = access.rate(16, LISTED / scale, list).await?;
    let names = "GraphQL over HTTP / Threeport's REST, known";
    report.ratio(&format!("creates of 0.9 kB, 64: {names}"), "/s", creates, CREATES, 8.0);
    report.ratio(&format!("gets by id, 64: {names}"), "/s", gets, GETS, 5.0);
    report.ratio(&format!("lists of 50 whole, 16: {names}"), "/s", lists, LISTS, 8.0);
    Ok(())
}

/// Makes the n-th application.
pub(crate) fn creation() -> Question<fn(u64) -> Value> {
    Question { query: CREATE, variables: input, proof: "\"userErrors\":[]" }
}

fn name(number: u64) -> String {
    format!("app-{number}")
}

/// An application whose file has 0.9 kB.
fn input(number: u64) -> Value {
    let variables: String = (0..12)
        .map(|n| format!("  SETTING_{n}: \"a value of some forty bytes, as they are {n}\"\n"))
        .collect();
    let text = format!(
        "name: {}\nimage: registry.example/web:1\nport: 8080\nvariables:\n{variables}",
        name(number)
    );
    let files = json!([{ "path": "app.yaml", "text": text }]);
    json!({ "i": { "idempotencyKey": format!("create-{number}"), "files": files } })
}

/// Waits until the views show the last of them.
async fn shown(server: &Server, number: u64) -> anyhow::Result<()> {
    loop {
        let head = server.ask("{ serverInfo { position head } }", json!({})).await?;
        let at = |field: &str| head.pointer(&format!("/serverInfo/{field}")).cloned();
        let answer = server.ask(GET, json!({ "n": name(number) })).await?;
        if at("position") == at("head") && answer.pointer("/application/name").is_some() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
