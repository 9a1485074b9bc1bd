//! Applies a set of objects in its order, then removes what is no longer wanted of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::commit::Hash;
use domain::kinds::manifests::{Scope, Spec};
use domain::lifecycle::FailureClass;
use futures::{StreamExt as _, TryStreamExt as _};
use reconcilers::converge::SeenState;
use reconcilers::{CallError, Performed, Target};
use serde_json::Value;

use super::{AT_ONCE, Found, Item, Set, found, is_ours, order, prepare, record, refused, remove};
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

/// A set of objects that is being applied.
pub(crate) struct Applying {
    items: Vec<Item>,
    /// What was there before.
    there: Found,
    /// The kinds of what is wanted.
    kinds: BTreeSet<String>,
    /// Those, and the kinds of what was wanted before.
    all: BTreeSet<String>,
}

/// Applies everything that does not say what it should, then removes what is no longer wanted.
pub(crate) async fn apply(
    kubernetes: &Kubernetes,
    cluster: &Cluster,
    set: Set<'_>,
    digest: Hash,
) -> Result<Performed, CallError> {
    let mut applying = begin(cluster, set, &BTreeSet::new()).await?;
    for turn in 0..order::TURNS {
        applying.turn(kubernetes, cluster, set, turn).await?;
    }
    applying.prune(kubernetes, cluster, set).await?;
    applying.finish(cluster, set, digest).await?;
    Ok(Performed::Finished)
}

/// Makes the namespaces, and notes which kinds have to be looked for: those of the set, and others.
pub(crate) async fn begin(
    cluster: &Cluster,
    set: Set<'_>,
    others: &BTreeSet<String>,
) -> Result<Applying, CallError> {
    let Set { target, spec, notes, .. } = set;
    let items = prepare::items(cluster, target, spec, true).await?;
    prepare::check_scope(&items, target, spec)?;
    let there = found(cluster, target).await?;
    make_namespaces(cluster, target, spec, &items).await?;
    let kinds = items.iter().map(|item| format!("{} {}", item.said.api_version, item.said.kind));
    let kinds: BTreeSet<String> = kinds.chain(others.iter().cloned()).collect();
    let recorded = record::of(target, &there).and_then(|(_, entry)| entry.record.clone());
    let known: BTreeSet<String> =
        recorded.as_ref().map(|record| record.kinds.clone()).unwrap_or_default();
    let all: BTreeSet<String> = known.union(&kinds).cloned().collect();
    if recorded.is_none_or(|record| all != known || record.notes != *notes) {
        put_record(cluster, set, &all, None).await?;
    }
    Ok(Applying { items, there, kinds, all })
}

impl Applying {
    /// Applies what has its turn.
    pub(crate) async fn turn(
        &mut self,
        kubernetes: &Kubernetes,
        cluster: &Cluster,
        set: Set<'_>,
        turn: u8,
    ) -> Result<(), CallError> {
        let Set { target, spec, .. } = set;
        if self.items.iter().any(|item| item.phase == turn && item.known.is_none()) {
            self.items = prepare::items(cluster, target, spec, true).await?;
            prepare::check_scope(&self.items, target, spec)?;
        }
        let there = &self.there;
        let of_turn = self.items.iter().filter(|item| item.phase == turn);
        futures::stream::iter(of_turn.map(Ok::<_, CallError>))
            .try_for_each_concurrent(AT_ONCE, |item| {
                apply_one(kubernetes, cluster, set, item, there)
            })
            .await?;
        if turn == order::DEFINITIONS {
            served(cluster, target, &self.items).await?;
        }
        Ok(())
    }

    /// Removes what is no longer wanted.
    pub(crate) async fn prune(
        &mut self,
        kubernetes: &Kubernetes,
        cluster: &Cluster,
        set: Set<'_>,
    ) -> Result<(), CallError> {
        let there = found(cluster, set.target).await?;
        prune(kubernetes, cluster, set.target, &self.items, &there).await?;
        self.there = cluster.of(set.target.uid)?.into_iter().collect();
        Ok(())
    }

    /// Notes what is going on, on the record.
    pub(crate) async fn note(&self, cluster: &Cluster, set: Set<'_>) -> Result<(), CallError> {
        put_record(cluster, set, &self.all, None).await
    }

    /// Notes that it is all done.
    pub(crate) async fn finish(
        self,
        cluster: &Cluster,
        set: Set<'_>,
        digest: Hash,
    ) -> Result<(), CallError> {
        // What is on its way out is looked for until it is gone.
        let is_left = leftovers(&self.items, &self.there).next().is_some();
        let kinds = if is_left { self.all } else { self.kinds };
        put_record(cluster, set, &kinds, Some(digest)).await
    }
}

/// Notes something on the record of what is there, if there is one.
pub(crate) async fn note(cluster: &Cluster, set: Set<'_>) -> Result<(), CallError> {
    let there = found(cluster, set.target).await?;
    let record = record::of(set.target, &there).and_then(|(_, entry)| entry.record.clone());
    match record {
        Some(record) => put_record(cluster, set, &record.kinds, None).await,
        None => Ok(()),
    }
}

/// Writes the record, unless it says that already.
async fn put_record(
    cluster: &Cluster,
    set: Set<'_>,
    kinds: &BTreeSet<String>,
    done: Option<Hash>,
) -> Result<(), CallError> {
    let object = record::object(set.target, kinds, set.spec.namespace(), set.notes, done);
    let key = object.key();
    let there = cluster.seen(&key).filter(|entry| entry.target.uid == set.target.uid);
    let same = |entry: &Entry| entry.deleting.is_none() && entry.content == Some(object.content());
    if there.is_some_and(|entry| same(&entry)) {
        return Ok(());
    }
    cluster.apply(&key, &object.filled(&BTreeMap::new()), true).await
}

/// Makes the namespaces that objects without one go into, unless one of the objects is it.
pub(crate) async fn make_namespaces(
    cluster: &Cluster,
    target: &Target,
    spec: &Spec,
    items: &[Item],
) -> Result<(), CallError> {
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
    set: Set<'_>,
    item: &Item,
    there: &Found,
) -> Result<(), CallError> {
    let Set { target, spec, .. } = set;
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
    let body = kubernetes.prepared(cluster, set, item, key).await?;
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
pub(crate) async fn may_take(
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
