//! The simulated world behind a server.

use std::sync::Arc;

use api::{Simulate, SimulateError, WorldFault};
use domain::{ResourceId, Tenant};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use reconcilers::WallClock;
use sim::{Nature, NotThere, Options, Sim, StoreError};

use super::Settings;

/// Who drifts and removes in the world: somebody who is not Cairn.
const SOMEBODY: &str = "somebody at the console";

/// Opens the world of a data folder.
pub(super) fn open(settings: &Settings) -> Result<Arc<Sim>, StoreError> {
    let nature = Nature { seed: settings.seed, speed: settings.speed, ..Nature::default() };
    let path = Some(settings.data.join("world.jsonl"));
    Ok(Arc::new(Sim::open(Arc::new(WallClock), Options { nature, path, ..Options::default() })?))
}

/// The simulated world, as seen from outside.
pub(super) struct SimulatedWorld {
    world: Arc<Sim>,
    tenant: Tenant,
}

impl SimulatedWorld {
    pub(super) const fn new(world: Arc<Sim>, tenant: Tenant) -> Self {
        Self { world, tenant }
    }

    fn plant(&self, id: &ResourceId, fault: &WorldFault) -> Result<(), NotThere> {
        let (world, tenant) = (&self.world, &self.tenant);
        match fault {
            WorldFault::Break(message) => world.break_down(tenant, id, message, false),
            WorldFault::Heal => world.heal(tenant, id),
            WorldFault::Drift => world.drift(tenant, id, "changed by hand", Some(SOMEBODY)),
            WorldFault::Remove => world.remove(tenant, id, Some(SOMEBODY)),
        }
    }
}

impl Simulate for SimulatedWorld {
    fn fault<'a>(
        &'a self,
        resource: &'a ResourceId,
        fault: WorldFault,
    ) -> BoxFuture<'a, Result<(), SimulateError>> {
        let planted =
            self.plant(resource, &fault).map_err(|NotThere(id)| SimulateError::NotFound(id));
        std::future::ready(planted).boxed()
    }
}
