//! Random histories, made by the real deciders on the real write path; and the views of them.

mod content;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use domain::commit::{ActorSort, Commit, Context, EventRecord, Hash};
use domain::plan::Purpose;
use domain::{
    Actor, Decider, Name, Resource, ResourceId, StreamId, Tenant, Time, account, class, deployment,
    environment, plan, rollout,
};
use journal::memory::MemoryJournal;
use journal::{ExecuteError, Executor, Journal, Recorded};
use projections::{State, Views};
use proptest::prelude::*;
use serde_json::value::RawValue;
use uuid::Uuid;

use content::{a_bucket, a_class, a_plan, a_workload, dev, resource_command};

/// What somebody does: which aggregate, which command, with which argument.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Move {
    aggregate: u8,
    which: u8,
    command: u8,
    argument: u8,
}

/// Histories of up to `length_max` commands.
pub(crate) fn histories(length_max: usize) -> impl Strategy<Value = Vec<Move>> {
    let one = (0..20_u8, 0..4_u8, 0..18_u8, any::<u8>());
    let one = one.prop_map(|(aggregate, which, command, argument)| Move {
        aggregate,
        which,
        command,
        argument,
    });
    prop::collection::vec(one, 1..length_max)
}

/// A log and who writes to it.
pub(crate) struct World {
    pub(crate) journal: Arc<dyn Journal>,
    executor: Executor,
    count: u128,
    last: Option<Uuid>,
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(future)
}

pub(crate) fn tenant() -> Tenant {
    "acme".parse().unwrap()
}

pub(crate) fn stream(kind: &str, name: &str) -> StreamId {
    StreamId::new(tenant(), kind, name.parse().unwrap()).unwrap()
}

fn id(text: &str) -> ResourceId {
    text.parse().unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        Self::over(Arc::new(MemoryJournal::new()))
    }

    pub(crate) fn over(journal: Arc<dyn Journal>) -> Self {
        let executor = Executor::new(Arc::clone(&journal));
        Self { journal, executor, count: 0, last: None }
    }

    pub(crate) async fn play(&mut self, moves: &[Move]) {
        for step in moves {
            self.step(*step).await;
        }
    }

    pub(crate) async fn log(&self) -> Vec<Recorded> {
        use futures::StreamExt as _;
        let head = self.journal.head().await.unwrap().get();
        let log = self.journal.follow(journal::Position::START);
        log.take(usize::try_from(head).unwrap()).map(Result::unwrap).collect().await
    }

    /// Clocks differ: times do not always grow with positions.
    fn now(&self, skew: u8) -> Time {
        let micros = i64::try_from(self.count).unwrap() * 100;
        Time::from_micros(1_000_000 + micros + i64::from(skew))
    }

    pub(crate) async fn execute<D: Decider>(
        &mut self,
        stream: &StreamId,
        command: D::Command,
        skew: u8,
    ) where
        D::Command: Clone,
    {
        self.count += 1;
        let commit_id = Uuid::from_u128(self.count);
        let causation_id = self.last.filter(|_| skew.is_multiple_of(3));
        let sort = if skew.is_multiple_of(2) { ActorSort::User } else { ActorSort::Reconciler };
        let context = Context {
            commit_id,
            time: self.now(skew),
            actor: Actor::new(sort, "anna"),
            causation_id,
            correlation_id: causation_id.unwrap_or(commit_id),
            traceparent: None,
        };
        match self.executor.execute::<D>(stream, command, context).await {
            Ok(done) if !done.events.is_empty() => self.last = Some(commit_id),
            Ok(_) | Err(ExecuteError::Rejected(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    async fn step(&mut self, step: Move) {
        let Move { aggregate, which, command, argument } = step;
        let at = self.now(argument);
        match aggregate {
            0..=11 => self.resource(which, command, argument).await,
            12 => {
                let stream = stream(class::KIND, &format!("bucket_c{which}"));
                let define = class::Command::Define { definition: a_class(which, argument), at };
                let withdraw = class::Command::Withdraw { at };
                let command = if command < 12 { define } else { withdraw };
                self.execute::<class::Class>(&stream, command, argument).await;
            }
            13 => {
                let stream = stream(environment::KIND, "dev");
                let define = environment::Command::Define { definition: dev(argument), at };
                let remove = environment::Command::Remove { at };
                let command = if command < 12 { define } else { remove };
                self.execute::<environment::Environment>(&stream, command, argument).await;
            }
            14 => {
                let registration = account::Registration {
                    provider: "sim".into(),
                    account_id: "1".into(),
                    region: format!("r{argument}"),
                    role: None,
                };
                let register = account::Command::Register { registration, at };
                let command = if command < 12 { register } else { account::Command::Remove { at } };
                let stream = stream(account::KIND, &format!("a{which}"));
                self.execute::<account::Account>(&stream, command, argument).await;
            }
            15..=16 => self.plan(which, command, argument).await,
            17..=18 => self.deployment(which, command, argument).await,
            _ => self.rollout(which, command, argument).await,
        }
    }

    async fn resource(&mut self, which: u8, command: u8, argument: u8) {
        let (stream, spec) = if argument.is_multiple_of(2) {
            (stream("bucket", &format!("dev_shop_b{which}")), a_bucket(argument))
        } else {
            (stream("workload", &format!("dev_shop_w{which}")), a_workload(argument))
        };
        let state = self.executor.load_state::<Resource>(&stream).await.unwrap();
        let uid = state.state.uid().unwrap_or_default();
        let generation = state.state.body().map_or(0, |body| body.generation);
        let at = self.now(argument);
        let command = resource_command(command, argument, spec, uid, generation, at);
        self.execute::<Resource>(&stream, command, argument).await;
    }

    async fn plan(&mut self, which: u8, command: u8, argument: u8) {
        let plan_id = Uuid::from_u128(u128::from(which) + 1);
        let stream = stream(plan::KIND, &plan_id.to_string());
        let (whole, at) = (a_plan(which), self.now(argument));
        let hash = whole.hash();
        let command = match command {
            0..=9 => plan::Command::Propose {
                header: Box::new(whole.header),
                hash,
                steps_total: 3,
                steps: whole.steps[..if argument.is_multiple_of(2) { 3 } else { 1 }].to_vec(),
                at,
            },
            10..=12 => plan::Command::AddSteps { from: 1, steps: whole.steps[1..].to_vec(), at },
            13..=15 => plan::Command::Approve { hash, by: Actor::new(ActorSort::User, "bo"), at },
            _ => plan::Command::Execute {
                rollout: name("dev_shop_1"),
                approval_required: argument.is_multiple_of(2),
                at,
            },
        };
        self.execute::<plan::Proposal>(&stream, command, argument).await;
    }

    async fn deployment(&mut self, which: u8, command: u8, argument: u8) {
        let at = self.now(argument);
        let application = format!("shop{}", if which == 0 { "" } else { "-b" });
        let stream = stream(deployment::KIND, &format!("dev_{application}"));
        let command = match command {
            0..=9 => deployment::Command::StartRollout {
                application: name(&application),
                environment: name("dev"),
                plan: Uuid::from_u128(u128::from(argument)),
                revision: u64::from(argument % 5),
                purpose: if argument.is_multiple_of(7) { Purpose::Delete } else { Purpose::Deploy },
                members: vec![id("bucket/dev_shop_b0"), id("workload/dev_shop_w0")],
                at,
            },
            _ => deployment::Command::EndRollout {
                number: u64::from(argument % 3),
                outcome: if argument.is_multiple_of(2) {
                    deployment::Outcome::Succeeded
                } else {
                    deployment::Outcome::Failed { reason: "too slow".into() }
                },
                removed: vec![id("bucket/dev_shop_b0")],
                at,
            },
        };
        self.execute::<deployment::Deployment>(&stream, command, argument).await;
    }

    async fn rollout(&mut self, which: u8, command: u8, argument: u8) {
        let at = self.now(argument);
        let stream = stream(rollout::KIND, &format!("dev_shop_{which}"));
        let command = match command {
            0..=7 => rollout::Command::Start {
                deployment: name("dev_shop"),
                plan: Uuid::from_u128(u128::from(which)),
                steps_total: 3,
                at,
            },
            8..=13 => rollout::Command::ObserveWaiting {
                waiting: rollout::Waiting {
                    resource: id("bucket/dev_shop_b0"),
                    reason: format!("try {}", argument % 4),
                },
                at,
            },
            _ => rollout::Command::End { outcome: deployment::Outcome::Succeeded, at },
        };
        self.execute::<rollout::Rollout>(&stream, command, argument).await;
    }
}

/// A commit that this program would not write.
pub(crate) async fn append_foreign(
    journal: &dyn Journal,
    stream: &StreamId,
    events: Vec<EventRecord>,
) {
    let loaded = journal.load(stream, 0).await.unwrap();
    let last = loaded.commits.last();
    let id = Uuid::now_v7();
    let commit = Commit {
        commit_id: id,
        stream: stream.clone(),
        first_version: last.map_or(0, Recorded::last_version) + 1,
        time: Time::from_micros(1),
        actor: Actor::new(ActorSort::System, "later"),
        command: "Enchant".into(),
        command_hash: Hash::default(),
        causation_id: None,
        correlation_id: id,
        traceparent: None,
        prev_hash: last.map(|recorded| recorded.sealed.hash).unwrap_or_default(),
        events,
    };
    journal.append(loaded.token, Arc::new(commit.seal().unwrap())).await.unwrap();
}

/// An event as the log may hold it, whatever it says.
pub(crate) fn event(event_type: &str, schema: u32, data: &str) -> EventRecord {
    let data = RawValue::from_string(data.into()).unwrap();
    EventRecord { event_type: event_type.into(), schema, data }
}

/// Runs the views until they show the whole log, or until `stop_at` positions more.
pub(crate) async fn run_to(world: &World, views: &Views, position: journal::Position) {
    let mut status = views.status();
    let reached = async move {
        status.wait_for(|status| status.position >= position).await.unwrap();
    };
    projections::run(Arc::clone(&world.journal), views.clone(), reached).await.unwrap();
}

/// What the log says of every stream up to a position.
pub(crate) fn fold_to(log: &[Recorded], position: u64) -> BTreeMap<StreamId, State> {
    let mut states = BTreeMap::new();
    for recorded in log.iter().filter(|recorded| recorded.position.get() <= position) {
        let commit = &recorded.sealed.commit;
        let stream = &commit.stream;
        let before = states.remove(stream).or_else(|| State::before_all(stream.kind())).unwrap();
        states.insert(stream.clone(), before.apply(stream.kind(), &commit.events).unwrap());
    }
    states
}
