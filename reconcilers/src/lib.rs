//! What makes it true.

pub mod planner;

pub use planner::{PlanError, Planned, Planner};
