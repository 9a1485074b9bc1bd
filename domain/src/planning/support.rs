//! What is shared: the cluster, and the support services that something in it needs.

use super::Wanted;
use super::build::Builder;
use super::names;
use super::refusal::{Refusal, RefusalCode};
use crate::kinds::Spec;
use crate::kinds::support_service::{Capability, Spec as SupportSpec};
use crate::lifecycle::Lifetime;
use crate::name::ResourceId;

/// The version of what is installed for a capability: pinned, so that a plan says what will run.
const fn version(capability: Capability) -> &'static str {
    match capability {
        Capability::Gateway => "1.5.0",
        Capability::Certificates => "1.19.1",
        Capability::Dns => "0.19.0",
        Capability::Secrets => "0.20.4",
        Capability::Metrics => "0.8.0",
        Capability::Logs => "3.6.0",
    }
}

impl Builder<'_> {
    /// Wants the cluster, as it is or as the environment offers it.
    pub(super) fn claim_cluster(&mut self) {
        let wanted = Wanted {
            spec: Spec::Cluster(self.site.spec.clone()),
            class: None,
            lifetime: Lifetime::Kept,
            protected: false,
            why: vec![format!("cluster of environment {}", self.scene.definition.name)],
            place: String::new(),
        };
        self.add(self.site.id.clone(), wanted);
    }

    /// Wants a capability of the cluster. None where the cluster brings it along.
    pub(super) fn support(&mut self, capability: Capability, why: &str) -> Option<ResourceId> {
        self.built.demand.insert(capability);
        if self.site.spec.capabilities.iter().any(|one| one == capability.as_str()) {
            return None;
        }
        let id = match names::support(self.site.id, capability) {
            Ok(id) => id,
            Err(invalid) => {
                self.refuse(Refusal::new(RefusalCode::InvalidName, "", invalid.to_string()));
                return None;
            }
        };
        if let Some(wanted) = self.built.wanted.get_mut(&id) {
            if wanted.why.len() < WHY_MAX {
                wanted.why.push(format!("{} for {why}", capability.as_str()));
            }
            return Some(id);
        }
        let spec = Spec::SupportService(SupportSpec {
            capability,
            version: version(capability).to_owned(),
            cluster: self.site.id.clone(),
        });
        let why = vec![format!("{} for {why}", capability.as_str())];
        let (lifetime, place) = (Lifetime::WhileNeeded, String::new());
        let wanted = Wanted { spec, class: None, lifetime, protected: false, why, place };
        self.add(id.clone(), wanted);
        Some(id)
    }
}

/// The most reasons kept for one shared thing: enough to understand it, few enough to read.
const WHY_MAX: usize = 3;
