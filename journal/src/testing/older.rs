//! A log as a program reads it that came before some of its events.

use std::sync::Arc;

use domain::StreamId;
use domain::commit::Sealed;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt as _};
use uuid::Uuid;

use crate::{AppendError, Appended, Journal, JournalError, Loaded, Position, Recorded, Token};

/// A schema that no program knows yet.
const LATER: u32 = 9;

/// A log that an older program reads: one type of event has a schema of the future.
#[derive(Clone)]
pub struct Older {
    journal: Arc<dyn Journal>,
    event_type: &'static str,
}

impl Older {
    /// Makes a type of event unknown to whoever reads.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>, event_type: &'static str) -> Self {
        Self { journal, event_type }
    }

    fn seen(recorded: Recorded, event_type: &str) -> Recorded {
        let mut sealed = (*recorded.sealed).clone();
        for event in &mut sealed.commit.events {
            if event.event_type == event_type {
                event.schema = LATER;
            }
        }
        Recorded { sealed: Arc::new(sealed), ..recorded }
    }
}

impl Journal for Older {
    fn load<'a>(
        &'a self,
        stream: &'a StreamId,
        after_version: u64,
    ) -> BoxFuture<'a, Result<Loaded, JournalError>> {
        Box::pin(async move {
            let mut loaded = self.journal.load(stream, after_version).await?;
            let seen = |recorded| Self::seen(recorded, self.event_type);
            loaded.commits = loaded.commits.into_iter().map(seen).collect();
            Ok(loaded)
        })
    }

    fn append(
        &self,
        expected: Token,
        sealed: Arc<Sealed>,
    ) -> BoxFuture<'_, Result<Appended, AppendError>> {
        self.journal.append(expected, sealed)
    }

    fn follow(&self, after: Position) -> BoxStream<'static, Result<Recorded, JournalError>> {
        let event_type = self.event_type;
        let seen = move |recorded| Self::seen(recorded, event_type);
        self.journal.follow(after).map(move |recorded| recorded.map(seen)).boxed()
    }

    fn find<'a>(
        &'a self,
        stream: &'a StreamId,
        commit_id: Uuid,
    ) -> BoxFuture<'a, Result<Option<Recorded>, JournalError>> {
        self.journal.find(stream, commit_id)
    }

    fn head(&self) -> BoxFuture<'_, Result<Position, JournalError>> {
        self.journal.head()
    }

    fn check_token<'a>(
        &'a self,
        stream: &'a StreamId,
    ) -> BoxFuture<'a, Result<Token, JournalError>> {
        self.journal.check_token(stream)
    }
}
