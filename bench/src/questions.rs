//! Questions to the API about a full server, against the same rows by SQL from the same file.
//!
//! Twice: through HTTP, where the client's share of the processor counts too, and through the same router without a
//! network, as the SQL is asked.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use api::{Body, Durability, Plane, Probed, Router, Token, Tokens};
use domain::Tenant;
use futures::{StreamExt as _, TryStreamExt as _};
use http::Request;
use journal::Executor;
use journal::sqlite::SqliteJournal;
use projections::Views;
use rusqlite::{Connection, OpenFlags, params};
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::fleet::to_f64;
use crate::report::Report;
use crate::server::Server;

/// Connections over HTTP.
const CONNECTIONS: usize = 16;
/// What the API reads of a row, beside its document.
const COLUMNS: &str = "stream, from_position, version, time, phase, ready, deployment, environment, application, \
     class, uid, since, generation";
/// How often both sides are measured, in turn: a machine that becomes slower does so to both.
const ROUNDS: u32 = 5;
pub(crate) const BY_ID: &str =
    "query($id: String!) { resource(id: $id) { id phase ready since generation class } }";
pub(crate) const FIFTY: &str = "query($k: [String!], $p: String!) { resources(first: 50, filter: {kinds: $k, namePrefix: $p}) \
                     { nodes { id phase ready since generation class } } }";

fn id(number: u64, applications: u64) -> String {
    format!("workload/dev_app-{}_app-{0}", number % applications)
}

/// By id, and a list of 50.
pub(crate) async fn measure(
    report: &mut Report,
    server: Arc<Server>,
    applications: u64,
    asked: u64,
) -> anyhow::Result<()> {
    let one = |number: u64| json!({ "id": id(number, applications) });
    let prefix = |_: u64| json!({ "k": ["workload"], "p": "dev_app" });
    let http_one = over_http(&server, BY_ID, asked, one).await?;
    let http_fifty = over_http(&server, FIFTY, asked / 10, prefix).await?;
    let server = Arc::into_inner(server).ok_or_else(|| anyhow::anyhow!("somebody still asks"))?;
    let (data, _folder) = server.end().await?;
    let executor = Executor::new(Arc::new(SqliteJournal::open(&data.join("log"))?));
    let views = Views::open_sqlite(&data.join("views")).await?;
    let (router, token) = router(executor, views, "default".parse()?)?;
    let (mut raw_one, mut raw_fifty, mut here_one, mut here_fifty) = (0.0, 0.0, 0.0, 0.0);
    for _ in 0..ROUNDS {
        let (one_raw, fifty_raw) = raw(&data.join("views"), applications, asked)?;
        raw_one += one_raw / f64::from(ROUNDS);
        raw_fifty += fifty_raw / f64::from(ROUNDS);
        here_one += here(&router, &token, BY_ID, asked, one).await? / f64::from(ROUNDS);
        here_fifty += here(&router, &token, FIFTY, asked / 10, prefix).await? / f64::from(ROUNDS);
    }
    report.ratio("GraphQL by id in process", "/s", here_one, raw_one, 0.30);
    report.ratio("GraphQL list of 50 in process", "/s", here_fifty, raw_fifty, 0.30);
    report.ratio("GraphQL by id over HTTP, client included", "/s", http_one, raw_one, 0.30);
    report.ratio(
        "GraphQL list of 50 over HTTP, client included",
        "/s",
        http_fifty,
        raw_fifty,
        0.30,
    );
    Ok(())
}

async fn over_http(
    server: &Arc<Server>,
    query: &'static str,
    asked: u64,
    variables: impl Fn(u64) -> Value,
) -> anyhow::Result<f64> {
    let start = Instant::now();
    futures::stream::iter((0..asked).map(variables))
        .map(|variables| {
            let server = Arc::clone(server);
            tokio::spawn(async move { server.ask(query, variables).await.map(drop) })
        })
        .buffer_unordered(CONNECTIONS)
        .map_err(anyhow::Error::from)
        .try_for_each(std::future::ready)
        .await?;
    Ok(to_f64(asked) / start.elapsed().as_secs_f64())
}

/// The API on top of a log and views, and a token for it.
pub(crate) fn router(
    executor: Executor,
    views: Views,
    tenant: Tenant,
) -> anyhow::Result<(Router, Token)> {
    let (mut tokens, token) = (Tokens::default(), Token::generate());
    tokens.accept(&token, "bench")?;
    let probed = Probed {
        executor,
        views: Some(views.clone()),
        durability: Durability::PowerLoss,
        tokens: Arc::new(tokens),
        numbers: Arc::new(String::new),
        stopped: watch::Sender::default().subscribe(),
        closing: watch::Sender::new(false).subscribe(),
    };
    Ok((api::router(Plane::over(probed, views, tenant, None)), token))
}

/// One after the other, as the SQL is asked.
async fn here(
    router: &Router,
    token: &Token,
    query: &str,
    asked: u64,
    variables: impl Fn(u64) -> Value,
) -> anyhow::Result<f64> {
    let requests: Vec<Request<Body>> = (0..asked)
        .map(|number| {
            let body = json!({ "query": query, "variables": variables(number) }).to_string();
            let request = Request::post("/graphql")
                .header("content-type", "application/json")
                .header("authorization", format!("Bearer {}", token.reveal()));
            request.body(body.into())
        })
        .collect::<Result<_, _>>()?;
    let start = Instant::now();
    for request in requests {
        let response = router.clone().oneshot(request).await?;
        anyhow::ensure!(response.status().is_success(), "{}", response.status());
        std::hint::black_box(response);
    }
    Ok(to_f64(asked) / start.elapsed().as_secs_f64())
}

/// What the API asks of the views, without anything on top: the same columns of the same rows, each read.
fn raw(folder: &Path, applications: u64, asked: u64) -> anyhow::Result<(f64, f64)> {
    let files = std::fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path());
    let mut databases = files.filter(|path| path.extension().is_some_and(|it| it == "db"));
    let file = databases.next().ok_or_else(|| anyhow::anyhow!("there are no views"))?;
    let views = Connection::open_with_flags(
        file,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    let mut select = views.prepare(&format!(
        "SELECT {COLUMNS}, doc FROM versions WHERE stream = $1 ORDER BY from_position DESC LIMIT 1"
    ))?;
    let start = Instant::now();
    for number in 0..asked {
        let stream = format!("ev.default.{}", id(number, applications).replace('/', "."));
        let row = select.query_row(params![stream], values)?;
        std::hint::black_box(row);
    }
    let one = to_f64(asked) / start.elapsed().as_secs_f64();
    let mut select = views.prepare(&format!(
        "SELECT {COLUMNS}, COALESCE(summary, doc) FROM versions WHERE tenant = 'default' AND resource = 1 \
         AND to_position = 9223372036854775807 AND stream >= 'ev.default.workload.dev_app' AND kind = 'workload' \
         ORDER BY stream LIMIT 51"
    ))?;
    let start = Instant::now();
    for _ in 0..asked / 10 {
        let rows = select.query_map([], values)?.collect::<Result<Vec<_>, _>>()?;
        anyhow::ensure!(rows.len() == 51, "{} rows", rows.len());
        std::hint::black_box(rows);
    }
    Ok((one, to_f64(asked / 10) / start.elapsed().as_secs_f64()))
}

fn values(row: &rusqlite::Row<'_>) -> rusqlite::Result<Vec<rusqlite::types::Value>> {
    (0..row.as_ref().column_count()).map(|column| row.get(column)).collect()
}
