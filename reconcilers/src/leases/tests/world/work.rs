//! What is done under leases, and whether it was right.

use std::time::Duration;

use uuid::Uuid;

use super::super::super::member::{Bug, Input};
use super::super::super::{Lease, Partition};
use super::{Event, Node, Revision, World};

/// How long one turn of work waits for the next.
const WORK_PAUSE: Duration = Duration::from_millis(120);

/// Work is simulated under a few leases; all are held.
pub(super) fn is_worked_under(lease: Lease) -> bool {
    match lease {
        Lease::Partition(Partition(number)) => number < 3,
        Lease::Projector => true,
        Lease::Archiver => false,
    }
}

impl World {
    /// One more poll of some work, if its lease is still held by its own clock.
    pub(super) fn work(&mut self, process: Uuid, lease: Lease, token: Revision) {
        let (now, long, bug) = (self.now, self.rng.below(6), self.bug);
        let pause = Duration::from_millis(self.rng.below(900));
        let Some(node) = self.node(process) else { return };
        let alive = bug == Some(Bug::TrustsNoClock) || node.is_alive(now);
        let Some(work) = node.held.get_mut(&lease).filter(|work| work.token == token) else {
            if bug == Some(Bug::WorksOn) && node.works_on(lease, token) {
                self.note(process, lease, token);
                self.schedule(now + WORK_PAUSE, process, Event::Work { lease, token });
            }
            return;
        };
        if !alive {
            return;
        }
        work.busy = if work.busy == 0 { 1 + long } else { work.busy - 1 };
        let (rests, withdrawn) = (work.busy == 0, work.withdrawn);
        if rests && withdrawn {
            node.held.remove(&lease);
            return self.step(process, Input::Freed(lease, token));
        }
        self.note(process, lease, token);
        let next = now + if rests { pause } else { WORK_PAUSE };
        self.schedule(next, process, Event::Work { lease, token });
    }

    /// An effect: under a lease nobody acts who held it before somebody else did.
    fn note(&mut self, process: Uuid, lease: Lease, token: Revision) {
        if super::super::number("SEED").is_some() {
            eprintln!("{:?} {process} works under {lease} by {token}", self.now);
        }
        if let Some((last, other)) = self.worked.insert(lease, (token, process))
            && (token < last || (token == last && other != process))
        {
            let now = self.now;
            self.failures.push(format!(
                "{now:?}: {process} works under {lease} by {token} after {other} by {last}"
            ));
        }
    }

    /// Every lease has one holder, who should have it, and knows.
    pub(in super::super) fn check_settled(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for lease in Lease::all().filter(|lease| *lease != Lease::Archiver) {
            let holds = |node: &&Node| {
                node.is_alive(self.now) && node.held.get(&lease).is_some_and(|work| !work.withdrawn)
            };
            let holders: Vec<_> =
                self.nodes.iter().filter(holds).map(|node| node.process).collect();
            if holders.len() != 1 {
                wrong.push(format!("{:?}: {lease} is held by {holders:?}", self.now));
            }
        }
        let shares = self.nodes.iter().map(|node| node.held.len());
        if shares.clone().any(|share| share == 0) {
            wrong.push(format!("somebody has nothing to do: {:?}", shares.collect::<Vec<_>>()));
        }
        wrong
    }
}
