//! Looks at, applies and deletes the objects of one incarnation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::commit::Hash;
use domain::lifecycle::FailureClass;
use domain::text::Unresolved;
use reconcilers::converge::{Desired, Seen, SeenState};
use reconcilers::{CallError, Performed, Scene, Target};
use serde_json::Value;

use super::trouble::trouble;
use super::{Hosted, held};
use crate::cluster::{Cluster, Clusters, Entry, is_of, namespace_key};
use crate::differences::Differences;
use crate::objects::{self, Key, Object};
use crate::ownership::lost;

/// Everything that was seen of an incarnation.
pub(super) type Found = BTreeMap<Key, Entry>;

/// What a cluster's watches have seen of an incarnation. No request is made, but for what a container that crashed wrote
/// last: once, and beside.
pub(super) fn see<K: Hosted>(
    clusters: &Arc<Clusters>,
    cluster: &Arc<Cluster>,
    scene: Scene<'_, K>,
) -> Result<Option<Seen>, CallError> {
    let found: Found = cluster.of(scene.target.uid)?.into_iter().collect();
    let desired = K::desired(scene.spec, scene.inputs).map(Desired::new).ok();
    let digest = desired.as_ref().map(|desired| desired.digest);
    let marked = found.iter().filter_map(|(key, entry)| Some((key, entry, entry.applied?)));
    // Of several jobs, the one that is wanted; otherwise the newest.
    let main = marked.max_by_key(|(_, entry, applied)| (digest == Some(*applied), entry.version));
    let Some((key, main, applied)) = main else { return Ok(None) };
    let others = found.iter().filter(|(other, _)| *other != key && is_ours(other));
    let state = state(main, others, trouble(clusters, cluster, scene, &found));
    let mut seen = Seen {
        outputs: K::published(scene, found.values().find_map(|entry| entry.address.as_deref())),
        external: Some(format!("{}/{}", key.namespace.as_deref().unwrap_or_default(), key.name)),
        notices: cluster.warnings(found.iter().map(|(key, entry)| (key, entry.uid.as_str()))),
        ..Seen::new(applied, state)
    };
    let Some(desired) = desired.filter(|desired| desired.digest == applied) else {
        return Ok(Some(seen));
    };
    let Ok(wanted) = K::objects(scene, &desired) else { return Ok(Some(seen)) };
    if has_leftovers(&found, &wanted) {
        // A crash came between the last object and the removal of what is no longer wanted: it is applied again.
        let unfinished = Hash::of(applied.as_bytes());
        (seen.applied, seen.actual) = (unfinished, unfinished);
    } else {
        differences(&found, &wanted).tell(&mut seen);
    }
    Ok(Some(seen))
}

/// What a cluster's watches have seen of the canary of an incarnation.
pub(super) fn see_canary<K: Hosted>(
    clusters: &Arc<Clusters>,
    cluster: &Arc<Cluster>,
    scene: Scene<'_, K>,
) -> Result<Option<Box<Seen>>, CallError> {
    let found: Found = cluster.of(scene.target.canary().uid)?.into_iter().collect();
    let ours = || found.iter().filter(|(key, _)| is_ours(key));
    if ours().next().is_none() {
        return Ok(None);
    }
    let main = ours().find_map(|(key, entry)| Some((key, entry, entry.applied?)));
    let (applied, state) = match main {
        Some((key, main, applied)) => {
            let others = ours().filter(|(other, _)| *other != key);
            (applied, state(main, others, trouble(clusters, cluster, scene, &found)))
        }
        // Only a part of it was made, or is left.
        None => (Hash::of(&[]), SeenState::Pending("a part of it is there".into())),
    };
    Ok(Some(Box::new(Seen::new(applied, state))))
}

/// What the cluster brings along, as if it had been made as it is wanted.
pub(super) fn brought<K: Hosted>(scene: Scene<'_, K>, name: Option<String>) -> Option<Seen> {
    let desired = K::desired(scene.spec, scene.inputs).map(Desired::new).ok()?;
    Some(Seen {
        outputs: K::published(scene, None),
        external: Some(name?),
        borrowed: true,
        ..Seen::new(desired.digest, SeenState::Ready)
    })
}

/// How the whole is: as the main object says, else the first of the others that is not ready; and why its pods do not
/// run where they do not.
fn state<'a>(
    main: &Entry,
    others: impl Iterator<Item = (&'a Key, &'a Entry)>,
    trouble: Option<String>,
) -> SeenState {
    if main.deleting.is_some() {
        return SeenState::Deleting;
    }
    if main.state == SeenState::Ready {
        let unready =
            others.filter(|(_, entry)| entry.deleting.is_none()).find_map(|(key, other)| {
                match &other.state {
                    SeenState::Pending(reason) => {
                        Some(SeenState::Pending(format!("{key}: {reason}")))
                    }
                    SeenState::Failed(reason) => {
                        Some(SeenState::Failed(format!("{key}: {reason}")))
                    }
                    SeenState::Ready | SeenState::Deleting => None,
                }
            });
        return unready.unwrap_or(SeenState::Ready);
    }
    match (&main.state, trouble) {
        (SeenState::Pending(reason), Some(trouble)) => {
            SeenState::Pending(format!("{reason}; {trouble}"))
        }
        (SeenState::Failed(reason), Some(trouble)) => {
            SeenState::Failed(format!("{reason}; {trouble}"))
        }
        (state, _) => state.clone(),
    }
}

/// Pods are their controllers'.
fn is_ours(key: &Key) -> bool {
    key.kind != "Pod"
}

/// Whether it goes when it is no longer wanted. A disk holds data: it stays until all of its volume is deleted.
fn goes(key: &Key, entry: &Entry) -> bool {
    is_ours(key) && key.kind != "PersistentVolumeClaim" && entry.deleting.is_none()
}

fn has_leftovers(found: &Found, wanted: &[Object]) -> bool {
    let wanted: BTreeSet<Key> = wanted.iter().map(Object::key).collect();
    found.iter().any(|(key, entry)| goes(key, entry) && !wanted.contains(key))
}

/// The objects that are not there, or not ours in all that we said of them.
fn differences(found: &Found, wanted: &[Object]) -> Differences {
    let mut differences = Differences::default();
    for object in wanted {
        let key = object.key();
        match found.get(&key).filter(|entry| entry.deleting.is_none()) {
            None => differences.deleted(&key.to_string()),
            Some(entry) => {
                if let Some(lost) = lost(&object.filled(&BTreeMap::new()), &entry.managed) {
                    differences.changed(&key, lost);
                }
            }
        }
    }
    differences
}

/// Objects, as far as all that they refer to is there.
pub(super) fn resolved(objects: Result<Vec<Object>, Unresolved>) -> Result<Vec<Object>, CallError> {
    objects.map_err(|unresolved| refused(FailureClass::Retry, unresolved.to_string()))
}

/// Applies everything that does not say what it should, then removes what is no longer wanted.
pub(super) async fn apply(
    clusters: &Clusters,
    cluster: &Cluster,
    target: &Target,
    wanted: Vec<Object>,
) -> Result<Performed, CallError> {
    for object in &wanted {
        let Key { api_version, kind, .. } = object.key();
        if cluster.follow(&api_version, &kind, true).await?.is_none() {
            let message = format!(
                "the cluster has no {kind} of {api_version}: it comes with the support service that serves it"
            );
            return Err(refused(FailureClass::Retry, message));
        }
    }
    let found: Found = cluster.of(target.uid)?.into_iter().collect();
    make_namespace(cluster, target, &objects::namespace(target)).await?;
    for object in &wanted {
        apply_one(clusters, cluster, object, found.get(&object.key())).await?;
    }
    let keys: BTreeSet<Key> = wanted.iter().map(Object::key).collect();
    for (key, entry) in &found {
        if goes(key, entry) && !keys.contains(key) {
            cluster.delete(key, &entry.uid).await?;
        }
    }
    Ok(Performed::Finished)
}

fn refused(class: FailureClass, message: String) -> CallError {
    CallError { class, message }
}

async fn apply_one(
    clusters: &Clusters,
    cluster: &Cluster,
    object: &Object,
    found: Option<&Entry>,
) -> Result<(), CallError> {
    let key = object.key();
    if let Some(entry) = found {
        if entry.deleting.is_some() {
            let message = format!("{key} is being deleted; it is made again when it is gone");
            return Err(refused(FailureClass::Retry, message));
        }
        let same = entry.content == Some(object.content());
        if same && lost(&object.filled(&BTreeMap::new()), &entry.managed).is_none() {
            return Ok(());
        }
    }
    let mut values = BTreeMap::new();
    for (name, reference) in &object.secrets {
        values.insert(name.clone(), clusters.secret(reference).await?);
    }
    // What is ours is set right; what is not known to be ours is not taken from anybody.
    cluster.apply(&key, &object.filled(&values), found.is_some() || object.taken).await
}

/// Makes the namespace, unless it is there. One that somebody else made is theirs.
pub(crate) async fn make_namespace(
    cluster: &Cluster,
    target: &Target,
    object: &Object,
) -> Result<(), CallError> {
    let key = object.key();
    if cluster.has_namespace(&key.name) {
        return Ok(());
    }
    // All of an application needs it at the same moment: it is asked for once.
    let _alone = cluster.alone(&key.name).await;
    if cluster.has_namespace(&key.name) {
        return Ok(());
    }
    if cluster.create(&key, &object.body).await?.is_some() {
        return Ok(());
    }
    let name = &key.name;
    let Some(there) = cluster.get(&key).await? else {
        let message = format!("namespace {name} was deleted just now; it is made again");
        return Err(refused(FailureClass::Retry, message));
    };
    if there.pointer("/metadata/deletionTimestamp").is_some() {
        let message = format!("namespace {name} is still being deleted");
        return Err(refused(FailureClass::Retry, message));
    }
    if is_of(&there, &target.tenant) {
        return Ok(());
    }
    let message = format!(
        "namespace {name} is there already and is not Cairn's; delete it, or choose another name"
    );
    Err(refused(FailureClass::Terminal, message))
}

/// Deletes everything of an incarnation and its canary, and its namespace when it was the last in it.
pub(super) async fn delete(cluster: &Cluster, target: &Target) -> Result<Performed, CallError> {
    let canary = delete_objects(cluster, &target.canary()).await?;
    let main = delete_objects(cluster, target).await?;
    for gone in [main, canary] {
        if gone != Performed::Finished {
            return Ok(gone);
        }
    }
    let (_, namespace) = objects::address(target);
    delete_namespace(cluster, target, &namespace).await
}

/// Deletes the objects of one incarnation.
pub(super) async fn delete_objects(
    cluster: &Cluster,
    target: &Target,
) -> Result<Performed, CallError> {
    let found = cluster.of(target.uid)?;
    for (key, entry) in found.iter().filter(|(key, _)| is_ours(key)) {
        if entry.deleting.is_none() {
            cluster.delete(key, &entry.uid).await?;
        }
    }
    let left = cluster.of(target.uid)?;
    if !left.is_empty() {
        return Ok(held::objects(&left, cluster.now()));
    }
    Ok(Performed::Finished)
}

pub(crate) async fn delete_namespace(
    cluster: &Cluster,
    target: &Target,
    namespace: &str,
) -> Result<Performed, CallError> {
    if !cluster.is_empty_in(namespace) || !cluster.knows_namespace(namespace) {
        return Ok(Performed::Finished);
    }
    let key = namespace_key(namespace);
    let Some(there) = cluster.get(&key).await? else { return Ok(Performed::Finished) };
    if !is_of(&there, &target.tenant) {
        return Ok(Performed::Finished);
    }
    if there.pointer("/metadata/deletionTimestamp").is_none() {
        let uid = there.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
        cluster.delete(&key, uid).await?;
    }
    Ok(held::namespace(&there, cluster.now()))
}
