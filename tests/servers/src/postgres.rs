//! PostgreSQL, in a folder of its own.

mod wire;

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::Signal;

use crate::process::Process;
use crate::{Place, Port, installed, pause, until};

pub use wire::Row;

/// Who the tests are to the server, and the database that is there from the start.
const NAME: &str = "postgres";
/// How often a start is tried again: somebody may have taken the port, or a dead server's memory may not be free.
const STARTS_MAX: usize = 20;
/// Tests of one program run at the same time, each with a pool.
const CONNECTIONS_MAX: &str = "200";

/// How a server runs.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Syncs before it answers, as every server does that matters. Without, tests are faster, and `kill -9` loses
    /// nothing either: only a power cut would.
    pub fsync: bool,
    /// Settings of `postgresql.conf`, by name.
    pub settings: Vec<(String, String)>,
    /// The folder that will hold its data, for instance on a small disk; none: one of its own.
    pub folder: Option<PathBuf>,
}

/// One PostgreSQL server. Dropping it kills it.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    port: Port,
    folder: PathBuf,
    databases: AtomicU64,
    _place: Place,
}

impl Postgres {
    /// Starts a server of its own, and returns when it answers.
    #[must_use]
    pub fn start(options: &Options) -> Self {
        let server = Self::new(options);
        server.start_again();
        server
    }

    /// The one server of this program, without fsync. It ends with the program.
    ///
    /// Tests that share it take a database each: [`Postgres::create_database`].
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&Options::default()))
    }

    fn new(options: &Options) -> Self {
        let (place, port) = (Place::new(), Port::reserve());
        let folder = options.folder.clone().unwrap_or_else(|| place.path().to_owned());
        let folder = folder.join("postgres");
        let user = std::fs::read_to_string(installed("postgres-user")).unwrap_or_default();
        let user = Some(user.trim()).filter(|user| !user.is_empty());
        prepare(&folder, user);
        let data = folder.join("data");
        let fsync = if options.fsync { "on" } else { "off" };
        let mut settings = vec![
            format!("port={}", port.number()),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", folder.display()),
            format!("max_connections={CONNECTIONS_MAX}"),
            format!("fsync={fsync}"),
            format!("full_page_writes={fsync}"),
        ];
        settings.extend(options.settings.iter().map(|(name, value)| format!("{name}={value}")));
        let mut arguments = vec!["-D", data.to_str().expect("a readable path")];
        arguments.extend(settings.iter().flat_map(|setting| ["-c", setting.as_str()]));
        let program = std::fs::canonicalize(installed("postgres/bin/postgres"));
        let program = program.expect("a program behind the link: run `make servers`");
        let process = Process::new(&program, &arguments, user, &place.join("postgres.log"))
            // Without waiting for its clients.
            .stopped_by(Signal::INT);
        Self { process, port, folder, databases: AtomicU64::new(0), _place: place }
    }

    fn start_again(&self) {
        for _ in 0..STARTS_MAX {
            self.process.start();
            let answers = until(&format!("PostgreSQL; {}", self.process.log_end()), || {
                if !self.process.runs() {
                    return Some(false);
                }
                self.is_ready().then_some(true)
            });
            if answers {
                return;
            }
            pause();
        }
        panic!("PostgreSQL does not start; {}", self.process.log_end());
    }

    /// Whether it accepts connections.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        wire::query(self.port(), NAME, NAME, "SELECT 1").is_ok()
    }

    /// Where clients connect, to the database that is there from the start.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(NAME)
    }

    /// Where clients connect, to a database.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://{NAME}@127.0.0.1:{}/{database}", self.port())
    }

    /// The port where clients connect, for a proxy in front of it.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port.number()
    }

    /// The folder of its socket, for clients that name that as the host.
    #[must_use]
    pub fn socket_folder(&self) -> &Path {
        &self.folder
    }

    /// Makes an empty database with a name of its own, and gives the name.
    #[must_use]
    pub fn create_database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        self.query(NAME, &format!("CREATE DATABASE {name}")).expect("a database");
        name
    }

    /// Asks a database with plain SQL; gives the rows of all statements, each value as text.
    ///
    /// # Errors
    /// What the server or the network said.
    pub fn query(&self, database: &str, sql: &str) -> Result<Vec<Row>, String> {
        wire::query(self.port(), NAME, database, sql)
    }

    /// Ends it if it runs, starts it on the same files and port, and returns when it answers.
    pub fn restart(&self) {
        self.kill9();
        self.start_again();
    }
}

impl Deref for Postgres {
    type Target = Process;

    /// What is done to a process is done to the server with all its backends: killed, frozen, stopped, its log read.
    fn deref(&self) -> &Process {
        &self.process
    }
}

/// Copies the fresh data folder that the installation made, for whoever runs the server.
fn prepare(folder: &Path, user: Option<&str>) {
    std::fs::create_dir_all(folder).expect("a folder");
    run(Command::new("cp").args(["-a", "--reflink=auto"]).arg(installed("postgres-data")).arg(
        // Into a name that is not there yet.
        folder.join("data"),
    ));
    if let Some(user) = user {
        run(Command::new("chown").args(["-R", &format!("{user}:")]).arg(folder));
    }
}

fn run(command: &mut Command) {
    let output = command.output().expect("a program of every Debian");
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {talk}");
}
