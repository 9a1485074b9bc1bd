//! What each change does, once it is known that it was not done before.

mod application;
mod deployment;
mod quarantine;
mod resource;
mod rules;

pub(crate) use application::{Sent, apply, read};
pub(crate) use deployment::{approve, delete, deploy, execute, hints, plan, roll_back, stopped};
pub(crate) use quarantine::redrive;
pub(crate) use resource::{Intent, abandon, fault, intend};
pub(crate) use rules::{define_class, define_environment};

use crate::fault::UserError;
use crate::once::Stop;

/// Reads a name, or says where it is wrong.
pub(crate) fn name(path: &str, text: &str) -> Result<domain::Name, Stop> {
    text.parse().map_err(|error| UserError::new("INVALID_NAME", path, error).into())
}

/// A name that may be left out.
pub(crate) fn optional_name(path: &str, text: Option<&str>) -> Result<Option<domain::Name>, Stop> {
    text.map(|text| name(path, text)).transpose()
}

/// Something that is not there.
fn not_found(path: &str, what: &str) -> Stop {
    UserError::new("NOT_FOUND", path, format!("there is no {what}")).into()
}
