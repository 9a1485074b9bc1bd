//! What a member has seen of the store, and since when: by its own clock, as nobody's time of day counts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::store::{Change, NEVER, Revision};
use super::{Lease, Timing};

/// A key of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Member(Uuid),
    Lease(Lease),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(id) => write!(f, "member.{id}"),
            Self::Lease(lease) => write!(f, "lease.{lease}"),
        }
    }
}

impl FromStr for Key {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.split_once('.') {
            Some(("member", id)) => id.parse().map(Self::Member).map_err(|_| ()),
            Some(("lease", lease)) => lease.parse().map(Self::Lease).map_err(|_| ()),
            Some(_) | None => Err(()),
        }
    }
}

/// What a member's key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum Presence {
    /// It lives, for this long after it wrote this.
    Here { term_ms: u64, shares: bool },
    /// It left, or somebody found it dead. It never lives again under this id.
    Ended,
}

/// What a lease's key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holding {
    pub(super) holder: Option<Uuid>,
}

/// A value, since when it is known, and the write that it is from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<T> {
    pub(super) revision: Revision,
    /// None where somebody deleted it by hand.
    pub(super) value: Option<T>,
    pub(super) since: Duration,
}

impl<T> Seen<T> {
    /// What was read, unless something newer is known.
    fn news(old: Option<&Self>, new: Self, replaying: bool) -> Option<Self> {
        let news = |old: &Self| match replaying {
            true => new.revision != old.revision,
            false => new.revision > old.revision,
        };
        old.is_none_or(news).then_some(new)
    }
}

/// Everything seen.
#[derive(Debug, Default)]
pub(super) struct View {
    /// Since when everything that there was has been seen; none while a watch that began anew has not told it all.
    pub(super) complete_since: Option<Duration>,
    pub(super) members: BTreeMap<Uuid, Seen<Presence>>,
    pub(super) leases: BTreeMap<Lease, Seen<Holding>>,
    /// What a watch that began anew has told so far.
    replayed: Option<BTreeSet<Key>>,
}

/// Whether a lease may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Availability {
    /// By a write on top of this revision.
    Free { expected: Revision, takeover: bool },
    /// Not before this moment, if nothing happens.
    At(Duration),
    /// Not as long as its holder lives.
    Taken,
}

impl View {
    /// A watch begins anew: what it does not tell is not there any more.
    ///
    /// What was absent before may have been taken and wiped meanwhile: its absence counts from anew.
    pub(super) fn replay(&mut self) {
        self.complete_since = None;
        self.replayed = Some(BTreeSet::new());
    }

    /// Takes in a change. Says whose keys it is about, if it told anything new.
    pub(super) fn take(&mut self, change: &Change, now: Duration) -> Vec<Key> {
        let (key, revision, value) = match change {
            Change::Put { key, revision, value } => (key, *revision, Some(value.as_slice())),
            Change::Deleted { key, revision } => (key, *revision, None),
            Change::Current => {
                self.complete_since.get_or_insert(now);
                return self.wipe(now);
            }
        };
        // What cannot be read is of a newer Cairn: a write on top of what was seen before is refused then.
        let news = key.parse().ok().filter(|key| self.tell(*key, revision, value, now).is_some());
        news.into_iter().collect()
    }

    fn tell(
        &mut self,
        key: Key,
        revision: Revision,
        value: Option<&[u8]>,
        since: Duration,
    ) -> Option<()> {
        let replaying = self.replayed.as_mut().map(|told| told.insert(key)).is_some();
        match key {
            Key::Member(id) => {
                let value = value.map(serde_json::from_slice).transpose().ok()?;
                let new = Seen { revision, value, since };
                self.members.insert(id, Seen::news(self.members.get(&id), new, replaying)?);
            }
            Key::Lease(lease) => {
                let value = value.map(serde_json::from_slice).transpose().ok()?;
                let new = Seen { revision, value, since };
                self.leases.insert(lease, Seen::news(self.leases.get(&lease), new, replaying)?);
            }
        }
        Some(())
    }

    /// Notes what is not there any more, once a watch that began anew has told everything.
    fn wipe(&mut self, now: Duration) -> Vec<Key> {
        let Some(told) = self.replayed.take() else { return Vec::new() };
        let members = self.members.keys().copied().map(Key::Member);
        let keys = members.chain(self.leases.keys().copied().map(Key::Lease));
        let gone: Vec<Key> = keys.filter(|key| !told.contains(key)).collect();
        for key in &gone {
            match key {
                Key::Member(id) => {
                    self.members.insert(*id, Seen { revision: NEVER, value: None, since: now });
                }
                Key::Lease(lease) => {
                    self.leases.insert(*lease, Seen { revision: NEVER, value: None, since: now });
                }
            }
        }
        gone
    }

    /// When a member that says nothing more may be declared dead.
    pub(super) fn dead_at(seen: &Seen<Presence>, margin: Duration) -> Option<Duration> {
        match seen.value? {
            Presence::Here { term_ms, .. } => {
                Some(seen.since + Duration::from_millis(term_ms) + margin)
            }
            Presence::Ended => None,
        }
    }

    /// The members that live as far as is known, and take a share.
    pub(super) fn sharing(&self, now: Duration, margin: Duration) -> impl Iterator<Item = Uuid> {
        self.members.iter().filter_map(move |(id, seen)| {
            let shares = matches!(seen.value, Some(Presence::Here { shares: true, .. }));
            let lives = Self::dead_at(seen, margin).is_some_and(|dead_at| now < dead_at);
            (shares && lives).then_some(*id)
        })
    }

    /// Whether a lease may be taken. What is absent is not free at once: it may have been wiped under a holder, who
    /// finds out by its next renewal.
    pub(super) fn availability(
        &self,
        lease: Lease,
        now: Duration,
        timing: &Timing,
    ) -> Availability {
        let Some(complete) = self.complete_since else { return Availability::Taken };
        let patience = timing.term + timing.margin;
        let after = |since: Duration, expected, takeover| {
            let free_at = since.max(complete) + patience;
            if now < free_at {
                return Availability::At(free_at);
            }
            Availability::Free { expected, takeover }
        };
        let Some(seen) = self.leases.get(&lease) else { return after(complete, NEVER, false) };
        let Some(holding) = seen.value else { return after(seen.since, seen.revision, false) };
        let Some(holder) = holding.holder else {
            return Availability::Free { expected: seen.revision, takeover: false };
        };
        match self.members.get(&holder) {
            Some(Seen { value: Some(Presence::Here { .. }), .. }) => Availability::Taken,
            Some(Seen { value: Some(Presence::Ended), .. }) => {
                Availability::Free { expected: seen.revision, takeover: true }
            }
            Some(Seen { value: None, since, .. }) => {
                after(seen.since.max(*since), seen.revision, true)
            }
            None => after(seen.since, seen.revision, true),
        }
    }
}
