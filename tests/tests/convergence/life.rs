//! One seed's life: chaos, then calm, then the question whether everything is as wanted.

use domain::deployment::Deployment;
use domain::lifecycle::{Command, Contest, Lifetime};
use domain::{Name, Resource, ResourceId, Spec};
use futures::FutureExt as _;
use journal::Journal as _;
use reconcilers::Clock as _;
use reconcilers::decision::Next;
use uuid::Uuid;

use sim::Happening;

use crate::plane::Plane;
use crate::rogue::Rogue;
use crate::wanted::{self, CLUSTER, id};

/// How many things happen before it is calm.
const TURNS: usize = 260;
/// Rounds of looking at everything until nothing is left to be done; far more than is ever needed.
const ROUNDS_MAX: usize = 400;

/// Lives one seed, and says what was wrong.
pub fn run(seed: u64, rogue: Option<Rogue>, shared: bool, trace: bool) -> Vec<String> {
    let mut plane = Plane::new(seed, rogue, trace);
    plane.hands = shared.then_some(0);
    let deployments: Vec<Name> = match plane.rng.below(3) {
        0 => vec!["dev_shop".parse().unwrap()],
        _ => vec!["dev_shop".parse().unwrap(), "dev_blog".parse().unwrap()],
    };
    plane.declare(&id(CLUSTER), wanted::cluster(), Lifetime::Kept);
    for _ in 0..TURNS {
        plane.turn(&deployments);
    }
    plane.calm(&deployments);
    let settled = plane.settle();
    plane.wake_sleepers();
    if settled && plane.settle() {
        let mut checks = std::mem::take(&mut plane.checks);
        checks.finish(&plane);
        plane.checks = checks;
        plane.rest();
    }
    plane.checks.failures
}

impl Plane {
    pub fn declare(&mut self, id: &ResourceId, spec: Spec, lifetime: Lifetime) {
        let uid = Uuid::from_u64_pair(self.rng.number(), self.rng.number());
        let at = self.clock.now();
        let declare = Command::Declare { uid, spec, class: None, lifetime, protected: false, at };
        self.tell(id, declare);
        self.check();
    }

    /// Something happens.
    fn turn(&mut self, deployments: &[Name]) {
        if let Some(hands) = self.hands
            && self.rng.per_mille(30)
        {
            self.hands = Some(hands + 1);
        }
        let worker = self.rng.below(self.workers.len());
        match self.rng.below(1_000) {
            0..30 => {
                if let Some(name) = self.rng.clone().pick(deployments) {
                    self.change_mind(name);
                }
            }
            30..60 => self.meddle(),
            60..75 => self.crash(worker),
            75..95 => {
                self.sweep_unless_rogue(worker);
            }
            95..180 => self.advance(self.rng.clone().below(20_000_000) as i64),
            180..220 => self.intend_directly(),
            220..620 => {
                let streams = self.streams();
                let Some(stream) = self.rng.pick(&streams).cloned() else { return };
                // A worker that sleeps between look and act.
                if let Some(decision) = self.look(worker, &stream)
                    && self.workers[worker].pending.len() < 4
                {
                    self.workers[worker].pending.push(decision);
                }
            }
            620..800 => self.act_on_pending(worker),
            _ => {
                let streams = self.streams();
                if let Some(stream) = self.rng.pick(&streams).cloned() {
                    self.take_turns(worker, &stream, 6);
                }
            }
        }
        self.rng.number();
    }

    fn sweep_unless_rogue(&mut self, worker: usize) -> usize {
        if self.rogue == Some(Rogue::NoSweep) { 0 } else { self.sweep(worker) }
    }

    fn act_on_pending(&mut self, worker: usize) {
        let count = self.workers[worker].pending.len();
        if count > 0 {
            let index = self.rng.below(count);
            let decision = self.workers[worker].pending.swap_remove(index);
            self.act(worker, decision);
        }
    }

    /// Steps until the resource rests, at most so many.
    fn take_turns(&mut self, worker: usize, stream: &domain::StreamId, turns: usize) {
        for _ in 0..turns {
            let Some(decision) = self.look(worker, stream) else { return };
            match self.act(worker, decision) {
                Some(Next::Again | Next::Called) => {}
                Some(Next::Rest | Next::Later(_)) | None => return,
            }
        }
    }

    fn change_mind(&mut self, name: &Name) {
        let wanted =
            (!self.rng.per_mille(200)).then(|| wanted::application(name.as_str(), &mut self.rng));
        self.deploy(name, wanted);
        self.check();
    }

    /// Somebody else changes, breaks, heals or removes a thing.
    fn meddle(&mut self) {
        let now = self.clock.now();
        let ids: Vec<ResourceId> = self.sim.with_world(|world| {
            let there = world.objects().filter(|object| !object.is_gone(now));
            there.map(|object| object.target.id.clone()).collect()
        });
        let Some(id) = self.rng.pick(&ids).cloned() else { return };
        let what = self.rng.below(5);
        self.say(|| format!("somebody meddles with {id}: {what}"));
        let by = Some("bob".to_owned());
        let what = match what {
            0 => Happening::Drift { detail: "size is 99".into(), by },
            1 => Happening::Remove { by },
            2 => Happening::Break { message: "its disk is full".into(), for_good: false },
            3 => Happening::Break { message: "it is corrupt".into(), for_good: true },
            _ => Happening::Heal,
        };
        self.sim.happen(&self.tenant, &id, what).unwrap();
        self.check();
    }

    /// A resource without a deployment: declared, revised, paused, resumed, replaced, deleted.
    fn intend_directly(&mut self) {
        let name = ["bucket/a", "bucket/b"][self.rng.below(2)];
        let id = id(name);
        let at = self.clock.now();
        let days = self.rng.below(3);
        let spec =
            id.kind.read_spec(serde_json::json!({"region": "eu", "expire_days": days})).unwrap();
        self.direct.insert(id.clone());
        match self.rng.below(6) {
            0 | 1 => self.declare(&id, spec, Lifetime::Kept),
            2 => {
                self.tell(&id, Command::Revise { spec, class: None, generation: None, at });
            }
            3 => {
                self.tell(&id, Command::Pause { at });
            }
            4 => {
                self.tell(&id, Command::Resume { at });
            }
            _ => {
                let replacement = self.rng.per_mille(500);
                self.tell(&id, Command::RequestDeletion { uid: None, replacement, at });
            }
        }
        self.check();
    }

    /// Nothing goes wrong any more, and the users make up their minds; the workers still hold old decisions.
    fn calm(&mut self, deployments: &[Name]) {
        self.say(|| "it is calm".into());
        self.chaos.stop();
        let broken: Vec<ResourceId> = self.sim.with_world(|world| {
            let broken = world.objects().filter(|object| object.broken.is_some());
            broken.map(|object| object.target.id.clone()).collect()
        });
        for id in broken {
            self.sim.happen(&self.tenant, &id, Happening::Heal).unwrap();
        }
        for id in self.direct.clone() {
            let at = self.clock.now();
            self.tell(&id, Command::Resume { at });
        }
        for name in deployments {
            self.change_mind(name);
        }
        for _ in 0..self.rng.below(8) {
            let worker = self.rng.below(self.workers.len());
            self.act_on_pending(worker);
        }
        let empty = |name: &Name| {
            let deployment = self.state::<Deployment>(&self.deployment(name));
            deployment.rollout.is_none() || matches!(self.wanted.get(name), Some(None))
        };
        if deployments.iter().all(empty) {
            let at = self.clock.now();
            let delete = Command::RequestDeletion { uid: None, replacement: false, at };
            self.tell(&id(CLUSTER), delete);
        }
        self.check();
    }

    /// Workers that slept all the while do what they had decided long ago.
    fn wake_sleepers(&mut self) {
        self.say(|| "the sleepers wake".into());
        while self.workers.iter().any(|worker| !worker.pending.is_empty()) {
            let worker = self.rng.below(self.workers.len());
            self.act_on_pending(worker);
        }
    }

    /// Everything is looked at until nothing is left to be done. Says whether that came to an end.
    fn settle(&mut self) -> bool {
        for round in 0..ROUNDS_MAX {
            let mut again_at = None;
            let mut progress = false;
            for (index, stream) in self.streams().into_iter().enumerate() {
                let anybody = (index + round) % self.workers.len();
                let worker = self.owner(&stream).unwrap_or(anybody);
                let Some(decision) = self.look(worker, &stream) else { continue };
                again_at = [again_at, decision.again_at].into_iter().flatten().min();
                progress |= self.act(worker, decision) != Some(Next::Rest);
            }
            let sweeper = round % self.workers.len();
            for worker in 0..self.workers.len() {
                if self.hands.is_some() || worker == sweeper {
                    progress |= self.sweep_unless_rogue(worker) > 0;
                }
            }
            if !self.checks.failures.is_empty() {
                return false;
            }
            progress |= self.end_fights();
            if progress {
                continue;
            }
            let due = self.sim.with_world(sim::World::next_due);
            let Some(next) = [due, again_at].into_iter().flatten().min() else { return true };
            self.advance(next.micros_since(self.clock.now()));
            self.sim.due();
        }
        let resting = self.streams().into_iter().filter_map(|stream| {
            let state = self.resource(&stream.resource()?);
            let rests = matches!(&*state, Resource::Live(body) if body.is_ready());
            (!rests && !matches!(&*state, Resource::Gone(_)))
                .then(|| format!("{stream}: {state:?}"))
        });
        let restless: Vec<_> = resting.collect();
        self.checks
            .failures
            .push(format!("it does not settle in {ROUNDS_MAX} rounds: {restless:#?}"));
        false
    }

    /// Whoever meddled has stopped: somebody says so where a fight was left at that. Says whether there was one.
    fn end_fights(&mut self) -> bool {
        let ids = self.streams().into_iter().filter_map(|stream| stream.resource());
        let fought = ids.filter(|id| match &*self.resource(id) {
            Resource::Live(body) => body.contest.as_ref().is_some_and(Contest::is_fight),
            Resource::Deleting(..) | Resource::Gone(_) | Resource::Absent => false,
        });
        let fought: Vec<ResourceId> = fought.collect();
        for id in &fought {
            let at = self.clock.now();
            self.tell(id, Command::Pause { at });
            self.tell(id, Command::Resume { at });
        }
        !fought.is_empty()
    }

    /// What has settled makes no further writes (invariant 14).
    fn rest(&mut self) {
        let before = (self.effects(), self.journal.head().now_or_never().unwrap().unwrap());
        for worker in 0..self.workers.len() {
            for stream in self.streams() {
                if let Some(decision) = self.look(worker, &stream) {
                    self.act(worker, decision);
                }
            }
            self.sweep_unless_rogue(worker);
        }
        let after = (self.effects(), self.journal.head().now_or_never().unwrap().unwrap());
        if before != after {
            self.checks
                .failures
                .push("it goes on writing though all is settled (invariant 14)".into());
        }
    }

    fn effects(&self) -> u64 {
        self.sim.with_world(sim::World::effects)
    }
}
