//! Sets of objects that somebody wrote, of any kind.
//!
//! # Flow
//! What a spec names is put in order ([`order`]) · each object's text is read by its digest only where something has
//! to be compared or applied ([`prepare`]) · looking goes by the watches ([`look`]) · applying goes forward through
//! the order, removing goes backward ([`apply`], [`remove`]).
//!
//! # Guarantees
//! - What is ours carries our uid, from its first moment; nothing else is changed, unless the spec says that it is to
//!   be taken over, and nothing else is removed. A definition of resources stays while there are resources of others.
//! - Which kinds have to be looked for is on a record, a ConfigMap that is applied first and removed last: what an
//!   earlier revision left is found after a restart, too.

pub(crate) mod apply;
pub(crate) mod look;
pub(crate) mod order;
pub(crate) mod prepare;
pub(crate) mod record;
pub(crate) mod remove;
pub(crate) mod sealed;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use domain::StreamId;
use domain::commit::Hash;
use domain::kinds::Manifests;
use domain::kinds::manifests::{ObjectKey, Spec};
use domain::lifecycle::FailureClass;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use reconcilers::converge::{Call, Desired, Seen};
use reconcilers::{CallError, Performed, Provider, Reconcile as _, Scene, Target};

use crate::cluster::{Cluster, Entry, Watched};
use crate::labels;
use crate::objects::Key;
use crate::ownership::owned;
use crate::provider::{Kubernetes, credentials};

/// Objects of one turn that are applied or removed at once: half of what a cluster is asked for at once, for others need
/// it too.
const AT_ONCE: usize = 8;

/// The most objects whose ownership is remembered; beyond it all are looked at again.
const VERDICTS_MAX: usize = 50_000;

/// Everything that was seen of an incarnation.
pub(crate) type Found = BTreeMap<Key, Entry>;

/// A set of objects that is wanted of an incarnation.
#[derive(Clone, Copy)]
pub(crate) struct Set<'a> {
    /// Whose they are.
    pub(crate) target: &'a Target,
    /// Which, and what may be done to have them.
    pub(crate) spec: &'a Spec,
    /// What else is noted on their record.
    pub(crate) notes: &'a BTreeMap<String, String>,
    /// Where the values of their secrets are, if those are not with the rest.
    pub(crate) sealed: Option<&'a Key>,
}

/// What is noted of objects that somebody wrote.
static NO_NOTES: BTreeMap<String, String> = BTreeMap::new();

impl<'a> Set<'a> {
    fn of(scene: Scene<'a, Manifests>) -> Self {
        Self { target: scene.target, spec: scene.spec, notes: &NO_NOTES, sealed: None }
    }
}

/// One object that is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// As the spec names it.
    pub(crate) said: ObjectKey,
    /// The digest of what it says.
    pub(crate) digest: Hash,
    /// The digest of what we make of that.
    pub(crate) content: Hash,
    /// Its turn.
    pub(crate) phase: u8,
    /// Which object it is, and of which kind; none while the cluster does not know the kind.
    pub(crate) known: Option<(Key, Watched)>,
}

/// That we own all that we said of an object, as of a version.
struct Verdict {
    version: u64,
    content: Hash,
    owned: Hash,
}

/// What was found out about objects, by their uid in the cluster. It can be forgotten at any moment.
#[derive(Default)]
pub(crate) struct Verdicts(Mutex<HashMap<String, Verdict>>);

impl Verdicts {
    /// Whether an object is known to be ours in all that we said of it.
    fn holds(&self, entry: &Entry, content: Hash) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(verdict) = known.get_mut(&entry.uid).filter(|one| one.content == content) else {
            return false;
        };
        if verdict.version != entry.version {
            if digest_of_owned(entry) != verdict.owned {
                return false;
            }
            verdict.version = entry.version;
        }
        true
    }

    /// It is.
    fn note(&self, entry: &Entry, content: Hash) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= VERDICTS_MAX {
            known.clear();
        }
        let verdict = Verdict { version: entry.version, content, owned: digest_of_owned(entry) };
        known.insert(entry.uid.clone(), verdict);
    }

    fn forget(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

fn digest_of_owned(entry: &Entry) -> Hash {
    Hash::of(owned(&entry.managed).as_bytes())
}

pub(crate) fn refused(class: FailureClass, message: String) -> CallError {
    CallError { class, message }
}

/// What is ours to apply and remove: not what a controller made of it, though that may carry the same labels.
pub(crate) fn is_ours(entry: &Entry) -> bool {
    entry.content.is_some() && !entry.controlled && entry.record.is_none()
}

/// What was found of an incarnation, once every kind is followed that its record names.
pub(crate) async fn found(cluster: &Cluster, target: &Target) -> Result<Found, CallError> {
    let found: Found = cluster.of(target.uid)?.into_iter().collect();
    let Some((_, entry)) = record::of(target, &found) else { return Ok(found) };
    for (api_version, kind) in record::kinds(entry) {
        cluster.follow(api_version, kind, false).await?;
    }
    Ok(cluster.of(target.uid)?.into_iter().collect())
}

/// The namespaces that may have been made for a set of objects.
fn namespaces(target: &Target, named: Option<&str>) -> Vec<String> {
    let own = labels::namespace(target);
    let named = named.filter(|named| *named != own).map(str::to_owned);
    std::iter::once(own).chain(named).collect()
}

impl Provider<Manifests> for Kubernetes {
    fn observe<'a>(
        &'a self,
        scene: Scene<'a, Manifests>,
    ) -> BoxFuture<'a, Result<Option<Seen>, CallError>> {
        async move {
            let Some(credentials) = credentials(scene.inputs, &scene.spec.cluster) else {
                return Ok(None);
            };
            let desired = Manifests::desired(scene.spec, scene.inputs).map(Desired::new).ok();
            let digest = desired.map(|desired| desired.digest);
            look::see(self, &self.clusters.get(credentials), Set::of(scene), digest).await
        }
        .boxed()
    }

    fn perform<'a>(
        &'a self,
        scene: Scene<'a, Manifests>,
        call: Call,
    ) -> BoxFuture<'a, Result<Performed, CallError>> {
        async move {
            // What never had a cluster to live in left nothing anywhere.
            let Some(credentials) = credentials(scene.inputs, &scene.spec.cluster) else {
                return Ok(Performed::Finished);
            };
            let cluster = self.clusters.get(credentials);
            match call {
                Call::Create { desired, .. } | Call::Update(desired) => {
                    apply::apply(self, &cluster, Set::of(scene), desired.digest).await
                }
                // Only workloads have canaries.
                Call::Canary { .. } | Call::Measure { .. } | Call::RemoveCanary => {
                    Ok(Performed::Finished)
                }
                Call::Delete => {
                    remove::all(self, &cluster, scene.target, scene.spec.namespace()).await
                }
            }
        }
        .boxed()
    }

    fn sweep(&self) -> BoxFuture<'_, Result<Vec<Target>, CallError>> {
        async move { Ok(self.targets_of(<Manifests as domain::Kind>::NAME)) }.boxed()
    }

    fn remove<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Performed, CallError>> {
        async move {
            let mut performed = Performed::Finished;
            for cluster in self.clusters.all() {
                if cluster.of(target.uid).is_ok_and(|found| !found.is_empty())
                    && remove::all(self, &cluster, target, None).await? == Performed::Underway
                {
                    performed = Performed::Underway;
                }
            }
            Ok(performed)
        }
        .boxed()
    }

    fn changes(&self) -> BoxStream<'static, StreamId> {
        self.clusters.changes().listen(Some(<Manifests as domain::Kind>::NAME))
    }
}
