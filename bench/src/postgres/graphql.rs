//! GraphQL over HTTP about rows in PostgreSQL, with every request's token checked, against pgbench for the same rows.

use std::sync::Arc;

use anyhow::Context as _;
use journal::Executor;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::watch;

use super::{Bench, raw};
use crate::ask::{Access, Question};
use crate::load;
use crate::questions::{BY_ID, FIFTY, router};
use crate::report::Report;

/// Connections at the same time, to either.
const CONNECTIONS: u64 = 16;
/// Questions of a measurement by id; of lists a tenth.
const QUESTIONS: u64 = 48_000;
/// How often both sides are measured, in turn.
const ROUNDS: u32 = 2;

/// What the API reads of a row.
const COLUMNS: &str = "stream, from_position, version, time, phase, ready, deployment, environment, application, \
     class, uid, since, generation";

/// Asks both the same, in turn.
pub(super) async fn measure(bench: &Bench, report: &mut Report, scale: u64) -> anyhow::Result<()> {
    let views = bench.views(super::SHOWN).await?;
    let executor = Executor::new(Arc::clone(&bench.journal));
    let (router, token) = router(executor, views, load::tenant()?)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let closing = watch::Sender::new(false);
    let serving = tokio::spawn(api::serve(listener, router, closing.subscribe()));
    let access = Access { address, token: token.reveal().to_owned() };
    let schema = raw::schema(&bench.url(), super::SHOWN).await?;
    let resources = bench.resources;
    let one = Question {
        query: BY_ID,
        variables: |n: u64| json!({ "id": format!("database/dev_app-{}_db", n % resources) }),
        proof: "\"ready\":true",
    };
    let fifty = Question {
        query: FIFTY,
        variables: |_: u64| json!({ "k": ["database"], "p": "dev_app" }),
        proof: "\"ready\":true",
    };
    let one_sql = format!(
        "\\set n random(0, {})\nSELECT {COLUMNS}, doc FROM {schema}.versions \
         WHERE stream = 'ev.bench.database.dev_app-' || :n || '_db' ORDER BY from_position DESC LIMIT 1;\n",
        resources - 1
    );
    let fifty_sql = format!(
        "SELECT {COLUMNS}, COALESCE(summary, doc) FROM {schema}.versions WHERE tenant = 'bench' AND resource = 1 \
         AND to_position = 9223372036854775807 AND stream >= 'ev.bench.database.dev_app' AND kind = 'database' \
         ORDER BY stream LIMIT 51;\n"
    );
    let asked = QUESTIONS / scale;
    bench.compare(report, &access, "by id", 0.30, asked, one, &one_sql).await?;
    bench.compare(report, &access, "list of 50", 0.27, asked / 10, fifty, &fifty_sql).await?;
    closing.send_replace(true);
    serving.await??;
    Ok(())
}

impl Bench {
    #[allow(clippy::too_many_arguments, reason = "two sides of one comparison")]
    async fn compare<V>(
        &self,
        report: &mut Report,
        access: &Access,
        what: &str,
        goal: f64,
        count: u64,
        question: Question<V>,
        sql: &str,
    ) -> anyhow::Result<()>
    where
        V: Fn(u64) -> Value + Copy,
    {
        let (mut ours, mut theirs) = (0.0, 0.0);
        for _ in 0..ROUNDS {
            ours += access.rate(CONNECTIONS, count, question).await? / f64::from(ROUNDS);
            theirs += pgbench(&self.url(), count, sql).await? / f64::from(ROUNDS);
        }
        let name = format!("GraphQL {what} over HTTP, PostgreSQL, {CONNECTIONS} askers / pgbench");
        report.ratio(&name, "/s", ours, theirs, goal);
        Ok(())
    }
}

/// Transactions a second, as PostgreSQL's own benchmark counts them.
async fn pgbench(url: &str, count: u64, sql: &str) -> anyhow::Result<f64> {
    let script = tempfile::NamedTempFile::new()?;
    std::fs::write(script.path(), sql)?;
    let (clients, each) = (CONNECTIONS.to_string(), count.div_ceil(CONNECTIONS).to_string());
    let mut command = Command::new(servers::program("pgbench", "postgres/bin/pgbench")?);
    command.args(["--no-vacuum", "--protocol=prepared", "--jobs=2"]);
    command.args(["--client", &clients, "--transactions", &each, "--file"]);
    let output = command.arg(script.path()).arg(url).output().await?;
    let said = String::from_utf8_lossy(&output.stdout);
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rate = said.lines().find_map(|line| line.strip_prefix("tps = "));
    let rate = rate.and_then(|rest| rest.split(' ').next()).context("pgbench says no rate")?;
    Ok(rate.parse()?)
}
