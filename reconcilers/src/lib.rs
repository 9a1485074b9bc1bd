//! What makes it *true*: loops that follow the log, look at the world, and take one step at a time.
//!
//! A wake-up carries no data (invariant 4): [`driver`] loads a resource, resolves what it needs, observes the
//! world, asks the pure [`reconcile::Reconcile::next`] for one step, takes it, and begins again. Nothing is kept
//! between two steps but when to look again, so a crash between them is free. Read in this order:
//! [`reconcile`] (the contract), [`converge`] (the one way to the wanted state), [`driver`] (one step),
//! [`mod@run`] (the loop), [`leases`] (who works on what), [`rollouts`] (a deployment's steps), [`sweep`] (what
//! nobody wants any more).

pub mod canary;
pub mod changes;
pub mod clock;
pub mod contents;
pub mod converge;
pub mod decision;
pub mod driver;
pub mod graph;
pub mod index;
pub mod kinds;
pub mod leases;
pub mod logs;
pub mod planner;
pub mod providers;
pub mod queue;
pub mod reconcile;
pub mod rollouts;
pub mod run;
pub mod secrets;
pub mod sweep;

pub use clock::{Clock, WallClock};
pub use driver::{Driver, Settings};
pub use leases::Leases;
pub use logs::{LogLine, LogLines, LogQuery, Logs};
pub use planner::{PlanError, Planned, Planner, WayBack, WayOut};
pub use providers::Providers;
pub use reconcile::{
    CallError, Performed, Provider, Reconcile, Scene, Step, Subject, Target, Waiting,
};
pub use run::run;
