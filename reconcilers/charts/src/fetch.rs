//! A chart's archive, from a repository, a registry or a mirror of either. What was pinned is what is taken.
//!
//! # Guarantees
//! - Where a SHA-256 is pinned, nothing else is given, wherever it came from. What the repository itself says of its
//!   archive must be so, too.
//! - Answers have limits, redirects are few, and lead only to where the first request could have gone.
//! - No credentials, no cookies, no proxy of the environment.

mod guard;
mod index;
mod oci;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use domain::commit::Hash;
use futures::StreamExt as _;
use http::Response;
use http::header::HeaderName;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use url::Url;

use crate::unpack::ARCHIVE_BYTES_MAX;
use crate::{Error, lasting, passing};
use guard::Client;
pub use guard::Reach;

/// A chart in a repository or a registry.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The address of the repository, or `oci://…` with the chart's name at its end.
    pub url: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// What its archive must be, if that was said.
    pub sha256: Option<Hash>,
}

/// Where charts are had instead of where they say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mirror {
    /// A folder of archives, `<name>-<version>.tgz`.
    Folder(PathBuf),
    /// A repository, or `oci://…` below which the charts are by name.
    Url(String),
}

impl Mirror {
    /// Reads what somebody wrote.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let is_url = ["https://", "http://", "oci://"].iter().any(|start| text.starts_with(start));
        if is_url {
            Self::Url(text.trim_end_matches('/').to_owned())
        } else {
            Self::Folder(text.into())
        }
    }
}

/// Mirrors by environment; the one of no name is for all others.
pub type Mirrors = BTreeMap<String, Mirror>;

/// Fetches charts.
pub struct Fetcher {
    /// For what applications name.
    strict: Client,
    /// For mirrors, which whoever runs the server chose.
    trusting: Client,
    mirrors: Mirrors,
}

impl Fetcher {
    /// Fetches from where `reach` allows, and from mirrors.
    ///
    /// # Errors
    /// When the machine's certificate authorities cannot be read.
    pub fn new(reach: Reach, mirrors: Mirrors) -> Result<Self, Error> {
        let (strict, trusting) = (Client::new(reach)?, Client::new(Reach::Private)?);
        Ok(Self { strict, trusting, mirrors })
    }

    /// The chart's archive, for an environment.
    ///
    /// # Errors
    /// When it cannot be had, or is not what was pinned.
    pub async fn fetch(&self, wanted: Wanted<'_>, environment: &str) -> Result<Vec<u8>, Error> {
        let mirror = self.mirrors.get(environment).or_else(|| self.mirrors.get(""));
        let bytes = match mirror {
            None => self.from(&self.strict, wanted).await?,
            Some(Mirror::Folder(folder)) => from_folder(folder, wanted).await?,
            Some(Mirror::Url(url)) => {
                let at = if url.starts_with("oci://") {
                    format!("{url}/{}", wanted.name)
                } else {
                    url.clone()
                };
                self.from(&self.trusting, Wanted { url: &at, ..wanted }).await?
            }
        };
        let Wanted { name, version, .. } = wanted;
        match wanted.sha256 {
            Some(pinned) if Hash::of(&bytes) != pinned => {
                let is = Hash::of(&bytes);
                lasting(format!(
                    "the archive of {name} {version} is not the one that was pinned: its SHA-256 is {is}, not {pinned}"
                ))
            }
            _ => Ok(bytes),
        }
    }

    async fn from(&self, client: &Client, wanted: Wanted<'_>) -> Result<Vec<u8>, Error> {
        let asked = Asked { client, pinned: wanted.sha256.is_some() };
        match wanted.url.strip_prefix("oci://") {
            Some(place) => oci::fetch(&asked, place, wanted.version).await,
            None => index::fetch(&asked, wanted).await,
        }
    }
}

/// Asks addresses that somebody trusted allows, such as a Prometheus in a private network. It is not sent on.
pub struct Asker(Client);

impl Asker {
    /// Asks with the machine's certificate authorities.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn new() -> Result<Self, Error> {
        Ok(Self(Client::new(Reach::Private)?))
    }

    /// What is answered with a 2xx, within a time, of at most so many bytes.
    ///
    /// # Errors
    /// What went wrong, or was answered instead.
    pub async fn ask(
        &self,
        url: &Url,
        within: Duration,
        bytes_max: usize,
    ) -> Result<Vec<u8>, Error> {
        let told = url.as_str();
        let asked = async { body(self.0.once(url, &[]).await?, told, bytes_max).await };
        let asked = tokio::time::timeout(within, asked).await;
        asked
            .unwrap_or_else(|_| passing(format!("{told} takes longer than {} s", within.as_secs())))
    }
}

/// An archive of a folder. Names were checked when they were read: they lead nowhere else.
async fn from_folder(folder: &std::path::Path, wanted: Wanted<'_>) -> Result<Vec<u8>, Error> {
    let Wanted { name, version, .. } = wanted;
    let file = format!("{name}-{version}.tgz");
    if file.contains(['/', '\\']) {
        return lasting(format!("`{file}` is not the name of a file"));
    }
    let place = folder.join(&file);
    let length = tokio::fs::metadata(&place).await.map(|metadata| metadata.len());
    match length {
        Ok(length) if length > ARCHIVE_BYTES_MAX as u64 => lasting(format!(
            "{} has {length} bytes; at most {ARCHIVE_BYTES_MAX} are read",
            place.display()
        )),
        Ok(_) => tokio::fs::read(&place).await.map_err(|error| {
            Error::Passing(format!("{} cannot be read: {error}", place.display()))
        }),
        Err(_) => {
            lasting(format!("there is no {file} in the folder of charts, {}", folder.display()))
        }
    }
}

/// Whoever is asked, and for what.
struct Asked<'a> {
    client: &'a Client,
    pinned: bool,
}

impl Asked<'_> {
    /// Asks for what is at an address, if that may be asked.
    async fn get(&self, url: &str, headers: &[(HeaderName, String)]) -> Result<Answer, Error> {
        let parsed = Url::parse(url).or_else(|_| lasting(format!("{url} is not an address")))?;
        guard::check(&parsed, self.client.reach()).map_err(Error::Lasting)?;
        // Whoever sits between could give anything; what is pinned is known again.
        if parsed.scheme() == "http" && !self.pinned && !guard::is_this_machine(&parsed) {
            return lasting(format!(
                "{url} is not encrypted: pin the chart by its sha256, or use https"
            ));
        }
        self.client.get(parsed, headers).await
    }
}

/// What was answered, before it is read.
type Answer = Response<Incoming>;

/// What an answer holds, if it is one.
async fn body(response: Answer, url: &str, bytes_max: usize) -> Result<Vec<u8>, Error> {
    let status = response.status();
    if status.is_server_error() || matches!(status.as_u16(), 408 | 429) {
        return passing(format!("{url} answers {status}"));
    }
    if !status.is_success() {
        return lasting(format!("{url} answers {status}"));
    }
    let read = async {
        let mut bytes = Vec::new();
        let mut pieces = response.into_body().into_data_stream();
        while let Some(piece) = pieces.next().await {
            let piece =
                piece.map_err(|error| Error::Passing(format!("{url}: {}", told(&error))))?;
            if bytes.len() + piece.len() > bytes_max {
                return lasting(format!("{url} answers more than {bytes_max} bytes"));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    };
    let read = tokio::time::timeout(guard::ANSWER, read).await;
    read.unwrap_or_else(|_| passing(format!("{url} takes too long")))
}

/// An error with its causes, which say what happened.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
