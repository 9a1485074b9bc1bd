//! How a set of objects is, by what the watches saw.

use domain::OutputValue;
use domain::commit::Hash;
use reconcilers::CallError;
use reconcilers::converge::{Seen, SeenState};

use super::{Found, Item, Set, found, is_ours, namespaces, prepare, record};
use crate::cluster::Cluster;
use crate::differences::Differences;
use crate::ownership::lost;
use crate::provider::Kubernetes;

/// What a cluster's watches have seen. Requests are made for kinds that were never used before, and nothing else.
pub(crate) async fn see(
    kubernetes: &Kubernetes,
    cluster: &Cluster,
    set: Set<'_>,
    desired: Option<Hash>,
) -> Result<Option<Seen>, CallError> {
    let Set { target, spec, .. } = set;
    let items = prepare::items(cluster, target, spec, false).await?;
    let found = found(cluster, target).await?;
    let record = record::of(target, &found);
    if record.is_none() && !found.values().any(is_ours) {
        return Ok(None);
    }
    let unfinished = Hash::of(b"unfinished");
    let applied = record.and_then(|(_, entry)| entry.applied).unwrap_or(unfinished);
    let namespace = namespaces(target, spec.namespace()).pop().unwrap_or_default();
    let mut seen = Seen {
        outputs: [("namespace".to_owned(), OutputValue::plain(namespace))].into(),
        external: Some(record::key(target).to_string()),
        notices: cluster.warnings(found.iter().map(|(key, entry)| (key, entry.uid.as_str()))),
        ..Seen::new(applied, state(&found, &items))
    };
    if desired != Some(applied) {
        return Ok(Some(seen));
    }
    if is_unfinished(&found, &items) {
        (seen.applied, seen.actual) = (unfinished, unfinished);
    } else {
        differences(kubernetes, cluster, set, &found, &items).await?.tell(&mut seen);
    }
    Ok(Some(seen))
}

/// What is left of an earlier revision, or says something else than it should by our own word.
fn is_unfinished(found: &Found, items: &[Item]) -> bool {
    let wanted =
        |key| items.iter().find(|item| item.known.as_ref().is_some_and(|(known, _)| known == key));
    found
        .iter()
        .filter(|(_, entry)| is_ours(entry) && entry.deleting.is_none())
        .any(|(key, entry)| wanted(key).is_none_or(|item| entry.content != Some(item.content)))
}

/// The objects that are not there, or not ours in all that we said of them.
async fn differences(
    kubernetes: &Kubernetes,
    cluster: &Cluster,
    set: Set<'_>,
    found: &Found,
    items: &[Item],
) -> Result<Differences, CallError> {
    let mut differences = Differences::default();
    for item in items {
        let Some((key, _)) = &item.known else {
            differences.deleted(&format!("the kind {}", item.said.kind));
            continue;
        };
        let Some(entry) = found.get(key).filter(|entry| entry.deleting.is_none()) else {
            differences.deleted(&key.to_string());
            continue;
        };
        if kubernetes.verdicts.holds(entry, item.content) {
            continue;
        }
        let body = kubernetes.prepared(cluster, set, item, key).await?;
        match lost(&body, &entry.managed) {
            Some(lost) => differences.changed(key, lost),
            None => kubernetes.verdicts.note(entry, item.content),
        }
    }
    Ok(differences)
}

/// The worst of what each says of itself.
fn state(found: &Found, items: &[Item]) -> SeenState {
    let (mut pending, mut count) = (None, 0);
    for (key, entry) in items.iter().filter_map(|item| found.get_key_value(&item.known.as_ref()?.0))
    {
        match &entry.state {
            SeenState::Failed(reason) => {
                return SeenState::Failed(with_trouble(format!("{key}: {reason}"), found));
            }
            SeenState::Pending(reason) => {
                count += 1;
                pending.get_or_insert_with(|| format!("{key}: {reason}"));
            }
            SeenState::Ready | SeenState::Deleting => {}
        }
    }
    let Some(first) = pending else { return SeenState::Ready };
    let others = if count > 1 {
        format!(" ({count} of {} objects are not ready)", items.len())
    } else {
        String::new()
    };
    SeenState::Pending(with_trouble(format!("{first}{others}"), found))
}

fn with_trouble(reason: String, found: &Found) -> String {
    match found.values().find_map(|entry| entry.trouble.as_ref()) {
        Some(trouble) => format!("{reason}; {}", trouble.text),
        None => reason,
    }
}
