//! What can be shown, as GraphQL types over rows of the views.

mod application;
mod canary;
mod deployment;
mod notice;
mod page;
mod plan;
mod quarantine;
mod resource;
mod rules;
mod scalars;
mod tree;
mod why;

pub(crate) use application::Application;
pub(crate) use deployment::Deployment;
pub(crate) use page::{Connection, Paging};
pub(crate) use plan::Plan;
pub(crate) use quarantine::Quarantined;
pub(crate) use resource::{Resource, subject};
pub(crate) use rules::{Class, Environment};
pub(crate) use scalars::{Moment, Position, Timestamp};
pub(crate) use why::{Activity, Version, Why};
