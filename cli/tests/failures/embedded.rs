//! The stack under test: `cairn up`, on a disk that may be small, behind a network that may be bad.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use servers::clock::WallClock;
use servers::disk::SmallDisk;
use servers::proxy::Proxy;
use servers::{Place, Port, Process, http, until};

/// How much faster than life the world is: a deployment takes some tenths of a second.
const SPEED: &str = "2000";
/// The small disk: a log, views and a world of one life fit well.
const DISK_BYTES: u64 = 192 << 20;

/// A server with its folder. Dropping it ends and removes everything.
pub(crate) struct Embedded {
    process: Process,
    port: Port,
    /// Where the clients connect.
    pub(crate) network: Proxy,
    /// What its data lie on, where that can be filled.
    pub(crate) disk: Option<SmallDisk>,
    /// What it takes for the time.
    pub(crate) clock: WallClock,
    data: PathBuf,
    place: Place,
}

impl Embedded {
    /// A folder and a network, and no server yet.
    pub(crate) fn new(disk: Option<SmallDisk>) -> Self {
        let place = Place::new();
        let data = disk.as_ref().map_or(place.path(), SmallDisk::path).join("data");
        let port = Port::reserve();
        let listen = format!("127.0.0.1:{}", port.number());
        let folder = data.to_str().unwrap();
        let arguments = ["up", "--listen", &listen, "--speed", SPEED, "--data-dir", folder];
        let cairn = Path::new(env!("CARGO_BIN_EXE_cairn"));
        let (clock, config) = (WallClock::new(), place.join("config.json"));
        let process = Process::new(cairn, &arguments, None, &place.join("cairn.log"))
            .with_environment(&clock.environment())
            .with_environment(&[
                ("HOME", place.path()),
                ("CAIRN_CONFIG", &config),
                ("RUST_BACKTRACE", Path::new("1")),
            ]);
        let network = Proxy::start(port.number());
        Self { process, port, network, disk, clock, data, place }
    }

    /// A disk that can be filled, where this program may mount one.
    pub(crate) fn small_disk() -> Option<SmallDisk> {
        SmallDisk::mount(DISK_BYTES)
    }

    /// Starts the server; returns when it is ready, with how long that took.
    pub(crate) fn start(&self) -> Duration {
        let begun = Instant::now();
        self.process.start();
        self.wait_ready();
        begun.elapsed()
    }

    pub(crate) fn wait_ready(&self) {
        let patience = servers::PATIENCE;
        let begun = Instant::now();
        loop {
            assert!(self.process.runs(), "the server ended; {}", self.process.log_end());
            let answer = http::get(self.port.number(), "/readyz");
            if matches!(answer, Ok((200, _))) {
                return;
            }
            assert!(begun.elapsed() < patience, "not ready within {patience:?}: {answer:?}");
            servers::pause();
        }
    }

    /// Waits until somebody answers, ready or not.
    pub(crate) fn wait_listening(&self) {
        until("the server to listen", || http::get(self.port.number(), "/livez").ok().map(drop));
    }

    /// Starts the server, and returns as soon as its process is there.
    pub(crate) fn spawn(&self) {
        self.process.start();
    }

    pub(crate) fn kill9(&self) {
        self.process.kill9();
    }

    pub(crate) fn terminate(&self) {
        self.process.stop();
    }

    pub(crate) fn freeze(&self) {
        self.process.sigstop();
    }

    pub(crate) fn thaw(&self) {
        self.process.sigcont();
    }

    /// Where clients connect, through the network that may be bad.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.network.port())
    }

    /// The token that the first start made.
    pub(crate) fn token(&self) -> String {
        let text = std::fs::read_to_string(self.place.join("config.json")).unwrap();
        let config: Value = serde_json::from_str(&text).unwrap();
        let context = config["contexts"].as_object().unwrap().values().next().unwrap();
        context["token"].as_str().unwrap().to_owned()
    }

    /// The ids and uids of what is ready, once all is; else what is not.
    pub(crate) fn resources(&self) -> Result<Vec<(String, String)>, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
        command.args(["get", "resources", "-o", "json"]).env_clear();
        command.env("CAIRN_CONFIG", self.place.join("config.json"));
        let output = command.output().unwrap();
        let all: Vec<Value> = serde_json::from_slice(&output.stdout)
            .map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())?;
        if let Some(unready) = all.iter().find(|one| one["ready"] != true) {
            return Err(format!("not ready: {unready}"));
        }
        let text = |one: &Value, field: &str| one[field].as_str().unwrap().to_owned();
        let mut resources: Vec<_> =
            all.iter().map(|one| (text(one, "id"), text(one, "uid"))).collect();
        resources.sort();
        Ok(resources)
    }

    pub(crate) fn log_folder(&self) -> PathBuf {
        self.data.join("log")
    }

    pub(crate) fn views_folder(&self) -> PathBuf {
        self.data.join("views")
    }

    pub(crate) fn world_file(&self) -> PathBuf {
        self.data.join("world.jsonl")
    }
}
