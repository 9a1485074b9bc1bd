//! moto's server: S3 in a process, for tests. It keeps what it is given in memory, and checks no signatures.
//!
//! Run with moto 5.2.5, which honours `If-None-Match: *` on a put as S3 does.

use std::net::{Ipv4Addr, TcpStream};
use std::ops::Deref;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::http::{self, Request};
use crate::process::Process;
use crate::{PATIENCE, Place, Port, installed, pause, until};

/// How often a start is tried again when somebody took the port meanwhile.
const STARTS_MAX: usize = 5;
/// What a certificate and its key are called.
const TLS: &str = "tls";
/// Who asks, to a server that believes everybody.
const CREDENTIAL: &str = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, \
                          SignedHeaders=host, Signature=test";

/// One server. Dropping it kills it.
#[derive(Debug)]
pub struct Moto {
    process: Process,
    port: Port,
    buckets: AtomicU64,
    place: Place,
}

impl Moto {
    /// Starts a server of its own, and returns when it answers.
    #[must_use]
    pub fn start() -> Self {
        Self::start_in(Place::new(), &[])
    }

    /// Starts a server that speaks TLS as `localhost`, with a [certificate](Moto::certificate) of its own.
    #[must_use]
    pub fn start_with_tls() -> Self {
        let place = Place::new();
        let make =
            "import sys, werkzeug.serving as w; w.make_ssl_devcert(sys.argv[1], 'localhost')";
        let base = place.join(TLS);
        let base = base.to_str().expect("a readable path");
        let mut python = Command::new(python());
        let made = python.args(["-c", make, base]).env("PYTHONPATH", installed("moto")).output();
        let made = made.expect("Python runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self::start_in(place, &["-c", &format!("{base}.crt"), "-k", &format!("{base}.key")])
    }

    fn start_in(place: Place, tls: &[&str]) -> Self {
        for _ in 0..STARTS_MAX {
            let port = Port::reserve();
            let number = port.number().to_string();
            let mut arguments = vec!["-m", "moto.server", "-H", "127.0.0.1", "-p", &number];
            arguments.extend(tls);
            let process = Process::new(&python(), &arguments, None, &place.join("moto.log"));
            let process = process.with_environment(&[("PYTHONPATH", &installed("moto"))]);
            process.start();
            if becomes_ready(&process, &port) {
                return Self { process, port, buckets: AtomicU64::new(0), place };
            }
            pause();
        }
        panic!("a port was taken by somebody else in each of {STARTS_MAX} starts");
    }

    /// The one server of this program. It ends with the program.
    ///
    /// Tests that share it take a bucket each: [`Moto::create_bucket`].
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Moto> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    /// The port where clients connect, for a proxy in front of it.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port.number()
    }

    /// The certificate of one that speaks TLS: whoever trusts this file trusts it.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.place.join(&format!("{TLS}.crt"))
    }

    /// Makes an empty bucket with a name of its own, and gives the name.
    #[must_use]
    pub fn create_bucket(&self) -> String {
        let name = format!("test-{}", self.buckets.fetch_add(1, Ordering::Relaxed));
        self.ask("PUT", &format!("/{name}"), &[]);
        name
    }

    /// The names in a bucket that begin like this, in order.
    #[must_use]
    pub fn names(&self, bucket: &str, beginning: &str) -> Vec<String> {
        let path = format!("/{bucket}?list-type=2&prefix={beginning}");
        let answer = String::from_utf8(self.ask("GET", &path, &[])).expect("XML");
        let ends = answer.split("<Key>").skip(1).map(|rest| rest.split("</Key>").next());
        ends.map(|name| name.expect("a name").to_owned()).collect()
    }

    /// What is there.
    #[must_use]
    pub fn read(&self, bucket: &str, name: &str) -> Vec<u8> {
        self.ask("GET", &format!("/{bucket}/{name}"), &[])
    }

    /// Puts something there, whatever was there before.
    pub fn write(&self, bucket: &str, name: &str, bytes: &[u8]) {
        self.ask("PUT", &format!("/{bucket}/{name}"), bytes);
    }

    /// Removes what is there.
    pub fn remove(&self, bucket: &str, name: &str) {
        self.ask("DELETE", &format!("/{bucket}/{name}"), &[]);
    }

    fn ask(&self, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
        let headers = &[("Authorization", CREDENTIAL)];
        // Its first answer takes it seconds on a busy machine: it loads what it needs then.
        let asked = http::ask(self.port(), &Request { method, path, headers, body }, PATIENCE);
        let (status, answer) = asked.expect("an answer of moto");
        let said = String::from_utf8_lossy(&answer);
        assert!((200..300).contains(&status), "{method} {path}: {status} {said}");
        answer
    }
}

impl Deref for Moto {
    type Target = Process;

    /// What is done to a process is done to the server. What it was given ends with it.
    fn deref(&self) -> &Process {
        &self.process
    }
}

fn python() -> PathBuf {
    let python = std::fs::canonicalize(installed("moto-python"));
    python.expect("a program behind the link: run `make servers`")
}

/// Waits until it listens. False: it ended because its port is somebody else's.
fn becomes_ready(process: &Process, port: &Port) -> bool {
    until(&format!("moto; {}", process.log_end()), || {
        if !process.runs() {
            let end = process.log_end();
            assert!(end.contains("already in use"), "moto ended; {end}");
            return Some(false);
        }
        TcpStream::connect((Ipv4Addr::LOCALHOST, port.number())).is_ok().then_some(true)
    })
}
