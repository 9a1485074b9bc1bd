//! nats-server with JetStream, alone or as a cluster.

mod cluster;

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use crate::process::Process;
use crate::{Place, Port, http, installed, pause, until};

pub use cluster::Cluster;

/// How often a start is tried again when somebody took a port meanwhile.
const STARTS_MAX: usize = 5;

/// How a server runs.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Syncs every write to the disk before it is acknowledged (`sync_interval: always`). The server's own default
    /// is to sync every two minutes.
    pub sync_always: bool,
    /// Lines for the end of the configuration: accounts, permissions, limits.
    pub config: String,
    /// Where JetStream keeps its files, for instance on a small disk; none: in a folder of its own. In a cluster each
    /// server has a folder in it.
    pub store: Option<PathBuf>,
}

/// One nats-server. Dropping it kills it.
#[derive(Debug)]
pub struct Nats {
    name: String,
    process: Process,
    client: Port,
    monitor: Port,
    store: PathBuf,
    _place: Arc<Place>,
}

impl Nats {
    /// Starts a server of its own, and returns when JetStream is ready.
    #[must_use]
    pub fn start(options: &Options) -> Self {
        for _ in 0..STARTS_MAX {
            let server = Self::new("n1", &Arc::new(Place::new()), options, "");
            server.process.start();
            if server.becomes_ready() {
                return server;
            }
        }
        panic!("a port was taken by somebody else in each of {STARTS_MAX} starts");
    }

    /// Everything but its process.
    fn new(name: &str, place: &Arc<Place>, options: &Options, routes: &str) -> Self {
        let (client, monitor) = (Port::reserve(), Port::reserve());
        let folder = options.store.clone().unwrap_or_else(|| place.path().to_owned());
        let store = folder.join(format!("{name}-store"));
        let sync = if options.sync_always { "sync_interval: always" } else { "" };
        let text = format!(
            "server_name: {name}\nlisten: \"127.0.0.1:{}\"\nhttp: \"127.0.0.1:{}\"\n\
             jetstream {{\n  store_dir: \"{}\"\n  {sync}\n}}\n{routes}\n{}\n",
            client.number(),
            monitor.number(),
            store.display(),
            options.config
        );
        let config = place.join(&format!("{name}.conf"));
        std::fs::write(&config, text).expect("its configuration is written");
        let arguments = ["-c", config.to_str().expect("a readable path")];
        let log = place.join(&format!("{name}.log"));
        let process = Process::new(&installed("nats-server"), &arguments, None, &log);
        Self { name: name.to_owned(), process, client, monitor, store, _place: Arc::clone(place) }
    }

    /// Waits until JetStream is ready. False: it ended because its port is somebody else's.
    fn becomes_ready(&self) -> bool {
        until(&format!("{} to be ready; {}", self.name, self.process.log_end()), || {
            if !self.process.runs() {
                let end = self.process.log_end();
                assert!(end.contains("address already in use"), "{} ended; {end}", self.name);
                return Some(false);
            }
            self.is_ready().then_some(true)
        })
    }

    /// Whether it says that it is well: JetStream too, and in a cluster in touch with the leader.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(http::get(self.monitor.number(), "/healthz"), Ok((200, _)))
    }

    /// Where clients connect.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port())
    }

    /// The port where clients connect, for a proxy in front of it.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.client.number()
    }

    /// Where it can be asked how it is: `/varz`, `/jsz`, `/healthz`.
    #[must_use]
    pub fn monitor_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.monitor.number())
    }

    /// What a monitoring page says; none where it does not answer.
    #[must_use]
    pub fn monitor(&self, path: &str) -> Option<Value> {
        let (_, body) = http::get(self.monitor.number(), path).ok()?;
        serde_json::from_str(&body).ok()
    }

    /// Its name in the cluster.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where JetStream keeps its files.
    #[must_use]
    pub fn store(&self) -> &Path {
        &self.store
    }

    /// Ends it if it runs, starts it on the same files and ports, and returns when it is ready.
    pub fn restart(&self) {
        self.kill9();
        for _ in 0..STARTS_MAX {
            self.process.start();
            if self.becomes_ready() {
                return;
            }
            pause();
        }
        panic!("{} does not start again; {}", self.name, self.process.log_end());
    }

    /// Starts it again, and does not wait: in a cluster it may need the others to be ready.
    pub fn revive(&self) {
        self.kill9();
        self.process.start();
    }
}

impl Deref for Nats {
    type Target = Process;

    /// What is done to a process is done to the server: killed, frozen, stopped, its log read.
    fn deref(&self) -> &Process {
        &self.process
    }
}
