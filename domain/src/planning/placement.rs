//! Where workloads go, and why there.
//!
//! A candidate is ruled out by its tiers, its capacity, because it is going away, or because another was asked for, and
//! for what is new there also because it is lost. The others are scored. What weighs more than the rest together is
//! that the application runs there already: moving replaces everything.
//!
//! If nothing is left but clusters that are lost, the best of them is taken: what is new waits there. Who fails over
//! does not.

mod weights;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::build::{Built, Scene, Site, build};
use super::health::{keeps_off, lost};
use super::names;
use super::refusal::{Refusal, RefusalCode, suggest};
use crate::environment::{ClusterOffer, Tier};
use crate::kinds::cluster::Capacity as NodeRoom;
use crate::kinds::support_service::Capability;
use crate::kinds::{Cluster, TypedSpec as _, cluster};
use crate::lifecycle::Resource;
use crate::name::{Name, ResourceId};
use crate::plan::{Placement, Score};
use weights::{Weights, tie};

/// Workloads that one node takes, as a rule of thumb (Kubernetes: 110 pods a node, system pods and rollouts off).
const WORKLOADS_PER_NODE: u32 = 50;
/// Workloads that a cluster takes which is there already, unless its offer says: its nodes are not ours to count.
const WORKLOADS_OF_EXISTING: u32 = 1_000;

/// A candidate and what is known of it.
struct Candidate<'a> {
    id: ResourceId,
    offer: &'a ClusterOffer,
    state: Option<&'a Resource>,
}

impl<'a> Candidate<'a> {
    fn live_spec(&self) -> Option<&'a cluster::Spec> {
        match self.state {
            Some(Resource::Live(body)) => Cluster::of(&body.spec),
            Some(Resource::Absent | Resource::Deleting(..) | Resource::Gone(_)) | None => None,
        }
    }

    /// The pods that its nodes take in all, as it says: a workload is one at least.
    fn pods(&self) -> Option<u32> {
        let outputs = &self.state?.body()?.outputs;
        NodeRoom::of(outputs).map(|capacity| u32::try_from(capacity.pods).unwrap_or(u32::MAX))
    }

    fn site(&self) -> Site<'_> {
        Site { id: &self.id, spec: self.live_spec().unwrap_or(&self.offer.spec) }
    }
}

/// Chooses a cluster and builds the application for it.
///
/// # Errors
/// Every reason why the application cannot be in this environment, the score table among them if no cluster fits.
pub(super) fn place_and_build(scene: &Scene<'_>) -> Result<(Placement, Built), Vec<Refusal>> {
    let candidates = candidates(scene);
    let Some(first) = candidates.first() else {
        let message = format!("environment {} offers no cluster", scene.definition.name);
        return Err(vec![Refusal::new(RefusalCode::NoClusterFits, "", message)]);
    };
    if let Some(asked) = scene.context.asked
        && !candidates.iter().any(|candidate| candidate.id.name == *asked)
    {
        return Err(vec![not_offered(scene, asked)]);
    }
    // What the application demands of a cluster does not depend on which one it is.
    let trial = build(scene, &first.site());
    let mut scores = self::scores(scene, &candidates, &trial.demand, Health::Demanded);
    if scores.iter().all(|score| score.total.is_none()) && !scene.context.failing_over {
        scores = self::scores(scene, &candidates, &trial.demand, Health::Hoped);
    }
    let chosen = scores.first().filter(|score| score.total.is_some());
    let chosen = chosen.and_then(|best| candidates.iter().find(|one| one.id == best.cluster));
    let Some(chosen) = chosen else {
        let mut refusals = trial.refusals;
        refusals.push(nothing_fits(scene, &scores));
        return Err(refusals);
    };
    let mut built = if chosen.id == first.id { trial } else { build(scene, &chosen.site()) };
    if !built.refusals.is_empty() {
        return Err(built.refusals);
    }
    if chosen.live_spec().is_some_and(|live| *live != chosen.offer.spec) {
        let name = &scene.definition.name;
        built.notes.push(format!(
            "{} is not as environment {name} offers it; a deployment does not change it",
            chosen.id
        ));
    }
    if let Some(lost) = chosen.state.and_then(lost) {
        built.notes.push(format!(
            "{} {}; what is wanted there waits for it",
            chosen.id,
            lost.words()
        ));
    }
    Ok((Placement { cluster: chosen.id.clone(), scores }, built))
}

/// Whether a cluster must be well for something new to go there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Health {
    Demanded,
    Hoped,
}

fn candidates<'a>(scene: &Scene<'a>) -> Vec<Candidate<'a>> {
    let offers = scene.definition.clusters.iter();
    let candidates = offers.filter_map(|(name, offer)| {
        let id = names::cluster(name)?;
        let state = scene.context.clusters.get(&id);
        Some(Candidate { id, offer, state })
    });
    candidates.collect()
}

/// The score table, best first.
fn scores(
    scene: &Scene<'_>,
    candidates: &[Candidate<'_>],
    demand: &BTreeSet<Capability>,
    health: Health,
) -> Vec<Score> {
    let mut scores: Vec<Score> =
        candidates.iter().map(|candidate| score(scene, candidate, demand, health)).collect();
    scores.sort_by_cached_key(|score| (Reverse(score.total), tie(scene, &score.cluster)));
    scores
}

fn score(
    scene: &Scene<'_>,
    candidate: &Candidate<'_>,
    demand: &BTreeSet<Capability>,
    health: Health,
) -> Score {
    let weights = Weights::of(scene.definition.placement.strategy);
    let mut total = 0;
    let mut reasons = Vec::new();
    let mut add = |points: i64, reason: String| {
        total += points;
        reasons.push(format!("{points:+} {reason}"));
    };
    let site = candidate.site();
    if scene.context.current == Some(&candidate.id) {
        add(weights.here_already, "runs here already".into());
    }
    if let Some(wanted) = &scene.definition.location {
        if *wanted == site.spec.location {
            add(weights.location, format!("is in {wanted}"));
        } else {
            add(0, format!("is in {}, not in {wanted}", site.spec.location));
        }
    }
    match candidate.state {
        Some(Resource::Live(body)) if body.is_ready() => add(weights.ready, "is ready".into()),
        Some(state @ Resource::Live(_)) => {
            let words = lost(state).map(|lost| format!("exists, but {}", lost.words()));
            add(weights.exists, words.unwrap_or_else(|| "exists, but is not ready".into()));
        }
        Some(Resource::Absent | Resource::Deleting(..) | Resource::Gone(_)) | None => {
            let words = if site.spec.existing.is_some() {
                "has yet to be connected to"
            } else {
                "has to be made"
            };
            add(0, words.into());
        }
    }
    if candidate.offer.tiers == [scene.definition.tier] {
        add(weights.tier, format!("is for {} alone", tier(scene.definition.tier)));
    }
    for capability in demand {
        if site.spec.capabilities.iter().any(|one| one == capability.as_str()) {
            add(weights.brings, format!("brings {}", capability.as_str()));
        }
    }
    let room = Room::of(scene, candidate, &site);
    add(
        room.points(weights.free),
        format!("has room for {} of {} workloads", room.free(), room.total),
    );
    let unwell = || {
        (health == Health::Demanded)
            .then(|| keeps_off(scene, &candidate.id, candidate.state))
            .flatten()
    };
    match rules_out(scene, candidate, &room).or_else(unwell) {
        None => Score { cluster: candidate.id.clone(), total: Some(total), reasons },
        Some(reason) => Score { cluster: candidate.id.clone(), total: None, reasons: vec![reason] },
    }
}

/// Why a cluster cannot be chosen at all.
fn rules_out(scene: &Scene<'_>, candidate: &Candidate<'_>, room: &Room) -> Option<String> {
    let definition = scene.definition;
    if let Some(asked) = scene.context.asked.filter(|asked| **asked != candidate.id.name) {
        return Some(format!("is not cluster/{asked}, which was asked for"));
    }
    if !candidate.offer.tiers.is_empty() && !candidate.offer.tiers.contains(&definition.tier) {
        let tiers: Vec<&str> = candidate.offer.tiers.iter().copied().map(tier).collect();
        return Some(format!("is for {}, not for {}", tiers.join(" and "), tier(definition.tier)));
    }
    if matches!(candidate.state, Some(Resource::Deleting(..))) {
        return Some("is being deleted".to_owned());
    }
    // What runs there stays, also while its nodes are away.
    let is_there = scene.context.current == Some(&candidate.id);
    if !is_there && room.wanted > room.free() {
        return Some(format!(
            "has room for {} more workloads of {}, not for {}",
            room.free(),
            room.total,
            room.wanted
        ));
    }
    None
}

/// Capacity, in workloads.
struct Room {
    total: u32,
    occupied: u32,
    wanted: u32,
}

impl Room {
    fn of(scene: &Scene<'_>, candidate: &Candidate<'_>, site: &Site<'_>) -> Self {
        let by_nodes = match &site.spec.existing {
            Some(_) => WORKLOADS_OF_EXISTING,
            None => site.spec.nodes_max.saturating_mul(WORKLOADS_PER_NODE),
        };
        // What the environment says counts alone: nodes may come when there is something for them to do.
        let by_nodes = candidate.pods().map_or(by_nodes, |pods| by_nodes.min(pods));
        Self {
            total: candidate.offer.workloads_max.unwrap_or(by_nodes),
            occupied: scene.context.occupied.get(&candidate.id).copied().unwrap_or(0),
            wanted: u32::try_from(scene.model.workloads.len()).unwrap_or(u32::MAX),
        }
    }

    const fn free(&self) -> u32 {
        self.total.saturating_sub(self.occupied)
    }

    fn points(&self, most: i64) -> i64 {
        most * i64::from(self.free()) / i64::from(self.total.max(1))
    }
}

const fn tier(tier: Tier) -> &'static str {
    match tier {
        Tier::Dev => "dev",
        Tier::Staging => "staging",
        Tier::Prod => "prod",
    }
}

fn not_offered(scene: &Scene<'_>, asked: &Name) -> Refusal {
    let definition = scene.definition;
    let message = format!("environment {} offers no cluster `{asked}`", definition.name);
    let known = definition.clusters.keys().map(String::as_str);
    Refusal::new(RefusalCode::NoClusterFits, "", message).hint(suggest(
        "clusters",
        asked.as_str(),
        known,
    ))
}

fn nothing_fits(scene: &Scene<'_>, scores: &[Score]) -> Refusal {
    let lines =
        scores.iter().map(|score| format!("{} {}", score.cluster, score.reasons.join(", ")));
    let message = format!(
        "no cluster of environment {} fits: {}",
        scene.definition.name,
        lines.collect::<Vec<_>>().join("; ")
    );
    Refusal::new(RefusalCode::NoClusterFits, "", message)
        .hint("offer another cluster in the environment, or raise its limits")
}
