//! Whether the log takes what is appended, as far as the last attempts tell.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{AppendError, Appended};

/// How the last append went that said anything about the log itself.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<Option<(Instant, String)>>);

impl Health {
    /// Learns from the outcome of an append. A refusal of the commit says nothing about the log.
    pub(crate) fn note(&self, outcome: &Result<Appended, AppendError>) {
        let failure = match outcome {
            Ok(_) => None,
            Err(
                error @ (AppendError::Unknown { .. }
                | AppendError::Unavailable { .. }
                | AppendError::Full { .. }
                | AppendError::Damaged(_)),
            ) => Some((Instant::now(), error.to_string())),
            Err(AppendError::Conflict { .. } | AppendError::Discontinuous(_)) => return,
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    /// Why the last append failed, if that is not longer ago than `within`.
    pub(crate) fn failure(&self, within: Duration) -> Option<String> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(at, _)| at.elapsed() <= within).map(|(_, reason)| reason.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Position, Token};

    #[test]
    fn a_failure_is_told_until_an_append_succeeds_or_it_is_long_ago() {
        let health = Health::default();
        let minute = Duration::from_secs(60);
        assert_eq!(health.failure(minute), None);
        health.note(&Err(AppendError::Full { reason: "no space left".into() }));
        assert!(health.failure(minute).unwrap().contains("no space left"));
        assert_eq!(health.failure(Duration::ZERO), None);
        let (expected, actual) = (Token::EMPTY, Token::at(Position::new(1)));
        health.note(&Err(AppendError::Conflict { expected, actual }));
        assert!(health.failure(minute).is_some());
        health.note(&Ok(Appended { position: Position::new(1), repeated: false }));
        assert_eq!(health.failure(minute), None);
    }
}
