//! The protocol: what one member does when. Pure: the time, what was read and what became of writes come in, writes
//! and grants go out, so that tests decide everything that may go wrong.
//!
//! ```text
//!   member.<id>   here ─ renewed each second ─▶ here …            ─▶ ended   by itself, or by whoever saw the same
//!                                                                            revision for its term and the margin
//!   lease.<name>  held by <id> ─ nobody has it in hand ─▶ free ─▶ held by <other>
//!                      └──────── <id> has ended ───────────────────────▲
//! ```
//! Every write is on top of a revision that was seen. That a member is declared dead is such a write, on top of its
//! last renewal: so either its next renewal is refused, or the declaration is.

mod bug;
mod decide;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use uuid::Uuid;

use super::store::{Change, NEVER, Revision};
use super::view::{Key, Presence, Seen, View};
use super::{Lease, Partition, Timing};
#[cfg(test)]
pub(super) use bug::ANY;
pub(super) use bug::Bug;

/// A write that was refused, or may not have arrived, is tried again after this part of the time between renewals,
/// unless something is seen before.
const RETRY_PART: u32 = 4;

/// What a member learns.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// Time went on.
    Tick,
    /// Somebody looked at the clock, and its time was over.
    Expired,
    /// Something was read.
    Changed(Change),
    /// What is there is about to be read anew.
    Replayed,
    /// What became of a write.
    Wrote { ticket: u64, outcome: Outcome },
    /// It shall take its share of the partitions.
    Share,
    /// A lease is wanted, or is not any more.
    Want(Lease, bool),
    /// Nobody has a lease in hand any more.
    Freed(Lease, Revision),
    /// It shall end.
    Leave,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Written(Revision),
    Refused,
    Unknown,
}

/// What a member does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// Writes a key, if it is at a revision still.
    Write { ticket: u64, key: Key, expected: Revision, value: Vec<u8> },
    /// Lives until then, by its own clock.
    Alive(Duration),
    /// Holds a lease from now on.
    Granted { lease: Lease, token: Revision, takeover: bool },
    /// Begins nothing new under a lease, and says [`Input::Freed`] when nobody has it in hand any more.
    Withdraw(Lease),
    /// Holds a lease no more: somebody else wrote there.
    Revoked(Lease),
    /// Holds nothing any more, and begins again under a new id.
    Over,
    /// Has left.
    Left,
    /// Removes what nobody needs.
    Forget(Key),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Held,
    /// Not for new work.
    Withdrawn,
    /// In nobody's hand.
    Freed,
}

#[derive(Clone, Copy, Debug)]
struct Granted {
    token: Revision,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Renew,
    End,
    Bury,
    Take,
    GiveUp,
}

/// The partitions that it should hold, as far as it knows. Kept, as it is asked for with each step.
#[derive(Default)]
struct Share {
    members: Vec<Uuid>,
    partitions: BTreeSet<Partition>,
}

struct Writing {
    ticket: u64,
    act: Act,
    sent: Duration,
}

/// One life of a member: from its first write to its end. The view goes on to the next.
pub(super) struct Member {
    id: Uuid,
    timing: Timing,
    view: View,
    shares: bool,
    wants: BTreeSet<Lease>,
    leaving: bool,
    /// The last known write to its own key.
    revision: Revision,
    /// Until when it lives, by its own clock; none before its first write is known to be there.
    until: Option<Duration>,
    renew_at: Duration,
    over: bool,
    share: Share,
    granted: BTreeMap<Lease, Granted>,
    /// Up to which write a lease was given up, though that one may still be seen.
    given_up: BTreeMap<Lease, Revision>,
    /// What it last tried to take from another. Whether that worked may be told by the watch before the reply.
    taken_over: BTreeSet<Lease>,
    writing: BTreeMap<Key, Writing>,
    retry_at: BTreeMap<Key, Duration>,
    tickets: u64,
    #[cfg(test)]
    pub(super) bug: Option<Bug>,
}

impl Member {
    /// A member that is about to begin.
    pub(super) fn new(id: Uuid, timing: Timing) -> Self {
        Self {
            id,
            timing,
            view: View::default(),
            shares: false,
            wants: BTreeSet::new(),
            leaving: false,
            revision: NEVER,
            until: None,
            renew_at: Duration::ZERO,
            over: false,
            share: Share::default(),
            granted: BTreeMap::new(),
            given_up: BTreeMap::new(),
            taken_over: BTreeSet::new(),
            writing: BTreeMap::new(),
            retry_at: BTreeMap::new(),
            tickets: 0,
            #[cfg(test)]
            bug: None,
        }
    }

    /// Begins its next life, after [`Output::Over`].
    pub(super) fn begin_again(&mut self, id: Uuid) {
        let next = Self::new(id, self.timing);
        let last = std::mem::replace(self, next);
        self.view = last.view;
        self.shares = last.shares;
        self.wants = last.wants;
        self.leaving = last.leaving;
        self.tickets = last.tickets;
        #[cfg(test)]
        {
            self.bug = last.bug;
        }
    }

    /// Whether a renewal of its own was written that has not been seen: then the watch is late, or dead.
    pub(super) fn is_unseen(&self) -> bool {
        self.view.members.get(&self.id).map_or(NEVER, |seen| seen.revision) < self.revision
    }

    /// Something happened, or time went on.
    pub(super) fn step(&mut self, now: Duration, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        // First of all: whatever has come in, it came too late.
        if self.until.is_some_and(|until| until <= now) && !self.has(Bug::TrustsNoClock) {
            self.end(&mut out);
        }
        match input {
            Input::Tick => {}
            Input::Expired => self.end(&mut out),
            Input::Changed(change) => self.changed(&change, now, &mut out),
            Input::Replayed => self.view.replay(),
            Input::Wrote { ticket, outcome } => self.wrote(ticket, outcome, now, &mut out),
            Input::Share => {
                self.shares = true;
                self.renew_at = now;
            }
            Input::Want(lease, true) => {
                self.wants.insert(lease);
            }
            Input::Want(lease, false) => {
                self.wants.remove(&lease);
            }
            Input::Freed(lease, token) => {
                let granted = self.granted.get_mut(&lease).filter(|it| it.token == token);
                if let Some(granted) = granted {
                    granted.stage = Stage::Freed;
                }
            }
            Input::Leave => self.leaving = true,
        }
        if !self.over {
            self.decide(now, &mut out);
        }
        out
    }

    /// Holds nothing any more.
    fn end(&mut self, out: &mut Vec<Output>) {
        if !std::mem::replace(&mut self.over, true) {
            self.granted.clear();
            out.push(if self.leaving { Output::Left } else { Output::Over });
        }
    }

    fn changed(&mut self, change: &Change, now: Duration, out: &mut Vec<Output>) {
        for key in self.view.take(change, now) {
            self.retry_at.remove(&key);
            match key {
                Key::Member(id) if id == self.id => self.saw_itself(out),
                Key::Member(_) => {}
                Key::Lease(lease) => self.saw(lease, out),
            }
        }
    }

    /// A renewal whose reply was lost, or that somebody took it for dead.
    fn saw_itself(&mut self, out: &mut Vec<Output>) {
        let Some(seen) = self.view.members.get(&self.id) else { return };
        match seen.value {
            Some(Presence::Here { .. }) => self.revision = self.revision.max(seen.revision),
            Some(Presence::Ended) | None => self.end(out),
        }
    }

    /// A lease that it took though the reply was lost, or that somebody took from it against the rules.
    fn saw(&mut self, lease: Lease, out: &mut Vec<Output>) {
        let Some(seen) = self.view.leases.get(&lease).copied() else { return };
        let ours = seen.value.is_some_and(|holding| holding.holder == Some(self.id));
        match self.granted.get(&lease) {
            Some(_) if ours => {}
            // It was given up, though the reply was lost.
            Some(granted) if granted.stage == Stage::Freed => {
                let token = granted.token;
                if seen.revision > token {
                    self.given_up.insert(lease, token);
                    self.granted.remove(&lease);
                }
            }
            Some(granted) if seen.revision > granted.token || seen.value.is_none() => {
                self.granted.remove(&lease);
                out.push(Output::Revoked(lease));
            }
            Some(_) => {}
            None if ours => {
                let given_up = self.given_up.get(&lease).copied().unwrap_or(NEVER);
                if seen.revision > given_up || self.has(Bug::TakesOldNews) {
                    self.grant(lease, seen.revision, out);
                }
            }
            None => {}
        }
    }

    fn grant(&mut self, lease: Lease, token: Revision, out: &mut Vec<Output>) {
        // Who leaves may have declared its own end already: what it tried to take before is another's at once.
        if !self.over && !self.leaving && !self.granted.contains_key(&lease) {
            self.granted.insert(lease, Granted { token, stage: Stage::Held });
            let takeover = self.taken_over.contains(&lease);
            out.push(Output::Granted { lease, token, takeover });
        }
    }

    fn wrote(&mut self, ticket: u64, outcome: Outcome, now: Duration, out: &mut Vec<Output>) {
        let found = self.writing.iter().find(|(_, writing)| writing.ticket == ticket);
        let Some(key) = found.map(|(key, _)| *key) else { return };
        let Some(writing) = self.writing.remove(&key) else { return };
        let revision = match outcome {
            Outcome::Written(revision) => revision,
            Outcome::Refused | Outcome::Unknown => {
                self.retry_at.insert(key, now + self.timing.renew / RETRY_PART);
                return;
            }
        };
        match (key, writing.act) {
            (_, Act::Renew) if self.over => {}
            (_, Act::Renew) => {
                self.revision = self.revision.max(revision);
                let from = if self.has(Bug::CountsFromTheReply) { now } else { writing.sent };
                let until = from + self.timing.term;
                self.until = Some(self.until.map_or(until, |old| old.max(until)));
                out.push(Output::Alive(until));
            }
            (_, Act::End) => self.end(out),
            (Key::Member(id), _) => {
                self.view
                    .members
                    .insert(id, Seen { revision, value: Some(Presence::Ended), since: now });
            }
            (Key::Lease(lease), Act::Take) => {
                if self.given_up.get(&lease).is_none_or(|given_up| revision > *given_up) {
                    self.grant(lease, revision, out);
                }
            }
            (Key::Lease(lease), Act::GiveUp | Act::Bury) => {
                if let Some(granted) = self.granted.remove(&lease) {
                    self.given_up.insert(lease, granted.token);
                }
            }
        }
    }
}
