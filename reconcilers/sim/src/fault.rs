//! What can go wrong, on request.

use std::collections::HashMap;
use std::time::Duration;

use domain::KindName;
use reconcilers::Target;

/// A call that a fault can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Looking at a thing.
    Observe,
    /// Making it.
    Create,
    /// Changing it.
    Update,
    /// Removing it.
    Delete,
    /// Listing everything of a kind.
    Sweep,
}

/// How a call goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails, and nothing happens.
    Error,
    /// It happens, but the answer is lost.
    LostReply,
    /// It is refused for now: too many calls.
    Throttled,
    /// It shows the thing as it was so many effects ago.
    Stale(usize),
    /// The answer takes so long.
    Slow(Duration),
    /// It happens, and the thing will never get well.
    FailsForGood(String),
    /// The process dies before the call has its effect: it never returns.
    CrashBefore,
    /// The process dies after the call has had its effect: it never returns.
    CrashAfter,
}

/// Asked before each call whether, and how, it shall go wrong. The target is none for a sweep.
pub trait Script: Send + 'static {
    /// The fault of this call, if any.
    fn fault(&mut self, operation: Operation, target: Option<&Target>) -> Option<Fault>;
}

impl<F> Script for F
where
    F: FnMut(Operation, Option<&Target>) -> Option<Fault> + Send + 'static,
{
    fn fault(&mut self, operation: Operation, target: Option<&Target>) -> Option<Fault> {
        self(operation, target)
    }
}

/// No faults.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFaults;

impl Script for NoFaults {
    fn fault(&mut self, _: Operation, _: Option<&Target>) -> Option<Fault> {
        None
    }
}

/// Faults for the n-th call of an operation on a thing, by kind and name.
#[derive(Debug, Default)]
pub struct Planned {
    faults: HashMap<(Operation, KindName, String, u32), Fault>,
    calls: HashMap<(Operation, KindName, String), u32>,
}

impl Planned {
    /// Adds a fault for the `nth` call (from 1).
    #[must_use]
    pub fn on(
        mut self,
        operation: Operation,
        (kind, name): (KindName, &str),
        nth: u32,
        fault: Fault,
    ) -> Self {
        self.faults.insert((operation, kind, name.to_owned(), nth), fault);
        self
    }
}

impl Script for Planned {
    fn fault(&mut self, operation: Operation, target: Option<&Target>) -> Option<Fault> {
        let target = target?;
        let (kind, name) = (target.id.kind, target.id.name.as_str().to_owned());
        let calls = self.calls.entry((operation, kind, name.clone())).or_default();
        *calls += 1;
        self.faults.remove(&(operation, kind, name, *calls))
    }
}
