//! Is the log what was written? Reads all of it and says.

use std::collections::HashMap;

use domain::StreamId;
use domain::commit::check_seal;
use futures::StreamExt as _;
use serde::Serialize;

use crate::chain::{self, Tip};
use crate::{Breakage, Journal, JournalError, Position};

/// What a whole log holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The last position; every one up to it was read.
    pub head: Position,
    /// Streams.
    pub streams: u64,
    /// Commits.
    pub commits: u64,
    /// Events.
    pub events: u64,
    /// Bytes of the commits.
    pub bytes: u64,
}

/// Reads a log from its first commit to where it ends now: every seal, every stream's chain and versions, and
/// that no position is missing. It takes memory for the end of each stream, some 200 bytes.
///
/// # Errors
/// The first breakage, as [`JournalError::Damaged`] with its position and stream.
pub async fn verify(journal: &dyn Journal) -> Result<Verified, JournalError> {
    let head = journal.head().await?;
    let mut verified = Verified { head, ..Verified::default() };
    let mut tips: HashMap<StreamId, Tip> = HashMap::new();
    let mut commits = journal.follow(Position::START);
    let mut last = Position::START;
    while last < head {
        let recorded = commits.next().await.ok_or(JournalError::Closed)??;
        let sealed = &recorded.sealed;
        let check = |tip: Tip| {
            // An adapter may answer from memory: the seal is checked here, whatever it has checked.
            check_seal(&sealed.bytes)?;
            tip.continued_by(&sealed.commit)
        };
        let expected = last.next();
        if recorded.position != expected {
            return Err(chain::damaged(&recorded, Breakage::Gap { expected }));
        }
        let tip = tips.entry(sealed.commit.stream.clone()).or_default();
        check(*tip).map_err(|breakage| chain::damaged(&recorded, breakage))?;
        *tip = Tip::of(&recorded);
        last = recorded.position;
        verified.commits += 1;
        verified.events += sealed.commit.events.len() as u64;
        verified.bytes += sealed.bytes.len() as u64;
    }
    verified.streams = tips.len() as u64;
    Ok(verified)
}
