//! Kubernetes' API server on an etcd of its own, without controllers: every request's token checked, RBAC on, no
//! priorities. Both sync before they acknowledge.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::Context as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use servers::{Place, Port, Process};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::ask::{self, Asker};
use crate::peers::Etcd;

/// Connections at the same time.
const CONNECTIONS: usize = 64;
/// Who asks, in the group that may do everything.
const TOKEN: &str = "benchmark";
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
        let connector = trusting(&place.join("certs/apiserver.crt"))?;
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
        servers::until("kube-apiserver", || {
            assert!(process.runs(), "kube-apiserver ended; {}", process.log_end());
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            text.contains("Caches are synced for RBAC").then_some(())
        });
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
