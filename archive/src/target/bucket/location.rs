//! Where a bucket is, as people write it: `s3://BUCKET/PREFIX?region=REGION&endpoint=https://HOST`.

use std::fmt;
use std::str::FromStr;

use object_store::path::Path;
use url::Url;

/// What a location looks like, for whoever wrote it in another way.
const FORM: &str = "s3://BUCKET[/PREFIX][?region=REGION&endpoint=https://HOST&style=path|host]";

/// A place in a bucket.
///
/// It never holds credentials: it is shown in logs, and in the list of processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub(super) bucket: String,
    /// What every name in the archive begins with.
    pub(super) prefix: Path,
    pub(super) region: Option<String>,
    /// Scheme, host and port of what speaks S3; none: Amazon's own.
    pub(super) endpoint: Option<String>,
    pub(super) style: Style,
}

/// Where requests name their bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// `https://HOST/BUCKET/...`: understood everywhere.
    Path,
    /// `https://BUCKET.HOST/...`: what some demand.
    Host,
}

/// The text names no place in a bucket.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LocationError {
    /// See the form.
    #[error("write {FORM}")]
    Form,
    /// Leave them out: they are taken from the environment.
    #[error(
        "credentials do not belong in a URL; they are taken from AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY, or from what the machine runs as"
    )]
    Credentials,
    /// Write it otherwise.
    #[error("`{0}` cannot be the beginning of names: write words with a single / between them")]
    Prefix(String),
    /// Name a host.
    #[error("`{0}` is no endpoint: write https://HOST[:PORT], or http:// where you mean it")]
    Endpoint(String),
    /// Choose one.
    #[error("style is path or host, not `{0}`")]
    Style(String),
    /// Leave it out.
    #[error("`{0}` is not known here: write {FORM}")]
    Unknown(String),
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let url = Url::parse(text).map_err(|_| LocationError::Form)?;
        if url.scheme() != "s3" || url.port().is_some() || url.fragment().is_some() {
            return Err(LocationError::Form);
        }
        if has_credentials(&url) {
            return Err(LocationError::Credentials);
        }
        let bucket = url.host_str().filter(|host| !host.is_empty()).ok_or(LocationError::Form)?;
        let mut location = Self {
            bucket: bucket.to_owned(),
            prefix: prefix(url.path())?,
            region: None,
            endpoint: None,
            style: Style::Path,
        };
        for (key, value) in url.query_pairs() {
            match (&*key, &*value) {
                ("region", region) if !region.is_empty() => location.region = Some(region.into()),
                ("endpoint", endpoint) => location.endpoint = Some(checked_endpoint(endpoint)?),
                ("style", "path") => location.style = Style::Path,
                ("style", "host") => location.style = Style::Host,
                ("style", other) => return Err(LocationError::Style(other.to_owned())),
                (key, _) if names_a_secret(key) => return Err(LocationError::Credentials),
                (key, _) => return Err(LocationError::Unknown(key.to_owned())),
            }
        }
        Ok(location)
    }
}

impl Location {
    /// Whether what is sent can be read on the way: the URL said so.
    pub(super) fn is_plain(&self) -> bool {
        self.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"))
    }

    /// Where requests for the bucket go, if not to Amazon.
    pub(super) fn bucket_endpoint(&self) -> Option<String> {
        let endpoint = self.endpoint.as_ref()?;
        Some(match (self.style, endpoint.split_once("://")) {
            (Style::Host, Some((scheme, host))) => format!("{scheme}://{}.{host}", self.bucket),
            (Style::Host, None) | (Style::Path, _) => endpoint.clone(),
        })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if !self.prefix.as_ref().is_empty() {
            write!(f, "/{}", self.prefix)?;
        }
        self.endpoint.iter().try_for_each(|endpoint| write!(f, " at {endpoint}"))
    }
}

fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// As the names of the usual settings do: `secret_access_key`, `session-token`.
fn names_a_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["key", "secret", "token", "password", "credential"].iter().any(|word| key.contains(word))
}

fn prefix(path: &str) -> Result<Path, LocationError> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    Path::from_url_path(path).map_err(|_| LocationError::Prefix(path.to_owned()))
}

fn checked_endpoint(text: &str) -> Result<String, LocationError> {
    let wrong = || LocationError::Endpoint(text.to_owned());
    let url = Url::parse(text).map_err(|_| wrong())?;
    if has_credentials(&url) {
        return Err(LocationError::Credentials);
    }
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    if !bare || !["http", "https"].contains(&url.scheme()) {
        return Err(wrong());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(text: &str) -> Location {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_location_says_where_the_bucket_is() {
        let plain = location("s3://backups");
        assert_eq!((plain.bucket.as_str(), plain.prefix.as_ref()), ("backups", ""));
        assert_eq!((plain.to_string().as_str(), plain.is_plain()), ("s3://backups", false));
        let text = "s3://backups/cairn/prod/?region=eu-west-1&endpoint=https://minio.example:9000/";
        let full = location(text);
        assert_eq!(full.to_string(), "s3://backups/cairn/prod at https://minio.example:9000");
        assert_eq!(full.region.as_deref(), Some("eu-west-1"));
        assert_eq!(full.bucket_endpoint().as_deref(), Some("https://minio.example:9000"));
        let host = location("s3://b?style=host&endpoint=https%3A%2F%2Fs3.example");
        assert_eq!(host.bucket_endpoint().as_deref(), Some("https://b.s3.example"));
        assert!(location("s3://b?endpoint=http://127.0.0.1:9000").is_plain(), "it says so");
    }

    #[test]
    fn what_is_no_location_is_refused_in_words_that_help() {
        use LocationError::{Credentials, Endpoint, Form, Prefix, Style, Unknown};
        for text in ["", "/a", "s3:", "s3://", "s3:///a", "https://b/a", "s3://b:1/a", "s3://b#a"] {
            assert_eq!(text.parse::<Location>(), Err(Form), "{text}");
        }
        let refused = [
            ("s3://b/a//c", Prefix("a//c".into())),
            ("s3://key:secret@b/a", Credentials),
            ("s3://key@b/a", Credentials),
            ("s3://b?secret_access_key=x", Credentials),
            ("s3://b?endpoint=https://key:secret@h", Credentials),
            ("s3://b?endpoint=h:9000", Endpoint("h:9000".into())),
            ("s3://b?endpoint=h", Endpoint("h".into())),
            ("s3://b?endpoint=ftp://h", Endpoint("ftp://h".into())),
            ("s3://b?endpoint=https://h/b", Endpoint("https://h/b".into())),
            ("s3://b?style=both", Style("both".into())),
            ("s3://b?acl=public", Unknown("acl".into())),
            ("s3://b?region=", Unknown("region".into())),
        ];
        for (text, error) in refused {
            assert_eq!(text.parse::<Location>(), Err(error), "{text}");
        }
    }
}
