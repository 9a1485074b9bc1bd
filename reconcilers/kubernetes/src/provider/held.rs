//! What holds up a deletion: which object, by which finalizer, whose, and since when.

use domain::Time;
use reconcilers::Performed;
use serde_json::Value;

use crate::cluster::{Entry, Going};
use crate::objects::Key;
use crate::ownership::holder;

/// A deletion that takes no longer is held up by nobody: finalizers of Kubernetes' own come and go.
const PATIENCE_MICROS: i64 = 10 * 1_000_000;
/// The garbage collector's: it waits for what depends on the object.
const FOREGROUND: &str = "foregroundDeletion";
/// What is said of a namespace's own end, by the conditions that it has meanwhile (Kubernetes: namespace lifecycle).
const NAMESPACE_CONDITIONS: [&str; 5] = [
    "NamespaceFinalizersRemaining",
    "NamespaceContentRemaining",
    "NamespaceDeletionContentFailure",
    "NamespaceDeletionDiscoveryFailure",
    "NamespaceDeletionGroupVersionParsingFailure",
];

/// How a deletion is going whose objects are not all gone.
pub(super) fn objects(found: &[(Key, Entry)], now: Time) -> Performed {
    let late = found.iter().filter_map(|(key, entry)| {
        let going = entry.deleting.as_ref()?;
        let since = going.since.filter(|since| is_late(*since, now))?;
        Some((rank(going), key, entry, going, since))
    });
    // Who waits for somebody else is not the one to be asked.
    let Some((_, key, entry, going, since)) = late.min_by_key(|(rank, key, ..)| (*rank, *key))
    else {
        return Performed::Underway;
    };
    let words = match going.finalizers.iter().find(|finalizer| *finalizer != FOREGROUND) {
        Some(finalizer) => {
            let by = holder(&entry.managed, finalizer);
            let by = by.map(|by| format!(", which {by} put there")).unwrap_or_default();
            format!("{key} is held by the finalizer {finalizer}{by}")
        }
        None if going.finalizers.is_empty() => format!("{key} has yet to end"),
        None => format!("{key} waits for what depends on it"),
    };
    Performed::Held(format!("{words}, since {since}"))
}

/// Finalizers of others first, then what has yet to end, then what waits for something else.
fn rank(going: &Going) -> u8 {
    match going.finalizers.as_slice() {
        [] => 1,
        finalizers if finalizers.iter().all(|finalizer| finalizer == FOREGROUND) => 2,
        _ => 0,
    }
}

/// How the deletion of a namespace is going.
pub(super) fn namespace(namespace: &Value, now: Time) -> Performed {
    let text = |pointer: &str| namespace.pointer(pointer).and_then(Value::as_str);
    let since: Option<Time> =
        text("/metadata/deletionTimestamp").and_then(|since| since.parse().ok());
    let Some(since) = since.filter(|since| is_late(*since, now)) else {
        return Performed::Underway;
    };
    let conditions = namespace.pointer("/status/conditions").and_then(Value::as_array);
    let conditions: Vec<&Value> = conditions.into_iter().flatten().collect();
    let says = |name: &&str| {
        let field = |condition: &Value, field: &str| -> Option<String> {
            Some(condition.get(field)?.as_str()?.to_owned())
        };
        let found = conditions.iter().find(|it| field(it, "type").as_deref() == Some(*name))?;
        (field(found, "status").as_deref() == Some("True")).then(|| field(found, "message"))?
    };
    let why: Vec<String> = NAMESPACE_CONDITIONS.iter().filter_map(says).collect();
    let why = if why.is_empty() { String::new() } else { format!(": {}", why.join("; ")) };
    let name = text("/metadata/name").unwrap_or_default();
    Performed::Held(format!("namespace {name} is not gone, since {since}{why}"))
}

const fn is_late(since: Time, now: Time) -> bool {
    now.micros_since(since) >= PATIENCE_MICROS
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_namespace_says_what_is_left_in_it() {
        let namespace_of = |conditions: Value| {
            let since = json!({ "name": "dev-shop", "deletionTimestamp": "2026-11-22T10:00:00Z" });
            json!({ "metadata": since, "status": { "conditions": conditions } })
        };
        let left = namespace_of(json!([
            { "type": "NamespaceContentRemaining", "status": "True", "message": "widgets. has 1 resource instances" },
            { "type": "NamespaceFinalizersRemaining", "status": "True", "message": "example.com/hold in 1 resource instances" },
            { "type": "NamespaceDeletionDiscoveryFailure", "status": "False", "message": "all is well" },
        ]));
        let begun: Time = "2026-11-22T10:00:00Z".parse().unwrap();
        assert_eq!(namespace(&left, begun.plus_micros(1)), Performed::Underway);
        assert_eq!(
            namespace(&left, begun.plus_micros(PATIENCE_MICROS)),
            Performed::Held(
                "namespace dev-shop is not gone, since 2026-11-22T10:00:00.000000Z: example.com/hold in 1 resource \
                 instances; widgets. has 1 resource instances"
                    .into()
            )
        );
    }
}
