//! Kubernetes' API server on an etcd of its own, without controllers: every request's token checked, RBAC on, no
//! priorities. Both sync before they acknowledge.

use rustls::pki_types::ServerName;
use serde_json::json;
use servers::kubernetes::{ControlPlane, NAME, Options, TOKEN};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::ask::{self, Asker};

/// Connections at the same time.
const CONNECTIONS: usize = 64;
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// Config maps of 1 kB that are made a second.
pub(crate) async fn creates(count: u64) -> anyhow::Result<f64> {
    let flags = vec!["--enable-priority-and-fairness=false".to_owned()];
    let options = Options { nodes: 0, entry: false, durable: true, flags, ..Options::default() };
    let plane = ControlPlane::start(&options);
    let connector = TlsConnector::from(plane.trust());
    let askers = (0..CONNECTIONS).map(|_| connect(&connector, plane.port()));
    let askers = futures::future::try_join_all(askers).await?;
    ask::rate(askers, count, config_map, "\"uid\":").await
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

async fn connect(connector: &TlsConnector, port: u16) -> anyhow::Result<Asker> {
    let address = format!("127.0.0.1:{port}");
    let stream = TcpStream::connect(&address).await?;
    stream.set_nodelay(true)?;
    let stream = connector.connect(ServerName::try_from(NAME)?, stream).await?;
    Ok(Asker::over(Box::new(stream), CONFIG_MAPS, &address, TOKEN))
}
