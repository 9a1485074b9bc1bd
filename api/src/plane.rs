//! What is served: the log, the views, the planner, and the simulator where there is one.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{ResourceId, StreamId, Tenant};
use futures::future::BoxFuture;
pub use journal::Durability;
use journal::Executor;
use projections::Views;
use reconcilers::Logs;
use reconcilers::planner::Planner;
use tokio::sync::watch;

use crate::auth::Tokens;

/// Everything that the API speaks for. Clones share it.
#[derive(Clone)]
pub struct Plane {
    /// What the process tells of itself: the log, the one write path, is there.
    pub(crate) probed: Probed,
    /// Whose it is: every token belongs to this tenant.
    pub(crate) tenant: Tenant,
    /// What can be shown.
    pub(crate) views: Views,
    /// From an application to a plan.
    pub(crate) planner: Planner,
    /// The simulated world, where the world is simulated.
    pub(crate) simulator: Option<Arc<dyn Simulate>>,
    /// What workloads write, where the process sees the world.
    pub(crate) logs: Option<Logs>,
}

/// Parts of a process that ended before their time, and why.
pub type Stopped = BTreeMap<&'static str, String>;

/// What every process tells of itself, whatever else it does. Clones share it.
#[derive(Clone)]
pub struct Probed {
    /// The log that it works on.
    pub executor: Executor,
    /// The views, where the process shows or writes them.
    pub views: Option<Views>,
    /// What an acknowledged command survives.
    pub durability: Durability,
    /// Who may ask for the numbers.
    pub tokens: Arc<Tokens>,
    /// Numbers for `/metrics` beside those that the API keeps itself, as Prometheus text.
    pub numbers: Arc<dyn Fn() -> String + Send + Sync>,
    /// What has ended before its time.
    pub stopped: watch::Receiver<Stopped>,
    /// Turns true when the server closes: streams end.
    pub closing: watch::Receiver<bool>,
}

/// What can be done to the simulated world from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorldFault {
    /// It stays unready, with this message, until healed.
    Break(String),
    /// It works again.
    Heal,
    /// Somebody changes it behind Cairn's back.
    Drift,
    /// Somebody deletes it behind Cairn's back.
    Remove,
}

/// Why a fault cannot be planted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimulateError {
    /// Wait until it exists, or name another.
    #[error("the simulated world holds no {0}")]
    NotFound(ResourceId),
    /// The world's own record cannot be written.
    #[error("the simulated world cannot be changed: {0}")]
    World(String),
}

/// The simulated world, as seen from outside.
pub trait Simulate: Send + Sync + 'static {
    /// Does something to an object of the world. Twice is the same as once.
    ///
    /// # Errors
    /// See [`SimulateError`].
    fn fault<'a>(
        &'a self,
        resource: &'a ResourceId,
        fault: WorldFault,
    ) -> BoxFuture<'a, Result<(), SimulateError>>;
}

impl Plane {
    /// Puts the API on top of a process that shows these views.
    #[must_use]
    pub fn over(
        probed: Probed,
        views: Views,
        tenant: Tenant,
        simulator: Option<Arc<dyn Simulate>>,
    ) -> Self {
        let planner = Planner::new(probed.executor.clone(), tenant.clone());
        Self { probed, tenant, views, planner, simulator, logs: None }
    }

    /// Lets logs be read.
    #[must_use]
    pub fn with_logs(self, logs: Logs) -> Self {
        Self { logs: Some(logs), ..self }
    }

    /// The stream of an aggregate that is not a resource; none when the name is not one.
    pub(crate) fn stream(&self, kind: &str, name: &str) -> Option<StreamId> {
        StreamId::new(self.tenant.clone(), kind, name.parse().ok()?).ok()
    }
}
