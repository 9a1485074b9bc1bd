//! A bucket as the place of an archive: on S3, or on what speaks S3.

mod http;
mod location;

use std::fmt;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::{Path, PathPart};
use object_store::{
    BackoffConfig, Error, ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions, RetryConfig,
};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use self::http::Connector;
use self::location::Style;
use super::{Put, Target, Unavailable};

pub use location::{Location, LocationError};

/// How long one thing may take with all its tries. Whoever keeps an archive tries again for ever; whoever waits at a
/// terminal wants to know.
const OPERATION_MAX: Duration = Duration::from_secs(300);
/// Tries after the first, of what can be tried again without knowing what came of it: S3 asks to slow down when many
/// segments are read at once.
const RETRIES_MAX: usize = 4;
/// The first pause before a retry; each next is up to twice as long.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// The longest pause.
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// How long is tried.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// The variables that say who we are to S3, and in which region we are; nothing else is taken from the environment.
/// Without keys the machine is asked: a web identity (IRSA), a container (ECS, EKS Pod Identity), an instance.
const VARIABLES: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_ENDPOINT_URL_STS",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_METADATA_ENDPOINT",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
];
/// Without any of these, credentials are those of the machine.
const IDENTITIES: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// What is put first of all, to see whether the store keeps its word.
const MARK: &str = "archive.txt";
const MARK_TEXT: &str =
    "An archive of Cairn. What is here was written once, and is never replaced.\n";

/// An archive in a bucket. Every put is conditional (`If-None-Match: *`), so that nothing is ever replaced; a store
/// that would replace is found out before anything of the archive is put.
///
/// Not asked for and not needed: permission to delete.
pub struct Bucket {
    location: Location,
    store: AmazonS3,
    /// Credentials were not given, and are asked of the machine.
    anonymous: bool,
    reached: OnceCell<()>,
    trusted: OnceCell<()>,
}

impl Bucket {
    /// Takes a place in a bucket, with the credentials of these variables. Nothing is asked of the network yet.
    ///
    /// # Errors
    /// When the variables contradict each other, or the system has no use for TLS.
    pub fn open(
        location: Location,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Unavailable> {
        let given = |name: &&str| Some(variable(name)?).filter(|value| !value.is_empty());
        let mut builder = AmazonS3Builder::new();
        for (name, value) in VARIABLES.iter().filter_map(|name| Some((name, given(name)?))) {
            let key: AmazonS3ConfigKey =
                name.to_ascii_lowercase().parse().map_err(Unavailable::new)?;
            builder = builder.with_config(key, value);
        }
        builder = builder
            .with_bucket_name(&location.bucket)
            .with_allow_http(location.is_plain())
            .with_virtual_hosted_style_request(location.style == Style::Host)
            .with_retry(RetryConfig {
                backoff: BackoffConfig {
                    init_backoff: BACKOFF_MIN,
                    max_backoff: BACKOFF_MAX,
                    ..BackoffConfig::default()
                },
                max_retries: RETRIES_MAX,
                retry_timeout: RETRY_MAX,
            })
            .with_http_connector(Connector::new()?);
        if let Some(region) = &location.region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = location.bucket_endpoint() {
            builder = builder.with_endpoint(endpoint);
        }
        let anonymous = IDENTITIES.iter().all(|name| given(name).is_none());
        let store = builder.build().map_err(Unavailable::new)?;
        let (reached, trusted) = (OnceCell::new(), OnceCell::new());
        Ok(Self { location, store, anonymous, reached, trusted })
    }

    /// The name in the bucket of a name in the archive.
    fn path(&self, name: &str) -> Path {
        let parts = name.split('/').map(PathPart::from);
        self.location.prefix.parts().chain(parts).collect()
    }

    async fn within<T>(&self, asked: impl Future<Output = Result<T, Error>>) -> Result<T, Failed> {
        match timeout(OPERATION_MAX, asked).await {
            Ok(answer) => answer.map_err(Failed::Refused),
            Err(_) => Err(Failed::Silent),
        }
    }

    /// Makes sure that there is a bucket: where there is none, nothing is there either, and that says nothing.
    async fn reach(&self) -> Result<(), Unavailable> {
        let look = || async {
            let folder = self.path("anchors");
            let listed = self.within(self.store.list_with_delimiter(Some(&folder))).await;
            listed.map(drop).map_err(|failed| self.unavailable(failed))
        };
        self.reached.get_or_try_init(look).await.copied()
    }

    /// Makes sure that the store refuses to replace what is there. Some that speak S3 ignore what they do not know.
    async fn trust(&self) -> Result<(), Unavailable> {
        let look = || async {
            let put = || self.create(MARK, MARK_TEXT.into());
            // There already: refused, as it should be.
            if put().await? == Put::Done && put().await? == Put::Done {
                return Err(Unavailable::new(format!(
                    "{}: the store replaces what is there although it is told not to \
                     (If-None-Match); an archive needs one that does not",
                    self.location
                )));
            }
            Ok(())
        };
        self.trusted.get_or_try_init(look).await.copied()
    }

    async fn create(&self, name: &str, bytes: Vec<u8>) -> Result<Put, Unavailable> {
        let path = self.path(name);
        let put = self.store.put_opts(&path, bytes.into(), PutOptions::from(PutMode::Create));
        match self.within(put).await {
            Ok(_) => Ok(Put::Done),
            // S3 answers so too (409) while somebody else puts the name, which may come to nothing.
            Err(Failed::Refused(Error::AlreadyExists { .. })) => {
                match self.within(self.store.head(&path)).await {
                    Ok(_) => Ok(Put::Present),
                    Err(Failed::Refused(Error::NotFound { .. })) => {
                        Err(Unavailable::new(format!("somebody else is putting {path}")))
                    }
                    Err(failed) => Err(self.unavailable(failed)),
                }
            }
            Err(failed) => Err(self.unavailable(failed)),
        }
    }

    /// What went wrong, in words for whoever looks after the archive.
    fn unavailable(&self, failed: Failed) -> Unavailable {
        let said = match failed {
            Failed::Silent => format!("there was no answer within {OPERATION_MAX:?}"),
            Failed::Refused(error) => cause(&error),
        };
        // What S3 says is in a document, with much that is for machines.
        let part = |name: &str| {
            let (_, rest) = said.split_once(&format!("<{name}>"))?;
            Some(rest.split_once(&format!("</{name}>"))?.0)
        };
        let place = &self.location;
        match part("Code").zip(part("Message")) {
            Some((code, message)) => Unavailable::new(format!("{place}: {code}: {message}")),
            None if self.anonymous => Unavailable::new(format!(
                "{place}: AWS_ACCESS_KEY_ID is not set, and the machine may have no credentials: {said}"
            )),
            None => Unavailable::new(format!("{place}: {said}")),
        }
    }
}

/// What is behind everything: what is before it tells of requests and retries.
fn cause(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// Why there is no answer.
enum Failed {
    Silent,
    Refused(Error),
}

impl fmt::Debug for Bucket {
    /// Without the store, which knows the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bucket").field(&self.location).finish()
    }
}

impl Target for Bucket {
    fn put<'a>(&'a self, name: &'a str, bytes: Vec<u8>) -> BoxFuture<'a, Result<Put, Unavailable>> {
        async move {
            self.trust().await?;
            self.create(name, bytes).await
        }
        .boxed()
    }

    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, Unavailable>> {
        async move {
            self.reach().await?;
            let path = self.path(name);
            let got = async { self.store.get(&path).await?.bytes().await };
            match self.within(got).await {
                Ok(bytes) => Ok(Some(bytes.into())),
                Err(Failed::Refused(Error::NotFound { .. })) => Ok(None),
                Err(failed) => Err(self.unavailable(failed)),
            }
        }
        .boxed()
    }

    fn list<'a>(&'a self, folder: &'a str) -> BoxFuture<'a, Result<Vec<String>, Unavailable>> {
        async move {
            let folder = self.path(folder);
            let listed = self.within(self.store.list_with_delimiter(Some(&folder))).await;
            let listed = listed.map_err(|failed| self.unavailable(failed))?;
            let names = listed.objects.iter().filter_map(|object| object.location.filename());
            let mut names: Vec<String> = names.map(str::to_owned).collect();
            names.sort_unstable();
            Ok(names)
        }
        .boxed()
    }

    fn describe(&self) -> String {
        self.location.to_string()
    }
}
