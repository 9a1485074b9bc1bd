//! A chart's folder and values become text, by the program `helm`.
//!
//! # Guarantees
//! The program has an empty environment, a scratch folder as its home, limits of time, memory, files and output, and no
//! network where the machine lets us take it away (`unshare`). It is told nothing of any cluster but its version and
//! what kinds there are, so `lookup` finds nothing.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::sync::{OnceCell, Semaphore};
use tracing::warn;

use crate::{Error, lasting, passing};

/// The version of Helm whose flags these are.
const MAJOR: &str = "v4.";
/// How long it may take. The largest public chart takes a second.
const TIME_MAX: Duration = Duration::from_secs(60);
/// How long its processors may work.
const CPU_SECONDS_MAX: u32 = 30;
/// Its address space. Go reserves more than it uses: the largest public chart takes 0.2 GiB.
const MEMORY_KIB_MAX: u32 = 2 * 1024 * 1024;
/// Beyond it Go gives memory back.
const MEMORY_SOFT: &str = "768MiB";
/// The largest file that it may write, in blocks of 512 bytes.
const FILE_BLOCKS_MAX: u32 = 128 * 1024;
/// The most files that it may have open.
const FILES_MAX: u32 = 256;
/// What it may write: as much as is read of it.
const OUTPUT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// What is read of its complaints.
const TALK_BYTES_MAX: u64 = 16 * 1024;
/// How much of them is shown.
const TALK_CHARS_MAX: usize = 1_000;
/// What a cluster knows, in one argument (Linux: 128 KiB each).
const API_VERSIONS_AT_ONCE: usize = 200;
/// Charts that are rendered at once, in one process.
const AT_ONCE: usize = 2;
/// Sets limits, then becomes the program.
const LIMITS: &str = r#"ulimit -c 0 && ulimit -t "$1" && ulimit -v "$2" && ulimit -f "$3" && ulimit -n "$4" && shift 4 && exec "$@""#;

/// What is rendered, and for whom.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    /// The chart's folder.
    pub chart: &'a Path,
    /// The name of the release.
    pub release: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its values.
    pub values: &'a Value,
    /// The cluster's version, such as `v1.36.3`.
    pub kube_version: &'a str,
    /// What the cluster knows, as `group/version` and `group/version/Kind`.
    pub api_versions: &'a [String],
    /// It was installed before.
    pub is_upgrade: bool,
}

/// The program `helm`, wherever it is.
pub struct Helm {
    named: Option<PathBuf>,
    found: OnceCell<Program>,
    turns: Semaphore,
}

#[derive(Clone, Debug)]
struct Program {
    path: PathBuf,
    /// What takes the network away, where the machine allows it.
    without_network: Vec<String>,
}

impl Helm {
    /// The program at a path, or the one of this name on the `PATH`. It is looked for when it is first used.
    #[must_use]
    pub fn new(named: Option<PathBuf>) -> Self {
        Self { named, found: OnceCell::new(), turns: Semaphore::new(AT_ONCE) }
    }

    /// Looks for it.
    ///
    /// # Errors
    /// When there is none, or it is of another major version.
    pub async fn check(&self) -> Result<(), Error> {
        self.program().await.map(|_| ())
    }

    async fn program(&self) -> Result<&Program, Error> {
        self.found.get_or_try_init(|| find(self.named.as_deref())).await
    }

    /// Renders a chart, in a scratch folder that nobody else uses.
    ///
    /// # Errors
    /// When the program cannot be run, refuses the chart or its values, or exceeds a limit.
    pub async fn render(&self, order: &Order<'_>, scratch: &Path) -> Result<String, Error> {
        let program = self.program().await?;
        let values = scratch.join("values.json");
        let written = tokio::fs::write(&values, order.values.to_string()).await;
        written
            .map_err(|error| Error::Passing(format!("the values cannot be written: {error}")))?;
        let arguments = arguments(order, &values);
        let _turn = self.turns.acquire().await;
        run(program, &arguments, scratch).await
    }
}

fn arguments(order: &Order<'_>, values: &Path) -> Vec<String> {
    let mut arguments: Vec<String> = ["template", order.release].map(str::to_owned).into();
    arguments.push(order.chart.display().to_string());
    arguments.extend(["--values".to_owned(), values.display().to_string()]);
    arguments.extend(["--namespace", order.namespace].map(str::to_owned));
    arguments.extend(["--kube-version", order.kube_version].map(str::to_owned));
    arguments.extend(["--include-crds", "--skip-tests"].map(str::to_owned));
    if order.is_upgrade {
        arguments.push("--is-upgrade".to_owned());
    }
    for some in order.api_versions.chunks(API_VERSIONS_AT_ONCE) {
        arguments.extend(["--api-versions".to_owned(), some.join(",")]);
    }
    arguments
}

/// Finds the program, and what it can be shut in with.
async fn find(named: Option<&Path>) -> Result<Program, Error> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => on_path("helm").ok_or_else(|| {
            Error::Lasting(
                "charts need the program helm, version 4: install it, or name it with --helm"
                    .into(),
            )
        })?,
    };
    let shown = path.display();
    let mut asked = Command::new(&path);
    asked.args(["version", "--template", "{{.Version}}"]).env_clear();
    asked.env("HOME", std::env::temp_dir()).stdin(Stdio::null()).kill_on_drop(true);
    let answer = match tokio::time::timeout(TIME_MAX, asked.output()).await {
        Err(_) => return passing(format!("{shown} does not say its version")),
        Ok(Err(error)) => {
            return lasting(format!("{shown} cannot be run: {error}; name another with --helm"));
        }
        Ok(Ok(answer)) => answer,
    };
    let version = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    if !answer.status.success() || !version.starts_with(MAJOR) {
        let version =
            if version.is_empty() { "of no version that it tells".into() } else { version };
        return lasting(format!(
            "{shown} is {version}; charts need version 4: name another with --helm"
        ));
    }
    Ok(Program { path, without_network: without_network().await })
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|place| place.is_file())
}

/// What takes the network away: a namespace without any, which some machines do not allow.
async fn without_network() -> Vec<String> {
    let Some(unshare) = on_path("unshare").map(|path| path.display().to_string()) else {
        warn!("charts are rendered with the network within reach: there is no program `unshare`");
        return Vec::new();
    };
    for flags in [vec!["--net"], vec!["--user", "--map-current-user", "--net"]] {
        let tried =
            Command::new(&unshare).args(&flags).arg("true").stdin(Stdio::null()).output().await;
        if tried.is_ok_and(|tried| tried.status.success()) {
            let flags = flags.into_iter().map(str::to_owned);
            return std::iter::once(unshare).chain(flags).collect();
        }
    }
    warn!(
        "charts are rendered with the network within reach: this machine does not allow `unshare --net`"
    );
    Vec::new()
}

async fn run(program: &Program, arguments: &[String], scratch: &Path) -> Result<String, Error> {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", LIMITS, "sh"]);
    command.args(
        [CPU_SECONDS_MAX, MEMORY_KIB_MAX, FILE_BLOCKS_MAX, FILES_MAX].map(|it| it.to_string()),
    );
    command.args(&program.without_network).arg(&program.path).args(arguments);
    command.env_clear().env("HOME", scratch).env("TMPDIR", scratch).env("PATH", "/nonexistent");
    for (name, folder) in [
        ("HELM_CACHE_HOME", "cache"),
        ("HELM_CONFIG_HOME", "config"),
        ("HELM_DATA_HOME", "data"),
        ("HELM_PLUGINS", "plugins"),
    ] {
        command.env(name, scratch.join(folder));
    }
    command.env("KUBECONFIG", scratch.join("no-kubeconfig"));
    command.env("GOMEMLIMIT", MEMORY_SOFT).env("GOMAXPROCS", "2");
    command.current_dir(scratch).process_group(0).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|error| Error::Passing(format!("helm cannot be started: {error}")))?;
    let mut group = Group::of(&child);
    let (output, talk) = (child.stdout.take(), child.stderr.take());
    let all = async {
        let (output, talk) =
            tokio::join!(read(output, OUTPUT_BYTES_MAX), read(talk, TALK_BYTES_MAX));
        (child.wait().await, output, talk)
    };
    let Ok((status, output, talk)) = tokio::time::timeout(TIME_MAX, all).await else {
        return lasting(format!("the chart is not rendered within {} s", TIME_MAX.as_secs()));
    };
    group.0 = None;
    if u64::try_from(output.len()).unwrap_or(u64::MAX) > OUTPUT_BYTES_MAX {
        return lasting(format!("the chart becomes more than {OUTPUT_BYTES_MAX} bytes"));
    }
    let status = status.map_err(|error| Error::Passing(format!("helm was lost: {error}")))?;
    if !status.success() {
        return lasting(complaint(&String::from_utf8_lossy(&talk), &status.to_string(), scratch));
    }
    String::from_utf8(output).or_else(|_| lasting("the chart becomes something that is not UTF-8"))
}

/// Ends a program that has not ended, and all that it started.
struct Group(Option<rustix::process::Pid>);

impl Group {
    fn of(child: &tokio::process::Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(rustix::process::Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended in this moment.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// Reads a stream, one byte more than the limit at most. The rest is left: whoever writes it gets an end of it.
async fn read(stream: Option<impl AsyncRead + Unpin>, bytes_max: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // What could be read of a program that is gone is all that there is.
        let _ = stream.take(bytes_max + 1).read_to_end(&mut bytes).await;
    }
    bytes
}

/// What Helm complains of, without the paths of the scratch folder.
fn complaint(talk: &str, status: &str, scratch: &Path) -> String {
    let scratch = format!("{}/", scratch.display());
    let lines = talk.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines =
        lines.filter(|line| !line.starts_with("level=") && !line.starts_with("Use --debug"));
    let text = lines.collect::<Vec<_>>().join(" ").replace(&scratch, "");
    let text = text.strip_prefix("Error: ").unwrap_or(&text);
    let text: String = text.chars().take(TALK_CHARS_MAX).collect();
    // Go says so when there is no more memory, and where every thread of it was.
    if text.is_empty() || talk.contains("fatal error: ") {
        return format!("helm ended with {status}: the chart takes too much time or memory");
    }
    format!("helm refuses the chart: {text}")
}
