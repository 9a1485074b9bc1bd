//! A store, members with clocks of their own, and a network between them: one thread, one seed.

mod node;
mod store;
mod work;

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use super::super::member::{Bug, Input, Outcome, Output};
use super::super::store::{Change, Revision};
use super::super::view::Key;
use super::super::{Lease, Timing};
use node::{Node, Work};
use store::Store;

/// SplitMix64.
#[derive(Clone, Debug)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        if n == 0 { 0 } else { self.next() % n }
    }
}

#[derive(Clone, Debug)]
enum Event {
    /// A write reaches the store.
    Arrive {
        ticket: u64,
        key: Key,
        expected: Revision,
        value: Vec<u8>,
    },
    /// Something reaches a member.
    Input(Input),
    /// A change reaches a member, by the watch it had begun then.
    Watched {
        watch: u64,
        change: Change,
    },
    Tick {
        serial: u64,
    },
    /// Work goes on.
    Work {
        lease: Lease,
        token: Revision,
    },
}

/// Everything.
pub(super) struct World {
    now: Duration,
    rng: Rng,
    sequence: u64,
    /// By when they happen, when they were due, and in which order they were caused.
    events: BTreeMap<(Duration, Duration, u64), (Uuid, Event)>,
    store: Store,
    nodes: Vec<Node>,
    /// The last to have worked under each lease, and its token.
    worked: BTreeMap<Lease, (Revision, Uuid)>,
    bug: Option<Bug>,
    /// Whether writes and replies are lost and late.
    pub(super) rough: bool,
    pub(super) failures: Vec<String>,
    pub(super) takeovers: u64,
    pub(super) lives: u64,
    pub(super) writes: u64,
}

impl World {
    pub(super) fn new(seed: u64, bug: Option<Bug>) -> Self {
        Self {
            now: Duration::from_secs(1),
            rng: Rng::new(seed),
            sequence: 0,
            events: BTreeMap::new(),
            store: Store::default(),
            nodes: Vec::new(),
            worked: BTreeMap::new(),
            bug,
            rough: false,
            failures: Vec::new(),
            takeovers: 0,
            lives: 0,
            writes: 0,
        }
    }

    /// So many members, and nothing goes wrong.
    pub(super) fn calm(seed: u64, members: usize) -> Self {
        let mut world = Self::new(seed, None);
        (0..members).for_each(|_| world.start());
        world
    }

    pub(super) const fn now(&self) -> Duration {
        self.now
    }

    pub(super) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// How many leases a member has.
    pub(super) fn held(&self, index: usize) -> u64 {
        self.nodes[index].held.len() as u64
    }

    /// Whether nobody is there who will be.
    pub(super) fn is_deserted(&self) -> bool {
        self.nodes.iter().all(|node| node.leaves)
    }

    fn id(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.rng.next(), self.rng.next())
    }

    /// A member starts, with a clock of its own.
    pub(super) fn start(&mut self) {
        let (process, id) = (self.id(), self.id());
        let rate_ppm = match self.rng.below(3) {
            0 => 935_000,
            1 => 1_065_000,
            _ => 935_000 + self.rng.below(130_000),
        };
        let mut node = Node::new(process, id, rate_ppm, Timing::default());
        node.member.bug = self.bug;
        self.nodes.push(node);
        let index = self.nodes.len() - 1;
        self.watch_again(index);
        self.step(process, Input::Share);
        self.step(process, Input::Want(Lease::Projector, true));
    }

    pub(super) fn crash(&mut self, index: usize) {
        self.nodes.remove(index);
    }

    pub(super) fn leave(&mut self, index: usize) {
        self.nodes[index].leaves = true;
        let process = self.nodes[index].process;
        self.schedule(self.now, process, Event::Input(Input::Leave));
    }

    /// SIGSTOP, and SIGCONT later.
    pub(super) fn pause(&mut self, index: usize, long: Duration) {
        let node = &mut self.nodes[index];
        node.paused_until = node.paused_until.max(self.now + long);
    }

    /// Nothing reaches the store or comes from it for a while.
    pub(super) fn cut(&mut self, index: usize, long: Duration) {
        self.nodes[index].cut_until = self.now + long;
    }

    /// The watch is begun anew, and with it everything is told again.
    pub(super) fn watch_again(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        node.watch += 1;
        let (process, watch) = (node.process, node.watch);
        self.schedule(self.now, process, Event::Input(Input::Replayed));
        for change in self.store.all() {
            self.tell(process, watch, change);
        }
        self.tell(process, watch, Change::Current);
    }

    /// Somebody wipes the store.
    pub(super) fn wipe(&mut self) {
        self.store.wipe();
        for index in 0..self.nodes.len() {
            self.watch_again(index);
        }
    }

    pub(super) fn run_for(&mut self, long: Duration) {
        let end = self.now + long;
        while let Some(entry) = self.events.first_entry()
            && entry.key().0 <= end
        {
            let ((at, due, sequence), (process, event)) = entry.remove_entry();
            self.now = self.now.max(at);
            self.happen(process, due, sequence, event);
        }
        self.now = end;
    }

    fn schedule(&mut self, at: Duration, process: Uuid, event: Event) {
        self.sequence += 1;
        let at = at.max(self.now);
        self.events.insert((at, at, self.sequence), (process, event));
    }

    fn node(&mut self, process: Uuid) -> Option<&mut Node> {
        self.nodes.iter_mut().find(|node| node.process == process)
    }

    fn happen(&mut self, process: Uuid, due: Duration, sequence: u64, event: Event) {
        if let Event::Arrive { ticket, key, expected, value } = event {
            return self.arrive(process, ticket, key, expected, value);
        }
        let now = self.now;
        let Some(node) = self.node(process) else { return };
        if node.paused_until > now {
            // It finds everything when it wakes, in the order in which it came.
            let at = (node.paused_until, due, sequence);
            self.events.insert(at, (process, event));
            return;
        }
        match event {
            Event::Arrive { .. } => {}
            Event::Input(input) => self.step(process, input),
            Event::Watched { watch, change } if watch == node.watch => {
                self.step(process, Input::Changed(change));
            }
            Event::Watched { .. } => {}
            Event::Tick { serial } if serial == node.serial => self.step(process, Input::Tick),
            Event::Tick { .. } => {}
            Event::Work { lease, token } => self.work(process, lease, token),
        }
    }

    fn arrive(&mut self, process: Uuid, ticket: u64, key: Key, expected: u64, value: Vec<u8>) {
        self.writes += 1;
        let written = self.store.write(&key.to_string(), expected, value);
        let outcome = match &written {
            Some(Change::Put { revision, .. }) => Outcome::Written(*revision),
            Some(_) | None => Outcome::Refused,
        };
        if let Some(change) = written {
            let watches: Vec<_> =
                self.nodes.iter().map(|node| (node.process, node.watch)).collect();
            for (process, watch) in watches {
                self.tell(process, watch, change.clone());
            }
        }
        if self.rough && self.rng.below(10) == 0 {
            return;
        }
        let late = self.delay(950);
        let at = self.reachable(process, late);
        self.schedule(at, process, Event::Input(Input::Wrote { ticket, outcome }));
    }

    /// A watch tells in order, however late.
    fn tell(&mut self, process: Uuid, watch: u64, change: Change) {
        let late = self.delay(400);
        let at = self.reachable(process, late);
        let Some(node) = self.node(process) else { return };
        let at = at.max(node.told_at);
        node.told_at = at;
        self.schedule(at, process, Event::Watched { watch, change });
    }

    fn delay(&mut self, rough_ms: u64) -> Duration {
        let ms = if self.rough && self.rng.below(3) == 0 { rough_ms } else { 8 };
        Duration::from_millis(1 + self.rng.below(ms))
    }

    fn reachable(&mut self, process: Uuid, late: Duration) -> Duration {
        let now = self.now;
        self.node(process).map_or(now, |node| node.cut_until.max(now)) + late
    }

    fn step(&mut self, process: Uuid, input: Input) {
        let mut inputs = std::collections::VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let (now, next_id) = (self.now, self.id());
            let Some(node) = self.node(process) else { return };
            let local = node.local(now);
            for output in node.member.step(local, input) {
                inputs.extend(self.put_out(process, output, next_id));
            }
        }
        let now = self.now;
        let Some(node) = self.node(process) else { return };
        node.serial += 1;
        let (serial, local) = (node.serial, node.local(now));
        let at = now + node.real(node.member.next_tick(local).saturating_sub(local));
        self.schedule(at, process, Event::Tick { serial });
    }

    fn put_out(&mut self, process: Uuid, output: Output, next_id: Uuid) -> Option<Input> {
        let now = self.now;
        match output {
            Output::Write { ticket, key, expected, value } => {
                self.send(process, ticket, key, expected, value);
                None
            }
            Output::Alive(until) => {
                let node = self.node(process)?;
                (!node.extend(now, until)).then_some(Input::Expired)
            }
            Output::Granted { lease, token, takeover } => {
                self.takeovers += u64::from(takeover);
                self.node(process)?.held.insert(lease, Work::new(token));
                if work::is_worked_under(lease) {
                    self.schedule(now, process, Event::Work { lease, token });
                }
                None
            }
            Output::Withdraw(lease) => {
                let node = self.node(process)?;
                let work = node.held.get_mut(&lease)?;
                work.withdrawn = true;
                if work.busy > 0 {
                    return None;
                }
                let token = work.token;
                node.held.remove(&lease);
                Some(Input::Freed(lease, token))
            }
            Output::Revoked(lease) => {
                self.node(process)?.drop_work(Some(lease));
                None
            }
            Output::Over => {
                self.lives += 1;
                let node = self.node(process)?;
                node.drop_work(None);
                node.until = None;
                node.member.begin_again(next_id);
                Some(Input::Tick)
            }
            Output::Left => {
                self.nodes.retain(|node| node.process != process);
                None
            }
            Output::Forget(key) => {
                self.store.forget(&key.to_string());
                None
            }
        }
    }

    fn send(&mut self, process: Uuid, ticket: u64, key: Key, expected: u64, value: Vec<u8>) {
        let now = self.now;
        let Some(node) = self.node(process) else { return };
        let patience = now + node.real(Timing::default().renew);
        let unknown = Input::Wrote { ticket, outcome: Outcome::Unknown };
        self.schedule(patience, process, Event::Input(unknown));
        let fate = if self.rough { self.rng.below(100) } else { 100 };
        let late = match fate {
            0..8 => return,
            // It lay about somewhere.
            8..14 => Duration::from_millis(self.rng.below(9_000)),
            _ => self.delay(600),
        };
        let at = self.reachable(process, late);
        self.schedule(at, process, Event::Arrive { ticket, key, expected, value });
    }
}
