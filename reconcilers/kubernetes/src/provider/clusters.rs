//! Clusters that exist already: they are reached or not, and nothing of them is made or removed.

use domain::commit::Hash;
use domain::kinds::cluster::CAPACITY;
use domain::kinds::support_service::BRINGS;
use domain::kinds::{Cluster as Kind, cluster};
use domain::lifecycle::FailureClass;
use domain::{OutputMap, OutputValue, SecretRef, StreamId};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use reconcilers::converge::{Call, Desired, Seen, SeenState};
use reconcilers::{CallError, Performed, Provider, Reconcile as _, Scene, Target};

use super::Kubernetes;
use crate::cluster::Reach;

/// Where the kubeconfig of an existing cluster is kept. Its version is not told: a rotated one is used by itself.
fn kubeconfig(existing: &cluster::Existing) -> SecretRef {
    SecretRef { store: existing.store.clone(), path: existing.path.clone(), version: "1".into() }
}

impl Provider<Kind> for Kubernetes {
    fn observe<'a>(
        &'a self,
        scene: Scene<'a, Kind>,
    ) -> BoxFuture<'a, Result<Option<Seen>, CallError>> {
        async move {
            let Some(existing) = &scene.spec.existing else { return Ok(None) };
            let credentials = kubeconfig(existing);
            let cluster = self.clusters.get(&credentials);
            cluster.tell(scene.target.stream());
            let (state, outputs) = match cluster.reached() {
                // After a restart it was ready before, and what is not known yet is no loss: who fails over counts on it.
                Reach::Connecting => return Err(unknown("the cluster's objects are being listed")),
                Reach::Unreachable { since, reason } => {
                    let reason = format!("it cannot be reached since {since}: {reason}");
                    (SeenState::Pending(reason), OutputMap::new())
                }
                Reach::Reached { version, endpoint } => {
                    let (Some(brings), Some(room)) = (cluster.brings(), cluster.room()) else {
                        return Err(unknown("what it brings along is being looked at"));
                    };
                    let mut outputs = outputs(&credentials, &version, &endpoint);
                    outputs.insert(BRINGS.into(), OutputValue::plain(brings));
                    outputs
                        .extend(room.map(|room| (CAPACITY.to_owned(), OutputValue::plain(room))));
                    (SeenState::Ready, outputs)
                }
            };
            let desired = Kind::desired(scene.spec, scene.inputs).map(Desired::new);
            let applied = desired.map_or_else(|_| Hash::of(&[]), |desired| desired.digest);
            Ok(Some(Seen { outputs, borrowed: true, ..Seen::new(applied, state) }))
        }
        .boxed()
    }

    fn perform<'a>(
        &'a self,
        scene: Scene<'a, Kind>,
        call: Call,
    ) -> BoxFuture<'a, Result<Performed, CallError>> {
        async move {
            if let (Call::Delete, Some(existing)) = (call, &scene.spec.existing) {
                self.clusters.forget(&kubeconfig(existing));
            }
            Ok(Performed::Finished)
        }
        .boxed()
    }

    fn sweep(&self) -> BoxFuture<'_, Result<Vec<Target>, CallError>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn remove<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, Result<Performed, CallError>> {
        async { Ok(Performed::Finished) }.boxed()
    }

    fn changes(&self) -> BoxStream<'static, StreamId> {
        self.clusters.changes().listen(Some(<Kind as domain::Kind>::NAME))
    }
}

fn outputs(credentials: &SecretRef, version: &str, endpoint: &str) -> OutputMap {
    [
        ("endpoint".to_owned(), OutputValue::plain(endpoint)),
        ("version".to_owned(), OutputValue::plain(version.trim_start_matches('v'))),
        ("credentials".to_owned(), OutputValue::Secret(credentials.clone())),
    ]
    .into()
}

/// It cannot be said yet how it is.
fn unknown(words: &str) -> CallError {
    CallError { class: FailureClass::Retry, message: words.to_owned() }
}
