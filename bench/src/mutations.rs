//! Mutations a second over HTTP by 64 clients, each a request that is noted, carried out and answered: three commits.

use serde_json::{Value, json};

use crate::ask::Question;
use crate::server::{DEFINE_ENVIRONMENT, Server};

/// Clients at the same time.
const CONNECTIONS: u64 = 64;

const APPLY: &str = "mutation($i: ApplicationApplyInput!) { applicationApply(input: $i) { revision userErrors { message } } }";

/// What a server on some log can do a second.
pub(crate) struct Rates {
    /// Revisions of applications recorded: the mutation alone.
    pub(crate) applied: f64,
    /// Environments defined: each asks the views, as they are now, who else offers its cluster, and its cluster is
    /// made in the simulated world meanwhile.
    pub(crate) defined: f64,
}

/// Does so many of each in a server on some log.
pub(crate) async fn rates(journal: &str, count: u64) -> anyhow::Result<Rates> {
    let server = Server::start_with(1, &["--journal", journal]).await?;
    let apply = Question { query: APPLY, variables: application, proof: "\"userErrors\":[]" };
    let applied = server.access().rate(CONNECTIONS, count, apply).await?;
    let define =
        Question { query: DEFINE_ENVIRONMENT, variables: environment, proof: "\"userErrors\":[]" };
    let defined = server.access().rate(CONNECTIONS, count, define).await?;
    Ok(Rates { applied, defined })
}

fn application(number: u64) -> Value {
    let name = format!("app-{number}");
    let text = format!("name: {name}\nimage: registry.example/web:1\nport: 8080\n");
    let files = json!([{ "path": "app.yaml", "text": text }]);
    json!({ "i": { "idempotencyKey": format!("apply {name}"), "files": files } })
}

fn environment(number: u64) -> Value {
    let name = format!("e{number}");
    let spec = json!({ "location": "eu-west", "version": "1.36", "nodes_min": 1, "nodes_max": 2 });
    let clusters = json!({ "a": { "spec": spec } });
    let domain = format!("{name}.cairn.test");
    let definition = json!({
        "name": name, "tier": "dev", "location": "eu-west", "domain": domain, "clusters": clusters,
    });
    json!({ "i": { "idempotencyKey": name, "definition": definition } })
}
