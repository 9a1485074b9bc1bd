//! The one write path: load ▸ fold ▸ decide ▸ append.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::commit::{Commit, Context, EventRecord, Hash, Sealed};
use domain::{Decider, StreamId};
use tokio::sync::{Mutex, MutexGuard};
use tracing::{debug, warn};

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
/// The first pause between tries; each is twice the one before.
const PAUSE_MS_FIRST: u64 = 10;
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
}

/// A command on its way.
struct Request<'a> {
    stream: &'a StreamId,
    context: &'a Context,
    command: &'a Description,
}

enum Attempt<D: Decider> {
    Done(Executed<D>),
    /// Someone else appended first.
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
        Self(Arc::new(Inner { states, health: Health::default(), turns }))
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
        let mut description =
            codec::describe(&command).map_err(|source| ExecuteError::Seal(source.into()))?;
        description.digest = digest;
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
        for attempt in 0..CONFLICTS_MAX {
            let current = if attempt == 0 {
                inner.states.kept_or_fresh::<D>(stream).await?
            } else {
                pause(attempt, context).await;
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
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(stream);
        let index = usize::try_from(hash % TURNS as u64).unwrap_or_default();
        Some(self.turns.get(index)?.lock().await)
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
        let outcome = self.append(current.token(), &sealed).await;
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
            // Our own first try, whose reply was lost, is not a repetition.
            if original.sealed.hash != sealed.hash {
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
    async fn append(&self, expected: Token, sealed: &Arc<Sealed>) -> Result<Appended, AppendError> {
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
            warn!(stream = %sealed.commit.stream, attempt, "whether a commit was stored is not known");
            pause_for(PAUSE_MS_FIRST << attempt).await;
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

fn seal<D: Decider>(
    request: &Request<'_>,
    current: &Folded<D::State>,
    events: &[D::Event],
) -> Outcome<Sealed, D> {
    let context = request.context;
    let records: Result<Vec<_>, _> = events.iter().map(EventRecord::encode).collect();
    let commit = Commit {
        commit_id: context.commit_id,
        stream: request.stream.clone(),
        first_version: current.version + 1,
        time: context.time,
        actor: context.actor.clone(),
        command: request.command.name.clone(),
        command_hash: request.command.digest,
        causation_id: context.causation_id,
        correlation_id: context.correlation_id,
        traceparent: context.traceparent.clone(),
        prev_hash: current.hash,
        events: records.map_err(|source| ExecuteError::Seal(source.into()))?,
    };
    Ok(commit.seal()?)
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

/// Waits longer after each conflict, by a length that differs between commands: two that collided do not again.
async fn pause(attempt: u32, context: &Context) {
    let longest = PAUSE_MS_FIRST << attempt;
    let share = u64::from(context.commit_id.as_bytes().last().copied().unwrap_or_default());
    pause_for(longest / 2 + longest * share / 512).await;
}

/// Without a runtime there is nobody to wait for: tests on one thread go on at once.
async fn pause_for(pause_ms: u64) {
    if tokio::runtime::Handle::try_current().is_ok() {
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
    }
}
