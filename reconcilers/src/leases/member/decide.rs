//! What a member does of its own accord, whenever something happened.

use std::collections::BTreeSet;
use std::time::Duration;

use uuid::Uuid;

use super::bug::{ANY, Bug};
use super::{Act, Member, Output, Share, Stage, Writing};
use crate::leases::balance::owner;
use crate::leases::store::Revision;
use crate::leases::view::{Availability, Holding, Key, Presence, Seen, View};
use crate::leases::{Lease, Partition};

/// How long what became of a dead member is kept, so that the slowest sees it.
const FORGET_AFTER: Duration = Duration::from_secs(60);
/// The shortest time between two looks at the clock when nothing happens.
const TICK_MIN: Duration = Duration::from_millis(1);

impl Member {
    pub(super) fn decide(&mut self, now: Duration, out: &mut Vec<Output>) {
        self.renew(now, out);
        if self.over || self.until.is_none() || self.view.complete_since.is_none() {
            return;
        }
        self.divide(now);
        self.bury(now, out);
        self.give_up(now, out);
        self.acquire(now, out);
        self.forget(now, out);
    }

    /// When something is to be done though nothing happens.
    pub(in crate::leases) fn next_tick(&self, now: Duration) -> Duration {
        let idle = |key: Key| !self.writing.contains_key(&key);
        let not_before = |key: Key, at: Duration| {
            idle(key).then(|| self.retry_at.get(&key).map_or(at, |retry_at| at.max(*retry_at)))
        };
        let own = Key::Member(self.id);
        let named = self.named();
        let renewed = self.retry_at.get(&own).map_or(self.renew_at, |at| self.renew_at.min(*at));
        let own = idle(own).then_some(renewed);
        let buried = self.view.members.iter().filter(|(id, _)| **id != self.id);
        let buried = buried.filter_map(|(id, seen)| {
            let at =
                View::dead_at(seen, self.margin()).or_else(|| self.forget_at(*id, seen, &named))?;
            not_before(Key::Member(*id), at)
        });
        let leases = Lease::all().filter_map(|lease| {
            let key = Key::Lease(lease);
            match self.granted.get(&lease) {
                Some(granted) if granted.stage == Stage::Freed => not_before(key, now),
                Some(_) => None,
                None if !self.is_wanted(lease) => None,
                None => match self.view.availability(lease, now, &self.timing) {
                    Availability::Free { .. } => not_before(key, now),
                    Availability::At(at) => not_before(key, at),
                    Availability::Taken => None,
                },
            }
        });
        // As long as not everything has been seen it does nothing but renew.
        let seen = self.view.complete_since.is_some();
        let others = buried.chain(leases).filter(|_| seen);
        let soonest = own.into_iter().chain(self.until).chain(others).min();
        soonest.unwrap_or(now + self.timing.renew).max(now + TICK_MIN)
    }

    /// When a dead member is forgotten: not while a lease names it.
    fn forget_at(
        &self,
        id: Uuid,
        seen: &Seen<Presence>,
        named: &BTreeSet<Uuid>,
    ) -> Option<Duration> {
        let ended = matches!(seen.value, Some(Presence::Ended) | None) && id != self.id;
        let forgotten = ended && !named.contains(&id);
        forgotten.then_some(seen.since + FORGET_AFTER)
    }

    /// Whom a lease names.
    fn named(&self) -> BTreeSet<Uuid> {
        self.view.leases.values().filter_map(|seen| seen.value?.holder).collect()
    }

    fn margin(&self) -> Duration {
        if self.has(Bug::LeavesNoMargin) { Duration::ZERO } else { self.timing.margin }
    }

    /// Who takes a share of the partitions, this member included, and which of them are its own.
    fn divide(&mut self, now: Duration) {
        let others = self.view.sharing(now, self.margin()).filter(|id| *id != self.id);
        let members: Vec<Uuid> = others.chain(self.shares.then_some(self.id)).collect();
        if members != self.share.members {
            let owns =
                |partition: &Partition| owner(*partition, members.iter().copied()) == Some(self.id);
            let partitions = Partition::all().filter(owns).collect();
            self.share = Share { members, partitions };
        }
    }

    fn is_wanted(&self, lease: Lease) -> bool {
        let wanted = match lease {
            Lease::Partition(partition) => self.share.partitions.contains(&partition),
            Lease::Projector | Lease::Archiver => self.wants.contains(&lease),
        };
        wanted && !self.leaving
    }

    fn renew(&mut self, now: Duration, out: &mut Vec<Output>) {
        let key = Key::Member(self.id);
        let idle = self.granted.values().all(|granted| granted.stage == Stage::Freed);
        if self.leaving && idle && self.until.is_none() {
            return self.end(out);
        }
        if !self.may_write(key, now) {
            return;
        }
        if self.leaving && idle {
            let ended = json(&Presence::Ended);
            return self.write(key, self.revision, ended, Act::End, now, out);
        }
        // A renewal that did not arrive, or may not have, is not waited out.
        let again = self.retry_at.remove(&key).is_some();
        if again || now >= self.renew_at {
            self.renew_at = now + self.timing.renew;
            let term_ms = u64::try_from(self.timing.term.as_millis()).unwrap_or(u64::MAX);
            let here = json(&Presence::Here { term_ms, shares: self.shares });
            self.write(key, self.revision, here, Act::Renew, now, out);
        }
    }

    /// Declares dead whoever said nothing for its term and the margin.
    fn bury(&mut self, now: Duration, out: &mut Vec<Output>) {
        let dead = self.view.members.iter().filter(|(id, seen)| {
            **id != self.id && View::dead_at(seen, self.margin()).is_some_and(|at| at <= now)
        });
        let dead: Vec<(Uuid, Revision)> = dead.map(|(id, seen)| (*id, seen.revision)).collect();
        for (id, revision) in dead {
            let key = Key::Member(id);
            if self.may_write(key, now) && !self.has(Bug::NeverBuries) {
                let expected = if self.has(Bug::BuriesWithoutComparing) { ANY } else { revision };
                self.write(key, expected, json(&Presence::Ended), Act::Bury, now, out);
            }
        }
    }

    /// Withdraws from what should be another's, and gives it up once nobody has it in hand.
    fn give_up(&mut self, now: Duration, out: &mut Vec<Output>) {
        for lease in Lease::all() {
            let Some(granted) = self.granted.get(&lease).copied() else { continue };
            match granted.stage {
                Stage::Held if !self.is_wanted(lease) && !self.has(Bug::GivesUpNothing) => {
                    let early = self.has(Bug::GivesUpUnderWork);
                    if let Some(granted) = self.granted.get_mut(&lease) {
                        granted.stage = if early { Stage::Freed } else { Stage::Withdrawn };
                    }
                    out.push(Output::Withdraw(lease));
                }
                Stage::Held | Stage::Withdrawn => {}
                Stage::Freed => {
                    let key = Key::Lease(lease);
                    if self.may_write(key, now) {
                        let free = json(&Holding { holder: None });
                        self.write(key, granted.token, free, Act::GiveUp, now, out);
                    }
                }
            }
        }
    }

    fn acquire(&mut self, now: Duration, out: &mut Vec<Output>) {
        for lease in Lease::all() {
            let key = Key::Lease(lease);
            if self.granted.contains_key(&lease)
                || !self.is_wanted(lease)
                || !self.may_write(key, now)
            {
                continue;
            }
            let seen = self.view.leases.get(&lease).map_or(0, |seen| seen.revision);
            let (expected, takeover) = match self.view.availability(lease, now, &self.timing) {
                Availability::Free { expected, takeover } => (expected, takeover),
                Availability::At(_) if self.has(Bug::TakesAbsenceForFreedom) => (seen, true),
                Availability::Taken if self.has(Bug::TakesWhatIsHeld) => (seen, true),
                Availability::At(_) | Availability::Taken => continue,
            };
            let ours = json(&Holding { holder: Some(self.id) });
            match takeover {
                true => self.taken_over.insert(lease),
                false => self.taken_over.remove(&lease),
            };
            self.write(key, expected, ours, Act::Take, now, out);
        }
    }

    /// Forgets the dead that hold nothing any more.
    fn forget(&mut self, now: Duration, out: &mut Vec<Output>) {
        let named = self.named();
        let over =
            self.view.members.iter().filter(|(id, seen)| {
                self.forget_at(**id, seen, &named).is_some_and(|at| at <= now)
            });
        let over: Vec<Uuid> = over.map(|(id, _)| *id).collect();
        for id in over {
            self.view.members.remove(&id);
            self.retry_at.remove(&Key::Member(id));
            out.push(Output::Forget(Key::Member(id)));
        }
    }

    fn may_write(&self, key: Key, now: Duration) -> bool {
        let rested =
            self.retry_at.get(&key).is_none_or(|at| *at <= now && !self.has(Bug::NeverTriesAgain));
        rested && !self.writing.contains_key(&key)
    }

    fn write(
        &mut self,
        key: Key,
        expected: Revision,
        value: Vec<u8>,
        act: Act,
        now: Duration,
        out: &mut Vec<Output>,
    ) {
        self.tickets += 1;
        let ticket = self.tickets;
        self.writing.insert(key, Writing { ticket, act, sent: now });
        out.push(Output::Write { ticket, key, expected, value });
    }
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    // Plain structs: nothing in them fails.
    serde_json::to_vec(value).unwrap_or_default()
}
