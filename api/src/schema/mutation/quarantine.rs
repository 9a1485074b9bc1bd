//! The input of what concerns the quarantine.

use async_graphql::InputObject;

/// A stream that is in quarantine.
#[derive(Clone, InputObject)]
pub(crate) struct QuarantineRedriveInput {
    /// A fresh UUID for every new request; the same again to repeat a request.
    pub(crate) idempotency_key: String,
    /// Its stream in the log, as the query `quarantine` names it.
    pub(crate) stream: String,
}
