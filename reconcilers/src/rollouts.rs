//! A deployment's process manager: carries out a plan, step by step, by asking the resources themselves.
//!
//! Level-triggered like everything here: each look loads the deployment, its rollout, the plan and the state of
//! every resource in it, and decides anew. Creations are declared at once, even before what they come after is
//! done, as long as that is being created too: each resource's own driver waits for its needs, and whoever
//! watches sees the whole graph with its blockers from the first moment. Deletions are asked for at once in the
//! same way. Everything else waits for its turn, which is the health gate.

mod beyond;
pub mod failover;
mod left;
pub mod steps;
mod watching;

use domain::deployment::{self, Deployment, LeftBehind, Outcome, RolloutRef};
use domain::environment::{self, Environment};
use domain::lifecycle::{Command, FailureClass, Refused, Resources};
use domain::plan::{self, Plan, Proposal};
use domain::rollout::{self, Rollout};
use domain::{Decider, Name, Resource, ResourceId, StreamId, Time};
use futures::future::BoxFuture;
use journal::ExecuteError;
use tracing::{info, warn};

use crate::decision::{Act, Decision, Next, StepError};
use crate::driver::Driver;
use crate::reconcile::Target;
use steps::{Run, Verdict};

/// How many rollouts back it looks for one that was superseded before it was ended.
const PREDECESSORS_MAX: u64 = 16;
/// The time for a step where its environment is not defined any more.
const STEP_TIMEOUT_SECONDS: u32 = 1_800;

/// Plans and starts the way back to a deployment's last good revision.
pub trait RollBack: Send + Sync + 'static {
    /// Does so, once for each failed rollout: a repetition does nothing.
    ///
    /// # Errors
    /// In words, when it cannot be planned or started.
    fn roll_back<'a>(
        &'a self,
        deployment: &'a StreamId,
        failed: &'a RolloutRef,
    ) -> BoxFuture<'a, Result<(), String>>;
}

/// One step of a deployment.
#[derive(Debug)]
pub(crate) enum Move {
    /// A rollout that was superseded comes to its end.
    EndPredecessor(StreamId),
    /// The rollout begins.
    Start { rollout: StreamId, command: rollout::Command },
    /// Resources are told what is wanted.
    Intend { number: u64, intents: Vec<(StreamId, Command)> },
    /// The rollout says what it waits for.
    Wait { rollout: StreamId, waiting: rollout::Waiting },
    /// The rollout ends.
    End { number: u64, outcome: Outcome, removed: Vec<ResourceId> },
    /// The way back is planned and started.
    RollBack(RolloutRef),
    /// The way out of a cluster that is lost is planned and started.
    FailOver(failover::Loss),
    /// It is noted that there need be none any more.
    Relieve,
    /// What is left behind is noted.
    LeaveBehind { number: u64, left: Vec<LeftBehind> },
    /// What was left behind is removed.
    CleanUp { number: u64, targets: Vec<Target>, began: Time },
}

impl Driver {
    pub(crate) async fn look_at_deployment(
        &self,
        stream: &StreamId,
    ) -> Result<Decision, StepError> {
        let deployment = self.executor.load_state::<Deployment>(stream).await?.state;
        let Some(running) = deployment.running() else {
            return self.look_at_ended(stream, &deployment).await;
        };
        let rollout = rollout_stream(stream, running.number)?;
        let plan_stream = sibling(stream, plan::KIND, &running.plan.to_string())?;
        let state = self.executor.load_state::<Rollout>(&rollout).await?.state;
        let proposal = self.executor.load_state::<Proposal>(&plan_stream).await?.state;
        let end = |outcome| {
            let (number, removed) = (running.number, Vec::new());
            decided(stream, Move::End { number, outcome, removed })
        };
        let Proposal::Proposed(recorded) = &*proposal else {
            return Ok(end(Outcome::Failed { reason: "its plan is not in the log".into() }));
        };
        let body = match &*state {
            Rollout::Absent => {
                if let Some(before) = self.open_predecessor(stream, running.number).await? {
                    return Ok(decided(stream, Move::EndPredecessor(before)));
                }
                let command = rollout::Command::Start {
                    deployment: stream.name().clone(),
                    plan: running.plan,
                    steps_total: recorded.steps_total,
                    at: self.clock.now(),
                };
                return Ok(decided(stream, Move::Start { rollout, command }));
            }
            Rollout::Started(body) => body,
        };
        let plan = &recorded.plan;
        if let Some((outcome, _)) = &body.ended {
            let removed = steps::removals(plan, outcome);
            let number = running.number;
            return Ok(decided(stream, Move::End { number, outcome: outcome.clone(), removed }));
        }
        self.look_at_steps(stream, &deployment, running, plan, (rollout, body)).await
    }

    async fn look_at_steps(
        &self,
        stream: &StreamId,
        deployment: &Deployment,
        running: &RolloutRef,
        plan: &Plan,
        (rollout, body): (StreamId, &rollout::Body),
    ) -> Result<Decision, StepError> {
        let states = self.states(stream, plan, deployment).await?;
        let environment = self.environment(stream, deployment).await?;
        let host = plan.header.placement.as_ref().map(|placement| &placement.cluster);
        self.watch(stream, plan, deployment, environment.as_ref());
        let number = running.number;
        let left = left::to_note(plan, deployment, &states, self.clock.now());
        if !left.is_empty() {
            return Ok(decided(stream, Move::LeaveBehind { number, left }));
        }
        let targets = left::to_remove(plan, deployment, &states, stream.tenant());
        if !targets.is_empty() {
            let began = body.started_at;
            return Ok(decided(stream, Move::CleanUp { number, targets, began }));
        }
        let seconds = environment.as_ref().map_or(STEP_TIMEOUT_SECONDS, |e| e.step_timeout_seconds);
        let now = self.clock.now();
        let verdict = steps::judge(&Run {
            plan,
            plan_id: running.plan,
            members: &deployment.members,
            states: &states,
            started_at: body.started_at,
            timeout_micros: i64::from(seconds) * 1_000_000,
            now,
        });
        Ok(match verdict {
            Verdict::Done => {
                let removed = steps::removals(plan, &Outcome::Succeeded);
                decided(stream, Move::End { number, outcome: Outcome::Succeeded, removed })
            }
            Verdict::Failed(reason) => {
                let outcome = Outcome::Failed { reason };
                decided(stream, Move::End { number, outcome, removed: Vec::new() })
            }
            Verdict::Intend(intents) => {
                let intents = intents
                    .into_iter()
                    .map(|(id, command)| (id.stream(stream.tenant()), command))
                    .collect();
                decided(stream, Move::Intend { number, intents })
            }
            Verdict::Wait { waiting, deadline } => {
                let (leaves, due) =
                    self.leave_or_stay(stream, deployment, environment.as_ref(), host).await?;
                if let Some(leaves) = leaves {
                    return Ok(decided(stream, leaves));
                }
                let noted = body.waiting.as_ref().is_some_and(|w| w.resource == waiting.resource);
                let mut decision = if noted {
                    Decision::new(stream.clone(), Act::Waits)
                } else {
                    decided(stream, Move::Wait { rollout, waiting })
                };
                decision.again_at = deadline.into_iter().chain(due).min();
                decision
            }
        })
    }

    /// Nothing runs. Its cluster may be lost, or a failed rollout may have to be taken back.
    async fn look_at_ended(
        &self,
        stream: &StreamId,
        deployment: &Deployment,
    ) -> Result<Decision, StepError> {
        let mut settled = Decision::new(stream.clone(), Act::Settled);
        if deployment.deleted {
            self.index.watch(stream, &[], self.clock.now());
            return Ok(settled);
        }
        let environment = self.environment(stream, deployment).await?;
        let host = self.host(stream, deployment).await?;
        self.watch_at_rest(stream, deployment, environment.as_ref(), host.as_ref());
        let (leaves, due) =
            self.leave_or_stay(stream, deployment, environment.as_ref(), host.as_ref()).await?;
        if let Some(leaves) = leaves {
            return Ok(decided(stream, leaves));
        }
        settled.again_at = due;
        let rollout = environment.filter(|_| self.roll_back.is_some());
        let rollout = rollout.and_then(|it| deployment.to_be_taken_back(&it).cloned());
        Ok(rollout.map_or(settled, |rollout| decided(stream, Move::RollBack(rollout))))
    }

    async fn environment(
        &self,
        stream: &StreamId,
        deployment: &Deployment,
    ) -> Result<Option<environment::Definition>, StepError> {
        let Some(name) = &deployment.environment else { return Ok(None) };
        let stream = sibling(stream, environment::KIND, name.as_str())?;
        let state = self.executor.load_state::<Environment>(&stream).await?.state;
        Ok(state.definition.clone())
    }

    /// The last rollout before this one that began and did not end.
    async fn open_predecessor(
        &self,
        stream: &StreamId,
        number: u64,
    ) -> Result<Option<StreamId>, StepError> {
        for before in (1..number).rev().take(PREDECESSORS_MAX as usize) {
            let rollout = rollout_stream(stream, before)?;
            match &*self.executor.load_state::<Rollout>(&rollout).await?.state {
                Rollout::Absent => {}
                Rollout::Started(body) if body.ended.is_none() => return Ok(Some(rollout)),
                Rollout::Started(_) => return Ok(None),
            }
        }
        Ok(None)
    }

    async fn states(
        &self,
        stream: &StreamId,
        plan: &Plan,
        deployment: &Deployment,
    ) -> Result<Resources, StepError> {
        let ids = plan.steps.iter().map(|step| &step.resource);
        let relied_on = beyond::relied_on(plan);
        let mut states = Resources::new();
        for id in ids.chain(&relied_on).chain(&deployment.members) {
            if !states.contains_key(id) {
                let stream = id.stream(stream.tenant());
                let state = self.executor.load_state::<Resource>(&stream).await?.state;
                states.insert(id.clone(), (*state).clone());
            }
        }
        Ok(states)
    }

    pub(crate) async fn advance_rollout(
        &self,
        stream: &StreamId,
        step: Move,
    ) -> Result<Next, StepError> {
        let at = self.clock.now();
        match step {
            Move::EndPredecessor(rollout) => {
                let end = rollout::Command::End { outcome: Outcome::Superseded, at };
                self.command::<Rollout>(stream, &rollout, end).await?;
                Ok(Next::Again)
            }
            Move::Start { rollout, command } => {
                self.command::<Rollout>(stream, &rollout, command).await?;
                Ok(Next::Again)
            }
            Move::Wait { rollout, waiting } => {
                let note = rollout::Command::ObserveWaiting { waiting, at };
                self.command::<Rollout>(stream, &rollout, note).await?;
                Ok(Next::Rest)
            }
            Move::Intend { number, intents } => self.intend(stream, number, intents).await,
            Move::End { number, outcome, removed } => {
                self.end(stream, number, outcome, removed, at).await?;
                Ok(Next::Again)
            }
            Move::RollBack(failed) => self.take_back(stream, &failed).await,
            Move::FailOver(loss) => self.leave(stream, &loss).await,
            Move::Relieve => self.relieve(stream).await,
            Move::LeaveBehind { number, left } => self.note_left_behind(stream, number, left).await,
            Move::CleanUp { number, targets, began } => {
                self.clean_up(stream, number, targets, began).await
            }
        }
    }

    /// Tells resources what is wanted, unless the rollout was superseded since the look.
    async fn intend(
        &self,
        stream: &StreamId,
        number: u64,
        intents: Vec<(StreamId, Command)>,
    ) -> Result<Next, StepError> {
        let deployment = self.executor.load_state::<Deployment>(stream).await?.state;
        if deployment.running().is_none_or(|running| running.number != number) {
            return Ok(Next::Again);
        }
        for (resource, command) in intents {
            let Err(refused) = self.try_intent(stream, &resource, command).await? else {
                continue;
            };
            warn!(%stream, %resource, %refused, "an intent of a rollout was refused");
            match refused {
                // Somebody was faster: look again.
                Refused::Exists(_) | Refused::BeingDeleted | Refused::NotFound => {
                    return Ok(Next::Called);
                }
                Refused::Protected
                | Refused::Invalid(_)
                | Refused::NeedsReplacement(_)
                | Refused::NothingToAccept
                | Refused::NotBeingDeleted
                | Refused::NoReason
                | Refused::NothingTried
                | Refused::ChangeRefused(_) => {
                    let name = resource.resource().map(|id| id.to_string()).unwrap_or_default();
                    let outcome = Outcome::Failed { reason: format!("{name}: {refused}") };
                    let at = self.clock.now();
                    self.end(stream, number, outcome, Vec::new(), at).await?;
                    return Ok(Next::Again);
                }
            }
        }
        Ok(Next::Again)
    }

    /// Ends the rollout, then tells the deployment; a crash between the two is made good by the next look.
    async fn end(
        &self,
        stream: &StreamId,
        number: u64,
        outcome: Outcome,
        removed: Vec<ResourceId>,
        at: Time,
    ) -> Result<(), StepError> {
        let rollout = rollout_stream(stream, number)?;
        let end = rollout::Command::End { outcome: outcome.clone(), at };
        self.command::<Rollout>(stream, &rollout, end).await?;
        let end = deployment::Command::EndRollout { number, outcome: outcome.clone(), removed, at };
        self.command::<Deployment>(stream, stream, end).await?;
        info!(%stream, number, ?outcome, "a rollout ended");
        Ok(())
    }

    async fn take_back(&self, stream: &StreamId, failed: &RolloutRef) -> Result<Next, StepError> {
        let Some(roll_back) = &self.roll_back else { return Ok(Next::Rest) };
        match roll_back.roll_back(stream, failed).await {
            Ok(()) => Ok(Next::Again),
            Err(reason) => {
                warn!(%stream, reason, "a failed rollout cannot be taken back");
                Ok(Next::Later(FailureClass::Terminal))
            }
        }
    }

    /// Records a command of an aggregate on behalf of a deployment. A refusal is an answer, not an error.
    async fn command<D: Decider>(
        &self,
        deployment: &StreamId,
        stream: &StreamId,
        command: D::Command,
    ) -> Result<(), StepError>
    where
        D::Command: Clone,
    {
        let context = self.context(deployment);
        match self.executor.execute::<D>(stream, command, context).await {
            Ok(_) | Err(ExecuteError::Rejected(_)) => Ok(()),
            Err(error) => Err(StepError::Record(Box::new(error))),
        }
    }
}

fn decided(stream: &StreamId, step: Move) -> Decision {
    Decision::new(stream.clone(), Act::Rollout(step))
}

fn rollout_stream(deployment: &StreamId, number: u64) -> Result<StreamId, StepError> {
    let name = rollout::name_of(deployment.name(), number);
    let name = name.map_err(|error| StepError::Record(Box::new(error)))?;
    sibling(deployment, rollout::KIND, name.as_str())
}

/// The stream of another aggregate of the same tenant.
pub(crate) fn sibling(stream: &StreamId, kind: &str, name: &str) -> Result<StreamId, StepError> {
    let name: Name = name.parse().map_err(|error| StepError::Record(Box::new(error)))?;
    StreamId::new(stream.tenant().clone(), kind, name)
        .map_err(|error| StepError::Record(Box::new(error)))
}
