//! Real servers for tests, benchmarks and local clusters: started on free loopback ports, in folders of their own.
//!
//! `make servers` installs them into `target/servers` (`tests/servers/install.sh` says which). Here they are
//! started, killed, frozen, cut off and started again:
//!
//! - [`nats::Nats`], one nats-server with JetStream, and [`nats::Cluster`], several that can be divided;
//! - [`postgres::Postgres`], one PostgreSQL, and [`postgres::Postgres::shared`], one for a whole test program;
//! - [`moto::Moto`], which is S3 for tests;
//! - [`kubernetes::ControlPlane`], a real Kubernetes whose nodes and pods pretend;
//! - [`proxy::Proxy`], a bad network in front of any of them, [`disk::SmallDisk`], a full disk under them, and
//!   [`clock::WallClock`], a clock that jumps;
//! - [`Process`], any other program, to be treated like them;
//! - [`stack::Stack`], all of Cairn past one machine (`make up-cluster`).
//!
//! Everything blocks until it is so, by looking, never by hoping; in a `#[tokio::test]` it may be called as it is.
//! What cannot be done ends the test with what was tried, and with the end of the server's log.
//! A server ends with its value, and with the program that started it, however that ends.
#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests build on this, and a test whose server cannot be had ends"
)]

pub mod clock;
pub mod disk;
pub mod http;
pub mod kubernetes;
pub mod moto;
pub mod nats;
mod place;
mod port;
pub mod postgres;
mod process;
pub mod proxy;
pub mod stack;

use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use place::Place;
pub use port::Port;
pub use process::Process;
pub use rustix::process::Signal;

/// Where `make servers` puts them, unless this names another folder.
const FOLDER: &str = "CAIRN_SERVERS";
/// How long a server may take to be ready. A hundred times what it takes: a test that hangs ends.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// How often it is looked whether something is so.
const LOOK: Duration = Duration::from_millis(5);

fn folder() -> PathBuf {
    let built = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/servers"));
    std::env::var_os(FOLDER).map_or_else(built, PathBuf::from)
}

/// What `make servers` installed under a name.
pub(crate) fn installed(name: &str) -> PathBuf {
    let folder = folder();
    let path = folder.join(name);
    assert!(path.exists(), "{name} is missing in {}: run `make servers`", folder.display());
    path
}

/// A program on PATH, or else under a name in the folder that `make servers` and `make peers` fill.
///
/// # Errors
/// When it is nowhere.
pub fn program(name: &str, installed: &str) -> std::io::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(name));
    let found = on_path.chain([folder().join(installed)]).find(|program| program.is_file());
    let missing = || format!("{name} is neither on PATH nor in {}", folder().display());
    found.ok_or_else(|| std::io::Error::new(std::io::ErrorKind::NotFound, missing()))
}

/// A program that was built together with this one.
#[must_use]
pub fn built_beside(name: &str) -> PathBuf {
    let here = std::env::current_exe().expect("a path");
    let program = here.with_file_name(name);
    assert!(program.exists(), "{} is not there: cargo build -p cairn-cli", program.display());
    program
}

/// Looks until there is an answer; ends the test where there is none in time.
#[track_caller]
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_told(|| what.to_owned(), look)
}

/// The same, for what takes a while to say.
#[track_caller]
pub(crate) fn until_told<T>(
    what: impl FnOnce() -> String,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {}", what());
        pause();
    }
}

/// Lets others run before the next look.
pub fn pause() {
    std::thread::park_timeout(LOOK);
}
