//! What cannot be reached: all that lives in a cluster that has stopped working. It is still there, and runs on unseen.

use domain::lifecycle::FailureClass;
use domain::{KindName, ResourceId, Tenant};
use reconcilers::converge::Call;
use reconcilers::{CallError, Target};
use serde_json::Value;

use crate::provider::refused;
use crate::world::World;

impl World {
    /// Refuses what is asked of a thing in a cluster that cannot be reached.
    pub(crate) fn reach(&self, target: &Target, call: Option<&Call>) -> Result<(), CallError> {
        if !self.has_lost() {
            return Ok(());
        }
        let cluster = match call {
            Some(
                Call::Create { desired, .. } | Call::Update(desired) | Call::Canary { desired, .. },
            ) => cluster(&desired.spec),
            Some(Call::Measure { .. } | Call::RemoveCanary | Call::Delete) | None => None,
        };
        let there = self.object(target.uid).and_then(|object| cluster_in(&object.spec));
        let lost = cluster.or(there).filter(|cluster| self.is_lost(&target.tenant, cluster));
        lost.map_or(Ok(()), |cluster| {
            Err(refused(FailureClass::Retry, format!("{cluster} cannot be reached")))
        })
    }

    fn is_lost(&self, tenant: &Tenant, cluster: &ResourceId) -> bool {
        self.find(tenant, cluster).is_ok_and(|found| found.broken.is_some())
    }
}

fn cluster_in(spec: &str) -> Option<ResourceId> {
    cluster(&serde_json::from_str(spec).ok()?)
}

fn cluster(spec: &Value) -> Option<ResourceId> {
    let id: ResourceId = spec.get("cluster")?.as_str()?.parse().ok()?;
    (id.kind == KindName::Cluster).then_some(id)
}
