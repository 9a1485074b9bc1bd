//! The cloud itself: things by uid, a clock that is told, and a ledger of everything that happened.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use domain::{KindName, ResourceId, Tenant, Time};
use reconcilers::converge::{Changed, Desired, Seen};
use reconcilers::{Performed, Target};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::duration;
use crate::object::{Entry, Object};

/// How many states back a stale read can show.
pub(crate) const HISTORY_MAX: usize = 4;
/// The jitter of durations: up to so many percent more.
const JITTER_PERCENT: i64 = 20;

/// There is no such thing in the world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("there is no {0} in the simulated world")]
pub struct NotThere(pub ResourceId);

/// How a world differs from the default.
#[derive(Clone, Copy, Debug)]
pub struct Nature {
    /// Decides the jitter.
    pub seed: u64,
    /// How many times faster than life.
    pub speed: u32,
    /// Remembers past states and the ledger: for tests, which ask for them.
    pub remembers: bool,
}

impl Default for Nature {
    fn default() -> Self {
        Self { seed: 0, speed: 1, remembers: false }
    }
}

/// A simulated cloud.
#[derive(Debug, Default)]
pub struct World {
    nature: Nature,
    objects: BTreeMap<Uuid, Object>,
    by_id: BTreeMap<(Tenant, ResourceId), BTreeSet<Uuid>>,
    agenda: BTreeSet<(Time, Uuid)>,
    scheduled: BTreeMap<Uuid, Time>,
    ledger: Vec<Entry>,
    history: BTreeMap<Uuid, VecDeque<Option<Object>>>,
    effects: u64,
    /// Clusters that have stopped working.
    lost: BTreeSet<Uuid>,
}

impl World {
    /// An empty world.
    #[must_use]
    pub fn new(nature: Nature) -> Self {
        Self { nature, ..Self::default() }
    }

    /// Takes in what happened. The world is the fold of its entries.
    pub fn apply(&mut self, entry: Entry) {
        let (uid, now) = (entry.uid(), entry.at());
        if self.nature.remembers {
            let before = self.objects.get(&uid).cloned();
            let history = self.history.entry(uid).or_default();
            history.push_front(before);
            history.truncate(HISTORY_MAX);
            self.ledger.push(entry.clone());
        }
        self.effects += 1;
        self.unschedule(uid);
        match entry {
            Entry::Created { at, tenant, id, uid, token, digest, spec, ready_at } => {
                self.by_id.entry((tenant.clone(), id.clone())).or_default().insert(uid);
                let target = Target { tenant, id, uid };
                let object = Object {
                    target,
                    token,
                    applied: digest,
                    spec,
                    changed: None,
                    since: at,
                    ready_at,
                    gone_at: None,
                    broken: None,
                };
                self.objects.insert(uid, object);
            }
            Entry::Deleted { uid, .. } | Entry::Removed { uid, .. } => self.forget(uid),
            entry @ (Entry::Updated { .. }
            | Entry::DeletionStarted { .. }
            | Entry::Drifted { .. }
            | Entry::Broke { .. }
            | Entry::Healed { .. }) => {
                if let Some(object) = self.objects.get_mut(&uid) {
                    change(object, entry);
                }
            }
        }
        self.note_lost(uid);
        self.schedule(uid, now);
    }

    fn note_lost(&mut self, uid: Uuid) {
        let object = self.objects.get(&uid);
        let object = object.filter(|object| object.target.id.kind == KindName::Cluster);
        if object.is_some_and(|object| object.broken.is_some()) {
            self.lost.insert(uid);
        } else {
            self.lost.remove(&uid);
        }
    }

    /// Some cluster has stopped working.
    pub(crate) fn has_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// What carries a uid.
    pub(crate) fn object(&self, uid: Uuid) -> Option<&Object> {
        self.objects.get(&uid)
    }

    fn forget(&mut self, uid: Uuid) {
        if let Some(object) = self.objects.remove(&uid) {
            let key = (object.target.tenant, object.target.id);
            if let Some(uids) = self.by_id.get_mut(&key) {
                uids.remove(&uid);
                if uids.is_empty() {
                    self.by_id.remove(&key);
                }
            }
        }
    }

    fn schedule(&mut self, uid: Uuid, now: Time) {
        if let Some(due) = self.objects.get(&uid).and_then(|object| object.next_change(now)) {
            self.agenda.insert((due, uid));
            self.scheduled.insert(uid, due);
        }
    }

    fn unschedule(&mut self, uid: Uuid) {
        if let Some(due) = self.scheduled.remove(&uid) {
            self.agenda.remove(&(due, uid));
        }
    }

    /// When time alone will next change something.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        self.agenda.first().map(|(due, _)| *due)
    }

    /// What time alone has changed since it was last asked.
    pub fn due(&mut self, now: Time) -> Vec<Target> {
        let mut targets = Vec::new();
        while let Some(&(due, uid)) = self.agenda.first()
            && due <= now
        {
            self.unschedule(uid);
            if let Some(object) = self.objects.get(&uid) {
                targets.push(object.target.clone());
            }
            self.schedule(uid, now);
        }
        targets
    }

    /// What the owner of a uid sees, `lag` effects ago.
    #[must_use]
    pub fn see(&self, uid: Uuid, lag: usize, now: Time) -> Option<Seen> {
        let past = lag.checked_sub(1).and_then(|back| self.history.get(&uid)?.get(back));
        match past {
            Some(past) => past.as_ref()?.seen(now),
            None => self.objects.get(&uid)?.seen(now),
        }
    }

    /// What a create leads to; nothing if the incarnation exists.
    #[must_use]
    pub fn create(
        &self,
        target: &Target,
        token: Uuid,
        desired: &Desired,
        now: Time,
    ) -> Option<Entry> {
        let exists = self.objects.get(&target.uid).is_some_and(|object| !object.is_gone(now));
        let ready_at = self.after(target, duration::create_micros(target.id.kind), now);
        (!exists).then(|| Entry::Created {
            at: now,
            tenant: target.tenant.clone(),
            id: target.id.clone(),
            uid: target.uid,
            token,
            digest: desired.digest,
            spec: desired.spec.to_string().into(),
            ready_at,
        })
    }

    /// What an update leads to; nothing if it is so already.
    ///
    /// # Errors
    /// [`NotThere`].
    pub fn update(
        &self,
        target: &Target,
        desired: &Desired,
        now: Time,
    ) -> Result<Option<Entry>, NotThere> {
        let object = self.objects.get(&target.uid).filter(|object| object.gone_at.is_none());
        let object = object.ok_or_else(|| NotThere(target.id.clone()))?;
        if object.applied == desired.digest && object.changed.is_none() {
            return Ok(None);
        }
        let ready_at = self.after(target, duration::update_micros(target.id.kind), now);
        let spec = desired.spec.to_string().into();
        let (uid, digest) = (target.uid, desired.digest);
        Ok(Some(Entry::Updated { at: now, uid, digest, spec, ready_at }))
    }

    /// What a delete leads to, and whether it is finished.
    #[must_use]
    pub fn delete(&self, target: &Target, now: Time) -> (Option<Entry>, Performed) {
        let (at, uid) = (now, target.uid);
        match self.objects.get(&uid).map(|object| object.gone_at) {
            None => (None, Performed::Finished),
            Some(Some(gone_at)) if gone_at <= now => {
                (Some(Entry::Deleted { at, uid }), Performed::Finished)
            }
            Some(Some(_)) => (None, Performed::Underway),
            Some(None) => {
                let gone_at = self.after(target, duration::delete_micros(target.id.kind), now);
                let entry = Entry::DeletionStarted { at, uid, gone_at };
                (Some(entry), Performed::Underway)
            }
        }
    }

    /// When something that takes so long is done: a little later for one thing than for another, always the same.
    fn after(&self, target: &Target, micros: i64, now: Time) -> Time {
        let key = format!("{}/{}", self.nature.seed, target.stream());
        let hash = domain::commit::Hash::of(key.as_bytes());
        let share = i64::from(hash.as_bytes().first().copied().unwrap_or_default());
        let micros = micros + micros * JITTER_PERCENT * share / (100 * 255);
        now.plus_micros(micros / i64::from(self.nature.speed.max(1)))
    }

    /// Whether this incarnation is there, or its owner was not told yet that it is gone.
    #[must_use]
    pub fn has(&self, uid: Uuid) -> bool {
        self.objects.contains_key(&uid)
    }

    /// Everything there is.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.values()
    }

    /// What carries a name: of several incarnations the newest, and what stays before what goes.
    ///
    /// # Errors
    /// [`NotThere`].
    pub fn find(&self, tenant: &Tenant, id: &ResourceId) -> Result<&Object, NotThere> {
        let uids = self.by_id.get(&(tenant.clone(), id.clone()));
        let newest = uids.into_iter().flatten().filter_map(|uid| self.objects.get(uid));
        newest
            .max_by_key(|object| (object.gone_at.is_none(), object.since))
            .ok_or_else(|| NotThere(id.clone()))
    }

    /// The fewest effects that lead to the world as it is.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.objects.values().flat_map(Object::entries).collect()
    }

    /// Everything that happened, in order. Empty unless the world remembers.
    #[must_use]
    pub fn ledger(&self) -> &[Entry] {
        &self.ledger
    }

    /// How many effects there were.
    #[must_use]
    pub const fn effects(&self) -> u64 {
        self.effects
    }
}

/// Applies what happens to a thing that is there.
fn change(object: &mut Object, entry: Entry) {
    match entry {
        Entry::Updated { at, digest, spec, ready_at, .. } => {
            object.applied = digest;
            object.spec = spec;
            object.changed = None;
            object.since = at;
            object.ready_at = ready_at;
            // What failed for good failed for what was asked then.
            object.broken.take_if(|(_, for_good)| *for_good);
        }
        Entry::DeletionStarted { at, gone_at, .. } => {
            object.since = at;
            object.gone_at = Some(gone_at);
        }
        Entry::Drifted { detail, by, .. } => object.changed = Some(Changed { detail, by }),
        Entry::Broke { message, for_good, .. } => object.broken = Some((message, for_good)),
        Entry::Healed { .. } => object.broken = None,
        Entry::Created { .. } | Entry::Deleted { .. } | Entry::Removed { .. } => {}
    }
}
