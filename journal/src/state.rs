//! From a stream to the state of its aggregate, with what was folded before kept at hand.

use std::any::Any;
use std::sync::Arc;

use domain::commit::Hash;
use domain::{Decider, StreamId};
use serde::Serialize;
use tracing::debug;

use crate::cache::Cache;
use crate::chain::Tip;
use crate::codec::{self, Upcast};
use crate::execute::Settings;
use crate::snapshots::{SNAPSHOT_EVERY, Snapshot, Snapshots};
use crate::{Journal, JournalError, LoadError, Position, Recorded, Token, chain};

/// The state of an aggregate as of a version.
#[derive(Debug)]
pub struct Folded<S: ?Sized> {
    /// The state.
    pub state: Arc<S>,
    /// The version of the last event in it; 0 if there is none.
    pub version: u64,
    /// The position of the last commit in it; [`Position::START`] if there is none.
    pub position: Position,
    pub(crate) hash: Hash,
    /// Commits since the last snapshot.
    unsaved: u32,
}

impl<S: ?Sized> Clone for Folded<S> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state), ..*self }
    }
}

impl<S: Default> Default for Folded<S> {
    fn default() -> Self {
        Self::at(S::default(), 0, Position::START, Hash::default())
    }
}

impl<S: ?Sized> Folded<S> {
    /// The same place in the log, with this for its state.
    const fn of<T: ?Sized>(&self, state: Arc<T>) -> Folded<T> {
        let Self { version, position, hash, unsaved, .. } = *self;
        Folded { state, version, position, hash, unsaved }
    }
}

impl<S> Folded<S> {
    pub(crate) fn at(state: S, version: u64, position: Position, hash: Hash) -> Self {
        Self { state: Arc::new(state), version, position, hash, unsaved: 0 }
    }

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
    upcast: Upcast,
    snapshots: Option<Arc<dyn Snapshots>>,
    cache: Cache<StreamId, Cached>,
}

/// A state of any type; whoever asks for another than was kept gets none.
type Cached = Folded<dyn Any + Send + Sync>;

impl States {
    pub(crate) fn new(journal: Arc<dyn Journal>, settings: Settings) -> Self {
        let Settings { states_max, upcast, snapshots } = settings;
        Self { journal, upcast, snapshots, cache: Cache::new(states_max) }
    }

    /// Whether a state is kept.
    pub(crate) fn keeps(&self, stream: &StreamId) -> bool {
        self.cache.contains(stream)
    }

    /// The state kept, possibly behind the log; read if none is kept.
    pub(crate) async fn kept_or_fresh<D: Decider>(
        &self,
        stream: &StreamId,
    ) -> Result<Folded<D::State>, LoadError> {
        match self.kept(stream) {
            Some(folded) => Ok(folded),
            None => self.read::<D>(stream).await,
        }
    }

    /// The state as of the log's end: what is kept, and the commits since.
    pub(crate) async fn fresh<D: Decider>(
        &self,
        stream: &StreamId,
    ) -> Result<Folded<D::State>, LoadError> {
        let Some(kept) = self.kept(stream) else { return self.read::<D>(stream).await };
        // A replica that lags may know less than we do: what we have was in the log, and still is.
        match self.advance::<D>(stream, kept.clone()).await {
            Ok(Some(folded)) => Ok(folded),
            Ok(None) => Ok(kept),
            // What was kept is only a copy: the log itself is asked before it is called damaged.
            Err(LoadError::Journal(JournalError::Damaged { .. })) => {
                self.forget(stream);
                self.read::<D>(stream).await
            }
            Err(error) => Err(error),
        }
    }

    /// Keeps a state, unless a newer one is kept, and takes a snapshot now and then.
    pub(crate) fn keep<S: Serialize + Send + Sync + 'static>(
        &self,
        stream: &StreamId,
        mut folded: Folded<S>,
    ) -> Folded<S> {
        if folded.unsaved >= SNAPSHOT_EVERY
            && let Some(snapshots) = &self.snapshots
        {
            folded.unsaved = 0;
            if let Some(snapshot) = Snapshot::of(stream, &folded) {
                snapshots.put(snapshot);
            }
        }
        let version = folded.version;
        let state: Arc<dyn Any + Send + Sync> = Arc::<S>::clone(&folded.state);
        let kept = folded.of(state);
        self.cache.put_unless(stream.clone(), kept, |present| present.version > version);
        folded
    }

    pub(crate) fn forget(&self, stream: &StreamId) {
        self.cache.remove(stream);
    }

    fn kept<S: Send + Sync + 'static>(&self, stream: &StreamId) -> Option<Folded<S>> {
        let kept = self.cache.get(stream)?;
        let state = Arc::downcast(Arc::clone(&kept.state)).ok()?;
        Some(kept.of(state))
    }

    /// Reads a state of which nothing is kept in memory: from its snapshot if that fits, or from event one.
    async fn read<D: Decider>(&self, stream: &StreamId) -> Result<Folded<D::State>, LoadError> {
        if let Some(folded) = self.snapshot::<D>(stream).await {
            match self.advance::<D>(stream, folded).await {
                Ok(Some(folded)) => return Ok(folded),
                Ok(None) | Err(LoadError::Journal(JournalError::Damaged { .. })) => {
                    debug!(%stream, "its snapshot does not fit the log and is passed over");
                }
                Err(error) => return Err(error),
            }
        }
        let folded = self.advance::<D>(stream, Folded::default()).await?;
        Ok(folded.unwrap_or_default())
    }

    async fn snapshot<D: Decider>(&self, stream: &StreamId) -> Option<Folded<D::State>> {
        self.snapshots.as_ref()?.get(stream).await?.open::<D>(stream)
    }

    /// Adds what the log holds after `folded`; none if the log, as read, does not end there or later.
    async fn advance<D: Decider>(
        &self,
        stream: &StreamId,
        mut folded: Folded<D::State>,
    ) -> Result<Option<Folded<D::State>>, LoadError> {
        let loaded = self.journal.load_after(stream, folded.version, folded.position).await?;
        if loaded.commits.is_empty() {
            let fits = loaded.token == folded.token();
            return Ok(fits.then(|| self.keep(stream, folded)));
        }
        chain::check(Some(folded.tip()), folded.version, &loaded.commits)?;
        for recorded in &loaded.commits {
            folded = self.apply::<D>(folded, recorded)?;
        }
        Ok(Some(self.keep(stream, folded)))
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
                    return Ok(Some(Folded::at(state, version, position, hash)));
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
        unsaved: folded.unsaved + 1,
    }
}
