//! One step for one resource: look, then act.
//!
//! # Expected flow
//! [`Driver::look`] loads the resource, resolves what it needs, observes the world and asks for the next step;
//! [`Driver::act`] takes it. Between the two, and after either, anything may happen: a crash, another worker, a
//! newer intent. Nothing is carried from one look to the next.
//!
//! # Guarantees
//! - That an action is about to be tried is in the log before it is tried (invariant 8).
//! - A deletion is decided only once the graph has everything that was in the log before the look (invariant 9).

mod needs;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::class::{self, Class, Drift};
use domain::commit::{ActorSort, Context};
use domain::lifecycle::{Body, Command, Failure, Refused};
use domain::{Actor, Resource, StreamId, Time, deployment};
use journal::{ExecuteError, Executor};
use tracing::{debug, info, warn};
use uuid::Uuid;

pub(crate) use self::needs::needs;
use crate::clock::Clock;
use crate::decision::{Act, Decision, Next, StepError, Tried};
use crate::index::Index;
use crate::providers::{Effect, Facts, Providers};
use crate::reconcile::{CallError, Performed, Step, Target, Waiting};
use crate::rollouts::failover::FailOver;
use crate::rollouts::{RollBack, sibling};

/// What the world has yet to do is looked at again after this share of the time that it has taken so far,
const POLL_SHARE: i64 = 4;
/// not sooner than this,
const POLL_MICROS_MIN: i64 = 1_000_000;
/// and not later: that a change was not told of costs no more.
const POLL_MICROS_MAX: i64 = 30 * 1_000_000;

/// How a [`Driver`] works.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Names this process: no two running ones share it.
    pub session: Uuid,
    /// How long something may be unneeded before it goes.
    pub grace_micros: i64,
}

/// Takes steps.
pub struct Driver {
    pub(crate) executor: Executor,
    pub(crate) index: Arc<Index>,
    pub(crate) providers: Providers,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: Settings,
    pub(crate) roll_back: Option<Arc<dyn RollBack>>,
    pub(crate) fail_over: Option<Arc<dyn FailOver>>,
    sequence: AtomicU64,
}

impl Driver {
    /// Takes steps on a log and the world.
    #[must_use]
    pub fn new(
        executor: Executor,
        providers: Providers,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Self {
        let index = Arc::new(Index::new(Arc::clone(executor.journal()), clock.now()));
        Self {
            executor,
            index,
            providers,
            clock,
            settings,
            roll_back: None,
            fail_over: None,
            sequence: AtomicU64::new(0),
        }
    }

    /// Takes failed rollouts back where their environment says so.
    #[must_use]
    pub fn with_roll_back(self, roll_back: Arc<dyn RollBack>) -> Self {
        Self { roll_back: Some(roll_back), ..self }
    }

    /// Brings deployments out of clusters that are lost where their environment says so.
    #[must_use]
    pub fn with_fail_over(self, fail_over: Arc<dyn FailOver>) -> Self {
        Self { fail_over: Some(fail_over), ..self }
    }

    /// The graph that it goes by.
    #[must_use]
    pub const fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// Looks at a resource or a deployment, and decides on one step.
    ///
    /// # Errors
    /// [`StepError`]: look again later.
    pub async fn look(&self, stream: &StreamId) -> Result<Decision, StepError> {
        self.index.keep_up().await?;
        if stream.kind() == deployment::KIND {
            self.look_at_deployment(stream).await
        } else {
            self.look_at_resource(stream).await
        }
    }

    /// Takes the step.
    ///
    /// # Errors
    /// [`StepError`]: look again later.
    pub async fn act(&self, decision: Decision) -> Result<Next, StepError> {
        let stream = decision.stream;
        match decision.act {
            Act::Settled | Act::Waits => Ok(Next::Rest),
            Act::Record(command) => self.record_if_still_so(&stream, command).await,
            Act::Disown(command) => {
                self.record(&stream, command).await?;
                Ok(Next::Again)
            }
            Act::Perform { effect, target, tried, then } => {
                self.perform(&stream, effect, target, tried, then).await
            }
            Act::Rollout(step) => self.advance_rollout(&stream, step).await,
        }
    }

    async fn look_at_resource(&self, stream: &StreamId) -> Result<Decision, StepError> {
        let Some(id) = stream.resource() else {
            return Ok(Decision::new(stream.clone(), Act::Settled));
        };
        let resource = self.executor.load_state::<Resource>(stream).await?.state;
        let Some(uid) = resource.uid() else {
            return Ok(Decision::new(stream.clone(), Act::Settled));
        };
        if let Resource::Gone(grave) = &*resource
            && self.is_left_behind(stream, grave).await?
        {
            return Ok(Decision::new(stream.clone(), Act::Settled));
        }
        let target = Target { tenant: stream.tenant().clone(), id, uid };
        let (inputs, unmet) = needs(&self.executor, &resource, &target).await?;
        let dependent = match &*resource {
            Resource::Deleting(..) => self.index.dependent(stream),
            Resource::Live(_) | Resource::Gone(_) | Resource::Absent => None,
        };
        let at = self.clock.now();
        let unneeded_at = self.unneeded_at(stream);
        let facts = Facts {
            target: &target,
            resource: &resource,
            inputs: &inputs,
            unmet: unmet.as_ref(),
            dependent: dependent.as_ref(),
            unneeded: unneeded_at.is_some_and(|due| due <= at),
            accepts_drift: self.accepts_drift(stream, &resource).await?,
            at,
        };
        let step = match (self.providers.of(target.id.kind).look(facts).await, &unmet) {
            // What is in a cluster that is not ready cannot be seen, and does not have to be.
            (Err(_), Some(unmet)) => Step::Wait(unmet.clone()),
            (step, _) => step.map_err(StepError::Observe)?,
        };
        let poll_at = poll_at(&step, &resource, at);
        let act = act_of(step, &resource, target, at);
        let again_at = unneeded_at.filter(|due| *due > at).into_iter().chain(poll_at).min();
        Ok(Decision { stream: stream.clone(), again_at, act })
    }

    /// Whether the class that it was made from, as that is now, lets stay what somebody else changes.
    async fn accepts_drift(&self, stream: &StreamId, state: &Resource) -> Result<bool, StepError> {
        let Resource::Live(body) = state else { return Ok(false) };
        let Some(class) = &body.class else { return Ok(false) };
        let stream = sibling(stream, class::KIND, class.name.as_str())?;
        let class = self.executor.load_state::<Class>(&stream).await?.state;
        Ok(class.definition.as_ref().is_some_and(|class| class.drift == Drift::Accept))
    }

    /// When its grace time is over, if nothing needs it.
    fn unneeded_at(&self, stream: &StreamId) -> Option<Time> {
        let since = self.index.unneeded_since(stream)?;
        Some(since.plus_micros(self.settings.grace_micros))
    }

    /// Records, unless it is a deletion for want of need and something has come to need it since the look.
    async fn record_if_still_so(
        &self,
        stream: &StreamId,
        command: Command,
    ) -> Result<Next, StepError> {
        if matches!(command, Command::RequestDeletion { .. }) {
            self.index.keep_up().await?;
            let now = self.clock.now();
            if self.unneeded_at(stream).is_none_or(|due| due > now) {
                return Ok(Next::Again);
            }
        }
        let rests = matches!(command, Command::ObserveBlocker { .. });
        self.record(stream, command).await?;
        Ok(if rests { Next::Rest } else { Next::Again })
    }

    async fn perform(
        &self,
        stream: &StreamId,
        effect: Effect,
        target: Target,
        tried: Option<Tried>,
        then: Option<Command>,
    ) -> Result<Next, StepError> {
        let what = effect.what.clone();
        match effect.run().await {
            Ok(Performed::Finished) => {
                info!(%stream, uid = %target.uid, what, "acted");
                if let Some(command) = then {
                    self.record(stream, command).await?;
                }
                Ok(Next::Called)
            }
            Ok(Performed::Underway) => {
                debug!(%stream, uid = %target.uid, what, "under way");
                Ok(Next::Rest)
            }
            Ok(Performed::Held(reason)) => {
                debug!(%stream, uid = %target.uid, what, reason, "held up");
                let (uid, at) = (target.uid, self.clock.now());
                let held = Command::ObserveBlocker { uid, on: None, reason, at };
                self.record(stream, held).await?;
                Ok(Next::Rest)
            }
            Ok(Performed::Measured { generation, step, measured }) => {
                debug!(%stream, uid = %target.uid, ?measured, "measured");
                let (uid, at) = (target.uid, self.clock.now());
                let measured = Command::MeasureCanary { uid, generation, step, measured, at };
                self.record(stream, measured).await?;
                Ok(Next::Again)
            }
            Err(CallError { class, message }) => {
                warn!(%stream, uid = %target.uid, what, message, "a call failed");
                if let Some(Tried { action, generation }) = tried {
                    let (uid, at) = (target.uid, self.clock.now());
                    let failure = Failure { class, message };
                    let failed = Command::RecordFailure { uid, action, generation, failure, at };
                    self.record(stream, failed).await?;
                }
                Ok(Next::Later(class))
            }
        }
    }

    /// Records an observation or an intent about a resource. A refusal is an answer, not an error.
    async fn record(&self, stream: &StreamId, command: Command) -> Result<(), StepError> {
        match self.try_record(stream, command).await? {
            Ok(()) => Ok(()),
            Err(refused) => {
                debug!(%stream, %refused, "no longer so");
                Ok(())
            }
        }
    }

    /// Records a command of a resource, or says why it was refused.
    pub(crate) async fn try_record(
        &self,
        stream: &StreamId,
        command: Command,
    ) -> Result<Result<(), Refused>, StepError> {
        self.try_intent(stream, stream, command).await
    }

    /// The same, because of what is wanted of another stream.
    pub(crate) async fn try_intent(
        &self,
        cause: &StreamId,
        stream: &StreamId,
        command: Command,
    ) -> Result<Result<(), Refused>, StepError> {
        let context = self.context(cause);
        match self.executor.execute::<Resource>(stream, command, context).await {
            Ok(_) => Ok(Ok(())),
            Err(ExecuteError::Rejected(refused)) => Ok(Err(refused)),
            Err(error) => Err(StepError::Record(Box::new(error))),
        }
    }

    /// Who, when and why, for a command about a stream.
    pub(crate) fn context(&self, stream: &StreamId) -> Context {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let commit_id = Uuid::new_v5(&self.settings.session, &sequence.to_be_bytes());
        let cause = self.index.cause(stream);
        Context {
            commit_id,
            time: self.clock.now(),
            actor: Actor::new(ActorSort::Reconciler, stream.kind()),
            causation_id: cause.map(|cause| cause.commit),
            correlation_id: cause.map_or(commit_id, |cause| cause.correlation),
            traceparent: None,
        }
    }
}

/// When to look again at what the world has yet to do: later and later, and whoever tells of a change is sooner.
/// What waits for another resource is woken by that one.
fn poll_at(step: &Step<Effect>, resource: &Resource, at: Time) -> Option<Time> {
    if matches!(step, Step::Settled | Step::Wait(Waiting { on: Some(_), .. })) {
        return None;
    }
    let body = resource.body()?;
    let since = match resource {
        Resource::Deleting(_, deletion) => deletion.since,
        Resource::Live(_) | Resource::Gone(_) | Resource::Absent => {
            body.action.as_ref().map_or(body.declared_at, |action| action.since)
        }
    };
    // What is tried is on a schedule of its own, and waits for nobody to tell.
    let canary = body.canary.as_ref();
    let since = canary.map_or(since, |canary| canary.moved_at().max(since));
    let pause = at.micros_since(since) / POLL_SHARE;
    Some(at.plus_micros(pause.clamp(POLL_MICROS_MIN, POLL_MICROS_MAX)))
}

/// What the driver does about a step.
fn act_of(step: Step<Effect>, resource: &Resource, target: Target, at: Time) -> Act {
    let tried = resource.body().and_then(|body| {
        let action = body.action.as_ref()?;
        Some(Tried { action: action.name, generation: action.generation })
    });
    match step {
        Step::Perform(effect) => Act::Perform { effect, target, tried, then: None },
        Step::PerformThenRecord(effect, command) => {
            Act::Perform { effect, target, tried, then: Some(command) }
        }
        Step::Record(command) => Act::Record(command),
        Step::Wait(waiting) => wait(resource, waiting, at),
        Step::Settled => Act::Settled,
    }
}

/// Notes what it waits for, once.
fn wait(resource: &Resource, waiting: Waiting, at: Time) -> Act {
    let noted = |body: &Body| {
        body.blocker.as_ref().is_some_and(|b| b.on == waiting.on && b.reason == waiting.reason)
    };
    match resource {
        Resource::Live(body) | Resource::Deleting(body, _)
            if !noted(body) && !resource.is_ready() =>
        {
            let Waiting { on, reason } = waiting;
            Act::Record(Command::ObserveBlocker { uid: body.uid, on, reason, at })
        }
        Resource::Live(_) | Resource::Deleting(..) | Resource::Gone(_) | Resource::Absent => {
            Act::Waits
        }
    }
}
