//! Builds every resource of an application for one cluster.

use std::collections::{BTreeMap, BTreeSet};

use super::refusal::{Refusal, RefusalCode};
use super::requests::Requests;
use super::{Context, RESOURCES_MAX, Wanted, graph};
use super::{canaries, disks, guardrails};
use crate::application::Model;
use crate::environment;
use crate::kind::OutputDeclaration;
use crate::kinds::support_service::Capability;
use crate::kinds::workload::Mode;
use crate::kinds::{KindName, Route, TypedSpec as _, Workload, cluster};
use crate::lifecycle::Lifetime;
use crate::name::{Name, ResourceId};

/// What an expansion is computed from, with the environment's overrides applied.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) definition: &'a environment::Definition,
    pub(super) model: &'a Model,
    pub(super) deployment: &'a Name,
}

/// A cluster to build for.
#[derive(Clone, Copy)]
pub(super) struct Site<'a> {
    pub(super) id: &'a ResourceId,
    /// Its own spec where it exists, else the environment's offer.
    pub(super) spec: &'a cluster::Spec,
}

/// What was built.
pub(super) struct Built {
    pub(super) wanted: BTreeMap<ResourceId, Wanted>,
    pub(super) classes: BTreeMap<Name, u64>,
    pub(super) notes: Vec<String>,
    /// What the cluster must be capable of. It does not depend on the cluster.
    pub(super) demand: BTreeSet<Capability>,
    pub(super) refusals: Vec<Refusal>,
}

/// What a resource publishes.
pub(super) struct Published {
    pub(super) outputs: Vec<OutputDeclaration>,
    pub(super) aliases: BTreeMap<String, String>,
}

/// The work at hand.
pub(super) struct Builder<'a> {
    pub(super) scene: Scene<'a>,
    pub(super) site: Site<'a>,
    pub(super) requests: Requests<'a>,
    pub(super) published: BTreeMap<ResourceId, Published>,
    /// Host → the certificate that vouches for it.
    pub(super) certificates: BTreeMap<String, ResourceId>,
    pub(super) built: Built,
}

/// Builds every resource. The refusals do not depend on the cluster.
pub(super) fn build(scene: &Scene<'_>, site: &Site<'_>) -> Built {
    let mut built = Built {
        wanted: BTreeMap::new(),
        classes: BTreeMap::new(),
        notes: Vec::new(),
        demand: BTreeSet::new(),
        refusals: Vec::new(),
    };
    let requests = Requests::collect(scene, &mut built);
    let mut builder = Builder {
        scene: *scene,
        site: *site,
        requests,
        published: BTreeMap::new(),
        certificates: BTreeMap::new(),
        built,
    };
    builder.claim_cluster();
    builder.build_resources();
    builder.build_workloads();
    disks::hand_out(&mut builder.built);
    canaries::complete(scene, &mut builder.built);
    guardrails::check(scene, &mut builder.built);
    let mut built = builder.built;
    refuse_look_alikes(scene, &mut built);
    refuse_too_many(&mut built);
    refuse_cycles(&mut built);
    built
}

/// In a cluster `_` becomes `-`, and some have objects beside them: no two may have the same name.
fn refuse_look_alikes(scene: &Scene<'_>, built: &mut Built) {
    let prefix = format!("{}_", scene.deployment);
    let mut seen: BTreeMap<(KindName, String), &ResourceId> = BTreeMap::new();
    for (id, wanted) in built.wanted.iter().filter(|(_, wanted)| wanted.spec.cluster().is_some()) {
        // A name with both has a digest in the cluster.
        let rest = id.name.as_str().strip_prefix(&prefix);
        let Some(rest) = rest.filter(|rest| !(rest.contains('_') && rest.contains('-'))) else {
            continue;
        };
        let name = rest.replace('_', "-");
        let stateful = Workload::of(&wanted.spec).filter(|spec| spec.mode == Mode::Stateful);
        let secured = Route::of(&wanted.spec).filter(|spec| spec.certificate.is_some());
        let peers = stateful.map(|_| format!("{name}-peers"));
        let beside = peers.or_else(|| secured.map(|_| format!("{name}-to-https")));
        for name in std::iter::once(name).chain(beside) {
            let Some(other) = seen.insert((id.kind, name), id) else { continue };
            let message = format!("{other} and {id} would have the same name in a cluster");
            let refusal = Refusal::new(RefusalCode::NameCollision, &wanted.place, message);
            built.refusals.push(refusal.hint("rename one of them"));
        }
    }
}

fn refuse_too_many(built: &mut Built) {
    let count = built.wanted.len();
    if count > RESOURCES_MAX {
        let message =
            format!("the application becomes {count} resources, more than {RESOURCES_MAX}");
        built.refusals.push(
            Refusal::new(RefusalCode::TooLarge, "", message)
                .hint("split it into several applications"),
        );
    }
}

fn refuse_cycles(built: &mut Built) {
    let ids: Vec<&ResourceId> = built.wanted.keys().collect();
    let index: BTreeMap<&ResourceId, usize> = ids.iter().copied().zip(0..).collect();
    let needs = |wanted: &Wanted| {
        let needs = wanted.spec.needs().into_iter();
        needs.filter_map(|need| index.get(&need.resource).copied()).collect()
    };
    let before: Vec<Vec<usize>> = built.wanted.values().map(needs).collect();
    if let Err(cycle) = graph::order(&before) {
        let path = cycle.iter().chain(cycle.first()).filter_map(|node| ids.get(*node));
        let path: Vec<String> = path.map(ToString::to_string).collect();
        let message = format!("these need each other in a circle: {}", path.join(" -> "));
        let wanted = cycle.iter().filter_map(|node| built.wanted.get(*ids.get(*node)?));
        let mut places = wanted.map(|wanted| wanted.place.as_str());
        let place = places.find(|place| !place.is_empty()).unwrap_or_default().to_owned();
        let hint = "take one of the references out; between workloads, a resource of type `service` needs no order";
        built.refusals.push(Refusal::new(RefusalCode::Cycle, place, message).hint(hint));
    }
}

impl Builder<'_> {
    /// Notes why there is no plan.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.built.refusals.push(refusal);
    }

    /// Adds a resource of the deployment's own; refuses a second one of the same name.
    pub(super) fn add(&mut self, id: ResourceId, wanted: Wanted) {
        if let Some(other) = self.built.wanted.get(&id) {
            let words = |wanted: &Wanted| wanted.why.first().cloned().unwrap_or_default();
            let message = format!("{} and {} are both called {id}", words(other), words(&wanted));
            self.refuse(
                Refusal::new(RefusalCode::NameCollision, wanted.place, message)
                    .hint("rename one of them"),
            );
            return;
        }
        let outputs = wanted.spec.outputs();
        self.published
            .entry(id.clone())
            .or_insert_with(|| Published { outputs, aliases: BTreeMap::new() });
        self.built.wanted.insert(id, wanted);
    }

    /// The lifetime of what is the deployment's own.
    pub(super) fn own(&self) -> Lifetime {
        Lifetime::Deployment(self.scene.deployment.clone())
    }
}
