//! A real `cairn up` in a folder of its own.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// The binary under test.
const CAIRN: &str = env!("CARGO_BIN_EXE_cairn");

/// A data folder, a configuration and a port; a server runs while `server` is some.
pub(crate) struct Plane {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) port: u16,
    /// What `cairn up` is told besides.
    pub(crate) settings: Vec<String>,
    /// What every command finds in its environment besides.
    pub(crate) variables: Vec<(&'static str, String)>,
    speed: u32,
    server: Option<Child>,
}

impl Plane {
    /// A folder without a server.
    pub(crate) fn new(speed: u32) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self {
            folder: tempfile::tempdir().unwrap(),
            port,
            settings: Vec::new(),
            variables: Vec::new(),
            speed,
            server: None,
        }
    }

    /// A folder with a running server.
    pub(crate) fn up(speed: u32) -> Self {
        let mut plane = Self::new(speed);
        plane.start();
        plane
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the server, and returns once it says that it is up.
    pub(crate) fn start(&mut self) {
        let mut command = self.up_command();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("Cairn is up at "), "{line:?}");
        self.server = Some(child);
    }

    /// `cairn up`, as it is started here.
    pub(crate) fn up_command(&self) -> Command {
        let mut command = self.command(CAIRN);
        command.args(["up", "--listen", &format!("127.0.0.1:{}", self.port)]);
        command.args(["--speed", &self.speed.to_string()]).arg("--data-dir").arg(self.data());
        command.args(&self.settings);
        command
    }

    /// Ends the server as the machine would: at once.
    pub(crate) fn kill(&mut self) {
        let mut child = self.server.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Ends the server as a person would, and says whether it ended well.
    pub(crate) fn stop(&mut self) -> bool {
        let mut child = self.server.take().unwrap();
        let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        child.wait().unwrap().success()
    }

    /// A command with the plane's configuration, in the repository's root, its environment otherwise empty.
    pub(crate) fn command(&self, program: &str) -> Command {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut command = Command::new(program);
        command.env_clear().current_dir(root).stdin(Stdio::null());
        command.env("CAIRN_CONFIG", self.folder.path().join("config.json"));
        command.env("HOME", self.folder.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs `cairn` to its end.
    pub(crate) fn cairn(&self, arguments: &[&str]) -> Output {
        self.command(CAIRN).args(arguments).output().unwrap()
    }

    /// Starts `cairn` with its output at hand.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(CAIRN);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs `cairn`, which must succeed, and gives its data.
    pub(crate) fn data_of(&self, arguments: &[&str]) -> String {
        let output = self.cairn(arguments);
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cairn {arguments:?}: {talk}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        if let Some(mut child) = self.server.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
