//! Mutations a second over HTTP by 64 clients, each a request that is noted, carried out and answered.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::fleet::to_f64;
use crate::server::Server;

/// Clients at the same time.
const CONNECTIONS: u64 = 64;

const DEFINE: &str = "mutation($i: EnvironmentDefineInput!) { environmentDefine(input: $i) { userErrors { message } } }";

/// Defines so many environments in a server on some log; gives how many a second.
pub(crate) async fn rate(journal: &str, count: u64) -> anyhow::Result<f64> {
    let server = Arc::new(Server::start_with(1, &["--journal", journal]).await?);
    let each = count.div_ceil(CONNECTIONS);
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for client in 0..CONNECTIONS {
        let server = Arc::clone(&server);
        clients.spawn(async move {
            for number in 0..each {
                let answer = server.ask(DEFINE, input(&format!("e{client}-{number}"))).await?;
                let refused = answer.pointer("/environmentDefine/userErrors/0/message");
                anyhow::ensure!(refused.is_none(), "{refused:?}");
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    Ok(to_f64(each * CONNECTIONS) / start.elapsed().as_secs_f64())
}

fn input(name: &str) -> Value {
    let spec = json!({ "location": "eu-west", "version": "1.36", "nodes_min": 1, "nodes_max": 2 });
    let clusters = json!({ "a": { "spec": spec } });
    let domain = format!("{name}.cairn.test");
    let definition = json!({
        "name": name, "tier": "dev", "location": "eu-west", "domain": domain, "clusters": clusters,
    });
    json!({ "i": { "idempotencyKey": name, "definition": definition } })
}
