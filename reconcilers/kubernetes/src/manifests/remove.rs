//! Removes a set of objects, in the reverse of the order in which it was applied.

use domain::lifecycle::FailureClass;
use futures::TryStreamExt as _;
use reconcilers::{CallError, Performed, Target};
use serde_json::Value;

use super::{AT_ONCE, Found, found, is_ours, namespaces, order, record, refused};
use crate::cluster::{Cluster, Entry, namespace_key};
use crate::objects::Key;
use crate::provider::{Kubernetes, delete_namespace};

/// Finalizers of Kubernetes' own, which its controllers take off within moments.
const OWN: [&str; 4] = [
    "foregroundDeletion",
    "orphan",
    "customresourcecleanup.apiextensions.k8s.io",
    "kubernetes.io/pvc-protection",
];

/// When an object was applied: it goes in the reverse order.
pub(crate) fn turn(key: &Key) -> u8 {
    let group = key.api_version.split_once('/').map_or("", |(group, _)| group);
    order::phase_of(group, &key.kind)
}

/// Removes everything of an incarnation: one turn after the other, the record last, then the namespaces.
pub(crate) async fn all(
    kubernetes: &Kubernetes,
    cluster: &Cluster,
    target: &Target,
    named: Option<&str>,
) -> Result<Performed, CallError> {
    match objects(kubernetes, cluster, target).await? {
        Performed::Finished => finish(cluster, target, named).await,
        unfinished @ (Performed::Underway | Performed::Held(_) | Performed::Measured { .. }) => {
            Ok(unfinished)
        }
    }
}

/// Removes every object of an incarnation, one turn after the other.
pub(crate) async fn objects(
    kubernetes: &Kubernetes,
    cluster: &Cluster,
    target: &Target,
) -> Result<Performed, CallError> {
    loop {
        let there = found(cluster, target).await?;
        let of = |turn: u8| {
            there.iter().filter(move |(key, entry)| is_ours(entry) && self::turn(key) == turn)
        };
        let Some(last) = (0..order::TURNS).rev().find(|turn| of(*turn).next().is_some()) else {
            return Ok(Performed::Finished);
        };
        let of_turn = of(last).filter(|(_, entry)| entry.deleting.is_none());
        futures::stream::iter(of_turn.map(Ok::<_, CallError>))
            .try_for_each_concurrent(AT_ONCE, |(key, entry)| {
                one(kubernetes, cluster, target, key, entry)
            })
            .await?;
        let left: Found = cluster.of(target.uid)?.into_iter().collect();
        let of_turn = |(key, entry): &(&Key, &Entry)| is_ours(entry) && turn(key) == last;
        if let Some((key, entry)) = left.iter().find(of_turn) {
            return held(key, entry);
        }
    }
}

/// What is on its way out is waited for; what somebody else holds is said.
fn held(key: &Key, entry: &Entry) -> Result<Performed, CallError> {
    let finalizers = entry.deleting.iter().flat_map(|going| &going.finalizers);
    let finalizers = finalizers.filter(|one| !OWN.contains(&one.as_str()));
    let finalizers: Vec<&str> = finalizers.map(String::as_str).collect();
    if finalizers.is_empty() {
        return Ok(Performed::Underway);
    }
    let message = format!("{key} is held by the finalizer {}", finalizers.join(", "));
    Err(refused(FailureClass::Retry, message))
}

/// Removes the record of objects that are gone, and the namespaces that were made for them.
pub(crate) async fn finish(
    cluster: &Cluster,
    target: &Target,
    named: Option<&str>,
) -> Result<Performed, CallError> {
    let there = found(cluster, target).await?;
    let record = record::of(target, &there);
    let recorded = record.and_then(|(_, entry)| entry.record.as_ref()?.namespace.clone());
    let named = named.map(str::to_owned).or(recorded);
    let mut performed = Performed::Finished;
    let own = crate::labels::namespace(target);
    for namespace in namespaces(target, named.as_deref()).iter().filter(|one| **one != own) {
        // Once its removal has begun the cluster ends it by itself.
        match delete_namespace(cluster, target, namespace).await? {
            Performed::Finished => {}
            unfinished
            @ (Performed::Underway | Performed::Held(_) | Performed::Measured { .. }) => {
                performed = unfinished
            }
        }
    }
    // The record says what the other namespace is, so it stays until then.
    if let Some((key, entry)) = record {
        cluster.delete(key, &entry.uid).await?;
    }
    if cluster.seen(&record::key(target)).is_some_and(|entry| entry.target.uid == target.uid) {
        return Ok(Performed::Underway);
    }
    Ok(match delete_namespace(cluster, target, &own).await? {
        Performed::Finished => performed,
        unfinished @ (Performed::Underway | Performed::Held(_) | Performed::Measured { .. }) => {
            unfinished
        }
    })
}

/// Removes one object. A definition of resources stays while there are resources of others: they would go with it.
pub(crate) async fn one(
    kubernetes: &Kubernetes,
    cluster: &Cluster,
    target: &Target,
    key: &Key,
    entry: &Entry,
) -> Result<(), CallError> {
    if entry.stays {
        // What is in a namespace would go with it.
        if let Some(namespace) = key.namespace.as_deref().filter(|its| cluster.knows_namespace(its))
        {
            cluster.release(&namespace_key(namespace)).await?;
        }
        return cluster.release(key).await;
    }
    if key.kind == "CustomResourceDefinition" && turn(key) == order::DEFINITIONS {
        let uid = target.uid.to_string();
        if let Some(definition) = cluster.get(key).await?
            && let Some((api_version, kind)) = defined(&definition)
            && let Some(other) = cluster.other(&api_version, &kind, &uid).await?
        {
            let message = format!(
                "{key} stays while there are resources of it that are not ours, such as {other}: they would go with it"
            );
            return Err(refused(FailureClass::Retry, message));
        }
    }
    cluster.delete(key, &entry.uid).await?;
    kubernetes.verdicts.forget(&entry.uid);
    Ok(())
}

/// The kind that a definition defines, in the version that is stored.
fn defined(definition: &Value) -> Option<(String, String)> {
    let text = |value: &Value, pointer: &str| value.pointer(pointer)?.as_str().map(str::to_owned);
    let versions = definition.pointer("/spec/versions")?.as_array()?;
    let served = |version: &&Value| version.get("served").and_then(Value::as_bool) == Some(true);
    let version = text(versions.iter().find(served)?, "/name")?;
    let group = text(definition, "/spec/group")?;
    Some((format!("{group}/{version}"), text(definition, "/spec/names/kind")?))
}
