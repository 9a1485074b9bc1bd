//! From an application to a plan: pure and total.
//!
//! [`expand`] says what an application *is* in an environment: every resource it becomes, with its spec. [`compare`]
//! says what must be done so that it is so: a [`Plan`](crate::plan::Plan). [`render`] shows a plan to a person.
//! Neither reads anything: whoever calls them loads what [`required_classes`] and [`Desired::ids`] name.

mod build;
mod canaries;
mod class_match;
mod compare;
mod disks;
mod fields;
mod graph;
mod guardrails;
mod health;
mod left_behind;
mod names;
mod pins;
mod placement;
mod refusal;
mod render;
mod requests;
mod resources;
mod routes;
mod services;
mod support;
mod template;
mod texts;
mod workloads;

use std::collections::{BTreeMap, BTreeSet};

use crate::application::Model;
use crate::deployment::LeftBehind;
use crate::environment::{self, Environment};
use crate::kinds::Spec;
use crate::lifecycle::{ClassRef, Lifetime, Resources};
use crate::name::{Name, ResourceId};
use crate::plan::{Placement, Purpose};
use crate::{class, deployment};

pub use class_match::required_classes;
pub use compare::{Deletion, compare, delete};
pub use health::{Lost, lost, runs_on};
pub use pins::{Current, pins_moved};
pub(crate) use refusal::suggest;
pub use refusal::{Refusal, RefusalCode, nearest};
pub use render::render;
pub(crate) use template::fill;

/// The most resources that one application may become in one environment: what the plan's goal of one second is for.
pub const RESOURCES_MAX: usize = 3_000;

/// The most notes of one plan: more are counted, not shown.
const NOTES_MAX: usize = 50;

/// What an expansion is computed from.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The application.
    pub application: &'a Name,
    /// The environment, with its version.
    pub environment: &'a Environment,
    /// What the application's revision says.
    pub model: &'a Model,
    /// Which revision.
    pub revision: u64,
    /// The classes that [`required_classes`] names, as far as they exist, with their versions.
    pub classes: &'a BTreeMap<Name, (u64, class::Definition)>,
    /// The states of the clusters that the environment offers, and of those that the application has to do with.
    pub clusters: &'a Resources,
    /// Every class there is; only used to suggest one.
    pub known_classes: &'a [Name],
    /// The cluster the application runs on now.
    pub current: Option<&'a ResourceId>,
    /// The cluster that somebody asks for: it is chosen, or there is no plan.
    pub asked: Option<&'a Name>,
    /// Workloads of other applications, by cluster. It may lag a little behind: capacity is no hard limit.
    pub occupied: &'a BTreeMap<ResourceId, u32>,
    /// What the deployment left in clusters that were lost.
    pub left_behind: &'a [LeftBehind],
    /// It is to leave the clusters that are lost.
    pub failing_over: bool,
}

/// Everything an application is in an environment.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The deployment, `<environment>_<application>`.
    pub deployment: Name,
    /// The application.
    pub application: Name,
    /// The environment.
    pub environment: Name,
    /// The application's revision.
    pub revision: u64,
    /// The environment's version.
    pub environment_version: u64,
    /// The rules that hold for the plan.
    pub guardrails: environment::Guardrails,
    /// The classes used, with their versions.
    pub classes: BTreeMap<Name, u64>,
    /// Where workloads go, and why there.
    pub placement: Placement,
    /// Things worth knowing that stop nothing.
    pub notes: Vec<String>,
    /// Every resource.
    pub resources: BTreeMap<ResourceId, Wanted>,
    /// The clusters that are lost and not chosen: nothing there is waited for.
    pub lost: BTreeMap<ResourceId, Lost>,
    /// What was left behind, is within reach, and is to be removed.
    pub to_clean_up: Vec<LeftBehind>,
}

/// What is wanted of one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Its spec.
    pub spec: Spec,
    /// The class it is made from.
    pub class: Option<ClassRef>,
    /// Why it exists, and so when it goes.
    pub lifetime: Lifetime,
    /// Its deletion is refused.
    pub protected: bool,
    /// Why it is there, such as `resource db of workload api`.
    pub why: Vec<String>,
    /// Where in the application it is asked for, such as `workloads.api.resources.db`; empty when nowhere.
    pub place: String,
    /// What is there already is left as it is: it is shared, and nobody said how it is to be.
    pub as_found: bool,
}

impl Desired {
    /// Every resource it is made of. Their states, and those of the deployment's members, are what
    /// [`compare`] looks at.
    pub fn ids(&self) -> impl Iterator<Item = &ResourceId> {
        self.resources.keys()
    }
}

/// What a plan is for, and what it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// What it is for.
    pub purpose: Purpose,
    /// Something that holds data may be replaced.
    pub allow_replace: bool,
    /// Something that holds data, and that the application no longer declares, may be deleted.
    pub allow_delete: bool,
    /// More may be deleted or replaced than the environment's guardrails say.
    pub allow_mass_delete: bool,
}

/// Says what an application is in an environment.
///
/// # Errors
/// Every reason why it cannot be, at once.
pub fn expand(context: &Context<'_>) -> Result<Desired, Vec<Refusal>> {
    let Some(definition) = &context.environment.definition else {
        return Err(vec![Refusal::new(
            RefusalCode::EnvironmentGone,
            "",
            format!("there is no environment for {} to run in", context.application),
        )]);
    };
    let name: Result<Name, _> = definition.name.parse();
    let deployment = deployment::name_of(&definition.name, context.application.as_str());
    let (Ok(environment), Ok(deployment)) = (name, deployment) else {
        return Err(vec![Refusal::new(
            RefusalCode::InvalidName,
            "name",
            format!("`{}_{}` is not a name", definition.name, context.application),
        )]);
    };
    let model = context.model.in_environment(&definition.name);
    let scene = build::Scene { context, definition, model: &model, deployment: &deployment };
    let (placement, mut built) = placement::place_and_build(&scene)?;
    let mut lost = health::lost_of(context.clusters);
    lost.remove(&placement.cluster);
    let to_clean_up = left_behind::within_reach(context, &placement.cluster, &mut built.notes);
    if let Some(more) = built.notes.len().checked_sub(NOTES_MAX).filter(|more| *more > 0) {
        built.notes.truncate(NOTES_MAX);
        built.notes.push(format!("and {more} notes more"));
    }
    Ok(Desired {
        deployment,
        application: context.application.clone(),
        environment,
        revision: context.revision,
        environment_version: context.environment.version,
        guardrails: definition.guardrails.clone(),
        classes: built.classes,
        placement,
        notes: built.notes,
        resources: built.wanted,
        lost,
        to_clean_up,
    })
}

/// The clusters that an environment offers.
#[must_use]
pub fn offered_clusters(environment: &Environment) -> BTreeSet<ResourceId> {
    let clusters = environment.definition.iter().flat_map(|definition| definition.clusters.keys());
    clusters.filter_map(|name| names::cluster(name)).collect()
}
