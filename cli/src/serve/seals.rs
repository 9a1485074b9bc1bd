//! Whether the log of a data folder is whole: looked at when a server starts, every seal and every chain of it.

use std::sync::Arc;
use std::time::Duration;

use api::closed;
use archive::{ArchiveError, Subject, Verified};
use futures::FutureExt as _;
use journal::{Journal, JournalError};
use projections::Views;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Part, caused, trouble};
use crate::failure::{Exit, Failure, Outcome};

/// How long a start waits to know: some 100,000 commits. The rest of a longer log is read while the server runs.
const START_MAX: Duration = Duration::from_millis(500);

/// What to do about a log that ends too soon.
const LOST_END: &str = "put the log's files back, or restore it: `cairn admin restore --from ARCHIVE --data-dir NEW-FOLDER`; to go \
     on without what is lost: `cairn admin rebuild`, which makes the views anew from what there is";

/// Refuses to start on a log that is not whole. What cannot be known soon is found out by the part.
pub(super) async fn check(
    journal: &Arc<dyn Journal>,
    closing: watch::Receiver<bool>,
) -> Outcome<Option<Part>> {
    let subject = Subject { journal: Some(Arc::clone(journal)), ..Subject::default() };
    let mut checking = tokio::spawn(archive::verify(subject));
    match tokio::time::timeout(START_MAX, &mut checking).await {
        Ok(Ok(Ok(_))) => Ok(None),
        Ok(Ok(Err(error))) => {
            let Judged { exit, what, hint } = judge(&error);
            let failure = Failure::new(exit, format!("cannot start: {what}"));
            Err(caused(failure, &error).hint(hint))
        }
        Ok(Err(error)) => Err(Failure::new(Exit::Unreachable, format!("cannot start: {error}"))),
        Err(_) => Ok(Some(go_on(checking, closing))),
    }
}

/// Refuses to start on a log that has lost its end: the views show more than it holds.
pub(super) async fn check_end(journal: &Arc<dyn Journal>, views: &Views) -> Outcome<()> {
    let head = journal.head().await.map_err(|error| {
        caused(Failure::new(Exit::Unreachable, "cannot start: the log cannot be read"), &error)
    })?;
    let shown = views.position();
    if shown <= head {
        return Ok(());
    }
    let what = format!(
        "cannot start: the log has lost its end: it ends at position {head}, and the views show position {shown}"
    );
    Err(Failure::new(Exit::Damaged, what).hint(LOST_END))
}

/// What it means that a log could not be read to its end, and what to do about it.
struct Judged {
    exit: Exit,
    what: &'static str,
    hint: &'static str,
}

fn judge(error: &ArchiveError) -> Judged {
    match error {
        ArchiveError::Damaged { .. } | ArchiveError::Journal(JournalError::Damaged { .. }) => {
            Judged { exit: Exit::Damaged, what: "the log is damaged", hint: trouble::DAMAGED }
        }
        ArchiveError::Journal(_)
        | ArchiveError::Unavailable(_)
        | ArchiveError::Foreign { .. }
        | ArchiveError::Append { .. }
        | ArchiveError::Occupied { .. }
        | ArchiveError::NotCovered { .. }
        | ArchiveError::Nothing { .. }
        | ArchiveError::TooLarge { .. }
        | ArchiveError::Key(_)
        | ArchiveError::Ended { .. } => Judged {
            exit: Exit::Unreachable,
            what: "the log cannot be checked",
            hint: "check the disk and its permissions, then start again",
        },
    }
}

/// Reads the rest of the log while the server runs.
fn go_on(
    mut checking: JoinHandle<Result<Verified, ArchiveError>>,
    closing: watch::Receiver<bool>,
) -> Part {
    async move {
        tokio::select! {
            checked = &mut checking => match checked {
                Ok(Ok(verified)) => {
                    tracing::info!(head = %verified.head, "the log is whole");
                    Ok(())
                }
                Ok(Err(error)) => {
                    let Judged { what, hint, .. } = judge(&error);
                    Err(format!("{}; {hint}", super::chain(what, &error)))
                }
                Err(error) => Err(error.to_string()),
            },
            () = closed(closing) => {
                checking.abort();
                Ok(())
            }
        }
    }
    .boxed()
}

#[cfg(test)]
mod tests {
    use journal::{Breakage, Position};

    use super::*;

    #[tokio::test]
    async fn what_is_found_while_the_server_runs_ends_the_part_with_what_to_do() {
        let (closing, _) = watch::channel(false);
        let breakage = Box::new(Breakage::Version { expected: 2, found: 3 });
        let damaged = JournalError::Damaged { position: Position::new(7), stream: None, breakage };
        let found = async { Err(ArchiveError::Journal(damaged)) };
        let reason = go_on(tokio::spawn(found), closing.subscribe()).await.unwrap_err();
        assert!(reason.contains("damaged at position 7"), "{reason}");
        assert!(reason.contains("cairn admin restore"), "{reason}");
        let whole = async { Ok(Verified::default()) };
        assert_eq!(go_on(tokio::spawn(whole), closing.subscribe()).await, Ok(()));
    }
}
