//! Applies a set of objects in its order, then removes what is no longer wanted of it.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::commit::Hash;
use domain::kinds::Manifests;
use domain::kinds::manifests::Scope;
use domain::lifecycle::FailureClass;
use futures::{StreamExt as _, TryStreamExt as _};
use reconcilers::converge::SeenState;
use reconcilers::{CallError, Performed, Scene, Target};
use serde_json::Value;

use super::{AT_ONCE, Found, Item, found, is_ours, order, prepare, record, refused, remove};
use crate::cluster::{Cluster, Entry};
use crate::labels;
use crate::objects::{self, Key};
use crate::ownership::lost;
use crate::provider::{Kubernetes, make_namespace};

/// How long a definition may take to be served before the call is given up, to be made again.
const SERVED: Duration = Duration::from_secs(20);
/// What is never replaced by itself: what is in it would be lost.
const KEPT: [&str; 4] =
    ["CustomResourceDefinition", "Namespace", "PersistentVolume", "PersistentVolumeClaim"];

/// Applies everything that does not say what it should, then removes what is no longer wanted.
pub(super) async fn apply(
    kubernetes: &Kubernetes,
    cluster: &Cluster,
    scene: Scene<'_, Manifests>,
    digest: Hash,
) -> Result<Performed, CallError> {
    let (target, spec) = (scene.target, scene.spec);
    let mut items = prepare::items(cluster, target, spec, true).await?;
    prepare::check_scope(&items, target, spec)?;
    let mut there = found(cluster, target).await?;
    make_namespaces(cluster, scene, &items).await?;
    let kinds: BTreeSet<String> =
        items.iter().map(|item| format!("{} {}", item.said.api_version, item.said.kind)).collect();
    let named = spec.namespace();
    let recorded = record::of(target, &there).map(|(_, entry)| entry);
    let known: BTreeSet<String> = recorded
        .and_then(|entry| entry.record.as_ref())
        .map(|it| it.kinds.clone())
        .unwrap_or_default();
    let all: BTreeSet<String> = known.union(&kinds).cloned().collect();
    if recorded.is_none() || all != known {
        put_record(cluster, target, &all, named, None).await?;
    }
    for turn in 0..order::TURNS {
        if items.iter().any(|item| item.phase == turn && item.known.is_none()) {
            items = prepare::items(cluster, target, spec, true).await?;
            prepare::check_scope(&items, target, spec)?;
        }
        let of_turn = items.iter().filter(|item| item.phase == turn);
        futures::stream::iter(of_turn.map(Ok::<_, CallError>))
            .try_for_each_concurrent(AT_ONCE, |item| {
                apply_one(kubernetes, cluster, scene, item, &there)
            })
            .await?;
        if turn == order::DEFINITIONS {
            served(cluster, target, &items).await?;
        }
    }
    there = found(cluster, target).await?;
    prune(kubernetes, cluster, target, &items, &there).await?;
    there = cluster.of(target.uid)?.into_iter().collect();
    // What is on its way out is looked for until it is gone.
    let kinds = if leftovers(&items, &there).next().is_some() { all } else { kinds };
    let done = Some(digest);
    let written = record::object(target, &kinds, named, done).content();
    if record::of(target, &there).is_none_or(|(_, entry)| entry.content != Some(written)) {
        put_record(cluster, target, &kinds, named, done).await?;
    }
    Ok(Performed::Finished)
}

async fn put_record(
    cluster: &Cluster,
    target: &Target,
    kinds: &BTreeSet<String>,
    named: Option<&str>,
    done: Option<Hash>,
) -> Result<(), CallError> {
    let object = record::object(target, kinds, named, done);
    cluster.apply(&object.key(), &object.filled(&std::collections::BTreeMap::new()), true).await
}

/// Makes the namespaces that objects without one go into, unless one of the objects is it.
async fn make_namespaces(
    cluster: &Cluster,
    scene: Scene<'_, Manifests>,
    items: &[Item],
) -> Result<(), CallError> {
    let (target, spec) = (scene.target, scene.spec);
    make_namespace(cluster, target, &objects::namespace(target)).await?;
    let Some(named) = spec.namespace() else { return Ok(()) };
    let is_it = |item: &Item| item.phase == order::NAMESPACES && item.said.name == named;
    let key = crate::cluster::namespace_key(named);
    let theirs = !cluster.has_namespace(named) && cluster.metadata(&key).await?.is_some();
    if theirs || spec.scope == Scope::Namespace || items.iter().any(is_it) {
        return Ok(());
    }
    let object = objects::namespace_called(target, named, spec.pod_security.as_str());
    make_namespace(cluster, target, &object).await
}

async fn apply_one(
    kubernetes: &Kubernetes,
    cluster: &Cluster,
    scene: Scene<'_, Manifests>,
    item: &Item,
    there: &Found,
) -> Result<(), CallError> {
    let (target, spec) = (scene.target, scene.spec);
    let Some((key, _)) = &item.known else {
        let message = format!(
            "{} {}: the cluster does not know this kind of {}; install what defines it first",
            item.said.kind, item.said.name, item.said.api_version
        );
        return Err(refused(FailureClass::Retry, message));
    };
    let entry = there.get(key);
    if let Some(entry) = entry {
        if entry.deleting.is_some() {
            let message = format!("{key} is being deleted; it is made again when it is gone");
            return Err(refused(FailureClass::Retry, message));
        }
        if entry.content == Some(item.content) && kubernetes.verdicts.holds(entry, item.content) {
            return Ok(());
        }
    }
    let body = kubernetes.prepared(item, key, target, spec).await?;
    if let Some(entry) = entry
        && entry.content == Some(item.content)
        && lost(&body, &entry.managed).is_none()
    {
        kubernetes.verdicts.note(entry, item.content);
        return Ok(());
    }
    let takes = match entry {
        Some(_) => true,
        None => may_take(cluster, key, target, spec.adopt).await? && spec.force,
    };
    match cluster.apply(key, &body, takes).await {
        Ok(()) => {
            // What the server made of our own words is no drift.
            if let Some(entry) =
                cluster.seen(key).filter(|entry| entry.content == Some(item.content))
            {
                kubernetes.verdicts.note(&entry, item.content);
            }
            Ok(())
        }
        Err(error) => Err(cannot_change(cluster, key, entry, spec.replace, error).await),
    }
}

/// Whether an object is there that is not ours and may be taken over.
async fn may_take(
    cluster: &Cluster,
    key: &Key,
    target: &Target,
    adopt: bool,
) -> Result<bool, CallError> {
    let Some(metadata) = cluster.metadata(key).await? else { return Ok(false) };
    let label = |name: &str| {
        let labels = metadata.get("labels").and_then(Value::as_object);
        labels.and_then(|labels| labels.get(name)).and_then(Value::as_str).map(str::to_owned)
    };
    let uid = label(labels::UID);
    if uid.as_deref() == Some(target.uid.to_string().as_str()) {
        return Ok(true);
    }
    if uid.is_some() {
        let of = metadata
            .get("annotations")
            .and_then(|all| all.get(labels::RESOURCE))
            .and_then(Value::as_str);
        let of = of.unwrap_or("another resource");
        let message =
            format!("{key} is there already and belongs to {of}; take it out of one of the two");
        return Err(refused(FailureClass::Terminal, message));
    }
    if adopt {
        return Ok(true);
    }
    let managers = metadata.get("managedFields").and_then(Value::as_array).into_iter().flatten();
    let managers: BTreeSet<&str> =
        managers.filter_map(|one| one.get("manager")?.as_str()).collect();
    let managers = managers.into_iter().collect::<Vec<_>>().join(", ");
    let message = format!(
        "{key} is there already and is not Cairn's: {managers} made it; set `adopt: true` to take it over, or take it out"
    );
    Err(refused(FailureClass::Terminal, message))
}

/// What becomes of an object that refuses a change for good: it is replaced where that is allowed.
async fn cannot_change(
    cluster: &Cluster,
    key: &Key,
    entry: Option<&Entry>,
    replace: bool,
    error: CallError,
) -> CallError {
    // There is no other sign of it (Flux and Helm read the same words).
    let forbids = error.message.contains("immutable")
        || error.message.contains("Forbidden: updates to")
        || error.message.contains("may not be changed");
    let Some(entry) = entry.filter(|_| forbids && error.class == FailureClass::Terminal) else {
        return error;
    };
    if KEPT.contains(&key.kind.as_str()) {
        let message = format!(
            "{}; it is never replaced by itself: what is in it would be lost",
            error.message
        );
        return refused(FailureClass::Terminal, message);
    }
    if !replace && key.kind != "Job" {
        let message =
            format!("{}; set `replace: true` to have it removed and made anew", error.message);
        return refused(FailureClass::Terminal, message);
    }
    match cluster.delete(key, &entry.uid).await {
        Ok(_) => refused(
            FailureClass::Retry,
            format!("{key} cannot change as asked: it is being replaced"),
        ),
        Err(error) => error,
    }
}

/// Waits until what is defined is served: nothing of it can be applied before.
async fn served(cluster: &Cluster, target: &Target, items: &[Item]) -> Result<(), CallError> {
    let definitions: Vec<&Key> = items
        .iter()
        .filter(|item| item.phase == order::DEFINITIONS)
        .filter_map(|item| item.known.as_ref().map(|(key, _)| key))
        .collect();
    let missing = || {
        definitions
            .iter()
            .find(|key| cluster.seen(key).is_none_or(|entry| entry.state != SeenState::Ready))
    };
    let mut changes = cluster.changes_of(&target.stream());
    let waited = tokio::time::timeout(SERVED, async {
        while missing().is_some() && changes.next().await.is_some() {}
    });
    let _ = waited.await;
    match missing() {
        None => Ok(()),
        Some(key) => {
            Err(refused(FailureClass::Retry, format!("{key}: its kind is not served yet")))
        }
    }
}

/// What is ours and no longer wanted.
fn leftovers<'a>(
    items: &'a [Item],
    there: &'a Found,
) -> impl Iterator<Item = (&'a Key, &'a Entry)> {
    let wanted: BTreeSet<&Key> =
        items.iter().filter_map(|item| item.known.as_ref().map(|(key, _)| key)).collect();
    there.iter().filter(move |(key, entry)| is_ours(entry) && !wanted.contains(key))
}

/// Removes what is no longer wanted, what came last first.
async fn prune(
    kubernetes: &Kubernetes,
    cluster: &Cluster,
    target: &Target,
    items: &[Item],
    there: &Found,
) -> Result<(), CallError> {
    let mut left: Vec<(&Key, &Entry)> =
        leftovers(items, there).filter(|(_, entry)| entry.deleting.is_none()).collect();
    left.sort_by_key(|(key, _)| std::cmp::Reverse(remove::turn(key)));
    for (key, entry) in left {
        remove::one(kubernetes, cluster, target, key, entry).await?;
    }
    Ok(())
}
