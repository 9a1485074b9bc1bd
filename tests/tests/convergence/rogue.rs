//! Workers with a bug: each must be found out.

use domain::Resource;
use domain::commit::{ActorSort, Context};
use domain::lifecycle::Command;
use domain::{Actor, StreamId};
use futures::FutureExt as _;
use journal::Journal as _;
use reconcilers::converge::{Call, create_token};
use reconcilers::decision::{Decision, Next, StepError};
use reconcilers::{Clock as _, Performed, Target};
use uuid::Uuid;

use crate::plane::Plane;

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rogue {
    /// Takes "I do not see it" for "it is gone".
    AbsenceFromSight,
    /// Never looks for what nobody wants.
    NoSweep,
    /// Creates before it has said so.
    NoWriteAhead,
    /// Deletes what is still needed.
    IgnoresDependents,
    /// Tags what it makes with another uid at every try.
    NewTokenEachTry,
    /// Deletes what it is told to keep, on a stale read.
    DeletesFromLive,
}

impl Rogue {
    pub const ALL: [Self; 6] = [
        Self::AbsenceFromSight,
        Self::NoSweep,
        Self::NoWriteAhead,
        Self::IgnoresDependents,
        Self::NewTokenEachTry,
        Self::DeletesFromLive,
    ];

    /// Acts, wrongly where the bug strikes.
    pub fn act(
        self,
        plane: &mut Plane,
        worker: usize,
        decision: Decision,
    ) -> Option<Result<Next, StepError>> {
        let stream = decision.stream.clone();
        let words = format!("{decision:?}");
        let state = stream.resource().map(|id| plane.resource(&id));
        match (self, state.as_deref()) {
            (Self::AbsenceFromSight, Some(Resource::Deleting(body, _)))
                if !plane.sees(&stream, body.uid) =>
            {
                plane.record_rogue(&stream, |at| Command::ObserveGone { uid: body.uid, at });
                Some(Ok(Next::Again))
            }
            (Self::NoWriteAhead, Some(Resource::Live(body))) if words.contains("StartAction") => {
                let desired = reconcilers::converge::Desired::new(body.spec.to_value());
                let call = Call::Create { token: create_token(body.uid), desired };
                plane.perform_rogue(&stream, body.uid, call);
                Some(Ok(Next::Again))
            }
            (Self::IgnoresDependents, Some(Resource::Deleting(body, _)))
                if words.contains("Waits") || words.contains("ObserveBlocker") =>
            {
                if plane.perform_rogue(&stream, body.uid, Call::Delete) {
                    plane.record_rogue(&stream, |at| Command::ObserveGone { uid: body.uid, at });
                }
                Some(Ok(Next::Again))
            }
            (Self::NewTokenEachTry, Some(Resource::Live(body)))
                if words.contains("Create") && words.contains("Perform") =>
            {
                let desired = reconcilers::converge::Desired::new(body.spec.to_value());
                let uid = Uuid::from_u64_pair(plane.rng.number(), plane.rng.number());
                plane.perform_rogue(&stream, uid, Call::Create { token: uid, desired });
                plane.workers[worker].driver.act(decision).now_or_never()
            }
            (Self::DeletesFromLive, Some(Resource::Live(body)))
                if words.contains("ObserveDrift") =>
            {
                plane.perform_rogue(&stream, body.uid, Call::Delete);
                plane.workers[worker].driver.act(decision).now_or_never()
            }
            _ => plane.workers[worker].driver.act(decision).now_or_never(),
        }
    }
}

impl Plane {
    fn sees(&mut self, stream: &StreamId, uid: Uuid) -> bool {
        let target = self.target(stream, uid);
        let seen = self.sim.see(&target).now_or_never();
        !matches!(seen, Some(Ok(None)))
    }

    fn target(&self, stream: &StreamId, uid: Uuid) -> Target {
        Target { tenant: self.tenant.clone(), id: stream.resource().unwrap(), uid }
    }

    fn perform_rogue(&mut self, stream: &StreamId, uid: Uuid, call: Call) -> bool {
        let target = self.target(stream, uid);
        let done = self.sim.make(&target, &call).now_or_never();
        matches!(done, Some(Ok(Performed::Finished)))
    }

    fn record_rogue(&mut self, stream: &StreamId, command: impl FnOnce(domain::Time) -> Command) {
        let id = Uuid::from_u64_pair(self.rng.number(), self.rng.number());
        let time = self.clock.now();
        let context = Context {
            commit_id: id,
            time,
            actor: Actor::new(ActorSort::Reconciler, "rogue"),
            causation_id: None,
            correlation_id: id,
            traceparent: None,
        };
        debug_assert!(self.journal.head().now_or_never().is_some());
        self.users.execute::<Resource>(stream, command(time), context).now_or_never();
    }
}
