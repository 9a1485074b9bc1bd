//! Who acts on each kind in a real cluster.

mod act;
mod clusters;
mod entry;
mod held;
mod trouble;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::kinds::workload::Mode;
use domain::kinds::{Volume, Workload};
use domain::text::{Inputs, OutputValue};
use domain::{ResourceId, SecretRef, StreamId};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use reconcilers::contents::Contents;
use reconcilers::converge::{Call, Desired, Seen};
use reconcilers::reconcile::without_canaries;
use reconcilers::{
    CallError, LogLine, LogLines, LogQuery, Performed, Provider, Reconcile, Scene, Target,
};

use crate::checks::Checks;
use crate::cluster::{Cluster, Clusters};
use crate::helm::{Charts, Renderings};
use crate::logs;
use crate::manifests::Verdicts;
use crate::objects::{self, Object};
pub(crate) use act::{delete_namespace, make_namespace};
pub(crate) use entry::brought_by;

/// How long what nobody wants may take to go: its namespace is looked after in the same go, for once it is empty nothing
/// in it says any more whose it was.
const REMOVAL: Duration = Duration::from_secs(30);
/// The pause before it is looked whether it is gone.
const PAUSE: Duration = Duration::from_millis(500);

/// Acts on real clusters.
pub struct Kubernetes {
    pub(crate) clusters: Arc<Clusters>,
    /// Where what a digest names is read.
    pub(crate) contents: Option<Arc<dyn Contents>>,
    pub(crate) verdicts: Verdicts,
    /// What makes objects of charts.
    pub(crate) charts: Option<Charts>,
    pub(crate) renderings: Renderings,
    checks: Checks,
}

/// What lives in a cluster: where, and as which objects.
pub trait Hosted: Reconcile<Observed = Option<Seen>, Call = Call> {
    /// The cluster that it lives in, when one is named.
    fn cluster(spec: &Self::Spec) -> Option<&ResourceId>;

    /// Its objects, in the order in which they are applied.
    ///
    /// # Errors
    /// See [`domain::text::Unresolved`].
    fn objects(
        scene: Scene<'_, Self>,
        desired: &Desired,
    ) -> Result<Vec<Object>, domain::text::Unresolved>;

    /// Whether it has pods, which write logs.
    const HAS_PODS: bool = false;
    /// The kinds of its objects, by API and name, that not every cluster has.
    const KINDS: &'static [(&'static str, &'static str)] = &[];

    /// The objects of its canary at a share of the traffic, where there can be one.
    ///
    /// # Errors
    /// See [`domain::text::Unresolved`].
    fn canary(
        _: Scene<'_, Self>,
        _weight: u32,
        _: &Desired,
    ) -> Result<Vec<Object>, domain::text::Unresolved> {
        Ok(Vec::new())
    }

    /// What it publishes. `address` is where one of its objects is reached from outside, as that says.
    fn published(scene: Scene<'_, Self>, address: Option<&str>) -> domain::OutputMap;

    /// What the cluster brings along in its place, by name, or what it would have to; none where it is made of objects.
    fn brings(_: Scene<'_, Self>) -> Option<Result<String, CallError>> {
        None
    }
}

impl Hosted for Workload {
    const HAS_PODS: bool = true;

    fn cluster(spec: &Self::Spec) -> Option<&ResourceId> {
        Some(&spec.cluster)
    }

    fn objects(
        scene: Scene<'_, Self>,
        desired: &Desired,
    ) -> Result<Vec<Object>, domain::text::Unresolved> {
        objects::workload(scene.target, scene.spec, scene.inputs, desired.digest)
    }

    fn canary(
        scene: Scene<'_, Self>,
        weight: u32,
        desired: &Desired,
    ) -> Result<Vec<Object>, domain::text::Unresolved> {
        let spec = scene.spec.as_canary(weight);
        objects::canary(scene.target, &spec, scene.inputs, desired.digest)
    }

    fn published(scene: Scene<'_, Self>, _: Option<&str>) -> domain::OutputMap {
        let (name, namespace) = objects::address(scene.target);
        let port = scene.spec.ports.values().next().map_or(0, |port| port.port);
        let host = |name: &str| OutputValue::plain(format!("{name}.{namespace}.svc.cluster.local"));
        let stateful = scene.spec.mode == Mode::Stateful;
        let peers = stateful.then(|| ("peers".to_owned(), host(&objects::peers_name(&name))));
        [
            ("hostname".to_owned(), host(&name)),
            ("name".to_owned(), OutputValue::plain(name)),
            ("port".to_owned(), OutputValue::plain(port)),
        ]
        .into_iter()
        .chain(peers)
        .collect()
    }
}

impl Hosted for Volume {
    fn cluster(spec: &Self::Spec) -> Option<&ResourceId> {
        spec.cluster.as_ref()
    }

    fn objects(
        scene: Scene<'_, Self>,
        desired: &Desired,
    ) -> Result<Vec<Object>, domain::text::Unresolved> {
        Ok(objects::volume(scene.target, scene.spec, desired.digest))
    }

    fn published(scene: Scene<'_, Self>, _: Option<&str>) -> domain::OutputMap {
        let (name, _) = objects::address(scene.target);
        [("source".to_owned(), OutputValue::plain(name))].into()
    }
}

/// Where a cluster's credentials are, as it has published them.
#[must_use]
pub fn credentials<'a>(inputs: &'a Inputs, cluster: &ResourceId) -> Option<&'a SecretRef> {
    match inputs.outputs.get(cluster)?.get("credentials")? {
        OutputValue::Secret(reference) => Some(reference),
        OutputValue::Plain(_) => None,
    }
}

/// Sees to it that kinds are followed, where the cluster knows them.
async fn follow(cluster: &Cluster, kinds: &[(&str, &str)]) -> Result<(), CallError> {
    for (api_version, kind) in kinds {
        cluster.follow(api_version, kind, false).await?;
    }
    Ok(())
}

/// Deletes everything of an incarnation, and waits until it is gone.
async fn remove(cluster: &Cluster, target: &Target) -> Result<(), CallError> {
    while act::delete(cluster, target).await? != Performed::Finished {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Every secret that something is given, but for what leads to its cluster.
pub(crate) fn secrets(inputs: &Inputs, cluster: Option<&ResourceId>) -> Vec<SecretRef> {
    let given = inputs.outputs.iter().filter(|(id, _)| Some(*id) != cluster);
    let values = given.flat_map(|(_, outputs)| outputs.values());
    let secret = |value: &OutputValue| match value {
        OutputValue::Secret(reference) => Some(reference.clone()),
        OutputValue::Plain(_) => None,
    };
    values.filter_map(secret).collect()
}

impl Kubernetes {
    /// Acts on the clusters that it is led to.
    #[must_use]
    pub fn new(clusters: Clusters) -> Self {
        Self {
            clusters: Arc::new(clusters),
            contents: None,
            verdicts: Verdicts::default(),
            charts: None,
            renderings: Renderings::default(),
            checks: Checks::default(),
        }
    }

    /// Makes objects of charts with that.
    #[must_use]
    pub fn with_charts(self, charts: Charts) -> Self {
        Self { charts: Some(charts), ..self }
    }

    /// Reads what digests name from there.
    #[must_use]
    pub fn with_contents(self, contents: Arc<dyn Contents>) -> Self {
        Self { contents: Some(contents), ..self }
    }

    /// Every incarnation of a kind that something is of.
    pub(crate) fn targets_of(&self, kind: &str) -> Vec<Target> {
        let mut found = BTreeSet::new();
        for cluster in self.clusters.all() {
            // What cannot be reached is swept once it can.
            found.extend(cluster.targets().unwrap_or_default());
        }
        found.retain(|target| target.id.kind.as_str() == kind);
        without_canaries(found.into_iter().collect())
    }

    /// The cluster that something lives in; none while that is not known.
    fn host<K: Hosted>(&self, scene: Scene<'_, K>) -> Option<Arc<Cluster>> {
        let credentials = credentials(scene.inputs, K::cluster(scene.spec)?)?;
        Some(self.clusters.get(credentials))
    }
}

impl<K: Hosted> Provider<K> for Kubernetes {
    fn observe<'a>(
        &'a self,
        scene: Scene<'a, K>,
    ) -> BoxFuture<'a, Result<Option<Seen>, CallError>> {
        async move {
            match self.host(scene) {
                Some(cluster) => match K::brings(scene) {
                    Some(brought) => Ok(act::brought(scene, brought.ok())),
                    None => {
                        follow(&cluster, K::KINDS).await?;
                        let mut seen = act::see(&self.clusters, &cluster, scene)?;
                        if let (true, Some(seen)) = (K::HAS_PODS, &mut seen) {
                            seen.canary = act::see_canary(&self.clusters, &cluster, scene)?;
                        }
                        Ok(seen)
                    }
                },
                None => Ok(None),
            }
        }
        .boxed()
    }

    fn perform<'a>(
        &'a self,
        scene: Scene<'a, K>,
        call: Call,
    ) -> BoxFuture<'a, Result<Performed, CallError>> {
        async move {
            // What never had a cluster to live in left nothing anywhere.
            let Some(cluster) = self.host(scene) else { return Ok(Performed::Finished) };
            match call {
                Call::Create { desired, .. } | Call::Update(desired) => {
                    if let Some(brought) = K::brings(scene) {
                        return brought.map(|_| Performed::Finished);
                    }
                    let wanted = act::resolved(K::objects(scene, &desired))?;
                    act::apply(&self.clusters, &cluster, scene.target, wanted).await
                }
                Call::Canary { weight, desired } => {
                    let wanted = act::resolved(K::canary(scene, weight, &desired))?;
                    act::apply(&self.clusters, &cluster, &scene.target.canary(), wanted).await
                }
                Call::Measure { generation, step, checks } => {
                    Ok(self.checks.measure(generation, step, &checks).await)
                }
                Call::RemoveCanary => act::delete_objects(&cluster, &scene.target.canary()).await,
                Call::Delete => {
                    follow(&cluster, K::KINDS).await?;
                    act::delete(&cluster, scene.target).await
                }
            }
        }
        .boxed()
    }

    fn sweep(&self) -> BoxFuture<'_, Result<Vec<Target>, CallError>> {
        async move {
            for cluster in self.clusters.all() {
                // What cannot be reached is swept once it can.
                let _ = follow(&cluster, K::KINDS).await;
            }
            Ok(self.targets_of(K::NAME))
        }
        .boxed()
    }

    fn remove<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Performed, CallError>> {
        async move {
            let mut performed = Performed::Finished;
            for cluster in self.clusters.all() {
                if cluster.of(target.uid).is_ok_and(|found| !found.is_empty()) {
                    let removal = tokio::time::timeout(REMOVAL, remove(&cluster, target)).await;
                    match removal {
                        Ok(removed) => removed?,
                        Err(_) => performed = Performed::Underway,
                    }
                }
            }
            Ok(performed)
        }
        .boxed()
    }

    fn logs(&self, scene: Scene<'_, K>, query: &LogQuery) -> Option<LogLines> {
        if !K::HAS_PODS {
            return None;
        }
        let cluster = K::cluster(scene.spec);
        let Some(credentials) = cluster.and_then(|id| credentials(scene.inputs, id)) else {
            let note = LogLine::note("it has never run: its cluster was not reached yet");
            return Some(futures::stream::iter([Ok(note)]).boxed());
        };
        Some(logs::lines(logs::Source {
            clusters: Arc::clone(&self.clusters),
            credentials: credentials.clone(),
            target: scene.target.clone(),
            secrets: secrets(scene.inputs, cluster),
            query: query.clone(),
        }))
    }

    fn changes(&self) -> BoxStream<'static, StreamId> {
        self.clusters.changes().listen(Some(K::NAME))
    }
}
