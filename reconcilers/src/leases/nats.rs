//! Leases in a key-value bucket of NATS.
//!
//! Nothing here depends on the server's clock, nor on keys that expire: a dead member is declared so by the others.

use async_nats::jetstream::Context;
use async_nats::jetstream::kv::{Config, Entry, Operation, Store as Bucket, UpdateErrorKind};
use async_nats::jetstream::stream::StorageType;
use futures::future::BoxFuture;
use futures::stream::{self, StreamExt as _};
use futures::{FutureExt as _, TryStreamExt as _};
use journal::jetstream::patiently;
use tracing::debug;

use super::store::{Change, Changes, NEVER, Revision, Store, StoreError, WriteError};

/// The bucket's name.
pub const BUCKET: &str = "cairn-leases";
/// A key that says what the bucket is: with it a watch always has something to tell, and so an end of what was there.
const ABOUT: &str = "about";
/// What the bucket is for, for who looks at it.
const PURPOSE: &str = "who works on what in Cairn";
/// Every key, as the bucket says it.
const ALL_KEYS: &str = ">";

/// Leases in NATS.
pub struct NatsStore {
    bucket: Bucket,
}

impl NatsStore {
    /// Opens the bucket, or makes it, with as many replicas as the log has.
    ///
    /// Kept in files: the revisions are the tokens, and must not begin anew when all servers restart.
    ///
    /// Tried as [`patiently`] as the log.
    ///
    /// # Errors
    /// [`StoreError`]: the servers do not answer, or refuse.
    pub async fn open(context: &Context, replicas: usize) -> Result<Self, StoreError> {
        Ok(Self { bucket: patiently("leases", || open(context, replicas)).await? })
    }
}

async fn open(context: &Context, replicas: usize) -> Result<Bucket, StoreError> {
    let config = Config {
        bucket: BUCKET.to_owned(),
        description: PURPOSE.to_owned(),
        history: 1,
        storage: StorageType::File,
        num_replicas: replicas,
        ..Config::default()
    };
    let bucket = match context.get_key_value(BUCKET).await {
        Ok(bucket) => bucket,
        Err(_) => context.create_key_value(config).await.map_err(boxed)?,
    };
    match bucket.update(ABOUT, PURPOSE.into(), NEVER).await {
        Err(error) if error.kind() != UpdateErrorKind::WrongLastRevision => Err(boxed(error)),
        Ok(_) | Err(_) => Ok(bucket),
    }
}

impl Store for NatsStore {
    fn write<'a>(
        &'a self,
        key: &'a str,
        expected: Revision,
        value: Vec<u8>,
    ) -> BoxFuture<'a, Result<Revision, WriteError>> {
        async move {
            self.bucket.update(key, value.into(), expected).await.map_err(|error| {
                match error.kind() {
                    UpdateErrorKind::WrongLastRevision => WriteError::Conflict,
                    // A cluster says so in another way too: then the watch tells what became of it.
                    UpdateErrorKind::TimedOut
                    | UpdateErrorKind::InvalidKey
                    | UpdateErrorKind::Other => WriteError::Unknown(Box::new(error)),
                }
            })
        }
        .boxed()
    }

    fn forget<'a>(&'a self, key: &'a str) -> BoxFuture<'a, ()> {
        async move {
            let subject = format!("{}{key}", self.bucket.prefix);
            if let Err(error) = self.bucket.stream.purge().filter(subject).await {
                debug!(key, %error, "a dead member is not forgotten");
            }
        }
        .boxed()
    }

    fn watch(&self) -> BoxFuture<'_, Result<Changes, StoreError>> {
        async move {
            // With history: what was there before comes first. Without, a member that comes after another has died
            // would never learn what that one holds.
            let entries = self.bucket.watch_with_history(ALL_KEYS).await.map_err(boxed)?;
            let changes = entries
                .map_ok(|entry| stream::iter(changes(entry).into_iter().map(Ok::<_, StoreError>)))
                .map_err(boxed)
                .try_flatten();
            Ok(changes.boxed())
        }
        .boxed()
    }
}

/// What an entry tells, and that it was the last of those that were there.
fn changes(entry: Entry) -> Vec<Change> {
    let Entry { key, value, revision, delta, operation, .. } = entry;
    let change = match operation {
        Operation::Put => Change::Put { key, revision, value: value.to_vec() },
        Operation::Delete | Operation::Purge => Change::Deleted { key, revision },
    };
    if delta == 0 { vec![change, Change::Current] } else { vec![change] }
}

fn boxed(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError(Box::new(error))
}
