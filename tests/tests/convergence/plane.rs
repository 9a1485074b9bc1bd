//! A control plane with a seed: one log, one world, two workers that crash, and users who change their minds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use domain::commit::{ActorSort, Context};
use domain::deployment::{self, Deployment};
use domain::lifecycle::{Command, Resources};
use domain::plan::{self, Proposal, Purpose};
use domain::{Actor, Decider, Name, Resource, ResourceId, StreamId, Tenant, Time};
use futures::FutureExt as _;
use journal::memory::MemoryJournal;
use journal::testing::Faulty;
use journal::{ExecuteError, Executor, Journal};
use reconcilers::decision::{Decision, Next, StepError};
use reconcilers::leases::Partition;
use reconcilers::{Clock, Driver, Providers, Settings};
use sim::{Nature, Options, Sim};
use uuid::Uuid;

use crate::chaos::Chaos;
use crate::checks::Checks;
use crate::rogue::Rogue;
use crate::wanted::{self, Wanted};
use tests::rng::Rng;

pub struct Virtual(AtomicI64);

impl Clock for Virtual {
    fn now(&self) -> Time {
        Time::from_micros(self.0.load(Ordering::Relaxed))
    }
}

pub struct Worker {
    pub driver: Driver,
    pub pending: Vec<Decision>,
    /// Deployments that it has yet to follow, where the work is shared.
    unfollowed: BTreeSet<StreamId>,
}

pub struct Plane {
    pub rng: Rng,
    pub tenant: Tenant,
    pub clock: Arc<Virtual>,
    pub journal: Arc<MemoryJournal>,
    pub sim: Arc<Sim>,
    pub users: Executor,
    pub chaos: Chaos,
    pub workers: Vec<Worker>,
    pub checks: Checks,
    pub rogue: Option<Rogue>,
    /// What each deployment was last asked to be; none to be gone.
    pub wanted: BTreeMap<Name, Option<Wanted>>,
    /// Resources without a deployment, which users talk to directly.
    pub direct: BTreeSet<ResourceId>,
    /// The workers share the work, and this many times some of it has changed hands; none: anybody does anything.
    pub hands: Option<usize>,
    pub trace: bool,
    pub crashes: u32,
}

fn owner(stream: &StreamId, hands: usize, workers: usize) -> usize {
    (usize::from(Partition::of(stream).number()) + hands) % workers
}

impl Plane {
    pub fn new(seed: u64, rogue: Option<Rogue>, trace: bool) -> Self {
        let mut rng = Rng::new(seed);
        let clock = Arc::new(Virtual(AtomicI64::new(1_000_000)));
        let journal = Arc::new(MemoryJournal::new());
        let chaos = Chaos::new(rng.fork());
        let faults = chaos.clone();
        let options = Options {
            nature: Nature { seed, speed: 1, remembers: true },
            path: None,
            script: Box::new(move |operation, target: Option<&_>| {
                faults.world_fault(operation, target)
            }),
        };
        let sim = Arc::new(Sim::open(Arc::clone(&clock) as _, options).unwrap());
        let mut plane = Self {
            rng,
            tenant: "acme".parse().unwrap(),
            clock,
            users: Executor::new(Arc::clone(&journal) as _),
            journal,
            sim,
            chaos,
            workers: Vec::new(),
            checks: Checks::default(),
            rogue,
            wanted: BTreeMap::new(),
            direct: BTreeSet::new(),
            hands: None,
            trace,
            crashes: 0,
        };
        for _ in 0..2 {
            let worker = plane.worker();
            plane.workers.push(worker);
        }
        plane
    }

    fn worker(&mut self) -> Worker {
        let chaos = self.chaos.clone();
        let inner: Arc<dyn Journal> = Arc::clone(&self.journal) as _;
        let faulty: Arc<dyn Journal> = Faulty::new(inner, move |call| chaos.journal_fault(call));
        let session = Uuid::from_u64_pair(self.rng.number(), self.rng.number());
        let settings = Settings { session, grace_micros: 15_000_000 };
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        let driver = Driver::new(Executor::new(faulty), Providers::all(&self.sim), clock, settings);
        let streams = self.checks.streams().iter();
        let unfollowed =
            streams.filter(|stream| stream.kind() == deployment::KIND).cloned().collect();
        Worker { driver, pending: Vec::new(), unfollowed }
    }

    /// Whose a stream is, where the work is shared.
    pub fn owner(&self, stream: &StreamId) -> Option<usize> {
        Some(owner(stream, self.hands?, self.workers.len()))
    }

    fn is_anothers(&self, worker: usize, stream: &StreamId) -> bool {
        self.owner(stream).is_some_and(|owner| owner != worker)
    }

    /// Keeps what the rollouts of others rely on. False: it could not, and does nothing else before it can.
    fn follow(&mut self, worker: usize) -> bool {
        while self.hands.is_some()
            && let Some(stream) = self.workers[worker].unfollowed.first().cloned()
        {
            let driver = &self.workers[worker].driver;
            match driver.keep_what_it_relies_on(&stream).now_or_never() {
                Some(Ok(())) => self.workers[worker].unfollowed.remove(&stream),
                Some(Err(_)) => return false,
                None => {
                    self.crash(worker);
                    return false;
                }
            };
        }
        true
    }

    pub fn say(&self, words: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{:>12} {}", self.clock.now().as_micros(), words());
        }
    }

    pub fn advance(&self, micros: i64) {
        self.clock.0.fetch_add(micros, Ordering::Relaxed);
    }

    /// The worker's process dies: all that it had in memory is gone.
    pub fn crash(&mut self, worker: usize) {
        self.say(|| format!("worker {worker} crashes"));
        self.crashes += 1;
        self.workers[worker] = self.worker();
    }

    /// Polled once: whatever does not finish has died.
    pub fn look(&mut self, worker: usize, stream: &StreamId) -> Option<Decision> {
        if !self.follow(worker) || self.is_anothers(worker, stream) {
            return None;
        }
        match self.workers[worker].driver.look(stream).now_or_never() {
            None => {
                self.crash(worker);
                None
            }
            Some(Ok(decision)) => Some(decision),
            Some(Err(error)) => {
                self.tell_error(worker, stream, &error);
                None
            }
        }
    }

    pub fn act(&mut self, worker: usize, decision: Decision) -> Option<Next> {
        let stream = decision.stream.clone();
        if self.is_anothers(worker, &stream) {
            self.say(|| format!("worker {worker} has lost {stream}"));
            return None;
        }
        self.say(|| format!("worker {worker} {decision:?}"));
        let outcome = match self.rogue {
            Some(rogue) => rogue.act(self, worker, decision),
            None => self.workers[worker].driver.act(decision).now_or_never(),
        };
        self.check();
        match outcome {
            None => {
                self.crash(worker);
                None
            }
            Some(Ok(next)) => Some(next),
            Some(Err(error)) => {
                self.tell_error(worker, &stream, &error);
                None
            }
        }
    }

    fn tell_error(&self, worker: usize, stream: &StreamId, error: &StepError) {
        self.say(|| format!("worker {worker} {stream}: {error:?}"));
    }

    pub fn sweep(&mut self, worker: usize) -> usize {
        let (hands, workers) = (self.hands, self.workers.len());
        let ours = move |stream: &StreamId| {
            hands.is_none_or(|hands| owner(stream, hands, workers) == worker)
        };
        let found = self.workers[worker].driver.sweep_where(ours).now_or_never();
        let Some(found) = found else {
            self.crash(worker);
            return 0;
        };
        let found = found.unwrap_or_default();
        // What is under way is not progress: time brings it on.
        let acted = found.into_iter().map(|decision| self.act(worker, decision));
        acted.filter(|next| *next != Some(Next::Rest)).count()
    }

    pub fn check(&mut self) {
        let mut checks = std::mem::take(&mut self.checks);
        checks.look(self);
        let moved = checks.take_moved();
        self.checks = checks;
        for worker in &mut self.workers {
            worker.unfollowed.extend(moved.iter().cloned());
        }
    }

    /// A command of a user's, which reaches the log.
    pub fn command<D: Decider>(&mut self, stream: &StreamId, command: D::Command) -> bool
    where
        D::Command: Clone,
    {
        let commit_id = Uuid::from_u64_pair(self.rng.number(), self.rng.number());
        let context = Context {
            commit_id,
            time: self.clock.now(),
            actor: Actor::new(ActorSort::User, "ada"),
            causation_id: None,
            correlation_id: commit_id,
            traceparent: None,
        };
        self.say(|| format!("a user says {command:?} to {stream}"));
        match self.users.execute::<D>(stream, command, context).now_or_never().unwrap() {
            Ok(_) => true,
            Err(ExecuteError::Rejected(refused)) => {
                self.say(|| format!("refused: {refused}"));
                false
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub fn tell(&mut self, id: &ResourceId, command: Command) -> bool {
        let stream = id.stream(&self.tenant);
        self.command::<Resource>(&stream, command)
    }

    pub fn state<D: Decider>(&self, stream: &StreamId) -> Arc<D::State> {
        self.users.load_state::<D>(stream).now_or_never().unwrap().unwrap().state
    }

    pub fn resource(&self, id: &ResourceId) -> Arc<Resource> {
        self.state::<Resource>(&id.stream(&self.tenant))
    }

    pub fn deployment(&self, name: &Name) -> StreamId {
        StreamId::new(self.tenant.clone(), deployment::KIND, name.clone()).unwrap()
    }

    /// Plans from what lives now, and starts the plan.
    pub fn deploy(&mut self, name: &Name, wanted: Option<Wanted>) {
        let stream = self.deployment(name);
        let deployment = self.state::<Deployment>(&stream);
        let purpose = if wanted.is_some() { Purpose::Deploy } else { Purpose::Delete };
        let list = wanted.clone().unwrap_or_default();
        let ids: BTreeSet<_> = deployment
            .members
            .iter()
            .cloned()
            .chain(list.iter().map(|(id, ..)| id.clone()))
            .collect();
        let live: Resources =
            ids.into_iter().map(|id| (id.clone(), (*self.resource(&id)).clone())).collect();
        let plan = wanted::plan(name, purpose, &list, &live, &deployment.members);
        let plan_id = Uuid::from_u64_pair(self.rng.number(), self.rng.number());
        let plan_name: Name = plan_id.to_string().parse().unwrap();
        let at = self.clock.now();
        let propose = plan::Command::Propose {
            header: Box::new(plan.header.clone()),
            hash: plan.hash(),
            steps_total: plan.steps.len() as u32,
            steps: plan.steps,
            at,
        };
        let plan_stream = StreamId::new(self.tenant.clone(), plan::KIND, plan_name).unwrap();
        self.command::<Proposal>(&plan_stream, propose);
        let owned = |id: &ResourceId| id.name.as_str().starts_with(name.as_str());
        let start = deployment::Command::StartRollout {
            application: "app".parse().unwrap(),
            environment: "dev".parse().unwrap(),
            plan: plan_id,
            revision: 1,
            purpose,
            members: list.iter().map(|(id, ..)| id.clone()).filter(|id| owned(id)).collect(),
            at,
        };
        if self.command::<Deployment>(&stream, start) {
            self.wanted.insert(name.clone(), wanted);
        }
    }

    /// Every resource and deployment that the log knows.
    pub fn streams(&self) -> Vec<StreamId> {
        self.checks.streams().iter().cloned().collect()
    }
}
