//! The environment's rules for any plan.

use super::build::{Built, Scene};
use super::refusal::{Refusal, RefusalCode};
use crate::environment::Guardrails;
use crate::kinds::Spec;
use crate::kinds::workload::{Scale, Spec as WorkloadSpec};

/// Refuses what the environment does not allow of workloads. Classes are judged where they are matched, deletions
/// where plans are compared.
pub(super) fn check(scene: &Scene<'_>, built: &mut Built) {
    let environment = &scene.definition.name;
    let mut refusals = Vec::new();
    for wanted in built.wanted.values() {
        if let Spec::Workload(spec) = &wanted.spec {
            let mut refuse = |path: String, message: String, hint: String| {
                let message = format!("environment {environment} {message}");
                refusals
                    .push(Refusal::new(RefusalCode::GuardrailViolated, path, message).hint(hint));
            };
            check_workload(&scene.definition.guardrails, &wanted.place, spec, &mut refuse);
        }
    }
    built.refusals.append(&mut refusals);
}

fn check_workload(
    rules: &Guardrails,
    place: &str,
    spec: &WorkloadSpec,
    refuse: &mut dyn FnMut(String, String, String),
) {
    let replicas = match spec.scale {
        Scale::Fixed(replicas) => replicas,
        Scale::Auto { max, .. } => max,
    };
    if let Some(most) = rules.replicas_max.filter(|most| replicas > *most) {
        let message = format!("allows at most {most} replicas, not {replicas}");
        refuse(format!("{place}.scale"), message, format!("ask for {most} or fewer"));
    }
    for (container, body) in &spec.containers {
        let path = format!("{place}.containers.{container}.image");
        if body.image.is_empty() || body.image == "." {
            continue; // refused as missing
        }
        if rules.digests_only && !body.image.contains("@sha256:") {
            let message = format!("takes images by digest only, not `{}`", body.image);
            refuse(path.clone(), message, "deploy with --image …@sha256:…".to_owned());
        }
        let prefixes = &rules.image_prefixes;
        if !prefixes.is_empty() && !prefixes.iter().any(|prefix| body.image.starts_with(prefix)) {
            let message = format!("does not take the image `{}`", body.image);
            refuse(path, message, format!("images must begin with {}", prefixes.join(" or ")));
        }
    }
}
