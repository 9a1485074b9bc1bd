//! Charts of Helm: fetched, unpacked, rendered. What others wrote comes in here, so everything has a limit.
//!
//! Read in this order: [`fetch`] (from a repository, a registry or a mirror; verified), [`unpack`] (an archive becomes
//! a folder, or is refused), [`render`] (a folder and values become text, by the program `helm`).
//!
//! # Guarantees
//! - Nothing is written outside the folder that was given, whatever an archive says.
//! - What renders has no network where the machine allows that, no environment, no home, and limits.
//! - No credentials are sent anywhere. Addresses of this link are not asked; private ones only where that was allowed.

pub mod fetch;
pub mod render;
pub mod unpack;

/// Why a chart cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Ask again later.
    #[error("{0}")]
    Passing(String),
    /// Somebody has to change something.
    #[error("{0}")]
    Lasting(String),
}

fn lasting<T>(message: impl Into<String>) -> Result<T, Error> {
    Err(Error::Lasting(message.into()))
}

fn passing<T>(message: impl Into<String>) -> Result<T, Error> {
    Err(Error::Passing(message.into()))
}
