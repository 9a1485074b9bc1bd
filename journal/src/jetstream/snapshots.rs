//! Snapshots in a key-value bucket, which may be deleted at any time.

use std::sync::Arc;

use async_nats::jetstream::kv::{self, Store};
use async_nats::jetstream::stream::StorageType;
use domain::StreamId;
use domain::commit::Hash;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tracing::debug;

use super::OpenError;
use super::open::patiently;
use super::wire::{Wire, describe};
use crate::Position;
use crate::snapshots::{Snapshot, Snapshots};
use crate::within::Within;

/// The most snapshots being written. More are dropped: each is only a saving.
const WRITING_MAX: usize = 64;

/// [`Snapshots`] in a bucket named after the log: `<stream>-snapshots`, a key per stream.
pub struct JetStreamSnapshots {
    bucket: Store,
    room: Arc<Semaphore>,
    runtime: Handle,
}

/// All of a snapshot but the state, which follows it after a line feed.
#[derive(Serialize, Deserialize)]
struct Head {
    stream: StreamId,
    schema: String,
    version: u64,
    position: Position,
    hash: Hash,
    digest: Hash,
}

impl JetStreamSnapshots {
    pub(super) async fn open(wire: &Wire, replicas: usize) -> Result<Self, OpenError> {
        let bucket = patiently("snapshots", || open(wire, replicas)).await?;
        let room = Arc::new(Semaphore::new(WRITING_MAX));
        Ok(Self { bucket, room, runtime: Handle::current() })
    }
}

async fn open(wire: &Wire, replicas: usize) -> Result<Store, OpenError> {
    let name = format!("{}-snapshots", wire.name());
    let made = wire.context().create_key_value(kv::Config {
        bucket: name.clone(),
        description: "states of long streams: a cache, may be deleted".into(),
        history: 1,
        storage: StorageType::File,
        num_replicas: replicas,
        ..kv::Config::default()
    });
    match made.await {
        Ok(bucket) => Ok(bucket),
        // Made before, with other settings: it is a cache all the same.
        Err(error) => wire.context().get_key_value(&name).await.map_err(|_| OpenError::Stream {
            stream: format!("KV_{name}"),
            reason: describe(&error),
        }),
    }
}

impl Snapshots for JetStreamSnapshots {
    fn get<'a>(&'a self, stream: &'a StreamId) -> BoxFuture<'a, Option<Snapshot>> {
        let get: BoxFuture<'a, _> = async move {
            match self.bucket.get(stream.to_string()).await {
                Ok(value) => value.and_then(|value| read(&value)),
                Err(error) => {
                    debug!(%error, "a snapshot cannot be read");
                    None
                }
            }
        }
        .boxed();
        Within::new(self.runtime.clone(), get).boxed()
    }

    fn put(&self, snapshot: Snapshot) {
        let Ok(place) = Arc::clone(&self.room).try_acquire_owned() else {
            return debug!("a snapshot is dropped: too many wait");
        };
        let bucket = self.bucket.clone();
        self.runtime.spawn(async move {
            let key = snapshot.stream.to_string();
            match written(snapshot) {
                Ok(value) => {
                    if let Err(error) = bucket.put(key, value.into()).await {
                        debug!(%error, "a snapshot cannot be written");
                    }
                }
                Err(error) => debug!(%error, "a snapshot cannot be encoded"),
            }
            drop(place);
        });
    }
}

fn written(snapshot: Snapshot) -> serde_json::Result<Vec<u8>> {
    let Snapshot { stream, schema, version, position, hash, digest, state } = snapshot;
    let mut value = serde_json::to_vec(&Head { stream, schema, version, position, hash, digest })?;
    value.push(b'\n');
    value.extend_from_slice(&state);
    Ok(value)
}

fn read(value: &[u8]) -> Option<Snapshot> {
    let middle = value.iter().position(|&byte| byte == b'\n')?;
    let (head, state) = value.split_at_checked(middle)?;
    let Head { stream, schema, version, position, hash, digest } =
        serde_json::from_slice(head).ok()?;
    let state = state.get(1..)?.to_vec();
    Some(Snapshot { stream, schema, version, position, hash, digest, state })
}
