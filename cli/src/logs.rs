//! Logs as the command line names them, and the folder they are in.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use journal::Journal;
use journal::jetstream::{JetStreamJournal, Options};

use crate::failure::{Exit, Failure, Outcome};
use crate::serve;

/// Where a log is.
#[derive(Clone, Debug)]
pub(crate) enum LogAt {
    /// In a data folder: this one, or the one of the command.
    Sqlite(Option<PathBuf>),
    /// On NATS JetStream.
    JetStream(Box<Options>),
}

impl PartialEq for LogAt {
    /// The same place, however it is reached.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sqlite(one), Self::Sqlite(other)) => one == other,
            (Self::JetStream(one), Self::JetStream(other)) => {
                (&one.servers, &one.stream) == (&other.servers, &other.stream)
            }
            (Self::Sqlite(_), Self::JetStream(_)) | (Self::JetStream(_), Self::Sqlite(_)) => false,
        }
    }
}

/// How a log on JetStream is named.
const NATS: &str = "nats://HOST:4222[,nats://HOST:4222...][?replicas=3&monitor=http://HOST:8222&stream=NAME&credentials=FILE]";

impl FromStr for LogAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "sqlite" => Ok(Self::Sqlite(None)),
            Some(("sqlite", folder)) if !folder.is_empty() => Ok(Self::Sqlite(Some(folder.into()))),
            Some(("nats" | "tls", _)) => jetstream(text).map(Box::new).map(Self::JetStream),
            _ => Err(format!("write sqlite, sqlite:FOLDER or {NATS}")),
        }
    }
}

/// Servers, and behind a `?` what the log is to be like.
fn jetstream(text: &str) -> Result<Options, String> {
    let (servers, query) = text.split_once('?').unwrap_or((text, ""));
    let servers: Vec<String> = servers.split(',').map(str::to_owned).collect();
    let schemes = ["nats://", "tls://"];
    if let Some(wrong) =
        servers.iter().find(|s| !schemes.iter().any(|scheme| s.starts_with(scheme)))
    {
        return Err(format!("`{wrong}` is not the address of a server: write {NATS}"));
    }
    let mut options = Options::new(servers);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("replicas", count @ ("1" | "3" | "5"))) => {
                options.replicas = count.parse().unwrap_or(1);
            }
            Some(("replicas", _)) => return Err("replicas are 1, 3 or 5".into()),
            Some(("monitor", url)) => options.monitors.push(url.to_owned()),
            Some(("stream", name)) => name.clone_into(&mut options.stream),
            Some(("credentials", file)) => options.credentials = Some(file.into()),
            Some(_) | None => return Err(format!("`{pair}` is not known here: write {NATS}")),
        }
    }
    Ok(options)
}

impl LogAt {
    /// Opens a log that is there.
    pub(crate) async fn open(&self, data: Option<PathBuf>) -> Outcome<Arc<dyn Journal>> {
        match self {
            Self::Sqlite(folder) => {
                let data = existing(folder.clone().or(data))?;
                Ok(serve::open_log(&data)?)
            }
            Self::JetStream(options) => Ok(Arc::new(connect(options).await?)),
        }
    }

    /// Opens a log, or makes it.
    pub(crate) async fn open_or_make(&self, data: Option<PathBuf>) -> Outcome<Arc<dyn Journal>> {
        match self {
            Self::Sqlite(folder) => {
                let data = serve::data_folder(folder.clone().or(data))?;
                Ok(serve::open_log(&data)?)
            }
            Self::JetStream(options) => Ok(Arc::new(connect(options).await?)),
        }
    }
}

/// Opens a log on JetStream. What is wrong with it is said in the servers' words.
pub(crate) async fn connect(options: &Options) -> Outcome<JetStreamJournal> {
    JetStreamJournal::open(options).await.map_err(|error| {
        let what = format!("the log on {} cannot be used", options.servers.join(", "));
        serve::caused(Failure::new(Exit::Unreachable, what), &error)
    })
}

/// A data folder that holds a log: nothing is made by looking.
pub(crate) fn existing(given: Option<PathBuf>) -> Outcome<PathBuf> {
    let data = serve::data_folder(given)?;
    if serve::log_folder(&data).is_dir() {
        Ok(data)
    } else {
        Err(Failure::not_found(format!("log in {}", data.display()))
            .hint("name the folder with --data-dir"))
    }
}

/// The secret key that signs anchors, and the public one beside it.
pub(crate) fn key_files(data: &Path) -> (PathBuf, PathBuf) {
    (data.join("anchor.key"), data.join("anchor.pub"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_named_by_their_sort_and_place() {
        let sqlite = |text: &str| match text.parse() {
            Ok(LogAt::Sqlite(folder)) => folder,
            other => panic!("{other:?}"),
        };
        assert_eq!(sqlite("sqlite"), None);
        assert_eq!(sqlite("sqlite:a:b"), Some("a:b".into()));
        let text = "nats://a:4222,tls://b:4222?replicas=3&monitor=http://a:8222&monitor=http://b:8222&stream=x";
        let Ok(LogAt::JetStream(options)) = text.parse() else { panic!("{text}") };
        assert_eq!(options.servers, ["nats://a:4222", "tls://b:4222"]);
        assert_eq!(options.monitors, ["http://a:8222", "http://b:8222"]);
        assert_eq!((options.replicas, options.stream.as_str()), (3, "x"));
        let wrong =
            ["", "sqlite:", "postgres", "/a", "nats://a,b", "nats://a?replicas=2", "nats://a?x=1"];
        for wrong in wrong {
            assert!(LogAt::from_str(wrong).is_err(), "{wrong}");
        }
    }
}
