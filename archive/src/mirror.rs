//! Keeps a copy of a log up to date: what is appended to the log is appended to the copy, in its order.
//!
//! A copy is made, and compared, by [`crate::copy`]; here it goes on from there, for as long as it is let.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use domain::StreamId;
use futures::stream::StreamExt as _;
use journal::{AppendError, Journal, JournalError, Position, Recorded, Token};
use tokio::time::sleep;

use crate::ArchiveError;

/// The pause after one of the logs could not be used.
const PAUSE: Duration = Duration::from_secs(1);

/// What happens to the copy.
#[derive(Debug)]
pub enum Told<'a> {
    /// It holds everything up to here.
    Added(Position),
    /// One of the logs cannot be used now. It is tried again.
    Waits(&'a ArchiveError),
}

struct Keeping<'a> {
    from: &'a dyn Journal,
    to: &'a dyn Journal,
    after: Position,
    /// Where each stream of the copy ends, as far as it was appended to here.
    ends: HashMap<StreamId, Token>,
}

/// Appends what comes after a position to the copy, which holds everything up to there. Waits while one of the logs
/// cannot be used, and ends only when that does not help.
pub async fn keep(
    from: &dyn Journal,
    to: &dyn Journal,
    after: Position,
    mut tell: impl FnMut(Told<'_>),
) -> ArchiveError {
    let mut keeping = Keeping { from, to, after, ends: HashMap::new() };
    loop {
        let Err(error) = keeping.follow(&mut tell).await;
        if !may_pass(&error) {
            return error;
        }
        tell(Told::Waits(&error));
        sleep(PAUSE).await;
    }
}

impl Keeping<'_> {
    async fn follow(
        &mut self,
        tell: &mut impl FnMut(Told<'_>),
    ) -> Result<Infallible, ArchiveError> {
        let mut commits = self.from.follow(self.after);
        loop {
            let recorded = commits.next().await.ok_or(JournalError::Closed)??;
            self.add(recorded).await?;
            tell(Told::Added(self.after));
        }
    }

    async fn add(&mut self, recorded: Recorded) -> Result<(), ArchiveError> {
        let Recorded { position, sealed } = recorded;
        let stream = sealed.commit.stream.clone();
        let token = match self.ends.get(&stream) {
            Some(&token) => token,
            None => self.to.check_token(&stream).await?,
        };
        let appended = self.to.append(token, sealed).await.map_err(|source| match source {
            AppendError::Conflict { .. } | AppendError::Discontinuous(_) => {
                ArchiveError::Occupied { position }
            }
            AppendError::Unknown { .. }
            | AppendError::Unavailable { .. }
            | AppendError::Full { .. }
            | AppendError::Damaged(_) => ArchiveError::Append { position, source: source.into() },
        })?;
        if appended.position != position {
            return Err(ArchiveError::Occupied { position });
        }
        self.ends.insert(stream, Token::at(position));
        self.after = position;
        Ok(())
    }
}

fn may_pass(error: &ArchiveError) -> bool {
    let ArchiveError::Append { source, .. } = error else { return error.is_passing() };
    match **source {
        AppendError::Unknown { .. }
        | AppendError::Unavailable { .. }
        | AppendError::Full { .. } => true,
        AppendError::Conflict { .. } | AppendError::Discontinuous(_) | AppendError::Damaged(_) => {
            false
        }
    }
}
