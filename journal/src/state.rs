//! From a stream to the state of its aggregate, with what was folded before kept at hand.

use std::any::Any;
use std::sync::Arc;

use domain::commit::Hash;
use domain::{Decider, StreamId};

use crate::cache::Cache;
use crate::chain::Tip;
use crate::codec::{self, Upcast};
use crate::{Journal, JournalError, LoadError, Position, Recorded, Token, chain};

/// The state of an aggregate as of a version.
#[derive(Debug)]
pub struct Folded<S> {
    /// The state.
    pub state: Arc<S>,
    /// The version of the last event in it; 0 if there is none.
    pub version: u64,
    /// The position of the last commit in it; [`Position::START`] if there is none.
    pub position: Position,
    pub(crate) hash: Hash,
}

impl<S> Clone for Folded<S> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state), ..*self }
    }
}

impl<S: Default> Default for Folded<S> {
    fn default() -> Self {
        Self { state: Arc::default(), version: 0, position: Position::START, hash: Hash::default() }
    }
}

impl<S> Folded<S> {
    pub(crate) const fn token(&self) -> Token {
        Token::at(self.position)
    }

    pub(crate) const fn tip(&self) -> Tip {
        Tip { position: self.position, version: self.version, hash: self.hash }
    }
}

/// States of aggregates of any type, folded from the log.
pub(crate) struct States {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) upcast: Upcast,
    cache: Cache<StreamId, Cached>,
}

/// `state` is a `Folded<S>`; whoever asks for another `S` than was kept gets none.
#[derive(Clone)]
struct Cached {
    version: u64,
    state: Arc<dyn Any + Send + Sync>,
}

impl States {
    pub(crate) fn new(journal: Arc<dyn Journal>, upcast: Upcast, entries_max: usize) -> Self {
        Self { journal, upcast, cache: Cache::new(entries_max) }
    }

    /// The state kept, possibly behind the log; read if none is kept.
    pub(crate) async fn kept_or_fresh<D: Decider>(
        &self,
        stream: &StreamId,
    ) -> Result<Folded<D::State>, LoadError> {
        match self.kept(stream) {
            Some(folded) => Ok(folded),
            None => self.advance::<D>(stream, None).await,
        }
    }

    /// The state as of the log's end: what is kept, and the commits since.
    pub(crate) async fn fresh<D: Decider>(
        &self,
        stream: &StreamId,
    ) -> Result<Folded<D::State>, LoadError> {
        let Some(kept) = self.kept(stream) else {
            return self.advance::<D>(stream, None).await;
        };
        match self.advance::<D>(stream, Some(kept)).await {
            // What was kept is only a copy: the log itself is asked before it is called damaged.
            Err(LoadError::Journal(JournalError::Damaged { .. })) => {
                self.forget(stream);
                self.advance::<D>(stream, None).await
            }
            answer => answer,
        }
    }

    /// Keeps a state, unless a newer one is kept.
    pub(crate) fn keep<S: Send + Sync + 'static>(&self, stream: &StreamId, folded: Folded<S>) {
        let version = folded.version;
        let cached = Cached { version, state: Arc::new(folded) };
        self.cache.put_unless(stream.clone(), cached, |present| present.version > version);
    }

    pub(crate) fn forget(&self, stream: &StreamId) {
        self.cache.remove(stream);
    }

    fn kept<S: Send + Sync + 'static>(&self, stream: &StreamId) -> Option<Folded<S>> {
        let state = self.cache.get(stream)?.state;
        state.downcast_ref::<Folded<S>>().cloned()
    }

    async fn advance<D: Decider>(
        &self,
        stream: &StreamId,
        from: Option<Folded<D::State>>,
    ) -> Result<Folded<D::State>, LoadError> {
        let mut folded = from.unwrap_or_default();
        let loaded = self.journal.load(stream, folded.version).await?;
        if loaded.commits.is_empty() {
            // A replica that lags knows less than we do: what we have was in the log, and still is.
            return Ok(folded);
        }
        chain::check(Some(folded.tip()), folded.version, &loaded.commits)?;
        for recorded in &loaded.commits {
            folded = self.apply::<D>(folded, recorded)?;
        }
        self.keep(stream, folded.clone());
        Ok(folded)
    }

    fn apply<D: Decider>(
        &self,
        folded: Folded<D::State>,
        recorded: &Recorded,
    ) -> Result<Folded<D::State>, LoadError> {
        let events = self.events::<D>(recorded)?;
        Ok(after::<D>(folded, recorded, events))
    }

    pub(crate) fn events<D: Decider>(
        &self,
        recorded: &Recorded,
    ) -> Result<Vec<D::Event>, LoadError> {
        codec::events::<D>(self.upcast, recorded).map_err(|source| LoadError::Unreadable {
            position: recorded.position,
            stream: recorded.sealed.commit.stream.clone(),
            source,
        })
    }

    /// Folds from event one until `done` holds of a state and its version; none if it never does.
    pub(crate) async fn fold_until<D: Decider>(
        &self,
        stream: &StreamId,
        mut done: impl FnMut(&D::State, u64) -> bool + Send,
    ) -> Result<Option<Folded<D::State>>, LoadError> {
        let loaded = self.journal.load(stream, 0).await?;
        let mut state = D::State::default();
        for recorded in &loaded.commits {
            let versions = recorded.sealed.commit.first_version..;
            for (version, event) in versions.zip(self.events::<D>(recorded)?) {
                state = D::evolve(state, event);
                if done(&state, version) {
                    let (position, hash) = (recorded.position, recorded.sealed.hash);
                    return Ok(Some(Folded { state: Arc::new(state), version, position, hash }));
                }
            }
        }
        Ok(None)
    }
}

/// The state after a commit's events.
pub(crate) fn after<D: Decider>(
    folded: Folded<D::State>,
    recorded: &Recorded,
    events: Vec<D::Event>,
) -> Folded<D::State> {
    let tip = Tip::of(recorded);
    let state = Arc::unwrap_or_clone(folded.state);
    Folded {
        state: Arc::new(D::fold(state, events)),
        version: tip.version,
        position: tip.position,
        hash: tip.hash,
    }
}
