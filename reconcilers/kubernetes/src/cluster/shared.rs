//! What a cluster's watches see, and whether they do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::StreamId;
use reconcilers::Clock;
use reconcilers::changes::Changes;
use serde_json::Value;
use tokio::sync::watch as channel;
use tracing::warn;

use super::Reach;
use super::cache::{Cache, Entry};
use super::client::Requests;
use super::kinds::WATCHED;
use crate::objects::Key;

/// A watch that breaks is begun again at once; what counts is that this fails too.
const BROKEN_MIN: u32 = 2;

/// What a cluster's watches and its users share.
pub(super) struct Shared {
    clock: Arc<dyn Clock>,
    changes: Arc<Changes>,
    state: Mutex<State>,
    reach: channel::Sender<Reach>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) cache: Cache,
    pub(super) requests: Option<Requests>,
    version: String,
    /// The kinds that were listed since the client was made.
    listed: BTreeSet<&'static str>,
    /// The kinds whose watch is broken: how often in a row, and why.
    broken: BTreeMap<&'static str, (u32, String)>,
    /// Who is told whether the cluster can be reached.
    pub(super) owners: BTreeSet<StreamId>,
    /// Namespaces of ours.
    pub(super) namespaces: BTreeMap<String, Namespace>,
}

#[derive(Clone, Debug)]
pub(super) struct Namespace {
    uid: String,
    /// It is on its way out.
    pub(super) going: bool,
}

impl Shared {
    pub(super) fn new(clock: Arc<dyn Clock>, changes: Arc<Changes>) -> Self {
        let reach = channel::Sender::new(Reach::Connecting);
        Self { clock, changes, state: Mutex::default(), reach }
    }

    pub(super) fn reached(&self) -> Reach {
        self.reach.borrow().clone()
    }

    /// A client was made: what was listed by the one before counts until it is listed again.
    pub(super) fn begun(&self, requests: Requests, version: String) {
        let mut state = self.state();
        state.requests = Some(requests);
        state.version = version;
        state.listed.clear();
        state.broken.clear();
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A watch works.
    pub(super) fn seen(&self, kind: &'static str) {
        let mended = self.state().broken.remove(kind).is_some();
        if mended {
            self.judge();
        }
    }

    /// A watch does not.
    pub(super) fn lost(&self, kind: &'static str, reason: &str) {
        let mut state = self.state();
        let (times, last) = state.broken.entry(kind).or_default();
        *times += 1;
        reason.clone_into(last);
        drop(state);
        self.judge();
    }

    /// The cluster is reached when every kind was listed and every watch works.
    fn judge(&self) {
        let state = self.state();
        let broken = state.broken.iter().find(|(_, (times, _))| *times >= BROKEN_MIN);
        let broken = broken.map(|(kind, (_, reason))| format!("{kind}: {reason}"));
        let all = state.listed.len() == WATCHED.len();
        let version = state.version.clone();
        let endpoint = state.requests.as_ref().map(|requests| requests.endpoint.clone());
        drop(state);
        match broken {
            Some(reason) => self.unreachable(&reason),
            None if all => {
                self.set(Reach::Reached { version, endpoint: endpoint.unwrap_or_default() });
            }
            None => {}
        }
    }

    pub(super) fn unreachable(&self, reason: &str) {
        let since = match &*self.reach.borrow() {
            Reach::Unreachable { since, .. } => *since,
            Reach::Connecting | Reach::Reached { .. } => {
                warn!(reason, "a cluster cannot be reached");
                self.clock.now()
            }
        };
        self.set(Reach::Unreachable { since, reason: reason.to_owned() });
    }

    fn set(&self, reach: Reach) {
        let changed = self.reach.send_if_modified(|before| {
            let changed = *before != reach;
            *before = reach;
            changed
        });
        if changed {
            // Whoever has something here looks again.
            let state = self.state();
            let (targets, owners) = (state.cache.targets(), state.owners.clone());
            drop(state);
            targets.iter().for_each(|target| self.changes.tell(&target.stream()));
            owners.iter().for_each(|owner| self.changes.tell(owner));
        }
    }

    pub(super) fn put(&self, key: Key, object: &Value) {
        if key.kind == "Namespace" {
            let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
            let uid = text("/metadata/uid").unwrap_or_default().to_owned();
            let going = text("/metadata/deletionTimestamp").is_some();
            self.state().namespaces.insert(key.name, Namespace { uid, going });
            return;
        }
        let Some(entry) = Entry::of(object) else {
            // It does not say any more whose it is.
            if let Some(target) = self.state().cache.remove(&key) {
                self.changes.tell(&target.stream());
            }
            return;
        };
        if let Some(target) = self.state().cache.put(key, entry) {
            self.changes.tell(&target.stream());
        }
    }

    pub(super) fn removed(&self, key: &Key, last: Option<&Entry>) {
        let mut state = self.state();
        if key.kind == "Namespace" {
            state.namespaces.remove(&key.name);
            return;
        }
        let same = |entry: &Entry| last.is_none_or(|last| last.uid == entry.uid);
        if !state.cache.get(key).is_some_and(same) {
            return;
        }
        let target = state.cache.remove(key);
        drop(state);
        target.iter().for_each(|target| self.changes.tell(&target.stream()));
    }

    /// An object of this uid is gone, by the cluster's own word.
    pub(super) fn forget(&self, key: &Key, uid: &str) {
        let mut state = self.state();
        let same = |found: &Namespace| key.kind == "Namespace" && found.uid == uid;
        if state.namespaces.get(&key.name).is_some_and(same) {
            state.namespaces.remove(&key.name);
        }
        if state.cache.get(key).is_some_and(|entry| entry.uid == uid) {
            state.cache.remove(key);
        }
    }

    pub(super) fn listed(&self, kind: &'static str, listed: &BTreeSet<Key>) {
        let mut state = self.state();
        let gone = state.cache.keep_only(kind, listed);
        if kind == "Namespace" {
            state.namespaces.retain(|name, _| listed.iter().any(|key| key.name == *name));
        }
        state.listed.insert(kind);
        drop(state);
        gone.iter().for_each(|target| self.changes.tell(&target.stream()));
        self.judge();
    }
}
