//! Who acts on each kind: a field each, so that a forgotten kind does not compile.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use domain::kinds::{KindName, Spec, TypedSpec};
use domain::text::Inputs;
use domain::{Resource, ResourceId, StreamId, Time};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

use crate::logs::{LogLines, LogQuery};
use crate::reconcile::{
    CallError, Performed, Provider, Reconcile, Scene, Step, Subject, Target, Waiting,
};

/// A call to a provider, ready to be made.
pub struct Effect {
    /// The call, for logs.
    pub what: String,
    run: Pin<Box<dyn Future<Output = Result<Performed, CallError>> + Send>>,
}

impl Effect {
    /// Makes the call.
    ///
    /// # Errors
    /// [`CallError`], as the provider says.
    pub async fn run(self) -> Result<Performed, CallError> {
        self.run.await
    }
}

/// What the driver found out about a resource.
pub(crate) struct Facts<'a> {
    pub(crate) target: &'a Target,
    pub(crate) resource: &'a Resource,
    pub(crate) inputs: &'a Inputs,
    pub(crate) unmet: Option<&'a Waiting>,
    pub(crate) dependent: Option<&'a ResourceId>,
    pub(crate) unneeded: bool,
    /// What somebody else changes stays.
    pub(crate) accepts_drift: bool,
    pub(crate) at: Time,
}

/// A provider whose kind is forgotten: what the driver works with.
pub(crate) trait AnyProvider: Send + Sync {
    /// Observes, and asks for the next step.
    fn look<'a>(&'a self, facts: Facts<'a>) -> BoxFuture<'a, Result<Step<Effect>, CallError>>;
    /// See [`Provider::sweep`].
    fn sweep(&self) -> BoxFuture<'_, Result<Vec<Target>, CallError>>;
    /// A call of [`Provider::remove`].
    fn removal(&self, target: &Target) -> Effect;
    /// See [`Provider::logs`].
    fn logs(
        &self,
        target: &Target,
        spec: &Spec,
        inputs: &Inputs,
        query: &LogQuery,
    ) -> Option<LogLines>;
    /// See [`Provider::changes`].
    fn changes(&self) -> BoxStream<'static, StreamId>;
}

/// Who acts on one kind.
pub struct Provided<K: Reconcile>(Arc<dyn Provider<K>>);

impl<K: Reconcile, P: Provider<K>> From<Arc<P>> for Provided<K> {
    fn from(provider: Arc<P>) -> Self {
        Self(provider)
    }
}

impl<K: Reconcile> AnyProvider for Provided<K> {
    fn look<'a>(&'a self, facts: Facts<'a>) -> BoxFuture<'a, Result<Step<Effect>, CallError>> {
        async move {
            let Some(spec) = spec(facts.resource).and_then(<K as TypedSpec>::of) else {
                return Ok(Step::Settled);
            };
            let scene = Scene { target: facts.target, spec, inputs: facts.inputs };
            let observed = self.0.observe(scene).await?;
            let subject = Subject {
                resource: facts.resource,
                spec,
                unmet: facts.unmet,
                dependent: facts.dependent,
                unneeded: facts.unneeded,
                accepts_drift: facts.accepts_drift,
                at: facts.at,
            };
            Ok(match K::next(&subject, facts.inputs, &observed) {
                Step::Perform(call) => Step::Perform(self.effect(scene, call)),
                Step::PerformThenRecord(call, command) => {
                    Step::PerformThenRecord(self.effect(scene, call), command)
                }
                Step::Record(command) => Step::Record(command),
                Step::Wait(waiting) => Step::Wait(waiting),
                Step::Settled => Step::Settled,
            })
        }
        .boxed()
    }

    fn sweep(&self) -> BoxFuture<'_, Result<Vec<Target>, CallError>> {
        self.0.sweep()
    }

    fn removal(&self, target: &Target) -> Effect {
        let (provider, target) = (Arc::clone(&self.0), target.clone());
        let run = async move { provider.remove(&target).await }.boxed();
        Effect { what: "Remove".to_owned(), run }
    }

    fn logs(
        &self,
        target: &Target,
        spec: &Spec,
        inputs: &Inputs,
        query: &LogQuery,
    ) -> Option<LogLines> {
        self.0.logs(Scene { target, spec: K::of(spec)?, inputs }, query)
    }

    fn changes(&self) -> BoxStream<'static, StreamId> {
        self.0.changes()
    }
}

impl<K: Reconcile> Provided<K> {
    fn effect(&self, scene: Scene<'_, K>, call: K::Call) -> Effect {
        let provider = Arc::clone(&self.0);
        let (target, spec) = (scene.target.clone(), scene.spec.clone());
        let inputs = scene.inputs.clone();
        let what = format!("{call:?}").split([' ', '(']).next().unwrap_or_default().to_owned();
        let run = async move {
            let scene = Scene { target: &target, spec: &spec, inputs: &inputs };
            provider.perform(scene, call).await
        };
        Effect { what, run: run.boxed() }
    }
}

/// What is or was wanted.
pub(crate) fn spec(resource: &Resource) -> Option<&Spec> {
    match resource {
        Resource::Live(body) | Resource::Deleting(body, _) => Some(&body.spec),
        Resource::Gone(grave) => Some(&grave.spec),
        Resource::Absent => None,
    }
}

macro_rules! providers {
    ($($module:ident => $kind:ident),* $(,)?) => {
        /// Who acts on each kind.
        #[allow(missing_docs, reason = "one field a kind, each documented in its module")]
        pub struct Providers { $(pub $module: Provided<domain::kinds::$kind>),* }

        /// Whoever acts on every kind.
        pub trait World: $(Provider<domain::kinds::$kind> +)* {}

        impl<P: $(Provider<domain::kinds::$kind> +)*> World for P {}

        impl Providers {
            /// One provider for every kind.
            pub fn all<P: World>(provider: &Arc<P>) -> Self {
                Self { $($module: Provided::from(Arc::clone(provider))),* }
            }

            pub(crate) fn of(&self, kind: KindName) -> &dyn AnyProvider {
                match kind { $(KindName::$kind => &self.$module),* }
            }
        }
    };
}
domain::for_each_kind!(providers);

impl Providers {
    pub(crate) fn each(&self) -> impl Iterator<Item = (KindName, &dyn AnyProvider)> {
        KindName::ALL.iter().map(|kind| (*kind, self.of(*kind)))
    }
}
