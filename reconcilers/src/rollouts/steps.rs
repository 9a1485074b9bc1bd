//! How far a plan has come, and what it wants next: pure.

use std::collections::BTreeSet;

use domain::deployment::Outcome;
use domain::kind::Change;
use domain::lifecycle::{Body, Command, FailureClass, Lifetime, Promotion, Resources};
use domain::plan::{Plan, Purpose, Step, StepAction};
use domain::rollout::Waiting;
use domain::{Resource, ResourceId, Spec, Time};
use uuid::Uuid;

use super::{beyond, left};

/// A plan being carried out.
pub struct Run<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Its id.
    pub plan_id: Uuid,
    /// The deployment's own resources, in a step of the plan or not.
    pub members: &'a BTreeSet<ResourceId>,
    /// The state of every resource in it, of what it relies on, and of the members.
    pub states: &'a Resources,
    /// When it began.
    pub started_at: Time,
    /// How long a step may take.
    pub timeout_micros: i64,
    /// Now.
    pub now: Time,
}

/// What follows.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// Everything is as planned.
    Done,
    /// It cannot be.
    Failed(String),
    /// Resources are to be told.
    Intend(Vec<(ResourceId, Command)>),
    /// Nothing but to wait.
    Wait {
        /// For what.
        waiting: Waiting,
        /// When a step will have taken too long.
        deadline: Option<Time>,
    },
}

/// How far one step has come.
pub(super) enum Status {
    Done { at: Time },
    Intend(Box<Command>),
    Waiting { reason: String, since: Time },
    Failed(String),
}

/// What a plan's end takes out of the deployment.
#[must_use]
pub fn removals(plan: &Plan, outcome: &Outcome) -> Vec<ResourceId> {
    match outcome {
        Outcome::Failed { .. } | Outcome::Superseded => Vec::new(),
        Outcome::Succeeded => plan
            .steps
            .iter()
            .filter(|step| step.action.ends())
            .map(|step| step.resource.clone())
            .collect(),
    }
}

/// Says what follows.
#[must_use]
pub fn judge(run: &Run<'_>) -> Verdict {
    let mut done_at: Vec<Option<Time>> = Vec::with_capacity(run.plan.steps.len());
    let mut open: Vec<bool> = Vec::with_capacity(run.plan.steps.len());
    let mut intents = Vec::new();
    let mut waits = Waits::default();
    for step in &run.plan.steps {
        let before = Before::of(run.plan, step, &done_at, &open);
        open.push(before.open);
        let status = status(run, step);
        done_at.push(match &status {
            Status::Done { at } => Some(*at),
            Status::Intend(_) | Status::Waiting { .. } | Status::Failed(_) => None,
        });
        match status {
            Status::Intend(command) if before.open => {
                intents.push((step.resource.clone(), *command));
            }
            Status::Failed(reason) if before.open => {
                return Verdict::Failed(format!("{}: {reason}", step.resource));
            }
            Status::Waiting { reason, since } if before.done => {
                let since = since.max(before.done_at);
                if let Err(late) = waits.add(run, &step.resource, reason, since) {
                    return Verdict::Failed(late);
                }
            }
            Status::Done { .. }
            | Status::Intend(_)
            | Status::Waiting { .. }
            | Status::Failed(_) => {}
        }
    }
    intents.extend(beyond::missing(run));
    if !intents.is_empty() {
        return Verdict::Intend(intents);
    }
    if done_at.iter().any(Option::is_none) {
        let waiting = waits.first.unwrap_or_else(|| first_open(run, &done_at));
        return Verdict::Wait { waiting, deadline: waits.deadline };
    }
    match run.plan.header.purpose {
        Purpose::Delete => beyond::leftovers(run),
        Purpose::Deploy | Purpose::Rollback | Purpose::Failover => beyond::unfinished(run),
    }
}

/// What comes before a step.
struct Before {
    /// It may begin.
    open: bool,
    /// All of it is done.
    done: bool,
    /// Since when.
    done_at: Time,
}

impl Before {
    fn of(plan: &Plan, step: &Step, done_at: &[Option<Time>], open: &[bool]) -> Self {
        let mut before = Self { open: true, done: true, done_at: Time::default() };
        for &index in &step.after {
            let index = index as usize;
            match done_at.get(index).copied().flatten() {
                Some(at) => before.done_at = before.done_at.max(at),
                None => {
                    before.done = false;
                    let earlier = plan.steps.get(index).map(|step| &step.action);
                    let alike = match &step.action {
                        StepAction::Create | StepAction::Relocate { .. } => matches!(
                            earlier,
                            Some(StepAction::Create | StepAction::Relocate { .. })
                        ),
                        StepAction::Delete => earlier == Some(&StepAction::Delete),
                        StepAction::Change
                        | StepAction::Replace { .. }
                        | StepAction::Leave { .. }
                        | StepAction::CleanUp { .. } => false,
                    };
                    before.open &= alike && open.get(index).copied().unwrap_or(false);
                }
            }
        }
        before
    }
}

/// What is waited for, and until when.
#[derive(Default)]
pub(super) struct Waits {
    pub(super) first: Option<Waiting>,
    pub(super) deadline: Option<Time>,
}

impl Waits {
    /// Waits for one more, or says that it took too long.
    pub(super) fn add(
        &mut self,
        run: &Run<'_>,
        resource: &ResourceId,
        reason: String,
        since: Time,
    ) -> Result<(), String> {
        let due = since.max(run.started_at).plus_micros(run.timeout_micros);
        if due <= run.now {
            let seconds = run.timeout_micros / 1_000_000;
            return Err(format!("{resource} took longer than {seconds} s: {reason}"));
        }
        self.deadline = Some(self.deadline.map_or(due, |earlier| earlier.min(due)));
        self.first.get_or_insert(Waiting { resource: resource.clone(), reason });
        Ok(())
    }
}

fn first_open(run: &Run<'_>, done_at: &[Option<Time>]) -> Waiting {
    let step = run.plan.steps.iter().zip(done_at).find(|(_, at)| at.is_none());
    let resource = step.map_or_else(|| run.plan.steps.first(), |(step, _)| Some(step));
    match resource {
        Some(step) => {
            Waiting { resource: step.resource.clone(), reason: "its turn has not come".into() }
        }
        // Unreachable: without steps nothing is open. Said rather than panicked.
        None => Waiting {
            resource: ResourceId::new(
                domain::KindName::Workload,
                run.plan.header.deployment.clone(),
            ),
            reason: "the plan has no steps".into(),
        },
    }
}

fn status(run: &Run<'_>, step: &Step) -> Status {
    let state = run.states.get(&step.resource).unwrap_or(&Resource::Absent);
    if let Some((cluster, uid)) = step.action.leaves()
        && let Some(status) = left::giving_up(state, uid, cluster, run.now)
    {
        return status;
    }
    match &step.action {
        StepAction::Delete => return deleted(state, run.now),
        // That was done before the rest, or is up to the sweep.
        StepAction::Leave { .. } | StepAction::CleanUp { .. } => {
            return Status::Done { at: Time::default() };
        }
        StepAction::Create
        | StepAction::Change
        | StepAction::Replace { .. }
        | StepAction::Relocate { .. } => {}
    }
    let Some(spec) = &step.spec else {
        return Status::Failed("the plan does not say what is wanted of it".into());
    };
    match state {
        Resource::Absent => declare(run, step, spec, Uuid::nil()),
        Resource::Gone(grave) => declare(run, step, spec, grave.uid),
        Resource::Deleting(body, deletion) => {
            Status::Waiting { reason: words(body, "it is being deleted"), since: deletion.since }
        }
        Resource::Live(body) if replaces(run, step, body) => replace(body, run.now),
        Resource::Live(body) => bring(step, spec, body, run.now),
    }
}

pub(super) fn intend(command: Command) -> Status {
    Status::Intend(Box::new(command))
}

fn declare(run: &Run<'_>, step: &Step, spec: &Spec, previous: Uuid) -> Status {
    intend(Command::Declare {
        uid: incarnation(run, &step.resource, previous),
        spec: spec.clone(),
        class: step.class.clone(),
        lifetime: step.lifetime.clone(),
        protected: step.protected,
        at: run.now,
    })
}

/// The same for every try, another after every incarnation: it neither doubles, nor brings back what is gone.
pub(super) fn incarnation(run: &Run<'_>, id: &ResourceId, previous: Uuid) -> Uuid {
    Uuid::new_v5(&run.plan_id, format!("{id}/{previous}").as_bytes())
}

/// It is still the incarnation that the plan replaces.
fn replaces(run: &Run<'_>, step: &Step, body: &Body) -> bool {
    let pin = run.plan.header.pins.resources.get(&step.resource);
    matches!(step.action, StepAction::Replace { .. })
        && match pin.and_then(|pin| pin.uid) {
            Some(uid) => uid == body.uid,
            None => step.spec.as_ref() != Some(&body.spec),
        }
}

fn replace(body: &Body, at: Time) -> Status {
    if body.protected {
        return Status::Failed("it is protected against deletion".into());
    }
    intend(Command::RequestDeletion { uid: Some(body.uid), replacement: true, at })
}

pub(super) fn deleted(state: &Resource, at: Time) -> Status {
    match state {
        Resource::Absent => Status::Done { at: Time::default() },
        Resource::Gone(grave) => Status::Done { at: grave.at },
        Resource::Deleting(body, deletion) if deletion.replacement => {
            let uid = Some(body.uid);
            intend(Command::RequestDeletion { uid, replacement: false, at })
        }
        Resource::Deleting(body, deletion) => {
            Status::Waiting { reason: words(body, "it is being deleted"), since: deletion.since }
        }
        Resource::Live(body) if body.protected => {
            Status::Failed("it is protected against deletion".into())
        }
        Resource::Live(body) => {
            let uid = Some(body.uid);
            intend(Command::RequestDeletion { uid, replacement: false, at })
        }
    }
}

/// Brings what lives to what the step wants.
fn bring(step: &Step, spec: &Spec, body: &Body, at: Time) -> Status {
    let shared = !matches!(step.lifetime, Lifetime::Deployment(_));
    if body.lifetime != step.lifetime && !(shared && body.deployment().is_none()) {
        let whose = body.deployment().map_or("somebody else".to_owned(), ToString::to_string);
        return Status::Failed(format!("the name is taken by {whose}"));
    }
    // What is shared is only made to exist: another deployment may want it otherwise, and said so in a change.
    if !(shared && step.action == StepAction::Create)
        && let Some(status) = differs(step, spec, body, at)
    {
        return status;
    }
    if step.protected && !body.protected {
        return intend(Command::Protect { on: true, at });
    }
    patient(progress(body), body, at)
}

/// A canary takes the time that its steps say: the pause of one is no delay, nor is somebody who has yet to decide.
fn patient(status: Status, body: &Body, now: Time) -> Status {
    let Status::Waiting { reason, since } = status else { return status };
    let Some(status) = &body.canary else { return Status::Waiting { reason, since } };
    let awaited = match body.canary_step() {
        Some((_, step)) if step.approval && status.promoted == Promotion::None => now,
        Some((_, step)) => status.since.plus_micros(i64::from(step.pause_seconds) * 1_000_000),
        None => status.since,
    };
    Status::Waiting { reason, since: since.max(awaited) }
}

fn differs(step: &Step, spec: &Spec, body: &Body, at: Time) -> Option<Status> {
    let change = body.spec.change(spec);
    match change {
        Change::None if body.class == step.class => None,
        Change::None | Change::InPlace => Some(intend(Command::Revise {
            spec: spec.clone(),
            class: step.class.clone(),
            generation: Some(body.generation),
            at,
        })),
        Change::Replace { why } => {
            let holds_data = body.spec.kind().is_stateful() && body.readiness.generation > 0;
            Some(if holds_data { Status::Failed(why) } else { replace(body, at) })
        }
        Change::Refused { why } => Some(Status::Failed(why)),
    }
}

pub(super) fn progress(body: &Body) -> Status {
    if body.is_ready() {
        return Status::Done { at: body.readiness.since };
    }
    let failure = body
        .action
        .as_ref()
        .filter(|action| action.generation == body.generation)
        .and_then(|action| action.failure.as_ref())
        .filter(|failure| failure.class == FailureClass::Terminal);
    if let Some(failure) = failure {
        return Status::Failed(failure.message.clone());
    }
    let since = body.revised_at.max(body.readiness.since);
    Status::Waiting { reason: words(body, "it is not ready yet"), since }
}

/// Why it is not as wanted.
fn words(body: &Body, otherwise: &str) -> String {
    if body.paused {
        return "it is paused".into();
    }
    let blocker = body.blocker.as_ref().map(|blocker| &blocker.reason);
    let failure = body.action.as_ref().and_then(|action| Some(&action.failure.as_ref()?.message));
    let reason = blocker.or(failure).or(body.readiness.reason.as_ref());
    reason.map_or_else(|| otherwise.to_owned(), Clone::clone)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
