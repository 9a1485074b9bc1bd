//! Mutations a second over HTTP by 64 clients, each a request that is noted, carried out and answered.

use serde_json::{Value, json};

use crate::ask::Question;
use crate::server::{DEFINE_ENVIRONMENT, Server};

/// Clients at the same time.
const CONNECTIONS: u64 = 64;

/// Defines so many environments in a server on some log; gives how many a second.
pub(crate) async fn rate(journal: &str, count: u64) -> anyhow::Result<f64> {
    let server = Server::start_with(1, &["--journal", journal]).await?;
    let define =
        Question { query: DEFINE_ENVIRONMENT, variables: input, proof: "\"userErrors\":[]" };
    server.access().rate(CONNECTIONS, count, define).await
}

fn input(number: u64) -> Value {
    let name = format!("e{number}");
    let spec = json!({ "location": "eu-west", "version": "1.36", "nodes_min": 1, "nodes_max": 2 });
    let clusters = json!({ "a": { "spec": spec } });
    let domain = format!("{name}.cairn.test");
    let definition = json!({
        "name": name, "tier": "dev", "location": "eu-west", "domain": domain, "clusters": clusters,
    });
    json!({ "i": { "idempotencyKey": name, "definition": definition } })
}
