//! Where an archive is kept: named things that are written once, and never changed.

mod bucket;
mod folder;

use std::fmt;

use futures::future::BoxFuture;

pub use bucket::{Bucket, Location, LocationError};
pub use folder::Folder;

/// The place cannot be used now.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Unavailable {
    /// In the store's words.
    pub reason: String,
}

impl Unavailable {
    /// Says why.
    pub fn new(reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string() }
    }
}

/// Whether something was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is there now, whole and durable.
    Done,
    /// Something of that name was there already, and is unchanged.
    Present,
}

/// A place for an archive: a folder, or a bucket.
///
/// # Guarantees
/// What [`Target::put`] has answered is durable. Nobody ever sees half of a thing.
pub trait Target: Send + Sync + fmt::Debug + 'static {
    /// Puts something where nothing is.
    ///
    /// # Errors
    /// When it may not be there. Putting it again is harmless.
    fn put<'a>(&'a self, name: &'a str, bytes: Vec<u8>) -> BoxFuture<'a, Result<Put, Unavailable>>;

    /// Gets something; none where nothing is.
    ///
    /// # Errors
    /// When that cannot be told.
    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, Unavailable>>;

    /// The names under a folder such as `segments`, ascending, without the folder's.
    ///
    /// # Errors
    /// When they cannot be told.
    fn list<'a>(&'a self, folder: &'a str) -> BoxFuture<'a, Result<Vec<String>, Unavailable>>;

    /// The place, for people.
    fn describe(&self) -> String;
}
