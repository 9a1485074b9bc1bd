//! A question to a server's monitoring address: `GET /varz` by plain HTTP, which is all it speaks.

use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a server may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// The longest answer in bytes; `/varz` has some kilobytes.
const BYTES_MAX: u64 = 1024 * 1024;

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Server {
    #[serde(rename = "server_name")]
    pub(super) name: String,
    pub(super) version: String,
    #[serde(default)]
    jetstream: JetStream,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct JetStream {
    #[serde(default)]
    config: Config,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct Config {
    /// True with `sync_interval: always`, while `sync_interval` still reads 2 min (reference: measured).
    #[serde(default)]
    sync_always: bool,
}

impl Server {
    pub(super) const fn sync_always(&self) -> bool {
        self.jetstream.config.sync_always
    }

    #[cfg(test)]
    pub(super) fn new(name: &str, version: &str, sync_always: bool) -> Self {
        let jetstream = JetStream { config: Config { sync_always } };
        Self { name: name.into(), version: version.into(), jetstream }
    }
}

/// Asks a server.
///
/// # Errors
/// Why there is no answer, in words.
pub(super) async fn ask(url: &str) -> Result<Server, String> {
    let answer = timeout(ANSWER_MAX, get(url)).await;
    let answer = answer.map_err(|_| "it did not answer in time".to_owned())??;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    if !answer.starts_with("HTTP/1.0 200") && !answer.starts_with("HTTP/1.1 200") {
        let status = answer.lines().next().unwrap_or_default();
        return Err(format!("it answered `{status}`"));
    }
    serde_json::from_str(body).map_err(|error| format!("its answer cannot be read: {error}"))
}

async fn get(url: &str) -> Result<String, String> {
    let address = url
        .strip_prefix("http://")
        .ok_or_else(|| "a monitoring address begins with http://".to_owned())?
        .trim_end_matches('/');
    let mut socket = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    // 1.0: the answer is neither in chunks nor followed by another.
    let question = format!("GET /varz HTTP/1.0\r\nHost: {address}\r\n\r\n");
    socket.write_all(question.as_bytes()).await.map_err(|error| error.to_string())?;
    let mut answer = String::new();
    let mut socket = socket.take(BYTES_MAX);
    socket.read_to_string(&mut answer).await.map_err(|error| error.to_string())?;
    Ok(answer)
}
