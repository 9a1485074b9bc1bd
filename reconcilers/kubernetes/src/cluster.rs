//! One cluster: how it is reached, and what is ours in it.
//!
//! # Flow
//! Its kubeconfig is read from the store of secrets and its client made from that · one watch a kind keeps the cache ·
//! when the cluster refuses our credentials, or the kubeconfig changes, all of it begins anew. Nothing has to be
//! restarted for that.
//!
//! # Guarantees
//! - That it cannot be reached is a state with a beginning and a reason, and ends by itself.
//! - What is seen before every kind was listed once counts for nothing.

mod address;
mod any;
mod brought;
mod cache;
mod capacity;
mod client;
mod clusters;
mod kinds;
mod shared;
mod warnings;
mod watch;
mod words;

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use domain::lifecycle::FailureClass;
use domain::{SecretRef, StreamId, Time};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use reconcilers::changes::Changes;
use reconcilers::secrets::Secrets;
use reconcilers::{CallError, Clock, Target};
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::info;
use uuid::Uuid;

use crate::kubeconfig;
use crate::labels;
use crate::objects::Key;
pub(crate) use brought::has_mark;
pub(crate) use cache::{Entry, Going};
pub(crate) use client::told;
use client::{REQUESTS_MAX, Requests};
pub use clusters::Clusters;
use kinds::WATCHED;
pub(crate) use kinds::Watched;
use shared::Shared;
use watch::Ended;
pub(crate) use words::LastWords;

/// How often a kubeconfig is read again: a rotated one is used that soon, also before the old one is refused.
const REREAD: Duration = Duration::from_secs(30);
/// The pause before a kubeconfig that cannot be used is read again.
const PAUSE: Duration = Duration::from_secs(5);

/// Namespaces that are made at once: more than requests that are under way at once.
const MAKERS: usize = 64;

/// Whether a cluster can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Its objects are being listed for the first time.
    Connecting,
    /// It is followed.
    Reached {
        /// Its version, such as `v1.36.3`.
        version: String,
        /// The address of its API server.
        endpoint: String,
    },
    /// It is not.
    Unreachable {
        /// Since when.
        since: Time,
        /// Why.
        reason: String,
    },
}

/// One cluster.
pub struct Cluster {
    shared: Arc<Shared>,
    turns: Semaphore,
    /// Who makes a namespace holds one of these, by the namespace's name.
    makers: [Mutex<()>; MAKERS],
    running: tokio::task::AbortHandle,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Cluster {
    fn connect(
        credentials: SecretRef,
        secrets: Arc<dyn Secrets>,
        clock: Arc<dyn Clock>,
        changes: Arc<Changes>,
        reread: Duration,
    ) -> Self {
        let shared = Arc::new(Shared::new(clock, changes));
        let kept = keep(Arc::clone(&shared), credentials, secrets, reread);
        let running = tokio::spawn(kept).abort_handle();
        let makers = std::array::from_fn(|_| Mutex::default());
        Self { shared, turns: Semaphore::new(REQUESTS_MAX), makers, running }
    }

    /// Whether it can be reached now.
    #[must_use]
    pub fn reached(&self) -> Reach {
        self.shared.reached()
    }

    /// What it brings along, as text; none before that was looked at.
    pub(crate) fn brings(&self) -> Option<String> {
        let state = self.shared.state();
        (state.looked_for.len() == brought::LOOKED_FOR).then(|| state.brought.to_string())
    }

    /// What its nodes have room for, as text, where it lets us look; none before it was tried.
    pub(crate) fn room(&self) -> Option<Option<String>> {
        let state = self.shared.state();
        state.looked_for_room.then(|| state.room.map(|room| room.to_string()))
    }

    /// Now, by the clock of whoever watches it.
    pub(crate) fn now(&self) -> Time {
        self.shared.now()
    }

    /// Has somebody told whenever that changes.
    pub(crate) fn tell(&self, stream: StreamId) {
        self.shared.state().owners.insert(stream);
    }

    /// Everything of an incarnation.
    ///
    /// # Errors
    /// While it cannot be said what is there.
    pub(crate) fn of(&self, uid: Uuid) -> Result<Vec<(Key, Entry)>, CallError> {
        self.warm()?;
        Ok(self.shared.state().cache.of(uid))
    }

    /// What was last seen of an object of ours.
    pub(crate) fn seen(&self, key: &Key) -> Option<Entry> {
        self.shared.state().cache.get(key).cloned()
    }

    /// Says whenever something of a resource changes.
    pub(crate) fn changes_of(&self, stream: &StreamId) -> BoxStream<'static, StreamId> {
        let stream = stream.clone();
        let all = self.shared.changes().listen(None);
        all.filter(move |changed| std::future::ready(*changed == stream)).boxed()
    }

    /// Every incarnation that something is of.
    pub(crate) fn targets(&self) -> Result<BTreeSet<Target>, CallError> {
        self.warm()?;
        Ok(self.shared.state().cache.targets())
    }

    /// Whether a namespace of ours is there, be it on its way out.
    pub(crate) fn knows_namespace(&self, name: &str) -> bool {
        self.shared.state().namespaces.contains_key(name)
    }

    /// Whether a namespace of ours is there to put things into.
    pub(crate) fn has_namespace(&self, name: &str) -> bool {
        self.shared.state().namespaces.get(name).is_some_and(|found| !found.going)
    }

    /// Waits for whoever else makes a namespace of this name, and keeps others from it.
    pub(crate) async fn alone(&self, namespace: &str) -> Option<MutexGuard<'_, ()>> {
        let mut hasher = DefaultHasher::new();
        namespace.hash(&mut hasher);
        let number = usize::try_from(hasher.finish() % MAKERS as u64).ok()?;
        Some(self.makers.get(number)?.lock().await)
    }

    /// Whether nothing of ours is left in a namespace.
    pub(crate) fn is_empty_in(&self, namespace: &str) -> bool {
        self.shared.state().cache.is_empty_in(namespace)
    }

    fn warm(&self) -> Result<(), CallError> {
        match &self.shared.reached() {
            Reach::Reached { .. } => Ok(()),
            Reach::Connecting => Err(retry("the cluster's objects are being listed")),
            Reach::Unreachable { reason, .. } => {
                Err(retry(&format!("the cluster cannot be reached: {reason}")))
            }
        }
    }

    fn requests(&self) -> Result<Requests, CallError> {
        let requests = self.shared.state().requests.clone();
        requests.ok_or_else(|| retry("the cluster is not connected to"))
    }

    /// Applies an object, and takes in what became of it.
    pub(crate) async fn apply(
        &self,
        key: &Key,
        body: &Value,
        force: bool,
    ) -> Result<(), CallError> {
        let version = body.get("apiVersion").and_then(Value::as_str).unwrap_or(&key.api_version);
        let resource = self.watched(key)?.resource_at(version);
        let requests = self.requests()?;
        let _turn = self.turns.acquire().await;
        let object = requests.apply(&resource, key, body, force).await?;
        self.shared.put(key.clone(), &object);
        Ok(())
    }

    /// Makes an object and takes it in; none when one of its name is there already.
    pub(crate) async fn create(&self, key: &Key, body: &Value) -> Result<Option<()>, CallError> {
        let watched = self.watched(key)?;
        let requests = self.requests()?;
        let _turn = self.turns.acquire().await;
        let object = requests.create(&watched.resource(), key, body).await?;
        Ok(object.map(|object| self.shared.put(key.clone(), &object)))
    }

    /// Reads an object.
    pub(crate) async fn get(&self, key: &Key) -> Result<Option<Value>, CallError> {
        let watched = self.watched(key)?;
        let requests = self.requests()?;
        let _turn = self.turns.acquire().await;
        requests.get(&watched.resource(), key).await
    }

    /// Deletes an object of this uid. Whether it is gone.
    pub(crate) async fn delete(&self, key: &Key, uid: &str) -> Result<bool, CallError> {
        let watched = self.watched(key)?;
        let requests = self.requests()?;
        let _turn = self.turns.acquire().await;
        let gone = requests.delete(&watched.resource(), key, uid).await?;
        if gone {
            self.shared.forget(key, uid);
        } else {
            self.shared.state().cache.mark_deleting(key, uid);
        }
        Ok(gone)
    }
}

fn retry(message: &str) -> CallError {
    CallError { class: FailureClass::Retry, message: message.to_owned() }
}

/// Keeps a cluster connected to, for ever.
async fn keep(
    shared: Arc<Shared>,
    credentials: SecretRef,
    secrets: Arc<dyn Secrets>,
    reread: Duration,
) {
    loop {
        match begin(&credentials, &*secrets).await {
            Ok((text, requests, version)) => {
                info!(version, endpoint = requests.endpoint, "connected to a cluster");
                shared.begun(requests.clone(), version);
                follow_all(&shared, &credentials, &*secrets, &text, &requests, reread).await;
            }
            Err(error) => shared.unreachable(&error.message),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The kubeconfig, the client made of it, and the cluster's version.
async fn begin(
    credentials: &SecretRef,
    secrets: &dyn Secrets,
) -> Result<(String, Requests, String), CallError> {
    let text = secrets.read(credentials).await?;
    let access = kubeconfig::read(&text).map_err(|refused| CallError {
        class: FailureClass::Terminal,
        message: format!("its kubeconfig is refused: {refused}"),
    })?;
    let client = client::client(&access, address::resolve(&access.server).await?)?;
    let version = tokio::time::timeout(PAUSE, client.apiserver_version()).await;
    let version = version
        .map_err(|_| retry("it does not answer"))?
        .map_err(|error| retry(&client::told(&error)))?;
    let endpoint = access.server.to_string();
    Ok((text, Requests { client, endpoint }, version.git_version))
}

/// Follows every kind, until the credentials are refused or changed.
async fn follow_all(
    shared: &Arc<Shared>,
    credentials: &SecretRef,
    secrets: &dyn Secrets,
    text: &str,
    requests: &Requests,
    reread: Duration,
) {
    let mut watches = JoinSet::new();
    let mut kinds = shared.kinds.subscribe();
    let mut followed = BTreeSet::new();
    let follow =
        |watches: &mut JoinSet<Ended>, followed: &mut BTreeSet<Watched>, watched: Watched| {
            if followed.insert(watched.clone()) {
                watches.spawn(watch::follow(Arc::clone(shared), requests.client.clone(), watched));
            }
        };
    WATCHED.into_iter().for_each(|watched| follow(&mut watches, &mut followed, watched));
    // What it warns of is worth knowing, and no reason to do without the rest.
    let mut beside = JoinSet::new();
    beside.spawn(warnings::follow(Arc::clone(shared), requests.client.clone()));
    beside.spawn(brought::follow(Arc::clone(shared), requests.client.clone()));
    beside.spawn(capacity::follow(Arc::clone(shared), requests.client.clone()));
    let mut turns = tokio::time::interval_at(Instant::now() + reread, reread);
    loop {
        for watched in shared.told_of() {
            follow(&mut watches, &mut followed, watched);
        }
        tokio::select! {
            ended = watches.join_next() => match ended {
                Some(Ok(Ended::NoSuchKind(watched))) => {
                    followed.remove(&watched);
                    shared.dropped(&watched);
                }
                Some(Ok(Ended::Unauthorized)) | None => {
                    shared.unreachable("it does not accept our credentials; put new ones in the place of the old");
                    return;
                }
                Some(Err(_)) => return,
            },
            _ = kinds.changed() => {}
            _ = turns.tick() => {
                if matches!(shared.reached(), Reach::Unreachable { .. }) {
                    // Its name may lead elsewhere by now.
                    return;
                }
                if secrets.read(credentials).await.is_ok_and(|now| now != text) {
                    info!("the credentials of a cluster have changed");
                    return;
                }
            }
        }
    }
}

/// The namespace object of a name, for reading and deleting it.
pub(crate) fn namespace_key(name: &str) -> Key {
    Key { api_version: "v1".into(), kind: "Namespace".into(), namespace: None, name: name.into() }
}

/// Whether an object carries our tenant: it is ours to delete.
pub(crate) fn is_of(object: &Value, tenant: &domain::Tenant) -> bool {
    let label = |name: &str| {
        let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
        labels.and_then(|labels| labels.get(name)).and_then(Value::as_str)
    };
    label(labels::MANAGED_BY.0) == Some(labels::MANAGED_BY.1)
        && label(labels::TENANT) == Some(tenant.as_str())
}
