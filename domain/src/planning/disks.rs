//! Disks of stateful workloads: each replica has one of its own for every volume that is mounted.

use std::collections::{BTreeMap, BTreeSet};

use super::build::Built;
use super::refusal::{Refusal, RefusalCode};
use crate::kinds::Spec;
use crate::kinds::volume::Each;
use crate::kinds::workload::{Mode, Scale};
use crate::name::ResourceId;

/// Makes the volumes of stateful workloads one for each replica. What another workload mounts as well cannot be.
pub(super) fn hand_out(built: &mut Built) {
    let mut owners: BTreeMap<ResourceId, Each> = BTreeMap::new();
    let mut mounted: BTreeMap<ResourceId, BTreeSet<ResourceId>> = BTreeMap::new();
    for (id, wanted) in &built.wanted {
        let Spec::Workload(workload) = &wanted.spec else { continue };
        for volume in workload.managed_volumes() {
            mounted.entry(volume.clone()).or_default().insert(id.clone());
            if workload.mode == Mode::Stateful {
                let replicas = match workload.scale {
                    Scale::Fixed(replicas) => replicas.max(1),
                    Scale::Auto { max, .. } => max,
                };
                owners.insert(volume, Each { workload: id.clone(), replicas });
            }
        }
    }
    for (volume, each) in owners {
        let mut users = mounted.remove(&volume).unwrap_or_default();
        users.remove(&each.workload);
        let Some(wanted) = built.wanted.get_mut(&volume) else { continue };
        if let Some(other) = users.first() {
            let message = format!(
                "{volume} cannot be mounted by {other}: {} is stateful, so each of its replicas has one of its own",
                each.workload
            );
            let refusal = Refusal::new(RefusalCode::InvalidSpec, &wanted.place, message);
            built.refusals.push(refusal.hint("give each workload a volume of its own"));
        } else if let Spec::Volume(spec) = &mut wanted.spec {
            spec.each = Some(each);
        }
    }
}
