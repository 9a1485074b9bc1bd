//! Kubernetes' API server on an etcd of its own, without controllers: every request's token checked, RBAC on, no
//! priorities. Both sync before they acknowledge.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use servers::{PATIENCE, Place, Port, Process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::ask::{self, Asker};
use crate::peers::Etcd;

/// Connections at the same time.
const CONNECTIONS: usize = 64;
/// Who asks, in the group that may do everything.
const TOKEN: &str = "benchmark";
/// How often it is looked whether the server is ready.
const LOOK: Duration = Duration::from_millis(100);
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// A name that its certificate has.
const NAME: &str = "kubernetes.default";

/// The programs that it takes.
pub(crate) struct Kubernetes {
    apiserver: PathBuf,
    etcd: PathBuf,
    openssl: PathBuf,
}

impl Kubernetes {
    /// Finds them.
    pub(crate) fn programs() -> std::io::Result<Self> {
        Ok(Self {
            apiserver: servers::program("kube-apiserver", "kube-apiserver")?,
            etcd: servers::program("etcd", "etcd")?,
            openssl: servers::program("openssl", "openssl")?,
        })
    }

    /// Config maps of 1 kB that are made a second.
    pub(crate) async fn creates(&self, count: u64) -> anyhow::Result<f64> {
        let place = Place::new();
        let etcd = Etcd::start(&self.etcd, &place)?;
        let (port, process) = self.start(&place, &etcd.url())?;
        let connector = ready(&place, &port, &process).await?;
        let askers = (0..CONNECTIONS).map(|_| connect(&connector, &port));
        let askers = futures::future::try_join_all(askers).await?;
        let rate = ask::rate(askers, count, config_map, "\"uid\":").await?;
        // Before its etcd, or it lingers.
        process.kill9();
        Ok(rate)
    }

    fn start(&self, place: &Place, etcd: &str) -> anyhow::Result<(Port, Process)> {
        let (key, tokens, certs) =
            (place.join("accounts.key"), place.join("tokens.csv"), place.join("certs"));
        let mut generate = Command::new(&self.openssl);
        generate.args(["genrsa", "-out"]).arg(&key).arg("2048").stderr(Stdio::null());
        anyhow::ensure!(generate.status()?.success(), "openssl makes no key");
        std::fs::write(&tokens, format!("{TOKEN},benchmark,1,\"system:masters\"\n"))?;
        let port = Port::reserve();
        let flag = |name: &str, value: &Path| format!("--{name}={}", value.display());
        let arguments = [
            format!("--etcd-servers={etcd}"),
            format!("--secure-port={}", port.number()),
            "--bind-address=127.0.0.1".to_owned(),
            "--advertise-address=10.0.0.1".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            flag("cert-dir", &certs),
            flag("service-account-key-file", &key),
            flag("service-account-signing-key-file", &key),
            "--service-account-issuer=https://kubernetes.test".to_owned(),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            flag("token-auth-file", &tokens),
            "--authorization-mode=RBAC".to_owned(),
            "--enable-priority-and-fairness=false".to_owned(),
        ];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let log = place.join("apiserver.log");
        let process = Process::new(&self.apiserver, &arguments, None, &log);
        process.start();
        Ok((port, process))
    }
}

fn config_map(number: u64) -> String {
    let line =
        "a value, of which there are some to make a kilobyte of text, and this is one of them";
    let data: String = (0..10).map(|n| format!("setting_{n}={line}\n")).collect();
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": format!("app-{number}") }, "data": { "app.yaml": data },
    })
    .to_string()
}

/// Waits until it says that it is ready, and gives how it is spoken to.
async fn ready(place: &Place, port: &Port, process: &Process) -> anyhow::Result<TlsConnector> {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Ok(connector) = trusting(&place.join("certs/apiserver.crt"))
            && is_ready(&connector, port).await.unwrap_or(false)
        {
            return Ok(connector);
        }
        let waits = process.runs() && Instant::now() < until;
        anyhow::ensure!(waits, "kube-apiserver is not ready; {}", process.log_end());
        tokio::time::sleep(LOOK).await;
    }
}

async fn is_ready(connector: &TlsConnector, port: &Port) -> anyhow::Result<bool> {
    let stream = TcpStream::connect(("127.0.0.1", port.number())).await?;
    let mut stream = connector.connect(ServerName::try_from(NAME)?, stream).await?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await?;
    Ok(status == *b"HTTP/1.1 200")
}

/// Trusts the certificate that the server made for itself, the last of the file.
fn trusting(path: &Path) -> anyhow::Result<TlsConnector> {
    let certificates = CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>()?;
    let mut roots = RootCertStore::empty();
    roots.add(certificates.into_iter().next_back().context("no certificate")?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn connect(connector: &TlsConnector, port: &Port) -> anyhow::Result<Asker> {
    let address = format!("127.0.0.1:{}", port.number());
    let stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let stream = connector.connect(ServerName::try_from(NAME)?, stream).await?;
    Ok(Asker::over(Box::new(stream), CONFIG_MAPS, &address, TOKEN))
}
