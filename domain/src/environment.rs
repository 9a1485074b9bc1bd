//! An environment: where applications run, and by which rules.

mod policy;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decider::{Decider, Rejection};
use crate::kinds::support_service::Capability;
use crate::kinds::{KindName, cluster};
use crate::name::{Name, ResourceId, is_label};
use crate::time::Time;

pub use policy::{Failover, Placement, Strategy};

/// The aggregate's kind in streams.
pub const KIND: &str = "environment";

/// The most charts that together give one capability.
const SUPPORT_CLASSES_MAX: usize = 10;

/// How much an environment matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Anything goes.
    #[default]
    Dev,
    /// Like production, for rehearsal.
    Staging,
    /// What users see.
    Prod,
}

/// What an environment says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Its name: one DNS label.
    pub name: String,
    /// How much it matters.
    #[serde(default)]
    pub tier: Tier,
    /// Where its workloads should be, in the clusters' words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The DNS zone under which its host names lie.
    pub domain: String,
    /// Routes get a certificate.
    #[serde(default)]
    pub tls: bool,
    /// The clusters it may use, by name. One that does not exist is made from its spec on the first need.
    pub clusters: BTreeMap<String, ClusterOffer>,
    /// How a cluster is chosen for what is new in it.
    #[serde(default, skip_serializing_if = "Placement::is_default")]
    pub placement: Placement,
    /// What becomes of deployments whose cluster is lost; without it they wait for the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failover: Option<Failover>,
    /// Resource type → the class that is meant when the developer names none.
    #[serde(default)]
    pub classes: BTreeMap<String, String>,
    /// What is installed into its clusters where they lack it, once something needs it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub support: BTreeMap<Capability, Support>,
    /// Where new revisions may be measured while they are tried.
    #[serde(default, skip_serializing_if = "Analysis::is_empty")]
    pub analysis: Analysis,
    /// What must be the case for any plan.
    #[serde(default)]
    pub guardrails: Guardrails,
    /// A plan needs a person's approval before it runs. Going back to a revision that ran does not: it was approved.
    #[serde(default)]
    pub approval: bool,
    /// A failed rollout takes the whole graph back to the last good revision.
    #[serde(default)]
    pub rollback_on_failure: bool,
    /// Seconds that one step of a rollout may take, 1..=86400.
    #[serde(default = "default_timeout")]
    pub step_timeout_seconds: u32,
}

const fn default_timeout() -> u32 {
    1_800
}

/// A cluster that an environment may use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterOffer {
    /// What it is made from where it does not exist.
    pub spec: cluster::Spec,
    /// The most workloads placed on it; none for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workloads_max: Option<u32>,
    /// The tiers it is meant for; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
}

/// What gives a capability to clusters that lack it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Support {
    /// The charts: classes of the type `support-<capability>`.
    pub classes: Vec<String>,
    /// Every cluster in use has it, whether an application needs it or not.
    #[serde(default)]
    pub always: bool,
}

/// Where new revisions may be measured: the server asks there, so nothing is allowed that is not said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Analysis {
    /// The Prometheus that answers queries, such as `http://prometheus.monitoring:9090`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<String>,
    /// Addresses that checks may ask, with all that is below them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
}

impl Analysis {
    const fn is_empty(&self) -> bool {
        self.prometheus.is_none() && self.urls.is_empty()
    }
}

/// What must be the case for any plan in an environment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Guardrails {
    /// The only classes allowed, as `type/class`; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_classes: Vec<String>,
    /// Images may be named by digest only.
    #[serde(default)]
    pub digests_only: bool,
    /// The most replicas of one workload; none for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas_max: Option<u32>,
    /// The image registries allowed, as prefixes; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub image_prefixes: Vec<String>,
    /// The most resources that one plan may delete or replace without `--allow-mass-delete`; none for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletions_max: Option<u32>,
}

/// What two environments say differently of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// The cluster.
    pub cluster: String,
    /// The fields of its spec, and what each environment says of them: the other's word first.
    pub fields: Vec<(String, String, String)>,
}

/// An environment and its versions so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// The number of the last version; 0 before the first.
    pub version: u64,
    /// What it says; none before the first version and after removal.
    pub definition: Option<Definition>,
}

/// What a platform team wants of an environment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the fields are those of the events they lead to")]
#[allow(
    clippy::large_enum_variant,
    reason = "a command lives for a moment, and most are of the large sort"
)]
pub enum Command {
    /// Says what it is.
    Define { definition: Definition, at: Time },
    /// Takes no more deployments.
    Remove { at: Time },
}

/// What happened to an environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the fields are those of the state they lead to")]
#[allow(
    clippy::large_enum_variant,
    reason = "an event lives for a moment, and most are of the large sort"
)]
pub enum Event {
    /// It has a new version.
    Defined { version: u64, definition: Definition, at: Time },
    /// It takes no more deployments.
    Removed { at: Time },
}

/// Why a definition is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It breaks a rule.
    #[error("the environment is not valid: {0}")]
    Invalid(String),
    /// There is none of this name.
    #[error("there is no such environment")]
    NotFound,
}

impl Rejection for Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "INVALID_ENVIRONMENT",
            Self::NotFound => "NOT_FOUND",
        }
    }
}

impl Definition {
    /// The clusters that it offers.
    pub fn offered(&self) -> impl Iterator<Item = ResourceId> {
        let names = self.clusters.keys().filter_map(|name| name.parse().ok());
        names.map(|name| ResourceId::new(KindName::Cluster, name))
    }

    /// The first cluster that another environment, too, makes when it needs it, and makes otherwise: whoever needed it
    /// first would win.
    #[must_use]
    pub fn disagreement(&self, other: &Self) -> Option<Disagreement> {
        self.clusters.iter().find_map(|(cluster, offer)| {
            let theirs = &other.clusters.get(cluster)?.spec;
            let (ours, theirs) = (fields(&offer.spec), fields(theirs));
            let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
            let said = |fields: &serde_json::Map<String, Value>, name: &str| {
                fields.get(name).map_or_else(|| "nothing".to_owned(), Value::to_string)
            };
            let differing = names.into_iter().filter(|name| ours.get(*name) != theirs.get(*name));
            let fields: Vec<_> = differing
                .map(|name| (name.clone(), said(&theirs, name), said(&ours, name)))
                .collect();
            (!fields.is_empty()).then(|| Disagreement { cluster: cluster.clone(), fields })
        })
    }

    /// What is wrong with it.
    ///
    /// # Errors
    /// The first thing, with its path.
    pub fn check(&self) -> Result<(), String> {
        if !is_label(&self.name) {
            return Err(format!("name: `{}` is not a DNS label", self.name.escape_debug()));
        }
        if !self.domain.split('.').all(is_label) || self.domain.len() > 200 {
            return Err(format!("domain: `{}` is not a host name", self.domain.escape_debug()));
        }
        if self.clusters.is_empty() {
            return Err("clusters: must offer at least one".into());
        }
        if !(1..=86_400).contains(&self.step_timeout_seconds) {
            return Err("step_timeout_seconds: must be 1 to 86400".into());
        }
        if let Some(failover) = &self.failover {
            failover.check()?;
        }
        for (capability, support) in &self.support {
            let wrong = support.classes.iter().find(|class| !is_label(class));
            if let Some(class) = wrong {
                let class = class.escape_debug();
                return Err(format!(
                    "support.{}.classes: `{class}` is not a class",
                    capability.as_str()
                ));
            }
            if support.classes.is_empty() || support.classes.len() > SUPPORT_CLASSES_MAX {
                let words = format!("must be 1 to {SUPPORT_CLASSES_MAX}");
                return Err(format!("support.{}.classes: {words}", capability.as_str()));
            }
        }
        for url in self.analysis.prometheus.iter().chain(&self.analysis.urls) {
            if !url.starts_with("https://") && !url.starts_with("http://") {
                return Err(format!(
                    "analysis: `{}` is not an http(s) address",
                    url.escape_debug()
                ));
            }
        }
        for (name, offer) in &self.clusters {
            if name.parse::<Name>().is_err() {
                return Err(format!("clusters.{name}: is not a name"));
            }
            if let Some(violation) =
                <crate::kinds::Cluster as crate::Kind>::validate(&offer.spec).first()
            {
                return Err(format!("clusters.{name}.spec.{violation}"));
            }
        }
        Ok(())
    }
}

fn fields(spec: &cluster::Spec) -> serde_json::Map<String, Value> {
    match serde_json::to_value(spec) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) | Err(_) => serde_json::Map::new(),
    }
}

impl Decider for Environment {
    type State = Self;
    type Command = Command;
    type Event = Event;
    type Rejection = Refused;

    fn decide(state: &Self, command: Command) -> Result<Vec<Event>, Refused> {
        match command {
            Command::Define { definition, at } => {
                definition.check().map_err(Refused::Invalid)?;
                if state.definition.as_ref() == Some(&definition) {
                    return Ok(Vec::new());
                }
                Ok(vec![Event::Defined { version: state.version + 1, definition, at }])
            }
            Command::Remove { .. } if state.version == 0 => Err(Refused::NotFound),
            Command::Remove { .. } if state.definition.is_none() => Ok(Vec::new()),
            Command::Remove { at } => Ok(vec![Event::Removed { at }]),
        }
    }

    fn evolve(state: Self, event: Event) -> Self {
        match event {
            Event::Defined { version, definition, .. } => {
                Self { version, definition: Some(definition) }
            }
            Event::Removed { .. } => Self { definition: None, ..state },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decider::testing::given;

    const NOW: Time = Time::from_micros(1);

    fn dev(domain: &str) -> Definition {
        serde_json::from_value(serde_json::json!({
            "name": "dev", "domain": domain,
            "clusters": {"dev-a": {"spec": {"location": "eu", "version": "1.36", "nodes_min": 1, "nodes_max": 3}}}
        }))
        .unwrap()
    }

    #[test]
    fn a_changed_definition_is_a_new_version() {
        let defined =
            |version, domain| Event::Defined { version, definition: dev(domain), at: NOW };
        let define = |domain| Command::Define { definition: dev(domain), at: NOW };
        given::<Environment>([defined(1, "a.test")])
            .when(define("b.test"))
            .then([defined(2, "b.test")]);
        given::<Environment>([defined(1, "a.test")]).when(define("a.test")).then_nothing();
    }

    #[test]
    fn one_cluster_is_the_same_in_every_environment() {
        let here = dev("a.test");
        let mut there = dev("b.test");
        assert_eq!(here.disagreement(&there), None);
        there.clusters.get_mut("dev-a").unwrap().spec.nodes_max = 9;
        let fields = vec![("nodes_max".to_owned(), "9".to_owned(), "3".to_owned())];
        let expected = Disagreement { cluster: "dev-a".into(), fields };
        assert_eq!(here.disagreement(&there), Some(expected));
    }

    #[test]
    fn a_bad_domain_is_refused() {
        let define = Command::Define { definition: dev("not a host"), at: NOW };
        given::<Environment>([]).when(define).then_refused("INVALID_ENVIRONMENT");
    }
}
