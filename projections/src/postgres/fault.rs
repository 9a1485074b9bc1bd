//! What the server says when it cannot.

use std::error::Error;

use tokio_postgres::error::SqlState;

use crate::poison::chain;
use crate::store::StoreError;

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code() {
            // The tables went with the rebuild of another process, or go just now.
            Some(
                &(SqlState::UNDEFINED_TABLE
                | SqlState::INVALID_SCHEMA_NAME
                | SqlState::T_R_DEADLOCK_DETECTED),
            ) => Self::Replaced,
            Some(_) | None => unavailable(&error),
        }
    }
}

impl From<deadpool_postgres::PoolError> for StoreError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(error) => error.into(),
            error @ (deadpool_postgres::PoolError::Timeout(_)
            | deadpool_postgres::PoolError::Closed
            | deadpool_postgres::PoolError::NoRuntimeSpecified
            | deadpool_postgres::PoolError::PostCreateHook(_)) => unavailable(&error),
        }
    }
}

/// In the server's words.
pub(super) fn unavailable(error: &(dyn Error + 'static)) -> StoreError {
    let said = error
        .downcast_ref::<tokio_postgres::Error>()
        .and_then(tokio_postgres::Error::as_db_error)
        .map(|said| format!("PostgreSQL says {}: {}", said.code().code(), said.message()));
    StoreError::Unavailable { reason: said.unwrap_or_else(|| chain(error)) }
}
