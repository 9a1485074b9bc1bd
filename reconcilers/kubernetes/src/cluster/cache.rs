//! What the watches of a cluster saw of our objects. Bounded by their number; of each, only what is asked for is kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use domain::commit::Hash;
use domain::{KindName, Time};
use reconcilers::Target;
use reconcilers::converge::SeenState;
use serde_json::Value;
use uuid::Uuid;

use super::kinds::Watched;
use crate::health::{Trouble, any, health, pod_trouble};
use crate::labels;
use crate::objects::Key;

/// What is kept of an object.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Whose it is.
    pub(crate) target: Target,
    /// Its uid in the cluster, for deletions that must not meet another of the same name.
    pub(crate) uid: String,
    /// Grows with every change (Kubernetes: comparable since 1.35).
    pub(crate) version: u64,
    /// The digest of what was last asked for.
    pub(crate) applied: Option<Hash>,
    /// The digest of what we said of this object.
    pub(crate) content: Option<Hash>,
    /// Who owns which of its fields.
    pub(crate) managed: Arc<[Value]>,
    /// It is being deleted.
    pub(crate) deleting: Option<Going>,
    /// How it is.
    pub(crate) state: SeenState,
    /// Where a gateway is reached.
    pub(crate) address: Option<String>,
    /// Where it is a pod, when it was made, in the cluster's words: later is greater.
    pub(crate) born: Option<Arc<str>>,
    /// What keeps a pod from running.
    pub(crate) trouble: Option<Trouble>,
    /// A controller made it for another object.
    pub(crate) controlled: bool,
    /// Where it is the record of a set of objects: which kinds are among them, and the namespace made for them.
    pub(crate) record: Option<Arc<Record>>,
    /// Where a hook of a chart made it: which run.
    pub(crate) hook: Option<Arc<str>>,
    /// It stays when its chart goes.
    pub(crate) stays: bool,
}

/// What has to be looked for of a set of objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// `apiVersion kind`, of each.
    pub(crate) kinds: BTreeSet<String>,
    /// The namespace that was named for them.
    pub(crate) namespace: Option<String>,
    /// What else is noted on it, by the end of the annotation's name.
    pub(crate) notes: BTreeMap<String, String>,
}

/// A deletion that is not over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Going {
    /// When it was to be gone; none while only we know of it.
    pub(crate) since: Option<Time>,
    /// What holds it.
    pub(crate) finalizers: Vec<String>,
}

impl Entry {
    /// What is kept of an object; none when it does not say whose it is.
    pub(crate) fn of(object: &Value) -> Option<Self> {
        let map = |pointer: &str| -> BTreeMap<String, String> {
            let fields = object.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
            fields
                .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect()
        };
        let annotations = map("/metadata/annotations");
        let target = labels::target(&map("/metadata/labels"), &annotations)?;
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let list = |pointer: &str| {
            object.pointer(pointer).and_then(Value::as_array).cloned().unwrap_or_default()
        };
        let finalizers = || {
            let all = list("/metadata/finalizers");
            all.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let digest = |name: &str| annotations.get(name).and_then(|text| Hash::from_hex(text));
        let is_pod = text("/kind") == Some("Pod");
        let controlled = list("/metadata/ownerReferences")
            .iter()
            .any(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true));
        let record = annotations.get(labels::KINDS).map(|kinds| {
            let kinds = kinds.split(',').filter(|kind| !kind.is_empty());
            let kinds = kinds.map(str::to_owned).collect();
            let noted = |(name, text): (&String, &String)| {
                Some((name.strip_prefix(labels::HELM)?.to_owned(), text.clone()))
            };
            let notes = annotations.iter().filter_map(noted).collect();
            let namespace = annotations.get(labels::NAMESPACE).cloned();
            Arc::new(Record { kinds, namespace, notes })
        });
        let written = matches!(target.id.kind, KindName::Helm | KindName::Manifests);
        let stays = target.id.kind == KindName::Helm
            && annotations.get(labels::POLICY).is_some_and(|policy| policy.trim() == "keep");
        Some(Self {
            target,
            uid: text("/metadata/uid").unwrap_or_default().to_owned(),
            version: version(object),
            applied: digest(labels::APPLIED),
            content: digest(labels::CONTENT),
            // A pod is its controller's: who owns its fields is never asked.
            managed: if is_pod && controlled {
                Arc::from([])
            } else {
                owners(list("/metadata/managedFields"))
            },
            deleting: text("/metadata/deletionTimestamp")
                .map(|since| Going { since: since.parse().ok(), finalizers: finalizers() }),
            state: if written { any::health(object) } else { health(object) },
            address: text("/status/addresses/0/value").map(str::to_owned),
            born: text("/metadata/creationTimestamp").filter(|_| is_pod).map(Arc::from),
            trouble: if is_pod { pod_trouble(object) } else { None },
            controlled,
            record,
            hook: annotations.get(labels::HOOK).map(|run| Arc::from(run.as_str())),
            stays,
        })
    }
}

/// Who owns which fields of what is wanted: what is told of its status is nobody's concern here.
fn owners(mut managed: Vec<Value>) -> Arc<[Value]> {
    let of_status =
        |entry: &Value| entry.get("subresource").and_then(Value::as_str) == Some("status");
    managed.retain(|entry| !of_status(entry));
    managed.into()
}

/// The resource version of an object.
pub(crate) fn version(object: &Value) -> u64 {
    let text = object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Everything of ours in one cluster.
#[derive(Default)]
pub(crate) struct Cache {
    entries: HashMap<Key, Entry>,
    by_uid: HashMap<Uuid, BTreeSet<Key>>,
}

impl Cache {
    /// Takes in an object, unless a newer one is there. Gives whose it is when it is news.
    pub(crate) fn put(&mut self, key: Key, entry: Entry) -> Option<Target> {
        if self
            .entries
            .get(&key)
            .is_some_and(|known| known.version >= entry.version && known.uid == entry.uid)
        {
            return None;
        }
        let target = entry.target.clone();
        self.remove(&key);
        self.by_uid.entry(target.uid).or_default().insert(key.clone());
        self.entries.insert(key, entry);
        Some(target)
    }

    /// Drops an object. Gives whose it was.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<Target> {
        let entry = self.entries.remove(key)?;
        if let Some(keys) = self.by_uid.get_mut(&entry.target.uid) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_uid.remove(&entry.target.uid);
            }
        }
        Some(entry.target)
    }

    /// Drops what is of a kind and was not listed. Gives whose it was.
    pub(crate) fn keep_only(&mut self, of: &Watched, listed: &BTreeSet<Key>) -> Vec<Target> {
        let same = |key: &&Key| key.kind == of.kind() && key.api_version == of.api_version();
        let gone = self.entries.keys().filter(same).filter(|key| !listed.contains(*key));
        let gone: Vec<Key> = gone.cloned().collect();
        gone.iter().filter_map(|key| self.remove(key)).collect()
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// An object of this uid is on its way out: nobody has to wait for the watch to say so.
    pub(crate) fn mark_deleting(&mut self, key: &Key, uid: &str) {
        if let Some(entry) = self.entries.get_mut(key).filter(|entry| entry.uid == uid) {
            entry.deleting.get_or_insert_default();
        }
    }

    /// Whether there is an object of this uid.
    pub(crate) fn knows(&self, uid: &str) -> bool {
        self.entries.values().any(|entry| entry.uid == uid)
    }

    /// Whose the object of this uid is.
    pub(crate) fn owner(&self, uid: &str) -> Option<&Target> {
        self.entries.values().find(|entry| entry.uid == uid).map(|entry| &entry.target)
    }

    /// Everything of an incarnation.
    pub(crate) fn of(&self, uid: Uuid) -> Vec<(Key, Entry)> {
        let keys = self.by_uid.get(&uid).into_iter().flatten();
        keys.filter_map(|key| Some((key.clone(), self.entries.get(key)?.clone()))).collect()
    }

    /// Whether anything is left in a namespace.
    pub(crate) fn is_empty_in(&self, namespace: &str) -> bool {
        !self.entries.keys().any(|key| key.namespace.as_deref() == Some(namespace))
    }

    /// Every incarnation that something is of.
    pub(crate) fn targets(&self) -> BTreeSet<Target> {
        self.entries.values().map(|entry| entry.target.clone()).collect()
    }
}
