//! A store within one process.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::FutureExt as _;
use futures::StreamExt as _;
use futures::future::{BoxFuture, ready};
use futures::stream;
use tokio::sync::broadcast;

use super::store::{Change, Changes, NEVER, Revision, Store, StoreError, WriteError};

/// How many changes a watch may be behind before it is told to begin again.
const BEHIND_MAX: usize = 1_024;

/// The store. Whoever shares it shares the leases.
pub struct MemoryStore {
    inner: Mutex<Inner>,
    changes: broadcast::Sender<Change>,
}

#[derive(Default)]
struct Inner {
    revision: Revision,
    values: BTreeMap<String, (Revision, Vec<u8>)>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self { inner: Mutex::default(), changes: broadcast::Sender::new(BEHIND_MAX) }
    }
}

impl MemoryStore {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, key: &str, expected: Revision, value: Vec<u8>) -> Result<Revision, WriteError> {
        let mut inner = self.inner();
        if inner.values.get(key).map_or(NEVER, |(revision, _)| *revision) != expected {
            return Err(WriteError::Conflict);
        }
        inner.revision += 1;
        let revision = inner.revision;
        inner.values.insert(key.to_owned(), (revision, value.clone()));
        // Nobody may be watching. Sent under the lock, so that everybody is told in order.
        let _ = self.changes.send(Change::Put { key: key.to_owned(), revision, value });
        Ok(revision)
    }
}

impl Store for MemoryStore {
    fn write<'a>(
        &'a self,
        key: &'a str,
        expected: Revision,
        value: Vec<u8>,
    ) -> BoxFuture<'a, Result<Revision, WriteError>> {
        ready(self.put(key, expected, value)).boxed()
    }

    fn forget<'a>(&'a self, key: &'a str) -> BoxFuture<'a, ()> {
        self.inner().values.remove(key);
        ready(()).boxed()
    }

    fn watch(&self) -> BoxFuture<'_, Result<Changes, StoreError>> {
        let inner = self.inner();
        let receiver = self.changes.subscribe();
        let values = inner.values.iter().map(|(key, (revision, value))| Change::Put {
            key: key.clone(),
            revision: *revision,
            value: value.clone(),
        });
        let there: Vec<_> = values.chain([Change::Current]).map(Ok).collect();
        let later = stream::unfold(receiver, |mut receiver| async move {
            match receiver.recv().await {
                Ok(change) => Some((Ok(change), receiver)),
                Err(broadcast::error::RecvError::Closed) => None,
                Err(error) => Some((Err(StoreError(Box::new(error))), receiver)),
            }
        });
        ready(Ok(stream::iter(there).chain(later).boxed())).boxed()
    }
}
