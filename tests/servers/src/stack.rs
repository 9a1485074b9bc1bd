//! Cairn past one machine, on this one: three nats-servers, PostgreSQL, a simulated world, and some processes of
//! each role.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clock::WallClock;
use crate::nats::{self, Cluster};
use crate::postgres::{self, Postgres};
use crate::process::Process;
use crate::{PATIENCE, Place, Port, http, pause};

/// The roles of `cairn serve`.
pub const ROLES: [&str; 4] = ["api", "projector", "reconciler", "archiver"];
/// How many nats-servers there are.
const SERVERS: usize = 3;

/// How a stack is set up.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How much faster than life the simulated world is.
    pub speed: u32,
    /// How many processes of each role there are.
    pub replicas: usize,
    /// Whether a nats-server can be parted from the others.
    pub divisible: bool,
    /// Whether the first process of each role has a clock that can jump.
    pub jumping: bool,
}

/// A process of one role.
#[derive(Debug)]
pub struct Replica {
    /// What it does.
    pub role: &'static str,
    /// The process.
    pub process: Process,
    port: Port,
}

impl Replica {
    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number())
    }

    /// Starts it, which must not be running.
    pub fn start(&self) {
        self.process.start();
    }

    /// Waits until it says that it is ready.
    pub fn wait_ready(&self) {
        let begun = std::time::Instant::now();
        loop {
            assert!(self.process.runs(), "{} ended; {}", self.role, self.process.log_end());
            let answer = http::get(self.port.number(), "/readyz");
            if matches!(answer, Ok((200, _))) {
                return;
            }
            let patient = begun.elapsed() < PATIENCE;
            assert!(patient, "{} is not ready within {PATIENCE:?}: {answer:?}", self.role);
            pause();
        }
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(&self) {
        self.process.stop();
    }
}

/// All of it, running. Dropping it ends and removes everything.
#[derive(Debug)]
pub struct Stack {
    /// The processes of Cairn, in the order of their roles.
    pub replicas: Vec<Replica>,
    /// The simulated world.
    pub world: Process,
    /// The log.
    pub nats: Cluster,
    /// The views.
    pub postgres: Postgres,
    /// What gives access.
    pub token: String,
    /// What the first process of each role takes for the time, where it can jump.
    pub clock: Option<WallClock>,
    place: Place,
}

impl Stack {
    /// Starts everything with a program named `cairn`, and returns when all are ready.
    #[must_use]
    pub fn start(cairn: &Path, options: &Options) -> Self {
        let place = Place::new();
        let synced = nats::Options { sync_always: true, ..nats::Options::default() };
        let nats = match options.divisible {
            true => Cluster::start_divisible(SERVERS, &synced),
            false => Cluster::start(SERVERS, &synced),
        };
        let postgres = Postgres::start(&postgres::Options::default());
        let data = place.join("data");
        let token = make_token(cairn, &data);
        let port = Port::reserve();
        let (speed, address) = (options.speed.to_string(), format!("127.0.0.1:{}", port.number()));
        let folder = text(&data);
        let serve = ["sim", "serve", "--listen", &address, "--speed", &speed, "--data-dir", folder];
        let world = process(cairn, &serve, &place, "world", None);
        world.start();
        let world_url = format!("--world=http://{address}");
        let shared = [
            world_url,
            format!("--journal={}", journal(&nats)),
            format!("--views={}", postgres.url()),
            format!("--archive={}", place.join("archive").display()),
            "--require-durability=quorum".to_owned(),
        ];
        let clock = options.jumping.then(WallClock::new);
        let mut replicas = Vec::new();
        for role in ROLES {
            for number in 1..=options.replicas {
                let port = Port::reserve();
                let listen = format!("127.0.0.1:{}", port.number());
                let mut arguments =
                    vec!["serve", "--role", role, "--listen", &listen, "--data-dir", folder];
                arguments.extend(shared.iter().map(String::as_str));
                let name = format!("{role}-{number}");
                let clock = clock.as_ref().filter(|_| number == 1);
                let process = process(cairn, &arguments, &place, &name, clock);
                process.start();
                replicas.push(Replica { role, process, port });
            }
        }
        let stack = Self { replicas, world, nats, postgres, token, clock, place };
        stack.wait_ready();
        stack
    }

    /// Waits until every process is ready.
    pub fn wait_ready(&self) {
        self.replicas.iter().for_each(Replica::wait_ready);
    }

    /// The processes of a role.
    pub fn of(&self, role: &str) -> impl Iterator<Item = &Replica> {
        self.replicas.iter().filter(move |replica| replica.role == role)
    }

    /// Where the log is, as `--journal` has it.
    #[must_use]
    pub fn journal(&self) -> String {
        journal(&self.nats)
    }

    /// Where the simulated world writes down what happens to it.
    #[must_use]
    pub fn world_file(&self) -> PathBuf {
        self.place.join("data").join("world.jsonl")
    }

    /// Where the processes log, and where the archive is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.place.path()
    }
}

fn journal(nats: &Cluster) -> String {
    let monitors = nats.servers().iter().map(|server| format!("&monitor={}", server.monitor_url()));
    format!("{}?replicas={SERVERS}{}", nats.url(), monitors.collect::<String>())
}

fn process(
    cairn: &Path,
    arguments: &[&str],
    place: &Place,
    name: &str,
    clock: Option<&WallClock>,
) -> Process {
    let log = place.join(&format!("{name}.log"));
    let told: Vec<_> = clock.into_iter().flat_map(WallClock::environment).collect();
    let process = Process::new(cairn, arguments, None, &log).with_environment(&told);
    process.with_environment(&[("HOME", place.path()), ("RUST_BACKTRACE", Path::new("1"))])
}

fn make_token(cairn: &Path, data: &Path) -> String {
    let mut command = Command::new(cairn);
    command.args(["admin", "token", "operator", "--data-dir", text(data)]);
    let output = command.output().expect("cairn runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a readable path")
}
