//! A real `cairn up`, as a user starts it, and its figures from `/proc`.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::ask::Access;

/// Clock ticks a second in `/proc/<pid>/stat` (Linux: USER_HZ).
const TICKS: f64 = 100.0;

/// An application is recorded and delivered.
const DELIVER: &str = "mutation($a: ApplicationApplyInput!, $d: DeploymentDeployInput!) { \
     applicationApply(input: $a) { userErrors { message } } deploymentDeploy(input: $d) { userErrors { message } } }";
/// An environment is defined.
pub(crate) const DEFINE_ENVIRONMENT: &str = "mutation($i: EnvironmentDefineInput!) { environmentDefine(input: $i) { userErrors { message } } }";

/// A running server; it ends with this value.
pub(crate) struct Server {
    child: Child,
    url: String,
    token: String,
    pub(crate) data: PathBuf,
    http: reqwest::Client,
    directory: tempfile::TempDir,
}

impl Server {
    /// Starts the `cairn` that was built beside this program.
    pub(crate) async fn start(speed: u32) -> anyhow::Result<Self> {
        Self::start_with(speed, &[]).await
    }

    /// Starts it with more arguments.
    pub(crate) async fn start_with(speed: u32, more: &[&str]) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let data = directory.path().join("data");
        let config = directory.path().join("config.json");
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut child = Command::new(program("cairn")?)
            .args([
                "up",
                "--listen",
                &format!("127.0.0.1:{port}"),
                "--speed",
                &speed.to_string(),
                "--data-dir",
            ])
            .arg(&data)
            .args(more)
            .env("CAIRN_CONFIG", &config)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let output =
            child.stdout.take().ok_or_else(|| anyhow::anyhow!("the server has no output"))?;
        BufReader::new(output).lines().next_line().await?;
        let config: Value = serde_json::from_slice(&std::fs::read(&config)?)?;
        let context =
            config.get("contexts").and_then(Value::as_object).and_then(|all| all.values().next());
        let text = |key| {
            context.and_then(|c| c.get(key)).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (url, token) = (text("server"), text("token"));
        let http = reqwest::Client::builder().pool_max_idle_per_host(64).build()?;
        let server = Self { child, url, token, data, http, directory };
        server.ask("{ serverInfo { version } }", json!({})).await?;
        Ok(server)
    }

    /// Asks, and gives the data; anything but data is a failure.
    pub(crate) async fn ask(&self, query: &str, variables: Value) -> anyhow::Result<Value> {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let request = self.http.post(format!("{}/graphql", self.url)).bearer_auth(&self.token);
        let response = request.header("content-type", "application/json").body(body).send().await?;
        let mut answer: Value = serde_json::from_slice(&response.bytes().await?)?;
        anyhow::ensure!(answer.get("errors").is_none(), "{answer}");
        Ok(answer.get_mut("data").map(Value::take).unwrap_or_default())
    }

    /// Says what an environment is.
    pub(crate) async fn define_environment(&self, definition: &Value) -> anyhow::Result<()> {
        let name = definition.get("name").and_then(Value::as_str).unwrap_or_default();
        let variables = json!({ "i": { "idempotencyKey": name, "definition": definition } });
        let answer = self.ask(DEFINE_ENVIRONMENT, variables).await?;
        accepted(&format!("environment {name}"), &answer, &["environmentDefine"])
    }

    /// Delivers an application of one workload to `dev`.
    pub(crate) async fn deliver(&self, name: &str, image: &str) -> anyhow::Result<()> {
        let text = format!("name: {name}\nimage: {image}\nport: 8080\n");
        let files = json!([{ "path": "app.yaml", "text": text }]);
        let key = format!("{name} {image}");
        let variables = json!({
            "a": { "idempotencyKey": format!("a {key}"), "files": files },
            "d": { "idempotencyKey": format!("d {key}"), "application": name, "environment": "dev" },
        });
        let answer = self.ask(DELIVER, variables).await?;
        accepted(name, &answer, &["applicationApply", "deploymentDeploy"])
    }

    /// What it counts, as Prometheus reads it.
    pub(crate) async fn metrics(&self) -> anyhow::Result<String> {
        let request = self.http.get(format!("{}/metrics", self.url)).bearer_auth(&self.token);
        Ok(request.send().await?.error_for_status()?.text().await?)
    }

    /// Where to ask, and as whom.
    pub(crate) fn access(&self) -> Access {
        let address = self.url.trim_start_matches("http://").to_owned();
        Access { address, token: self.token.clone() }
    }

    /// Ends it, and gives the folder of its data, which is removed with the guard.
    pub(crate) async fn end(mut self) -> anyhow::Result<(PathBuf, tempfile::TempDir)> {
        self.child.kill().await?;
        Ok((self.data, self.directory))
    }

    /// Resident memory in MiB: now, and the most there ever was.
    pub(crate) fn resident_mib(&self) -> (f64, f64) {
        resident_mib(self.child.id().unwrap_or_default())
    }

    /// CPU seconds used so far.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        cpu_seconds(self.child.id().unwrap_or_default())
    }

    /// The share of one core that it uses over some time, in percent.
    pub(crate) async fn idle_percent(&self, over: Duration) -> f64 {
        let before = self.cpu_seconds();
        tokio::time::sleep(over).await;
        (self.cpu_seconds() - before) / over.as_secs_f64() * 100.0
    }
}

/// Whether none of these mutations was refused.
fn accepted(what: &str, answer: &Value, mutations: &[&str]) -> anyhow::Result<()> {
    let refused = mutations.iter().find_map(|mutation| {
        answer.pointer(&format!("/{mutation}/userErrors/0/message")).map(Value::to_string)
    });
    refused.map_or(Ok(()), |message| Err(anyhow::anyhow!("{what}: {message}")))
}

/// A program that was built beside this one.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name(name);
    let path = program.display();
    anyhow::ensure!(program.exists(), "{path} is not there: build it with `make bench`");
    Ok(program)
}

/// CPU seconds that a process used so far.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let stat = proc(pid, "stat");
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let fields = after_name.split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// Memory of a process in MiB, of what it shares with others its part.
pub(crate) fn proportional_mib(pid: u32) -> f64 {
    line(&proc(pid, "smaps_rollup"), "Pss:") / 1024.0
}

/// Resident memory of a process in MiB: now, and the most there ever was.
pub(crate) fn resident_mib(pid: u32) -> (f64, f64) {
    let status = proc(pid, "status");
    (line(&status, "VmRSS:") / 1024.0, line(&status, "VmHWM:") / 1024.0)
}

/// The number of a line of such a file.
fn line(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

fn proc(pid: u32, file: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default()
}
