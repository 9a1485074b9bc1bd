//! One request at a time to an API server, over a connection of its own.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::NAME;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// Trusts the last certificate of a file: the one that signed.
pub(super) fn trusting(path: &Path) -> std::io::Result<Arc<ClientConfig>> {
    let wrong = |error: &dyn std::fmt::Display| std::io::Error::other(error.to_string());
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))?;
    let last = certificates.flatten().last().ok_or_else(|| wrong(&"no certificate"))?;
    let mut roots = RootCertStore::empty();
    roots.add(last).map_err(|error| wrong(&error))?;
    let config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Asks for something, and gives the status and the body.
pub(super) fn ask(
    trust: &Arc<ClientConfig>,
    port: u16,
    token: &str,
    line: &str,
    body: &str,
) -> std::io::Result<(u16, String)> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(ANSWER))?;
    let name = ServerName::try_from(NAME).map_err(std::io::Error::other)?;
    let connection =
        ClientConnection::new(Arc::clone(trust), name).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    write!(
        stream,
        "{line} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    // It ends the connection without saying so.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    Ok((status.ok_or_else(|| std::io::Error::other("no status"))?, body.unwrap_or_default()))
}
