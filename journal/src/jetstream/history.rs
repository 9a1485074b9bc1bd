//! Reading a stream so that nothing of it is missed: the leader says where it ends, any replica gives the commits.

use domain::StreamId;
use futures::future::join;
use uuid::Uuid;

use super::Shared;
use super::wire::trouble;
use crate::chain::{self, Tip};
use crate::{JournalError, Loaded, Position, Recorded, Token};

impl Shared {
    /// The commits of a stream after one of its positions, up to where the leader says that it ends.
    pub(super) async fn history(
        &self,
        stream: &StreamId,
        after: Position,
    ) -> Result<Loaded, JournalError> {
        let subject = stream.to_string();
        let from = after.next();
        let (last, batch) =
            join(self.wire.last(&subject), self.wire.batch(Some(&subject), from)).await;
        let Some(last) = last? else {
            return Ok(Loaded { commits: Vec::new(), token: Token::EMPTY });
        };
        let mut found = batch?;
        loop {
            let reached = found.last().map_or(after, |stored| stored.position);
            if reached >= last.position {
                break;
            }
            let more = self.wire.batch(Some(&subject), reached.next()).await?;
            if !more.is_empty() {
                found.extend(more);
                continue;
            }
            // The replica that was asked lags behind the leader.
            let next = self.wire.next(&subject, reached.next()).await?;
            found.push(next.ok_or_else(|| trouble("the servers disagree on a stream's end"))?);
        }
        let token = found.last().map_or(last.position, |stored| stored.position);
        let commits = found.into_iter().map(super::wire::Stored::open);
        let commits = commits.collect::<Result<Vec<_>, _>>()?;
        Ok(Loaded { commits, token: Token::at(token) })
    }

    /// Reads what a stream holds beyond what is known of it, and makes it known; gives what was read.
    pub(super) async fn catch_up(&self, stream: &StreamId) -> Result<Loaded, JournalError> {
        let known = self.streams.tip(stream).unwrap_or_default();
        let loaded = self.history(stream, known.position).await?;
        chain::check(Some(known), known.version, &loaded.commits)?;
        for recorded in &loaded.commits {
            self.streams.add(recorded);
        }
        Ok(loaded)
    }

    /// The commits of a stream that begin after a version, and where it ends.
    pub(super) async fn load(
        &self,
        stream: &StreamId,
        after_version: u64,
        position: Option<Position>,
    ) -> Result<Loaded, JournalError> {
        let known = self.streams.tip(stream).filter(|known| known.version == after_version);
        let after = known.map(|known| known.position).or(position).unwrap_or_default();
        let mut loaded = self.history(stream, after).await?;
        let before = (after == Position::START).then(Tip::default);
        let first_version = if after == Position::START { 0 } else { after_version };
        chain::check(before, first_version, &loaded.commits)?;
        for recorded in &loaded.commits {
            self.streams.add(recorded);
        }
        loaded.commits.retain(|recorded| recorded.sealed.commit.first_version > after_version);
        Ok(loaded)
    }

    /// The commit of an id in its stream, or in another of which this process has heard.
    pub(super) async fn find(
        &self,
        stream: &StreamId,
        commit_id: Uuid,
    ) -> Result<Option<Recorded>, JournalError> {
        let is_it = |recorded: &Recorded| recorded.sealed.commit.commit_id == commit_id;
        let loaded = self.catch_up(stream).await?;
        if let Some(found) = loaded.commits.into_iter().find(is_it) {
            return Ok(Some(found));
        }
        if let Some(position) = self.elsewhere.get(&commit_id)
            && let Some(stored) = self.wire.at(position).await?
        {
            return stored.open().map(Some);
        }
        // Not among what was just read: it is not there, or among what is known.
        if self.streams.may_hold(stream, commit_id).is_none_or(|(_, held)| held) {
            let all = self.history(stream, Position::START).await?;
            return Ok(all.commits.into_iter().find(is_it));
        }
        Ok(None)
    }
}
