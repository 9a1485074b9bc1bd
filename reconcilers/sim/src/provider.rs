//! The provider of every kind, on top of a [`World`].

use std::future::pending;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::lifecycle::{FailureClass, Measured};
use domain::{KindName, ResourceId, StreamId, Tenant, Time};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use reconcilers::changes::Changes;
use reconcilers::converge::{Call, Seen};
use reconcilers::reconcile::without_canaries;
use reconcilers::{
    CallError, Clock, LogLines, LogQuery, Performed, Provider, Reconcile, Scene, Target,
};
use tokio::sync::Notify;
use tracing::error;

use crate::fault::{Fault, NoFaults, Operation, Script};
use crate::lines::{lines, writes};
use crate::object::{Entry, Happening, Object};
use crate::store::{Store, StoreError};
use crate::world::{Nature, NotThere, World};

/// How a simulated cloud is set up.
pub struct Options {
    /// The world's own traits.
    pub nature: Nature,
    /// Where it is kept; none to forget it.
    pub path: Option<PathBuf>,
    /// What goes wrong.
    pub script: Box<dyn Script>,
}

impl Default for Options {
    fn default() -> Self {
        Self { nature: Nature::default(), path: None, script: Box::new(NoFaults) }
    }
}

/// A simulated cloud.
pub struct Sim {
    clock: Arc<dyn Clock>,
    inner: Arc<Mutex<Inner>>,
    changes: Changes,
    agenda: Notify,
}

pub(crate) struct Inner {
    pub(crate) world: World,
    store: Option<Store>,
    script: Box<dyn Script>,
}

impl Sim {
    /// Opens a world.
    ///
    /// # Errors
    /// [`StoreError`] when what is kept of it cannot be read.
    pub fn open(clock: Arc<dyn Clock>, options: Options) -> Result<Self, StoreError> {
        let mut world = World::new(options.nature);
        let store = options.path.map(|path| Store::open(&path, &mut world)).transpose()?;
        let inner = Arc::new(Mutex::new(Inner { world, store, script: options.script }));
        Ok(Self { clock, inner, changes: Changes::default(), agenda: Notify::new() })
    }

    /// Tells of what time alone changes, until dropped. Without it such changes are seen only when looked for.
    pub async fn run(&self) {
        loop {
            let (due, targets) = {
                let mut inner = self.inner();
                let targets = inner.world.due(self.clock.now());
                (inner.world.next_due(), targets)
            };
            for target in &targets {
                self.tell(target);
            }
            let changed = self.agenda.notified();
            match due {
                None => changed.await,
                Some(due) => {
                    let micros = due.micros_since(self.clock.now()).max(1_000).unsigned_abs();
                    let pause = tokio::time::sleep(std::time::Duration::from_micros(micros));
                    tokio::select! { () = changed => {}, () = pause => {} }
                }
            }
        }
    }

    /// Looks at the world as it is.
    pub fn with_world<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.inner().world)
    }

    /// What time alone has changed since it was last asked: for those who do not [`run`](Self::run).
    pub fn due(&self) -> Vec<Target> {
        let now = self.clock.now();
        self.inner().world.due(now)
    }

    /// Lets something happen to a thing, behind its owner's back.
    ///
    /// # Errors
    /// [`NotThere`].
    pub fn happen(
        &self,
        tenant: &Tenant,
        id: &ResourceId,
        what: Happening,
    ) -> Result<(), NotThere> {
        let mut inner = self.inner();
        let target = inner.world.find(tenant, id)?.target.clone();
        let entry = what.to(target.uid, self.clock.now());
        inner.commit(entry).ok();
        drop(inner);
        self.tell(&target);
        Ok(())
    }

    fn tell(&self, target: &Target) {
        self.changes.tell(&target.stream());
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what a call asks for, with the fault that is due, if any.
    async fn call<T>(
        &self,
        operation: Operation,
        target: Option<&Target>,
        effect: impl FnOnce(&mut Inner, Option<&Fault>) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let fault = self.inner().script.fault(operation, target);
        match &fault {
            Some(Fault::Error) => return Err(refused(FailureClass::Retry, "injected: it failed")),
            Some(Fault::Throttled) => {
                return Err(refused(FailureClass::Throttled, "injected: too many calls"));
            }
            Some(Fault::CrashBefore) => return pending().await,
            Some(Fault::Slow(duration)) => tokio::time::sleep(*duration).await,
            Some(
                Fault::LostReply | Fault::CrashAfter | Fault::Stale(_) | Fault::FailsForGood(_),
            )
            | None => {}
        }
        let outcome = effect(&mut self.inner(), fault.as_ref());
        self.agenda.notify_one();
        match fault {
            Some(Fault::LostReply) => {
                Err(refused(FailureClass::Retry, "injected: the answer was lost"))
            }
            Some(Fault::CrashAfter) => pending().await,
            Some(
                Fault::Error
                | Fault::Throttled
                | Fault::CrashBefore
                | Fault::Slow(_)
                | Fault::Stale(_)
                | Fault::FailsForGood(_),
            )
            | None => outcome,
        }
    }

    /// See [`Provider::observe`]; kinds do not differ here, nor in the calls below.
    ///
    /// # Errors
    /// As the script of faults says.
    pub async fn see(&self, target: &Target) -> Result<Option<Seen>, CallError> {
        self.call(Operation::Observe, Some(target), |inner, fault| {
            inner.world.reach(target, None)?;
            let lag = if let Some(Fault::Stale(lag)) = fault { *lag } else { 0 };
            let now = self.clock.now();
            let mut seen = inner.world.see(target.uid, lag, now);
            if let Some(seen) = seen.as_mut().filter(|_| target.id.kind == KindName::Workload) {
                seen.canary = inner.world.see(target.canary().uid, lag, now).map(Box::new);
            }
            Ok(seen)
        })
        .await
    }

    /// See [`Provider::perform`].
    ///
    /// # Errors
    /// As the script of faults says, or when what is kept cannot be written.
    pub async fn make(&self, target: &Target, call: &Call) -> Result<Performed, CallError> {
        let operation = match call {
            Call::Create { .. } => Operation::Create,
            Call::Update(_) => Operation::Update,
            Call::Canary { .. } => Operation::Update,
            Call::Measure { generation, step, checks } => {
                let (generation, step) = (*generation, *step);
                let measured = checks.iter().map(|check| Measured {
                    check: check.name.clone(),
                    passed: true,
                    detail: "what is simulated is well".to_owned(),
                });
                let measured = measured.collect();
                return Ok(Performed::Measured { generation, step, measured });
            }
            Call::RemoveCanary => return self.delete(&target.canary()).await,
            Call::Delete => {
                let canary = target.canary();
                if self.inner().world.has(canary.uid) {
                    let gone = self.delete(&canary).await?;
                    if gone != Performed::Finished {
                        return Ok(gone);
                    }
                }
                return self.delete(target).await;
            }
        };
        self.call(operation, Some(target), |inner, fault| {
            let now = self.clock.now();
            inner.world.reach(target, Some(call))?;
            inner.make(target, call, now)?;
            if let Some(Fault::FailsForGood(message)) = fault {
                let (uid, message) = (target.uid, message.clone());
                inner.commit(Entry::Broke { at: now, uid, message, for_good: true })?;
            }
            Ok(Performed::Finished)
        })
        .await
    }

    /// See [`Provider::remove`].
    pub(crate) async fn delete(&self, target: &Target) -> Result<Performed, CallError> {
        self.call(Operation::Delete, Some(target), |inner, _| {
            inner.world.reach(target, None)?;
            let (entry, performed) = inner.world.delete(target, self.clock.now());
            entry.map_or(Ok(()), |entry| inner.commit(entry))?;
            Ok(performed)
        })
        .await
    }

    /// See [`Provider::sweep`].
    pub(crate) async fn list(&self, kind: &str) -> Result<Vec<Target>, CallError> {
        self.call(Operation::Sweep, None, |inner, _| {
            let wanted = |object: &&Object| object.target.id.kind.as_str() == kind;
            let world = &inner.world;
            // What cannot be reached is not listed, either.
            let found = world.objects().filter(wanted).map(|object| &object.target);
            let found = found.filter(|target| world.reach(target, None).is_ok());
            Ok(without_canaries(found.cloned().collect()))
        })
        .await
    }

    /// See [`Provider::logs`]; of a workload.
    pub(crate) fn lines(&self, target: &Target, query: &LogQuery) -> LogLines {
        lines(Arc::clone(&self.inner), Arc::clone(&self.clock), target, query)
    }

    /// See [`Provider::changes`]; of every kind where none is named.
    pub(crate) fn listen(&self, kind: Option<&'static str>) -> BoxStream<'static, StreamId> {
        self.changes.listen(kind)
    }
}

pub(crate) fn refused(class: FailureClass, message: impl Into<String>) -> CallError {
    CallError { class, message: message.into() }
}

impl Inner {
    /// Makes an effect true: on disk first.
    fn commit(&mut self, entry: Entry) -> Result<(), CallError> {
        if let Some(store) = &mut self.store {
            store.append(&entry).map_err(|error| {
                error!(%error, "the simulated world cannot be kept");
                refused(FailureClass::Retry, error.to_string())
            })?;
        }
        self.world.apply(entry);
        Ok(())
    }

    fn make(&mut self, target: &Target, call: &Call, now: Time) -> Result<(), CallError> {
        let missing = |error: NotThere| refused(FailureClass::Retry, error.to_string());
        let entry = match call {
            Call::Create { token, desired } => self.world.create(target, *token, desired, now),
            Call::Update(desired) => self.world.update(target, desired, now).map_err(missing)?,
            Call::Canary { desired, .. } => {
                let canary = target.canary();
                match self.world.update(&canary, desired, now) {
                    Ok(entry) => entry,
                    Err(NotThere(_)) => self.world.create(&canary, canary.uid, desired, now),
                }
            }
            Call::Measure { .. } | Call::RemoveCanary | Call::Delete => None,
        };
        entry.map_or(Ok(()), |entry| self.commit(entry))
    }
}

impl<K> Provider<K> for Sim
where
    K: Reconcile<Observed = Option<Seen>, Call = Call>,
{
    fn observe<'a>(
        &'a self,
        scene: Scene<'a, K>,
    ) -> BoxFuture<'a, Result<Option<Seen>, CallError>> {
        self.see(scene.target).boxed()
    }

    fn perform<'a>(
        &'a self,
        scene: Scene<'a, K>,
        call: Call,
    ) -> BoxFuture<'a, Result<Performed, CallError>> {
        async move { self.make(scene.target, &call).await }.boxed()
    }

    fn sweep(&self) -> BoxFuture<'_, Result<Vec<Target>, CallError>> {
        self.list(K::NAME).boxed()
    }

    fn remove<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Performed, CallError>> {
        self.delete(target).boxed()
    }

    fn logs(&self, scene: Scene<'_, K>, query: &LogQuery) -> Option<LogLines> {
        writes(K::NAME).then(|| self.lines(scene.target, query))
    }

    fn changes(&self) -> BoxStream<'static, StreamId> {
        self.listen(Some(K::NAME))
    }
}
