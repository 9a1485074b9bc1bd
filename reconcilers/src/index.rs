//! The graph, kept up with the log.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::commit::UnreadableEvent;
use domain::{Name, ResourceId, StreamId, Tenant, Time};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use journal::{Journal, JournalError, Position, Recorded};
use tokio::sync::{Mutex as Turn, watch};

use crate::graph::{Cause, Graph, Wake};

/// The log cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// See there.
    #[error("the log cannot be followed")]
    Journal(#[from] JournalError),
    /// Stop, and start a newer Cairn.
    #[error("the log cannot be understood at position {position}")]
    Unreadable {
        /// Where.
        position: Position,
        /// What.
        #[source]
        source: UnreadableEvent,
    },
    /// Whoever followed the log has stopped.
    #[error("the log is no longer followed")]
    Stopped,
}

/// A [`Graph`] and how far it has come.
pub struct Index {
    journal: std::sync::Arc<dyn Journal>,
    graph: Mutex<Graph>,
    stream: Turn<BoxStream<'static, Result<Recorded, JournalError>>>,
    position: watch::Sender<Position>,
    /// Who should look, and has not been told yet: whoever took them in may have been stopped half-way.
    untold: Mutex<Vec<Wake>>,
    started: Time,
}

impl Index {
    /// Begins at the log's first commit. `started` is when this process did: no grace time began before.
    #[must_use]
    pub fn new(journal: std::sync::Arc<dyn Journal>, started: Time) -> Self {
        let stream = Turn::new(journal.follow(Position::START));
        Self {
            journal,
            graph: Mutex::default(),
            stream,
            position: watch::Sender::new(Position::START),
            untold: Mutex::default(),
            started,
        }
    }

    /// Takes in the next commit, waiting for it, and says who should look, also of what others took in and did not
    /// tell. May be dropped half-way: nothing is lost.
    ///
    /// # Errors
    /// [`FollowError`]; the index is of no use any more.
    pub async fn advance(&self) -> Result<Vec<Wake>, FollowError> {
        let mut stream = self.stream.lock().await;
        let untold = self.tell();
        if !untold.is_empty() {
            return Ok(untold);
        }
        let recorded = stream.next().await.ok_or(FollowError::Stopped)??;
        self.take(&recorded)?;
        Ok(self.tell())
    }

    /// Waits until everything that is in the log now is taken in; says who should look if nobody else does.
    ///
    /// # Errors
    /// [`FollowError`]; then nothing may be decided that depends on the graph.
    pub async fn catch_up(&self) -> Result<Vec<Wake>, FollowError> {
        self.keep_up().await?;
        Ok(self.tell())
    }

    /// The same, and leaves it to whoever follows to tell who should look. May be dropped half-way.
    ///
    /// # Errors
    /// [`FollowError`]; then nothing may be decided that depends on the graph.
    pub async fn keep_up(&self) -> Result<(), FollowError> {
        let head = self.journal.head().await?;
        let mut position = self.position.subscribe();
        let mut stream = tokio::select! {
            biased;
            // Somebody follows, and tells whom it concerns ...
            at = position.wait_for(|at| *at >= head) => {
                return at.map(|_| ()).map_err(|_| FollowError::Stopped);
            }
            // ... until it is stopped, and then the rest is read here.
            stream = self.stream.lock() => stream,
        };
        while self.position() < head {
            let recorded = stream.next().await.ok_or(FollowError::Stopped)??;
            self.take(&recorded)?;
        }
        Ok(())
    }

    fn tell(&self) -> Vec<Wake> {
        std::mem::take(&mut *self.untold.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take(&self, recorded: &Recorded) -> Result<(), FollowError> {
        let position = recorded.position;
        let wakes = self
            .graph()
            .apply(recorded)
            .map_err(|source| FollowError::Unreadable { position, source })?;
        self.untold.lock().unwrap_or_else(PoisonError::into_inner).extend(wakes);
        self.position.send_replace(position);
        Ok(())
    }

    /// How far it has come.
    #[must_use]
    pub fn position(&self) -> Position {
        *self.position.borrow()
    }

    /// See [`Graph::dependent`].
    #[must_use]
    pub fn dependent(&self, stream: &StreamId) -> Option<ResourceId> {
        self.graph().dependent(stream)
    }

    /// See [`Graph::unneeded_since`]; never before this process started, which knows of no rollout from before.
    #[must_use]
    pub fn unneeded_since(&self, stream: &StreamId) -> Option<Time> {
        self.graph().unneeded_since(stream).map(|since| since.max(self.started))
    }

    /// See [`Graph::occupied`].
    #[must_use]
    pub fn occupied(&self, tenant: &Tenant) -> BTreeMap<ResourceId, BTreeMap<Name, u32>> {
        self.graph().occupied(tenant)
    }

    /// See [`Graph::cause`].
    #[must_use]
    pub fn cause(&self, stream: &StreamId) -> Option<Cause> {
        self.graph().cause(stream)
    }

    /// See [`Graph::deployment`].
    #[must_use]
    pub fn deployment(&self, stream: &StreamId) -> Option<Name> {
        self.graph().deployment(stream)
    }

    /// See [`Graph::watch`].
    pub fn watch(&self, deployment: &StreamId, resources: &[StreamId], now: Time) {
        let wakes = self.graph().watch(deployment, resources, now);
        // Whoever watches goes on to write, and with that they are told.
        self.untold.lock().unwrap_or_else(PoisonError::into_inner).extend(wakes);
    }

    /// See [`Graph::is_present`].
    #[must_use]
    pub fn is_present(&self, stream: &StreamId) -> bool {
        self.graph().is_present(stream)
    }

    /// See [`Graph::streams`].
    #[must_use]
    pub fn streams(&self) -> Vec<StreamId> {
        self.graph().streams().cloned().collect()
    }

    /// See [`Graph::owned`].
    #[must_use]
    pub fn owned(&self) -> Vec<(StreamId, Name)> {
        self.graph().owned().map(|(stream, name)| (stream.clone(), name.clone())).collect()
    }

    fn graph(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use futures::FutureExt as _;
    use journal::memory::MemoryJournal;
    use journal::testing::{commit, stream};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_keeps_up_does_so_though_the_one_that_followed_is_stopped() {
        let journal = Arc::new(MemoryJournal::default());
        let index = Index::new(Arc::clone(&journal) as Arc<dyn Journal>, Time::from_micros(0));
        let mut follower = Box::pin(index.advance());
        assert!(follower.as_mut().now_or_never().is_none(), "it waits for the log's next commit");
        let sealed = commit(&stream("a"), 1, None, &[1]);
        journal.append(journal::Token::EMPTY, sealed).await.unwrap();
        let mut behind = Box::pin(index.keep_up());
        assert!(behind.as_mut().now_or_never().is_none(), "the follower has the turn");
        drop(follower);
        let kept_up = tokio::time::timeout(Duration::from_secs(60), behind).await;
        kept_up.expect("it does not wait for who is gone").unwrap();
        assert_eq!(index.position(), journal.head().await.unwrap());
    }
}
