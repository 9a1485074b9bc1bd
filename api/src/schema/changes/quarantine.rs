//! Showing a stream again that the views set aside.

use domain::StreamId;
use journal::{JournalError, Token};
use projections::{RedriveError, Redriven};

use super::not_found;
use crate::fault::{Fault, UserError};
use crate::once::{Answer, Stop, Work};

const PATH: &str = "input.stream";

/// Folds a stream anew and, if it can be understood now, takes it out of the quarantine. What is shown to its end
/// already stays so: a repetition after a crash finds that nothing is left to do.
pub(crate) async fn redrive(work: &mut Work<'_>, stream: &str) -> Result<Answer, Stop> {
    let stream: StreamId =
        stream.parse().map_err(|error| UserError::new("INVALID_STREAM", PATH, error))?;
    let journal = work.plane.probed.executor.journal();
    // Whether another tenant has such a stream is not told.
    let ours = *stream.tenant() == work.plane.tenant;
    if !ours || journal.check_token(&stream).await? == Token::EMPTY {
        return Err(not_found(PATH, &format!("stream {stream}")));
    }
    let redriven = projections::redrive(journal, &work.plane.views, &stream).await;
    let answer = Answer { stream: Some(stream.to_string()), ..Answer::default() };
    match redriven {
        Ok(Redriven { commits, position }) => {
            work.reached(position);
            Ok(Answer { number: Some(commits), ..answer })
        }
        Err(RedriveError::NotQuarantined(_)) => Ok(Answer { unchanged: true, ..answer }),
        Err(error) => Err(stopped(error)),
    }
}

/// What cannot be understood yet is data; that the log or the views are away is not.
fn stopped(error: RedriveError) -> Stop {
    let poisoned = |error: &dyn std::fmt::Display, hint: &str| {
        Stop::from(UserError::new("STILL_POISONED", PATH, error).with_hint(hint))
    };
    match error {
        RedriveError::StillPoisoned { .. } | RedriveError::NotQuarantined(_) => {
            poisoned(&error, "start a version of Cairn that understands it, then try again")
        }
        RedriveError::Journal(damaged @ JournalError::Damaged { .. }) => {
            poisoned(&damaged, "check the log: cairn admin verify")
        }
        RedriveError::Contended => Stop::Fault(Fault::unavailable(error)),
        RedriveError::Projection(_) => Stop::Fault(Fault::internal(&error)),
        RedriveError::Journal(error) => error.into(),
        RedriveError::Query(error) => error.into(),
        RedriveError::Store(error) => error.into(),
    }
}
