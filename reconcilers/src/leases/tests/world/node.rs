//! A process: a member, its clock, and what it works on.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use super::super::super::member::Member;
use super::{Lease, Revision, Timing};

/// What is done under a lease.
pub(super) struct Work {
    pub(super) token: Revision,
    pub(super) withdrawn: bool,
    /// How many more polls it takes.
    pub(super) busy: u64,
}

impl Work {
    pub(super) const fn new(token: Revision) -> Self {
        Self { token, withdrawn: false, busy: 0 }
    }
}

pub(super) struct Node {
    pub(super) process: Uuid,
    pub(super) member: Member,
    rate_ppm: u64,
    pub(super) paused_until: Duration,
    pub(super) cut_until: Duration,
    /// It was told to.
    pub(super) leaves: bool,
    pub(super) watch: u64,
    pub(super) told_at: Duration,
    pub(super) serial: u64,
    pub(super) until: Option<Duration>,
    pub(super) held: BTreeMap<Lease, Work>,
    /// What was under way when its lease was lost.
    lost: Vec<(Lease, Revision, u64)>,
}

impl Node {
    pub(super) fn new(process: Uuid, id: Uuid, rate_ppm: u64, timing: Timing) -> Self {
        Self {
            process,
            member: Member::new(id, timing),
            rate_ppm,
            paused_until: Duration::ZERO,
            cut_until: Duration::ZERO,
            leaves: false,
            watch: 0,
            told_at: Duration::ZERO,
            serial: 0,
            until: None,
            held: BTreeMap::new(),
            lost: Vec::new(),
        }
    }

    /// What its clock says.
    pub(super) fn local(&self, now: Duration) -> Duration {
        scale(now, self.rate_ppm, 1_000_000)
    }

    /// How long a time by its clock really is.
    pub(super) fn real(&self, local: Duration) -> Duration {
        scale(local, 1_000_000, self.rate_ppm) + Duration::from_micros(2)
    }

    pub(super) fn is_alive(&self, now: Duration) -> bool {
        self.until.is_some_and(|until| self.local(now) < until)
    }

    /// Lives on, unless it was over already.
    pub(super) fn extend(&mut self, now: Duration, until: Duration) -> bool {
        if self.until.is_some() && !self.is_alive(now) {
            return false;
        }
        self.until = Some(self.until.map_or(until, |old| old.max(until)));
        true
    }

    pub(super) fn drop_work(&mut self, lease: Option<Lease>) {
        let mut lost = Vec::new();
        self.held.retain(|held, work| {
            let drop = lease.is_none_or(|lease| lease == *held);
            if drop && work.busy > 0 {
                lost.push((*held, work.token, 30));
            }
            !drop
        });
        self.lost.extend(lost);
    }

    /// For the bug that works on without its lease.
    pub(super) fn works_on(&mut self, lease: Lease, token: Revision) -> bool {
        let found = self.lost.iter_mut().find(|(held, by, _)| (*held, *by) == (lease, token));
        found.is_some_and(|(.., left)| {
            *left = left.saturating_sub(1);
            *left > 0
        })
    }
}

fn scale(duration: Duration, by: u64, over: u64) -> Duration {
    let micros = duration.as_micros() * u128::from(by) / u128::from(over);
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}
