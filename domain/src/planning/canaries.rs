//! Whether a new revision can be tried with a share of the traffic, and where what is measured of it is asked for.

use std::collections::BTreeSet;

use super::Wanted;
use super::build::{Built, Scene};
use super::refusal::{Refusal, RefusalCode};
use crate::environment::Analysis;
use crate::kinds::Spec;
use crate::kinds::workload::{Check, Spec as Workload, Strategy};
use crate::name::ResourceId;

/// Completes the checks of every canary.
pub(super) fn complete(scene: &Scene<'_>, built: &mut Built) {
    let routed: BTreeSet<ResourceId> = built.wanted.values().filter_map(leads_to).collect();
    for (id, wanted) in &mut built.wanted {
        let Spec::Workload(workload) = &mut wanted.spec else { continue };
        let mut reasons = impossible(workload, routed.contains(id));
        if let Strategy::Canary(canary) = &mut workload.strategy {
            let analysis = &scene.definition.analysis;
            let refused = canary.checks.iter_mut().filter_map(|check| {
                let why = lead(check, analysis).err()?;
                Some((RefusalCode::GuardrailViolated, format!("check `{}`: {why}", check.name)))
            });
            reasons.extend(refused);
        }
        let name = &scene.definition.name;
        built.refusals.extend(reasons.into_iter().map(|(code, why)| {
            let refusal =
                Refusal::new(code, &wanted.place, format!("{id} cannot be tried in {name}: {why}"));
            refusal.hint(if code == RefusalCode::GuardrailViolated {
                "ask the platform team to name it in `analysis` of the environment"
            } else {
                "take `strategy: rolling`, or change that"
            })
        }));
    }
}

/// The workload that a route leads to.
fn leads_to(wanted: &Wanted) -> Option<ResourceId> {
    if let Spec::Route(route) = &wanted.spec { Some(route.workload.clone()) } else { None }
}

fn impossible(workload: &Workload, routed: bool) -> Vec<(RefusalCode, String)> {
    let mut reasons = Vec::new();
    if workload.canary().is_none() {
        return reasons;
    }
    if !routed {
        let why = "no route leads to it, so none of its traffic can be shared out";
        reasons.push((RefusalCode::InvalidSpec, why.to_owned()));
    }
    if workload.containers.values().any(|container| !container.volumes.is_empty()) {
        let why = "two revisions cannot share its volumes";
        reasons.push((RefusalCode::InvalidSpec, why.to_owned()));
    }
    reasons
}

/// Says where it is measured, as the environment allows it.
fn lead(check: &mut Check, analysis: &Analysis) -> Result<(), String> {
    if check.query.is_some() {
        let prometheus = analysis.prometheus.as_ref();
        check.url.clone_from(prometheus.ok_or("the environment names no Prometheus")?);
        return Ok(());
    }
    if analysis.urls.iter().any(|allowed| is_within(&check.url, allowed)) {
        return Ok(());
    }
    Err(format!("the environment does not allow asking {}", check.url))
}

/// Below an address that is allowed: what only begins alike is another host.
fn is_within(url: &str, allowed: &str) -> bool {
    let allowed = allowed.trim_end_matches('/');
    url.strip_prefix(allowed)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest.starts_with('?'))
}

#[cfg(test)]
mod tests {
    use super::is_within;

    #[test]
    fn what_only_begins_alike_is_not_allowed() {
        let allowed = "https://smoke.example.com/";
        assert!(is_within("https://smoke.example.com", allowed));
        assert!(is_within("https://smoke.example.com/a?b", allowed));
        for other in [
            "https://smoke.example.com.evil",
            "https://smoke.example.com@evil/",
            "http://smoke.example.com/",
        ] {
            assert!(!is_within(other, allowed), "{other}");
        }
    }
}
