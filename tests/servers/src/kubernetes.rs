//! A real Kubernetes control plane: etcd, API server, controllers, scheduler, and KWOK, which plays nodes and pods.

mod entry;
mod faulty;
mod https;
mod logs;
mod stages;
mod storage;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use serde_json::{Value, json};

use crate::{Place, Port, Process, http, installed, until};
pub use entry::PRETENDED;
pub use faulty::{Call, Fault, Faulty};
pub use stages::{CONTAINER_FAILS, INIT_CONTAINER_FAILS, Stages};

/// Who asks, in the group that may do everything.
pub const TOKEN: &str = "cairn-tests";
/// A name that the certificate has which the server makes for itself.
pub const NAME: &str = "kubernetes.default";
/// Pods of one node: Kubernetes' own default.
const PODS_A_NODE: u32 = 110;
/// Requests a second that the controllers may make: with their own limit of 20 they would be what is tested.
const CONTROLLERS_QPS: &str = "--kube-api-qps=5000";
const CONTROLLERS_BURST: &str = "--kube-api-burst=5000";

/// How a control plane is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Nodes that pretend; none: the API server alone, without controllers.
    pub nodes: u32,
    /// Disks of 1 TiB that pretend. One that was used is not used again.
    pub disks: u32,
    /// It brings along what routes, certificates and host names need.
    pub entry: bool,
    /// etcd syncs before it acknowledges: for benchmarks that say so.
    pub durable: bool,
    /// More flags of the API server.
    pub flags: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { nodes: 3, disks: 20, entry: true, durable: false, flags: Vec::new() }
    }
}

/// One control plane.
#[derive(Debug)]
pub struct ControlPlane {
    place: Place,
    port: Port,
    kubelet: Port,
    trust: Arc<ClientConfig>,
    // In the order in which they end: the API server before its etcd, or it lingers.
    players: Vec<Process>,
    apiserver: Process,
    _etcd: Etcd,
}

/// One etcd.
#[derive(Debug)]
pub struct Etcd {
    clients: Port,
    _peers: Port,
    _process: Process,
}

impl Etcd {
    /// Starts one in a folder.
    #[must_use]
    pub fn start(place: &Place, durable: bool) -> Self {
        let (clients, peers) = (Port::reserve(), Port::reserve());
        let url = |port: &Port| format!("http://127.0.0.1:{}", port.number());
        let (client, peer) = (url(&clients), url(&peers));
        let mut arguments = vec![
            format!("--data-dir={}", place.join("etcd").display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=default={peer}"),
            "--log-level=error".to_owned(),
        ];
        if !durable {
            arguments.push("--unsafe-no-fsync".to_owned());
        }
        let process = start(place, "etcd", &arguments);
        until("etcd", || {
            matches!(http::get(clients.number(), "/health"), Ok((200, _))).then_some(())
        });
        Self { clients, _peers: peers, _process: process }
    }

    /// Where clients reach it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.clients.number())
    }
}

impl ControlPlane {
    /// Starts one.
    #[must_use]
    pub fn start(options: &Options) -> Self {
        Self::start_with(options, Stages::default())
    }

    /// Starts one whose pods live so.
    #[must_use]
    pub fn start_with(options: &Options, stages: Stages) -> Self {
        let place = Place::new();
        let etcd = Etcd::start(&place, options.durable);
        let (port, kubelet) = (Port::reserve(), Port::reserve());
        let apiserver = apiserver(&place, &etcd.url(), &port, &options.flags);
        let trust = until("kube-apiserver", || {
            assert!(apiserver.runs(), "{}", apiserver.log_end());
            let trust = https::trusting(&place.join("certs/apiserver.crt")).ok()?;
            let answer = https::ask(&trust, port.number(), TOKEN, "GET /readyz", "");
            matches!(answer, Ok((200, _))).then_some(trust)
        });
        let mut plane =
            Self { place, port, kubelet, trust, players: Vec::new(), apiserver, _etcd: etcd };
        std::fs::write(plane.place.join("kubeconfig"), plane.kubeconfig()).expect("a kubeconfig");
        if options.nodes > 0 {
            plane.players = plane.play(options.entry, stages);
            plane.make_storage(options.disks);
        }
        (0..options.nodes).for_each(|number| plane.make_node(number));
        plane.wait_nodes(options.nodes);
        plane
    }

    /// One for a whole test program: each test has a namespace of its own.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<ControlPlane> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&Options::default()))
    }

    /// The API server, to be killed and frozen.
    #[must_use]
    pub const fn apiserver(&self) -> &Process {
        &self.apiserver
    }

    /// The API server's port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port.number()
    }

    /// What its clients trust.
    #[must_use]
    pub fn trust(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.trust)
    }

    /// How a client reaches it, who may do everything.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        self.kubeconfig_at(self.port.number(), TOKEN)
    }

    /// The same at another port, such as a proxy's, with another token.
    #[must_use]
    pub fn kubeconfig_at(&self, port: u16, token: &str) -> String {
        let authority = std::fs::read(self.place.join("certs/apiserver.crt"));
        kubeconfig(port, token, &authority.expect("its certificate"))
    }

    /// A file that leads kubectl to it.
    #[must_use]
    pub fn kubeconfig_file(&self) -> PathBuf {
        self.place.join("kubeconfig")
    }

    /// The program that speaks to it.
    #[must_use]
    pub fn kubectl_program(&self) -> PathBuf {
        let path = installed("kubectl");
        path.canonicalize().unwrap_or(path)
    }

    /// Asks the API server for something, such as `GET /api/v1/namespaces`; gives the status and the answer.
    #[must_use]
    pub fn ask(&self, line: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = https::ask(&self.trust, self.port.number(), TOKEN, line, &body);
        let (status, text) = answer.expect("kube-apiserver answers");
        (status, serde_json::from_str(&unchunked(&text)).unwrap_or(Value::Null))
    }

    /// Runs kubectl, and gives what it wrote; ends the test where it fails.
    #[must_use]
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(self.kubectl_program());
        command.arg(format!("--kubeconfig={}", self.kubeconfig_file().display()));
        let output = command.args(arguments).stdin(Stdio::null()).output().expect("kubectl runs");
        let wrote = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {arguments:?}: {wrote}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The controllers, the scheduler and KWOK.
    fn play(&self, entry: bool, stages: Stages) -> Vec<Process> {
        let config = format!("--kubeconfig={}", self.place.join("kubeconfig").display());
        let (controllers_port, scheduler_port) = (Port::reserve(), Port::reserve());
        let controllers = [
            config.clone(),
            "--leader-elect=false".to_owned(),
            "--use-service-account-credentials=true".to_owned(),
            format!(
                "--service-account-private-key-file={}",
                self.place.join("accounts.key").display()
            ),
            format!("--root-ca-file={}", self.place.join("certs/apiserver.crt").display()),
            format!("--secure-port={}", controllers_port.number()),
            format!("--cert-dir={}", self.place.join("controllers").display()),
            "--horizontal-pod-autoscaler-sync-period=2s".to_owned(),
            CONTROLLERS_QPS.to_owned(),
            CONTROLLERS_BURST.to_owned(),
        ];
        let scheduler = [
            config.clone(),
            "--leader-elect=false".to_owned(),
            format!("--secure-port={}", scheduler_port.number()),
            format!("--cert-dir={}", self.place.join("scheduler").display()),
            CONTROLLERS_QPS.to_owned(),
            CONTROLLERS_BURST.to_owned(),
        ];
        let kubelet = self.kubelet.number();
        let mut kwok = vec![
            config,
            "--manage-all-nodes=true".to_owned(),
            "--node-lease-duration-seconds=40".to_owned(),
            // Where the API server asks for the logs of pods.
            "--node-ip=127.0.0.1".to_owned(),
            format!("--node-port={kubelet}"),
            format!("--server-address=127.0.0.1:{kubelet}"),
            format!("--config={}", logs::config(&self.place).display()),
        ];
        kwok.extend(stages.files().iter().map(|path| format!("--config={}", path.display())));
        if entry {
            let stages = self.bring_entry();
            kwok.push(format!("--config={}", stages.display()));
        }
        vec![
            start(&self.place, "kube-controller-manager", &controllers),
            start(&self.place, "kube-scheduler", &scheduler),
            start(&self.place, "kwok", &kwok),
        ]
    }

    fn make(&self, path: &str, object: &Value) {
        let (status, answer) = self.ask(&format!("POST {path}"), object);
        assert_eq!(status, 201, "{answer}");
    }

    fn make_node(&self, number: u32) {
        let name = format!("node-{number}");
        let capacity = json!({ "cpu": "64", "memory": "256Gi", "pods": PODS_A_NODE.to_string() });
        let node = json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": name,
                "annotations": { "kwok.x-k8s.io/node": "fake" },
                "labels": {
                    "kubernetes.io/os": "linux",
                    "kubernetes.io/hostname": name,
                    "topology.kubernetes.io/zone": format!("zone-{}", number % 3),
                },
            },
            "status": { "allocatable": capacity, "capacity": capacity },
        });
        self.make("/api/v1/nodes", &node);
    }

    fn wait_nodes(&self, count: u32) {
        until("nodes to be ready", || {
            for player in &self.players {
                assert!(player.runs(), "{}", player.log_end());
            }
            let (_, nodes) = self.ask("GET /api/v1/nodes", &Value::Null);
            let says = |condition: &Value, field: &str, text: &str| {
                condition.get(field).and_then(Value::as_str) == Some(text)
            };
            let is_ready = |node: &&Value| {
                let conditions = node.pointer("/status/conditions").and_then(Value::as_array);
                conditions.into_iter().flatten().any(|condition| {
                    says(condition, "type", "Ready") && says(condition, "status", "True")
                })
            };
            let ready = nodes.get("items")?.as_array()?.iter().filter(is_ready).count();
            (ready == count as usize).then_some(())
        });
    }
}

/// How a client reaches an API server on a port of this machine, which has a certificate of this authority.
fn kubeconfig(port: u16, token: &str, authority: &[u8]) -> String {
    let cluster = json!({
        "server": format!("https://127.0.0.1:{port}"),
        "certificate-authority-data": base64(authority),
        "tls-server-name": NAME,
    });
    // JSON is YAML.
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
        "clusters": [{ "name": "test", "cluster": cluster }],
        "users": [{ "name": "test", "user": { "token": token } }],
    });
    serde_json::to_string_pretty(&config).expect("JSON")
}

fn start(place: &Place, name: &str, arguments: &[String]) -> Process {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let process =
        Process::new(&installed(name), &arguments, None, &place.join(&format!("{name}.log")));
    process.start();
    process
}

fn apiserver(place: &Place, etcd: &str, port: &Port, flags: &[String]) -> Process {
    let (key, tokens) = (place.join("accounts.key"), place.join("tokens.csv"));
    let mut generate = Command::new("openssl");
    generate.args(["genrsa", "-out"]).arg(&key).arg("2048").stderr(Stdio::null());
    assert!(generate.status().is_ok_and(|status| status.success()), "openssl makes no key");
    std::fs::write(&tokens, format!("{TOKEN},tests,1,\"system:masters\"\n")).expect("tokens");
    let flag = |name: &str, value: &Path| format!("--{name}={}", value.display());
    let mut arguments = vec![
        format!("--etcd-servers={etcd}"),
        format!("--secure-port={}", port.number()),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=10.0.0.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        flag("cert-dir", &place.join("certs")),
        flag("service-account-key-file", &key),
        flag("service-account-signing-key-file", &key),
        "--service-account-issuer=https://kubernetes.test".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/16".to_owned(),
        flag("token-auth-file", &tokens),
        "--authorization-mode=RBAC".to_owned(),
        "--allow-privileged=true".to_owned(),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
    ];
    arguments.extend_from_slice(flags);
    start(place, "kube-apiserver", &arguments)
}

/// The text of a chunked body. An answer of the API server that is long enough comes in chunks.
fn unchunked(body: &str) -> String {
    let Some((first, _)) = body.split_once("\r\n") else { return body.to_owned() };
    if first.is_empty() || !first.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return body.to_owned();
    }
    let (mut text, mut rest) = (String::new(), body);
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap_or(0);
        let Some(chunk) = after.get(..size).filter(|_| size > 0) else { break };
        text.push_str(chunk);
        rest = after.get(size..).unwrap_or_default().trim_start_matches("\r\n");
    }
    text
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(bytes)
}
