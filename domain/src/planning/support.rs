//! What is shared: the cluster, and the support services that something in it needs.

use serde_json::{Map, Value};

use super::build::Builder;
use super::refusal::{Refusal, RefusalCode, suggest};
use super::{Wanted, names, template};
use crate::class::{self, Definition};
use crate::kinds::Spec;
use crate::kinds::support_service::{Brought, Capability, Spec as SupportSpec};
use crate::lifecycle::{ClassRef, Lifetime};
use crate::name::{Name, ResourceId};
use crate::text::Text;

/// The version of what stands for a capability where no chart is installed for it.
const fn own_version(capability: Capability) -> &'static str {
    match capability {
        Capability::Gateway => "1.5.0",
        Capability::Certificates => "1.19.1",
        Capability::Dns => "0.19.0",
        Capability::Secrets => "0.20.4",
        Capability::Metrics => "0.8.0",
        Capability::Logs => "3.6.0",
        Capability::Autoscaling => "2.20.2",
        Capability::Monitoring => "88.5.3",
    }
}

impl Builder<'_> {
    /// Wants the cluster, as it is or as the environment offers it, with what the environment always has there.
    pub(super) fn claim_cluster(&mut self) {
        let environment = &self.scene.definition.name;
        let wanted = shared(
            Spec::Cluster(self.site.spec.clone()),
            None,
            Lifetime::Kept,
            format!("cluster of environment {environment}"),
        );
        self.add(self.site.id.clone(), Wanted { as_found: true, ..wanted });
        let always = self.scene.definition.support.iter().filter(|(_, support)| support.always);
        for (capability, _) in always {
            self.support(*capability, &format!("environment {environment}"));
        }
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
        let charts = self.charts(capability);
        let first = charts.first().and_then(|chart| self.built.wanted.get(chart));
        let version = match first.map(|wanted| &wanted.spec) {
            Some(Spec::Helm(spec)) => spec.chart.version.clone(),
            Some(_) | None => None,
        };
        let spec = Spec::SupportService(SupportSpec {
            capability,
            version: version.unwrap_or_else(|| own_version(capability).to_owned()),
            cluster: self.site.id.clone(),
            charts,
        });
        let why = format!("{} for {why}", capability.as_str());
        let wanted = shared(spec, None, Lifetime::WhileNeeded, why);
        let as_found = !self.scene.definition.support.contains_key(&capability);
        self.add(id.clone(), Wanted { as_found, ..wanted });
        Some(id)
    }

    /// The charts that are installed for a capability: none where the environment names none, or the cluster is known
    /// to bring it along.
    fn charts(&mut self, capability: Capability) -> Vec<ResourceId> {
        let Some(support) = self.scene.definition.support.get(&capability) else {
            return Vec::new();
        };
        if self.brought().by_others(capability) {
            return Vec::new();
        }
        support.classes.iter().filter_map(|class| self.chart(capability, class)).collect()
    }

    /// What the cluster is known to bring along by now.
    fn brought(&self) -> Brought {
        let state = self.scene.context.clusters.get(self.site.id);
        let outputs = state.and_then(|state| state.body()).map(|body| &body.outputs);
        outputs.and_then(Brought::of).unwrap_or_default()
    }

    fn chart(&mut self, capability: Capability, class: &str) -> Option<ResourceId> {
        let environment = &self.scene.definition.name;
        let written = format!("{}/{class}", class::support_type(capability));
        let named = class::support_class(capability, class);
        let id = named.and_then(|name| Ok((name, names::chart(self.site.id, capability, class)?)));
        let (name, id) = match id {
            Ok(both) => both,
            Err(invalid) => {
                self.refuse(Refusal::new(RefusalCode::InvalidName, "", invalid.to_string()));
                return None;
            }
        };
        let Some((version, definition)) = self.scene.context.classes.get(&name) else {
            let message =
                format!("environment {environment} installs {written}, and there is no such class");
            let known = self.scene.context.known_classes.iter().map(Name::as_str);
            let hint = suggest("classes", name.as_str(), known);
            self.refuse(Refusal::new(RefusalCode::ClassNotFound, "", message).hint(hint));
            return None;
        };
        let spec = match self.chart_spec(capability, definition, &id) {
            Ok(spec) => spec,
            Err(why) => {
                let message = format!("class {name} does not make a valid chart: {why}");
                let hint = "the class is wrong: ask the platform team";
                self.refuse(Refusal::new(RefusalCode::InvalidSpec, "", message).hint(hint));
                return None;
            }
        };
        self.built.classes.insert(name.clone(), *version);
        let class = ClassRef { name, version: *version };
        let why = format!("{} of {}", capability.as_str(), self.site.id);
        self.add(id.clone(), shared(spec, Some(class), Lifetime::WhileNeeded, why));
        Some(id)
    }

    fn chart_spec(
        &self,
        capability: Capability,
        definition: &Definition,
        id: &ResourceId,
    ) -> Result<Spec, String> {
        let value_of = |name: &str| match name.split_once('.') {
            Some(("params", path)) => {
                let mut path = path.split('.');
                let first = definition.params.get(path.next()?)?.default.as_ref()?;
                path.try_fold(first, |value, key| value.as_object()?.get(key)).cloned()
            }
            _ if name == "resource.name" => {
                Some(Value::String(Text::literal(id.name.as_str()).to_string()))
            }
            _ => self.place_value(name),
        };
        let mut fields: Map<String, Value> = template::fill(&definition.spec, &value_of)?;
        let cluster = Value::String(self.site.id.to_string());
        fields.insert("cluster".to_owned(), cluster);
        let unless = serde_json::to_value(capability).unwrap_or_default();
        fields.insert("unless_brought".to_owned(), unless);
        let spec =
            definition.target.read_spec(Value::Object(fields)).map_err(|it| it.to_string())?;
        match spec.validate().first() {
            Some(violation) => Err(violation.to_string()),
            None => Ok(spec),
        }
    }
}

fn shared(spec: Spec, class: Option<ClassRef>, lifetime: Lifetime, why: String) -> Wanted {
    let place = String::new();
    Wanted { spec, class, lifetime, protected: false, why: vec![why], place, as_found: false }
}

/// The most reasons kept for one shared thing: enough to understand it, few enough to read.
const WHY_MAX: usize = 3;
