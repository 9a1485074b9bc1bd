//! What a cluster's watches see, and whether they do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::kinds::cluster::Capacity;
use domain::kinds::support_service::{Brought, By, Capability};
use domain::{StreamId, Time};
use reconcilers::changes::Changes;
use reconcilers::{Clock, Target};
use serde_json::Value;
use tokio::sync::watch as channel;
use tracing::warn;

use super::Reach;
use super::any::{Progress, identity};
use super::cache::{Cache, Entry};
use super::client::Requests;
use super::kinds::{WATCHED, Watched};
use super::warnings::Warnings;
use super::words::Words;
use crate::objects::Key;

/// A watch that breaks is begun again at once; what counts is that this fails too.
const BROKEN_MIN: u32 = 2;

/// What a cluster's watches and its users share.
pub(super) struct Shared {
    clock: Arc<dyn Clock>,
    changes: Arc<Changes>,
    state: Mutex<State>,
    reach: channel::Sender<Reach>,
    /// Told whenever [`State::found`] changes.
    pub(super) kinds: channel::Sender<()>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) cache: Cache,
    pub(super) requests: Option<Requests>,
    version: String,
    /// The kinds that were listed since the client was made.
    listed: BTreeSet<String>,
    /// The kinds whose watch is broken: how often in a row, and why.
    broken: BTreeMap<String, (u32, String)>,
    /// The kinds that only this cluster knows, by group and name.
    pub(super) found: BTreeMap<(String, String), Progress>,
    /// Who is told whether the cluster can be reached.
    pub(super) owners: BTreeSet<StreamId>,
    /// What containers that crashed wrote last.
    pub(super) words: Words,
    /// What the cluster warns of.
    pub(super) warnings: Warnings,
    /// What the cluster brings along.
    pub(super) brought: Brought,
    /// What its nodes have room for, where it lets us look.
    pub(super) room: Option<Capacity>,
    /// It was tried to see that.
    pub(super) looked_for_room: bool,
    /// The capabilities of which that was looked at, at least once.
    pub(super) looked_for: BTreeSet<Capability>,
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
        let kinds = channel::Sender::new(());
        Self { clock, changes, state: Mutex::default(), reach, kinds }
    }

    pub(super) fn changes(&self) -> &Changes {
        &self.changes
    }

    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    /// Has whoever it belongs to look again.
    pub(super) fn tell(&self, target: &Target) {
        self.changes.tell(&target.stream());
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
        for progress in state.found.values_mut() {
            if let Some(watched) = progress.watched().cloned() {
                *progress = Progress::Listing(watched);
            }
        }
    }

    /// A kind that only this cluster knows is to be followed, or is unknown to it. Where somebody else has found it
    /// meanwhile it is followed already, and is not listed again.
    pub(super) fn found(&self, identity: (String, String), found: Progress) {
        let mut state = self.state();
        if state.found.get(&identity).and_then(Progress::watched).is_some() {
            return;
        }
        state.found.insert(identity, found);
        drop(state);
        self.kinds.send_replace(());
    }

    fn progress(&self, identity: (String, String), progress: Progress) {
        self.state().found.insert(identity, progress);
        self.kinds.send_replace(());
    }

    /// The kinds that only this cluster knows.
    pub(super) fn told_of(&self) -> Vec<Watched> {
        self.state().found.values().filter_map(|found| found.watched().cloned()).collect()
    }

    /// The cluster does not know a kind any more: its objects went with it.
    pub(super) fn dropped(&self, watched: &Watched) {
        let mut state = self.state();
        state.found.remove(&identity(watched.api_version(), watched.kind()));
        let gone = state.cache.keep_only(watched, &BTreeSet::new());
        drop(state);
        self.kinds.send_replace(());
        gone.iter().for_each(|target| self.changes.tell(&target.stream()));
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A watch works.
    pub(super) fn seen(&self, watched: &Watched) {
        let mended = self.state().broken.remove(watched.kind()).is_some();
        if mended {
            self.judge();
        }
    }

    /// A watch does not.
    pub(super) fn lost(&self, watched: &Watched, reason: &str) {
        if !watched.always {
            // The rest of the cluster is followed all the same. What was listed once is followed again by itself.
            let known = identity(watched.api_version(), watched.kind());
            if matches!(self.state().found.get(&known), Some(Progress::Listed(_))) {
                return;
            }
            let broken = Progress::Broken(watched.clone(), reason.to_owned());
            self.progress(known, broken);
            return;
        }
        let mut state = self.state();
        let (times, last) = state.broken.entry(watched.kind().to_owned()).or_default();
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

    /// What the cluster brings along of a capability.
    pub(super) fn brings(&self, capability: Capability, things: BTreeMap<String, By>) {
        let mut state = self.state();
        let changed = state.brought.set(capability, things);
        self.tell_of(state, capability, changed);
    }

    /// What its nodes have room for.
    pub(super) fn has_room(&self, room: Capacity) {
        let mut state = self.state();
        state.looked_for_room = true;
        if state.room.replace(room) != Some(room) {
            let owners = state.owners.clone();
            drop(state);
            owners.iter().for_each(|owner| self.changes.tell(owner));
        }
    }

    /// It was tried to see what its nodes have room for.
    pub(super) fn looked_for_room(&self) {
        let mut state = self.state();
        if !std::mem::replace(&mut state.looked_for_room, true) {
            let owners = state.owners.clone();
            drop(state);
            owners.iter().for_each(|owner| self.changes.tell(owner));
        }
    }

    /// It was tried to see what the cluster brings along of a capability.
    pub(super) fn looked_for(&self, capability: Capability) {
        self.tell_of(self.state(), capability, false);
    }

    fn tell_of(&self, mut state: MutexGuard<'_, State>, capability: Capability, changed: bool) {
        let first = state.looked_for.insert(capability);
        if changed || first {
            let owners = state.owners.clone();
            drop(state);
            owners.iter().for_each(|owner| self.changes.tell(owner));
        }
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
            self.state().namespaces.insert(key.name.clone(), Namespace { uid, going });
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
            state.warnings.forget(&key.name);
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
            state.warnings.forget(&key.name);
        }
        if state.cache.get(key).is_some_and(|entry| entry.uid == uid) {
            state.cache.remove(key);
        }
    }

    pub(super) fn listed(&self, watched: &Watched, listed: &BTreeSet<Key>) {
        let mut state = self.state();
        let gone = state.cache.keep_only(watched, listed);
        if watched.kind() == "Namespace" {
            state.namespaces.retain(|name, _| listed.iter().any(|key| key.name == *name));
        }
        if watched.always {
            state.listed.insert(watched.kind().to_owned());
        }
        drop(state);
        if !watched.always {
            let identity = identity(watched.api_version(), watched.kind());
            self.progress(identity, Progress::Listed(watched.clone()));
        }
        gone.iter().for_each(|target| self.changes.tell(&target.stream()));
        self.judge();
    }
}
