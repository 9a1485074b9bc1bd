//! Charts of Helm: rendered once for what was asked for, and applied as sets of objects are.
//!
//! # Flow
//! What was asked for is fetched and rendered where that was not done yet ([`prepare`]): what it becomes is a
//! [`rendering`], kept in the log, and named on the record of the objects before the first of them is applied · hooks
//! run at their moments, one after the other ([`hooks`]) · everything between is `manifests`' ([`crate::manifests`]).
//!
//! # Guarantees
//! - A rendering holds until the chart, the values or the settings change: what a chart draws by lot is drawn once.
//! - Values of secrets, given or made by the chart, are in no rendering that the log has.
//! - A hook runs once for each time that something else was asked for, also over restarts.

mod hooks;
mod notes;
mod prepare;
mod rendering;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use charts::fetch::Fetcher;
use domain::commit::Hash;
use domain::kinds::Helm;
use domain::kinds::helm::hook::Moment;
use domain::lifecycle::FailureClass;
use domain::{OutputValue, StreamId, Tenant};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use reconcilers::converge::{Call, Desired, Seen, SeenState};
use reconcilers::{CallError, Performed, Provider, Reconcile as _, Scene, Target};

use crate::cluster::Cluster;
use crate::manifests::{self, Set, apply, look, order, record, refused, remove, sealed};
use crate::provider::{Kubernetes, brought_by, credentials};
use notes::Notes;
use rendering::Rendering;

/// The most renderings that are remembered; beyond it they are read again.
const RENDERINGS_MAX: usize = 1_000;

/// What makes objects of charts.
pub struct Charts {
    /// Where charts are had.
    pub fetcher: Fetcher,
    /// What renders them.
    pub program: charts::render::Helm,
}

/// Renderings by digest. They can be forgotten at any moment.
#[derive(Default)]
pub(crate) struct Renderings(Mutex<HashMap<String, Arc<Rendering>>>);

impl Kubernetes {
    /// What a digest names.
    async fn rendering(&self, tenant: &Tenant, digest: Hash) -> Result<Arc<Rendering>, CallError> {
        let known = || self.renderings.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rendering) = known().get(&digest.to_hex()) {
            return Ok(Arc::clone(rendering));
        }
        let Some(contents) = &self.contents else {
            return Err(refused(
                FailureClass::Retry,
                "what the chart became cannot be read here".into(),
            ));
        };
        let bytes = contents.read(tenant, digest).await?;
        let rendering = serde_json::from_slice(&bytes).map_err(|error| {
            refused(
                FailureClass::Terminal,
                format!("what the chart became cannot be read: {error}"),
            )
        })?;
        let rendering: Arc<Rendering> = Arc::new(rendering);
        let mut known = known();
        if known.len() >= RENDERINGS_MAX {
            known.clear();
        }
        known.insert(digest.to_hex(), Arc::clone(&rendering));
        Ok(rendering)
    }
}

/// What the record of a chart's objects says.
async fn noted(cluster: &Cluster, target: &Target) -> Result<Option<Notes>, CallError> {
    let found = manifests::found(cluster, target).await?;
    let record = record::of(target, &found).and_then(|(_, entry)| entry.record.clone());
    Ok(record.map(|record| Notes::read(&record.notes)))
}

/// Something is to be done before it can be said how it is.
fn unfinished(target: &Target) -> Seen {
    let state = SeenState::Pending("the chart is being rendered".into());
    let external = Some(record::key(target).to_string());
    Seen { external, ..Seen::new(Hash::of(b"unfinished"), state) }
}

/// What the cluster brings along in place of the chart, as if it had been installed.
fn brought_along(scene: Scene<'_, Helm>) -> Option<Seen> {
    let name = is_brought(scene).ok()??;
    let desired = Helm::desired(scene.spec, scene.inputs).map(Desired::new).ok()?;
    let outputs = [
        ("chart", String::new()),
        ("namespace", rendering::namespace(scene.spec, scene.target)),
        ("release", rendering::release(scene.spec, scene.target)),
        ("rendered", String::new()),
        ("values", String::new()),
    ];
    Some(Seen {
        outputs: outputs.map(|(name, value)| (name.to_owned(), OutputValue::plain(value))).into(),
        external: Some(name),
        borrowed: true,
        ..Seen::new(desired.digest, SeenState::Ready)
    })
}

/// What others put into the cluster, by name, that makes the chart needless.
fn is_brought(scene: Scene<'_, Helm>) -> Result<Option<String>, CallError> {
    let Some(capability) = scene.spec.unless_brought else { return Ok(None) };
    let Some(brought) = brought_by(scene.inputs, &scene.spec.cluster) else {
        let message = "it is not known yet what the cluster brings along";
        return Err(refused(FailureClass::Retry, message.into()));
    };
    let first = brought.first(capability).filter(|_| brought.by_others(capability));
    Ok(first.map(str::to_owned))
}

async fn see(
    kubernetes: &Kubernetes,
    cluster: &Cluster,
    scene: Scene<'_, Helm>,
) -> Result<Option<Seen>, CallError> {
    let target = scene.target;
    let Some(notes) = noted(cluster, target).await? else {
        let is_there = manifests::found(cluster, target).await?.values().any(manifests::is_ours);
        return Ok(if is_there { Some(unfinished(target)) } else { brought_along(scene) });
    };
    let Some(digest) = notes.rendered() else { return Ok(Some(unfinished(target))) };
    let rendering = kubernetes.rendering(&target.tenant, digest).await?;
    let spec = rendering.set(scene.spec);
    let sealed = sealed::key(target);
    let sealed_at = rendering.sealed.then_some(&sealed);
    let set = Set { target, spec: &spec, notes: notes.map(), sealed: sealed_at };
    let desired = Helm::desired(scene.spec, scene.inputs).map(Desired::new).ok();
    let desired = desired.map(|desired| desired.digest);
    let Some(mut seen) = look::see(kubernetes, cluster, set, desired).await? else {
        return Ok(None);
    };
    if sealed_at.is_some_and(|key| cluster.seen(key).is_none()) {
        let Seen { applied, actual, .. } = unfinished(target);
        (seen.applied, seen.actual, seen.changed) = (applied, actual, None);
    }
    seen.outputs = [
        ("chart", rendering.chart.clone()),
        ("namespace", rendering::namespace(scene.spec, target)),
        ("release", rendering::release(scene.spec, target)),
        ("rendered", digest.to_hex()),
        ("values", rendering.values.to_hex()),
    ]
    .map(|(name, value)| (name.to_owned(), OutputValue::plain(value)))
    .into();
    Ok(Some(seen))
}

async fn put(
    kubernetes: &Kubernetes,
    cluster: &Cluster,
    scene: Scene<'_, Helm>,
    desired: &Desired,
) -> Result<Performed, CallError> {
    let target = scene.target;
    let noted = noted(cluster, target).await?;
    // What was begun from here is gone on with: part of it may be there.
    if noted.is_none() && is_brought(scene)?.is_some() {
        return Ok(Performed::Finished);
    }
    let mut notes = noted.unwrap_or_default();
    let (rendering, rendered) =
        prepare::rendering(kubernetes, cluster, scene, desired, &notes).await?;
    if notes.rendered_of(desired.digest) != Some(rendered) {
        notes.begin(desired.digest, rendered);
        notes.keep_archive(&rendering.chart);
    }
    let spec = rendering.set(scene.spec);
    let sealed = sealed::key(target);
    let sealed = rendering.sealed.then_some(&sealed);
    let moments = if notes.upgrades() {
        [Moment::PreUpgrade, Moment::PostUpgrade]
    } else {
        [Moment::PreInstall, Moment::PostInstall]
    };
    let others = hooks::kinds(&rendering);
    let set = Set { target, spec: &spec, notes: notes.map(), sealed };
    let mut applying = apply::begin(cluster, set, &others).await?;
    for turn in 0..=order::DEFINITIONS {
        applying.turn(kubernetes, cluster, set, turn).await?;
    }
    let running = hooks::Running { kubernetes, cluster, scene, rendering: &rendering, sealed };
    let [before, after] = moments;
    if let Some(waits) = running.run(before, &mut notes, Some(&applying)).await? {
        return Ok(Performed::Held(waits));
    }
    let set = Set { target, spec: &spec, notes: notes.map(), sealed };
    for turn in order::DEFINITIONS + 1..order::TURNS {
        applying.turn(kubernetes, cluster, set, turn).await?;
    }
    applying.prune(kubernetes, cluster, set).await?;
    if let Some(waits) = running.run(after, &mut notes, Some(&applying)).await? {
        return Ok(Performed::Held(waits));
    }
    notes.installed();
    let set = Set { target, spec: &spec, notes: notes.map(), sealed };
    applying.finish(cluster, set, desired.digest).await?;
    Ok(Performed::Finished)
}

async fn take_away(
    kubernetes: &Kubernetes,
    cluster: &Cluster,
    scene: Scene<'_, Helm>,
) -> Result<Performed, CallError> {
    let target = scene.target;
    let mut notes = noted(cluster, target).await?.unwrap_or_default();
    let rendering = match notes.rendered() {
        Some(digest) => Some(kubernetes.rendering(&target.tenant, digest).await?),
        None => None,
    };
    let sealed = sealed::key(target);
    let running = rendering.as_ref().map(|rendering| hooks::Running {
        kubernetes,
        cluster,
        scene,
        rendering,
        sealed: rendering.sealed.then_some(&sealed),
    });
    let running = running.filter(|_| notes.is_installed());
    if let Some(running) = &running
        && let Some(waits) = running.run(Moment::PreDelete, &mut notes, None).await?
    {
        return Ok(Performed::Held(waits));
    }
    let gone = remove::objects(kubernetes, cluster, target).await?;
    if gone != Performed::Finished {
        return Ok(gone);
    }
    if let Some(running) = &running
        && let Some(waits) = running.run(Moment::PostDelete, &mut notes, None).await?
    {
        return Ok(Performed::Held(waits));
    }
    clear(cluster, target, scene.spec.namespace()).await
}

/// Removes what hooks left, the values of secrets, the record and the namespaces.
async fn clear(
    cluster: &Cluster,
    target: &Target,
    named: Option<&str>,
) -> Result<Performed, CallError> {
    let found = manifests::found(cluster, target).await?;
    let sealed = sealed::key(target);
    let is_rest = |key: &crate::objects::Key, hook: bool| hook || *key == sealed;
    let mut is_left = false;
    for (key, entry) in &found {
        if is_rest(key, entry.hook.is_some()) && !entry.controlled {
            let gone = entry.deleting.is_none() && cluster.delete(key, &entry.uid).await?;
            is_left |= !gone && cluster.seen(key).is_some();
        }
    }
    if is_left { Ok(Performed::Underway) } else { remove::finish(cluster, target, named).await }
}

impl Provider<Helm> for Kubernetes {
    fn observe<'a>(
        &'a self,
        scene: Scene<'a, Helm>,
    ) -> BoxFuture<'a, Result<Option<Seen>, CallError>> {
        async move {
            let Some(credentials) = credentials(scene.inputs, &scene.spec.cluster) else {
                return Ok(None);
            };
            see(self, &self.clusters.get(credentials), scene).await
        }
        .boxed()
    }

    fn perform<'a>(
        &'a self,
        scene: Scene<'a, Helm>,
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
                    put(self, &cluster, scene, &desired).boxed().await
                }
                // Only workloads have canaries.
                Call::Canary { .. } | Call::Measure { .. } | Call::RemoveCanary => {
                    Ok(Performed::Finished)
                }
                Call::Delete => take_away(self, &cluster, scene).boxed().await,
            }
        }
        .boxed()
    }

    fn sweep(&self) -> BoxFuture<'_, Result<Vec<Target>, CallError>> {
        async move { Ok(self.targets_of(<Helm as domain::Kind>::NAME)) }.boxed()
    }

    /// No hooks run for what nobody knows any more.
    fn remove<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Performed, CallError>> {
        async move {
            let mut performed = Performed::Finished;
            for cluster in self.clusters.all() {
                if cluster.of(target.uid).is_ok_and(|found| !found.is_empty()) {
                    let mut gone = remove::objects(self, &cluster, target).await?;
                    if gone == Performed::Finished {
                        gone = clear(&cluster, target, None).await?;
                    }
                    if gone != Performed::Finished {
                        performed = Performed::Underway;
                    }
                }
            }
            Ok(performed)
        }
        .boxed()
    }

    fn changes(&self) -> BoxStream<'static, StreamId> {
        self.clusters.changes().listen(Some(<Helm as domain::Kind>::NAME))
    }
}

/// The kinds of what hooks make: they are looked for after a restart, too.
fn kind_of(object: &str) -> Option<String> {
    let mut words = object.split(' ');
    Some(format!("{} {}", words.next()?, words.next()?))
}

fn kinds_of<'a>(objects: impl Iterator<Item = &'a String>) -> BTreeSet<String> {
    objects.filter_map(|object| kind_of(object)).collect()
}
