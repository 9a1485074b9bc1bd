//! The contract between what is wanted and who makes it so.

use std::collections::BTreeSet;
use std::fmt;

use domain::kinds::TypedSpec;
use domain::lifecycle::{Command, FailureClass, Measured};
use domain::text::{Inputs, Unresolved};
use domain::{Resource, ResourceId, StreamId, Tenant, Time};
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::logs::{LogLines, LogQuery};

/// How a kind is brought from what is seen to what is wanted: one step at a time.
pub trait Reconcile: TypedSpec {
    /// What a provider sees of one incarnation.
    type Observed: Send + Sync + 'static;
    /// What a provider can be asked to do to it.
    type Call: fmt::Debug + Send + 'static;

    /// What is wanted, in the provider's terms: the spec with every reference filled in.
    ///
    /// # Errors
    /// [`Unresolved`] while something it refers to is not published.
    fn desired(spec: &Self::Spec, inputs: &Inputs) -> Result<Value, Unresolved> {
        let value = serde_json::to_value(spec).unwrap_or(Value::Null);
        domain::text::resolve_json(&value, inputs)
    }

    /// The next step. Pure.
    ///
    /// # Guarantees
    /// It settles: once a step's effect is seen, it is not asked for again (invariant 14). It destroys only
    /// from `Deleting` or `Gone` (invariant 5), and records absence only from an acknowledgement (invariant 6).
    fn next(
        subject: &Subject<'_, Self>,
        inputs: &Inputs,
        observed: &Self::Observed,
    ) -> Step<Self::Call>;
}

/// A resource as the driver found it, with what it depends on.
pub struct Subject<'a, K: TypedSpec> {
    /// Its state in the log.
    pub resource: &'a Resource,
    /// What is wanted of it, or was.
    pub spec: &'a K::Spec,
    /// The first of its needs that is not ready.
    pub unmet: Option<&'a Waiting>,
    /// Somebody who must be gone before it may be deleted.
    pub dependent: Option<&'a ResourceId>,
    /// Nothing has needed it for the grace time.
    pub unneeded: bool,
    /// What somebody else changes stays.
    pub accepts_drift: bool,
    /// Now.
    pub at: Time,
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<C> {
    /// Asks the provider for something.
    Perform(C),
    /// Asks, and records the command once the provider has acknowledged that it is finished.
    PerformThenRecord(C, Command),
    /// Records something.
    Record(Command),
    /// Nothing can be done now.
    Wait(Waiting),
    /// Nothing is left to be done.
    Settled,
}

/// What a resource waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The resource, when it is one.
    pub on: Option<ResourceId>,
    /// In words.
    pub reason: String,
}

impl Waiting {
    /// Waits for the world.
    pub fn because(reason: impl Into<String>) -> Self {
        Self { on: None, reason: reason.into() }
    }

    /// Waits for a resource.
    pub fn on(resource: ResourceId, reason: impl Into<String>) -> Self {
        Self { on: Some(resource), reason: reason.into() }
    }
}

/// One incarnation of a resource, as it is tagged in the world.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Target {
    /// Whose.
    pub tenant: Tenant,
    /// Which.
    pub id: ResourceId,
    /// Which incarnation.
    pub uid: Uuid,
}

impl Target {
    /// The stream that holds its life.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        self.id.stream(&self.tenant)
    }

    /// What its canary is tagged with: the same resource, and an incarnation that follows from its own.
    #[must_use]
    pub fn canary(&self) -> Self {
        Self { uid: Uuid::new_v5(&self.uid, b"canary"), ..self.clone() }
    }
}

/// Leaves out what is the canary of another: that one answers for it.
#[must_use]
pub fn without_canaries(mut targets: Vec<Target>) -> Vec<Target> {
    let canaries: BTreeSet<Uuid> = targets.iter().map(|target| target.canary().uid).collect();
    targets.retain(|target| !canaries.contains(&target.uid));
    targets
}

/// What the log says of one incarnation, for whoever acts on it.
pub struct Scene<'a, K: Reconcile> {
    /// Which.
    pub target: &'a Target,
    /// What is wanted of it, or was.
    pub spec: &'a K::Spec,
    /// What its needs have published, as far as they have.
    pub inputs: &'a Inputs,
}

impl<K: Reconcile> Clone for Scene<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K: Reconcile> Copy for Scene<'_, K> {}

/// How a call that did not fail went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Performed {
    /// It is done.
    Finished,
    /// It was taken on; asking again tells whether it is done.
    Underway,
    /// It was taken on, and something holds it up: what, and since when, in words that stay the same while it does.
    Held(String),
    /// Something was measured.
    Measured {
        /// Of which generation.
        generation: u64,
        /// At which step.
        step: u32,
        /// What, and how it went.
        measured: Vec<Measured>,
    },
}

/// A call failed, or its answer was lost: it may have had its effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// What to do about it.
    pub class: FailureClass,
    /// In the provider's words.
    pub message: String,
}

/// Whoever can see and change things of a kind.
///
/// # Guarantees
/// - Everything it makes carries kind, name and uid as tags from its first moment; it sees only what carries them.
/// - Every call may be made twice: that is the same as once. A create carries a token for it.
pub trait Provider<K: Reconcile>: Send + Sync + 'static {
    /// Looks at what carries this uid. What it says may be out of date.
    fn observe<'a>(&'a self, scene: Scene<'a, K>) -> BoxFuture<'a, Result<K::Observed, CallError>>;

    /// Does it.
    fn perform<'a>(
        &'a self,
        scene: Scene<'a, K>,
        call: K::Call,
    ) -> BoxFuture<'a, Result<Performed, CallError>>;

    /// Lists everything of this kind that carries our tags, whoever wants it or does not.
    fn sweep(&self) -> BoxFuture<'_, Result<Vec<Target>, CallError>>;

    /// Removes what carries this uid, for [`Provider::sweep`].
    fn remove<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Performed, CallError>>;

    /// What its processes write, read as it is asked for; none where things of this kind write nothing.
    fn logs(&self, _scene: Scene<'_, K>, _query: &LogQuery) -> Option<LogLines> {
        None
    }

    /// Says that something of this kind may have changed. Any of these may be missed.
    fn changes(&self) -> BoxStream<'static, StreamId>;
}
