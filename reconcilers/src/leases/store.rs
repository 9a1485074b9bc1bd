//! Where leases are kept: named values with revisions, and compare-and-set.

use futures::future::BoxFuture;
use futures::stream::BoxStream;

/// The number of a write. It grows with every write to the store, whatever is written.
pub type Revision = u64;

/// The revision of what was never written.
pub const NEVER: Revision = 0;

/// Something that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This is what a key holds.
    Put {
        /// Which.
        key: String,
        /// Since which write.
        revision: Revision,
        /// What.
        value: Vec<u8>,
    },
    /// Somebody deleted a key by hand; Cairn does not.
    Deleted {
        /// Which.
        key: String,
        /// By which write.
        revision: Revision,
    },
    /// Everything that was there when the watch began has been told.
    Current,
}

/// A write did not happen, or may have.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Somebody else wrote first; the watch tells what.
    #[error("it has been written since")]
    Conflict,
    /// It may have been written, or may be yet.
    #[error("whether it was written is not known")]
    Unknown(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The store cannot be opened or watched.
#[derive(Debug, thiserror::Error)]
#[error("the leases cannot be reached")]
pub struct StoreError(#[from] pub Box<dyn std::error::Error + Send + Sync>);

/// What a watch tells.
pub type Changes = BoxStream<'static, Result<Change, StoreError>>;

/// A store with compare-and-set.
///
/// # Guarantees asked of it
/// - A write happens if and only if `expected` is the key's revision at that moment; all writes are in one order.
/// - A watch tells the last value of every key, then every change, for each key in order. It may be late.
pub trait Store: Send + Sync + 'static {
    /// Writes a key that is at a revision.
    ///
    /// # Errors
    /// [`WriteError`]. A write whose outcome is unknown may still happen later.
    fn write<'a>(
        &'a self,
        key: &'a str,
        expected: Revision,
        value: Vec<u8>,
    ) -> BoxFuture<'a, Result<Revision, WriteError>>;

    /// Removes every trace of a key that nobody needs any more. May do nothing.
    fn forget<'a>(&'a self, key: &'a str) -> BoxFuture<'a, ()>;

    /// Begins to watch everything.
    ///
    /// # Errors
    /// [`StoreError`]: try again.
    fn watch(&self) -> BoxFuture<'_, Result<Changes, StoreError>>;
}
