//! Opening: connect, make the stream or compare it, find out what is promised.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::jetstream::response::Response;
use async_nats::jetstream::{self, Context, ContextBuilder, ErrorCode};
use async_nats::{ConnectOptions, Event, ServerAddr};
use backon::{ConstantBuilder, Retryable as _};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use super::echo::{self, Difference};
use super::guard::{self, Evidence, Promise, Version};
use super::monitor;
use super::wire::{ANSWER_MAX, Wire, describe};
use super::{Options, WINDOW_MAX};
use crate::{Durability, JournalError};

/// How long the servers may take to be ready: a new cluster elects its leaders first.
const READY_MAX: Duration = Duration::from_secs(30);
/// The pause between tries.
const PAUSE: Duration = Duration::from_millis(200);
/// How often a server shows that it lives; two that are missed end the connection. One that is frozen is left
/// before an append's deadline.
const PING_INTERVAL: Duration = Duration::from_secs(2);
/// The longest pause before another try to connect: a server that is back is found within it.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_millis(500);

/// The log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Check the address, the network, and the user.
    #[error("no server of {} can be connected: {reason}", .servers.join(", "))]
    Connect {
        /// What was tried.
        servers: Vec<String>,
        /// Why not.
        reason: String,
    },
    /// Give files that can be read.
    #[error("{} cannot be used: {reason}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Install a newer server: 2.15 or the newest 2.14.
    #[error("nats-server {version} ({server}) is refused: {why}; install 2.15 or newer")]
    TooOld {
        /// Which.
        server: String,
        /// Its version.
        version: String,
        /// Why.
        why: String,
    },
    /// Switch JetStream on, give the user its permissions, or add servers: as the reason says.
    #[error("the stream `{stream}` cannot be had: {reason}")]
    Stream {
        /// Its name.
        stream: String,
        /// In the server's words.
        reason: String,
    },
    /// Change the stream with `nats stream edit`, or choose another: as it is, commits could be lost.
    #[error(
        "the stream `{stream}` is not fit for a log: {}",
        .differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    Unfit {
        /// Its name.
        stream: String,
        /// In what.
        differences: Vec<Difference>,
    },
    /// Check the address: what a server promises is not guessed.
    #[error("the monitoring address {url} cannot be asked: {reason}")]
    Monitor {
        /// Which.
        url: String,
        /// Why not.
        reason: String,
    },
    /// Do as the reasons say, or require less.
    #[error("the log promises {} but {required} is required: {}", .promise.durability, .promise.reasons.join("; "))]
    Durability {
        /// What was configured.
        required: Durability,
        /// What was found, and why.
        promise: Box<Promise>,
    },
    /// The end of the log cannot be read.
    #[error("the log cannot be read")]
    Journal(#[from] JournalError),
}

/// Opens something beside the log, tried as long as the log itself: servers and replicas may start together, and what
/// one of them has just made is known to all before all can write to it.
///
/// # Errors
/// That of the last try.
pub async fn patiently<T, E, F>(what: &str, open: impl FnMut() -> F) -> Result<T, E>
where
    E: std::fmt::Debug,
    F: Future<Output = Result<T, E>>,
{
    let tries = READY_MAX.as_millis().checked_div(PAUSE.as_millis()).unwrap_or_default();
    let tries = usize::try_from(tries).unwrap_or(usize::MAX);
    let pauses = ConstantBuilder::new().with_delay(PAUSE).with_max_times(tries);
    open.retry(pauses).notify(|error, _| debug!(?error, "the {what} are not ready yet")).await
}

/// Connects to a log that is fit to be one.
pub(super) async fn open(options: &Options) -> Result<(Wire, Promise), OpenError> {
    let (lost_sender, lost) = watch::channel(0);
    let client = connect(options, lost_sender).await?;
    let server = client.server_info();
    refuse_old(&server.server_name, &server.version)?;
    let context = ContextBuilder::new()
        .timeout(ANSWER_MAX)
        .max_ack_inflight(WINDOW_MAX)
        .backpressure_on_inflight(true)
        .build(client);
    let info = stream(&context, options).await?;
    let promise = promise(options, &info, &server.server_name, &server.version).await?;
    info!(stream = options.stream, servers = ?promise.servers, %promise, "the log is open");
    for warning in &promise.warnings {
        warn!(warning, "the log's servers");
    }
    match options.require {
        Some(required) if promise.durability < required => {
            Err(OpenError::Durability { required, promise: Box::new(promise) })
        }
        Some(_) | None => {
            Ok((Wire::new(context, &options.stream, lost, options.servers.len()).await?, promise))
        }
    }
}

async fn connect(
    options: &Options,
    lost: watch::Sender<u64>,
) -> Result<async_nats::Client, OpenError> {
    #[cfg(feature = "eventstore")]
    choose_tls();
    let failed = |reason: String| OpenError::Connect { servers: shown(&options.servers), reason };
    let addresses: Result<Vec<ServerAddr>, _> = options.servers.iter().map(|s| s.parse()).collect();
    let addresses = addresses.map_err(|error| failed(describe(&error)))?;
    let mut connecting = ConnectOptions::new()
        .name("cairn")
        .ping_interval(PING_INTERVAL)
        .request_timeout(Some(ANSWER_MAX))
        .reconnect_delay_callback(|attempts| {
            let pause = Duration::from_millis(10 << attempts.min(6));
            pause.min(RECONNECT_PAUSE_MAX)
        })
        .event_callback(move |event| {
            if matches!(event, Event::Disconnected) {
                lost.send_modify(|count| *count += 1);
            }
            debug!(%event, "the connection to the log");
            std::future::ready(())
        });
    // async-nats reads the user of an address, and does not use it.
    let named = addresses.iter().find_map(|address| address.username().zip(address.password()));
    if let Some((user, password)) = named {
        connecting = connecting.user_and_password(user.to_owned(), password.to_owned());
    }
    for path in &options.authorities {
        connecting = connecting.add_root_certificates(path.clone());
    }
    if let Some((certificate, key)) = &options.certificate {
        connecting = connecting.add_client_certificate(certificate.clone(), key.clone());
    }
    if let Some(path) = &options.credentials {
        let unusable = |reason: String| OpenError::File { path: path.clone(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
        connecting = connecting.credentials(&text).map_err(|error| unusable(error.to_string()))?;
    }
    connecting.connect(addresses).await.map_err(|error| failed(describe(&error)))
}

/// The client of EventStoreDB links a second TLS library, and rustls does not choose between two. That client chooses
/// its own, and ends the process's task where another was chosen before: a process that uses both opens it first.
#[cfg(feature = "eventstore")]
fn choose_tls() {
    use async_nats::rustls::crypto::{CryptoProvider, ring};
    if CryptoProvider::get_default().is_none() {
        // Another thread may have chosen meanwhile: then that is the choice.
        let _ = ring::default_provider().install_default();
    }
}

/// Addresses without passwords.
fn shown(servers: &[String]) -> Vec<String> {
    let shown = servers.iter().map(|server| match server.rsplit_once('@') {
        Some((_, host)) => host.to_owned(),
        None => server.clone(),
    });
    shown.collect()
}

fn refuse_old(server: &str, version: &str) -> Result<(), OpenError> {
    match Version::read(version).refused() {
        Some(why) => Err(OpenError::TooOld { server: server.into(), version: version.into(), why }),
        None => Ok(()),
    }
}

/// The stream as the server describes it; made first if it is not there.
async fn stream(context: &Context, options: &Options) -> Result<Value, OpenError> {
    let wanted = echo::wanted(options);
    let until = Instant::now() + READY_MAX;
    let name = &options.stream;
    let reason = loop {
        let info = ask(context, format!("STREAM.INFO.{name}"), &Value::Null).await;
        let answer = match info {
            Err((_, Some(ErrorCode::STREAM_NOT_FOUND))) => {
                ask(context, format!("STREAM.CREATE.{name}"), &wanted).await
            }
            known => known,
        };
        match answer {
            Ok(info) => {
                let config = info.get("config").cloned().unwrap_or_default();
                let differences = echo::differences(&wanted, &config);
                if differences.is_empty() {
                    return Ok(info);
                }
                return Err(OpenError::Unfit { stream: name.clone(), differences });
            }
            // A refusal of the request itself does not pass with time.
            Err((
                reason,
                Some(
                    ErrorCode::STREAM_SUBJECT_OVERLAP
                    | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT,
                ),
            )) => {
                break reason;
            }
            Err((reason, _)) if Instant::now() >= until => break reason,
            Err((reason, _)) => debug!(reason, "the stream cannot be had yet"),
        }
        sleep(PAUSE).await;
    };
    Err(OpenError::Stream { stream: name.clone(), reason })
}

async fn ask(
    context: &Context,
    what: String,
    question: &Value,
) -> Result<Value, (String, Option<ErrorCode>)> {
    match context.request(what, question).await {
        Ok(Response::Ok(answer)) => Ok(answer),
        Ok(Response::Err { error }) => {
            let error: jetstream::Error = error;
            Err((error.to_string(), Some(error.error_code())))
        }
        Err(error) => Err((describe(&error), None)),
    }
}

async fn promise(
    options: &Options,
    info: &Value,
    connected: &str,
    version: &str,
) -> Result<Promise, OpenError> {
    let mut monitored = Vec::new();
    for url in &options.monitors {
        let failed = |reason| OpenError::Monitor { url: url.clone(), reason };
        let server = monitor::ask(url).await.map_err(failed)?;
        refuse_old(&server.name, &server.version)?;
        monitored.push(server);
    }
    let replicas = info.pointer("/config/num_replicas").and_then(Value::as_u64).unwrap_or(0);
    Ok(guard::judge(&Evidence {
        replicas: usize::try_from(replicas).unwrap_or_default(),
        keepers: keepers(info, connected),
        monitored,
        version: version.to_owned(),
    }))
}

/// The names of the servers that keep the stream. Without a cluster it is the one we are connected to.
fn keepers(info: &Value, connected: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let leader = info.pointer("/cluster/leader").and_then(text);
    let replicas = info.pointer("/cluster/replicas").and_then(Value::as_array);
    let replicas = replicas.into_iter().flatten().filter_map(|r| r.get("name").and_then(text));
    let mut keepers: Vec<_> = leader.into_iter().chain(replicas).collect();
    if info.get("cluster").is_none_or(|cluster| cluster.get("name").is_none()) {
        keepers.push(connected.to_owned());
    }
    keepers.sort_unstable();
    keepers.dedup();
    keepers
}
