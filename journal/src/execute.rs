//! The one write path: load ▸ fold ▸ decide ▸ append.

mod pause;
mod seal;

use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::commit::{Context, Hash, Sealed};
use domain::{Decider, StreamId};
use tokio::sync::{Mutex, MutexGuard};
use tracing::{debug, warn};

use pause::{pause_after_conflict, pause_in_doubt};
use seal::{Request, seal};

use crate::codec::{self, Description};
use crate::health::Health;
use crate::snapshots::Snapshots;
use crate::state::{self, Folded, States};
use crate::{
    AppendError, Appended, ExecuteError, Journal, LoadError, Position, Recorded, Token, Upcast,
};

/// The most states kept at hand: at some KiB each, well below the server's memory goal.
pub const STATES_MAX: usize = 16_384;
/// How often a command is judged again because others appended first. More would hide a hot spot.
pub const CONFLICTS_MAX: u32 = 5;
/// How often the outcome of an append is asked for before it is given up as unknown: about 5 s in all.
pub const OUTCOME_TRIES_MAX: u32 = 9;
/// No further try after this: a log on other machines takes its own time over each.
const OUTCOME_WAIT_MAX: Duration = Duration::from_secs(20);
/// Streams share this many turns: enough that two busy streams seldom wait for each other.
const TURNS: usize = 1_024;

/// How an [`Executor`] works.
#[derive(Clone)]
pub struct Settings {
    /// The most states kept at hand.
    pub states_max: usize,
    /// Lifts old events.
    pub upcast: Upcast,
    /// Where states of long streams are kept between starts; none: nowhere.
    pub snapshots: Option<Arc<dyn Snapshots>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { states_max: STATES_MAX, upcast: domain::schema::upcast, snapshots: None }
    }
}

/// What came of a command.
#[derive(Clone, Debug)]
pub struct Executed<D: Decider> {
    /// Where its commit is. When it had nothing to do: the last commit of the stream, which already says so.
    pub position: Position,
    /// The version of the stream's last event, after the command.
    pub version: u64,
    /// What happened. Empty when it had nothing to do.
    pub events: Vec<D::Event>,
    /// The state now; for a repeated command it may be later than `version`.
    pub state: Arc<D::State>,
    /// It had been carried out before, under the same id; the rest tells of that time.
    pub repeated: bool,
}

/// Carries out commands. Cheap to clone; clones share what is kept at hand.
///
/// # Guarantees
/// - A command is judged by a state that holds every commit of its stream, or it is judged again.
/// - The same commit id gives the same answer for ever if it recorded events; else the command is judged anew.
/// - Commands for one stream take turns within the process. A future that is dropped half-way is a lost reply:
///   the command may be carried out, and repeating it with the same id tells.
#[derive(Clone)]
pub struct Executor(Arc<Inner>);

struct Inner {
    states: States,
    health: Health,
    turns: Box<[Mutex<()>]>,
    hasher: foldhash::fast::RandomState,
}

enum Attempt<D: Decider> {
    Done(Executed<D>),
    /// Someone else appended first, or the stream has to be read.
    Again,
}

type Outcome<T, D> = Result<T, ExecuteError<<D as Decider>::Rejection>>;

impl Executor {
    /// Carries out commands on a journal.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        Self::with(journal, Settings::default())
    }

    /// Carries out commands on a journal, otherwise than by default.
    #[must_use]
    pub fn with(journal: Arc<dyn Journal>, settings: Settings) -> Self {
        let states = States::new(journal, settings);
        let turns = (0..TURNS).map(|_| Mutex::new(())).collect();
        let hasher = foldhash::fast::RandomState::default();
        Self(Arc::new(Inner { states, health: Health::default(), turns, hasher }))
    }

    /// The log it writes to.
    #[must_use]
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.0.states.journal
    }

    /// Why the log did not take the last append, if that is not longer ago than `within`.
    #[must_use]
    pub fn failure(&self, within: Duration) -> Option<String> {
        self.0.health.failure(within)
    }

    /// Carries out a command whose every try is the same value, times and uids included: a reconciler's.
    ///
    /// # Errors
    /// [`ExecuteError`]; its variants say whether to try again.
    pub async fn execute<D: Decider>(
        &self,
        stream: &StreamId,
        command: D::Command,
        context: Context,
    ) -> Outcome<Executed<D>, D> {
        let description =
            codec::describe(&command).map_err(|source| ExecuteError::Seal(source.into()))?;
        self.run(stream, command, &context, &description).await
    }

    /// Carries out a command that was made from a request. `digest` is of what the client sent, without the time and
    /// the uids that the server adds to each try: a repeated request is known as the same, a reused key as another.
    ///
    /// # Errors
    /// [`ExecuteError`]; its variants say whether to try again.
    pub async fn execute_keyed<D: Decider>(
        &self,
        stream: &StreamId,
        command: D::Command,
        context: Context,
        digest: Hash,
    ) -> Outcome<Executed<D>, D> {
        let description = codec::describe_as(&command, digest)
            .map_err(|source| ExecuteError::Seal(source.into()))?;
        self.run(stream, command, &context, &description).await
    }

    /// The state of an aggregate now.
    ///
    /// # Errors
    /// When the log cannot be read or understood.
    pub async fn load_state<D: Decider>(
        &self,
        stream: &StreamId,
    ) -> Result<Folded<D::State>, LoadError> {
        self.0.states.fresh::<D>(stream).await
    }

    /// The state of an aggregate as of a version; none if it is not there yet.
    ///
    /// # Errors
    /// When the log cannot be read or understood.
    pub async fn load_state_at_version<D: Decider>(
        &self,
        stream: &StreamId,
        version: u64,
    ) -> Result<Option<Folded<D::State>>, LoadError> {
        self.fold_until::<D>(stream, |_, at| at >= version).await
    }

    /// The first state, and its version, of which `done` holds; none if it never did. For old revisions.
    ///
    /// # Errors
    /// When the log cannot be read or understood.
    pub async fn fold_until<D: Decider>(
        &self,
        stream: &StreamId,
        done: impl FnMut(&D::State, u64) -> bool + Send,
    ) -> Result<Option<Folded<D::State>>, LoadError> {
        self.0.states.fold_until::<D>(stream, done).await
    }

    async fn run<D: Decider>(
        &self,
        stream: &StreamId,
        command: D::Command,
        context: &Context,
        description: &Description,
    ) -> Outcome<Executed<D>, D> {
        let inner = &*self.0;
        let request = Request { stream, context, command: description };
        let _turn = inner.turn(stream).await;
        if let Attempt::Done(executed) = inner.begin(&request, &command).await? {
            return Ok(executed);
        }
        for attempt in 0..CONFLICTS_MAX {
            let current = if attempt == 0 {
                inner.states.kept_or_fresh::<D>(stream).await?
            } else {
                pause_after_conflict(attempt, context).await;
                inner.states.fresh::<D>(stream).await?
            };
            match inner.attempt(&request, current, command.clone()).await? {
                Attempt::Done(executed) => return Ok(executed),
                Attempt::Again => debug!(%stream, attempt, "someone else appended first"),
            }
        }
        Err(ExecuteError::Contended { tries: CONFLICTS_MAX })
    }
}

impl Inner {
    async fn turn(&self, stream: &StreamId) -> Option<MutexGuard<'_, ()>> {
        let hash = self.hasher.hash_one(stream);
        let index = usize::try_from(hash % TURNS as u64).unwrap_or_default();
        Some(self.turns.get(index)?.lock().await)
    }

    /// Takes a stream of which nothing is kept for one that does not exist yet, if the command could begin it: the
    /// append is refused where that is wrong, and no stream has to be looked for that is not there.
    async fn begin<D: Decider>(
        &self,
        request: &Request<'_>,
        command: &D::Command,
    ) -> Outcome<Attempt<D>, D> {
        if self.states.keeps(request.stream) {
            return Ok(Attempt::Again);
        }
        match D::decide(&D::State::default(), command.clone()) {
            Ok(events) if !events.is_empty() => {
                self.record(request, Folded::default(), events).await
            }
            Ok(_) | Err(_) => Ok(Attempt::Again),
        }
    }

    async fn attempt<D: Decider>(
        &self,
        request: &Request<'_>,
        current: Folded<D::State>,
        command: D::Command,
    ) -> Outcome<Attempt<D>, D> {
        match D::decide(&current.state, command) {
            Ok(events) if !events.is_empty() => self.record(request, current, events).await,
            nothing => {
                if let Some(original) =
                    self.states.journal.find(request.stream, request.context.commit_id).await?
                {
                    return self.original(request, &original).await.map(Attempt::Done);
                }
                // A refusal, or "it is so already", must not come from a state that others have left behind.
                if self.states.journal.check_token(request.stream).await? != current.token() {
                    return Ok(Attempt::Again);
                }
                let events = nothing.map_err(ExecuteError::Rejected)?;
                Ok(Attempt::Done(executed(&current, events, false)))
            }
        }
    }

    async fn record<D: Decider>(
        &self,
        request: &Request<'_>,
        current: Folded<D::State>,
        events: Vec<D::Event>,
    ) -> Outcome<Attempt<D>, D> {
        let sealed = Arc::new(seal::<D>(request, &current, &events)?);
        let mut doubted = false;
        let outcome = self.append(current.token(), &sealed, &mut doubted).await;
        self.health.note(&outcome);
        let appended = match outcome {
            Ok(appended) => appended,
            Err(AppendError::Conflict { .. }) => return Ok(Attempt::Again),
            Err(error) => {
                self.states.forget(request.stream);
                return Err(refused(request.context, error));
            }
        };
        if appended.repeated {
            let original = self.find_repeated(request, appended).await?;
            // Our own earlier try, whose reply was lost, is not a repetition.
            if !doubted || original.sealed.hash != sealed.hash {
                return self.original(request, &original).await.map(Attempt::Done);
            }
        }
        let recorded = Recorded { position: appended.position, sealed };
        // What is kept is the state before: with it gone, the state is ours alone and is folded in place, not copied.
        self.states.forget(request.stream);
        let folded = state::after::<D>(current, &recorded, events.clone());
        let folded = self.states.keep(request.stream, folded);
        Ok(Attempt::Done(executed(&folded, events, false)))
    }

    /// Appends, again while the outcome is unknown: the commit's id and the token allow the same bytes once at most.
    /// Then an earlier try may be what is found: it is `doubted`.
    async fn append(
        &self,
        expected: Token,
        sealed: &Arc<Sealed>,
        doubted: &mut bool,
    ) -> Result<Appended, AppendError> {
        let mut unknown: Option<String> = None;
        let until = Instant::now() + OUTCOME_WAIT_MAX;
        for attempt in (0..OUTCOME_TRIES_MAX).take_while(|_| Instant::now() < until) {
            match self.states.journal.append(expected, Arc::clone(sealed)).await {
                Err(AppendError::Unknown { reason }) => unknown = Some(reason),
                // This try stored nothing. An earlier one may have.
                Err(AppendError::Unavailable { reason } | AppendError::Full { reason })
                    if unknown.is_some() =>
                {
                    unknown = Some(reason);
                }
                known => return known,
            }
            *doubted = true;
            warn!(stream = %sealed.commit.stream, attempt, "whether a commit was stored is not known");
            pause_in_doubt(attempt).await;
        }
        Err(AppendError::Unknown { reason: unknown.unwrap_or_default() })
    }

    async fn find_repeated<R>(
        &self,
        request: &Request<'_>,
        appended: Appended,
    ) -> Result<Recorded, ExecuteError<R>> {
        let found = self.states.journal.find(request.stream, request.context.commit_id).await?;
        found.ok_or_else(|| ExecuteError::Unavailable {
            reason: format!("position {} cannot be read yet", appended.position),
        })
    }

    /// Answers a command that was carried out before as it was answered then.
    async fn original<D: Decider>(
        &self,
        request: &Request<'_>,
        original: &Recorded,
    ) -> Outcome<Executed<D>, D> {
        let commit = &original.sealed.commit;
        if commit.stream != *request.stream || commit.command_hash != request.command.digest {
            return Err(ExecuteError::KeyReused {
                commit_id: commit.commit_id,
                position: original.position,
            });
        }
        let events = self.states.events::<D>(original)?;
        let current = self.states.fresh::<D>(request.stream).await?;
        Ok(Executed {
            position: original.position,
            version: original.last_version(),
            events,
            state: current.state,
            repeated: true,
        })
    }
}

fn executed<D: Decider>(
    folded: &Folded<D::State>,
    events: Vec<D::Event>,
    repeated: bool,
) -> Executed<D> {
    Executed {
        position: folded.position,
        version: folded.version,
        events,
        state: Arc::clone(&folded.state),
        repeated,
    }
}

fn refused<R>(context: &Context, error: AppendError) -> ExecuteError<R> {
    match error {
        AppendError::Conflict { .. } => ExecuteError::Contended { tries: 1 },
        AppendError::Unknown { .. } => {
            ExecuteError::OutcomeUnknown { commit_id: context.commit_id }
        }
        AppendError::Unavailable { reason } => ExecuteError::Unavailable { reason },
        AppendError::Full { reason } => ExecuteError::Full { reason },
        AppendError::Discontinuous(breakage) => ExecuteError::Discontinuous(breakage),
        AppendError::Damaged(error) => (*error).into(),
    }
}
