//! What a workload becomes: a Deployment, a StatefulSet, a Job or a CronJob, and what belongs to it.

use std::collections::BTreeSet;

use domain::commit::Hash;
use domain::kinds::workload::{Mode, Scale, Spec, Strategy};
use domain::text::{Inputs, Unresolved};
use reconcilers::Target;
use serde_json::{Map, Value, json};

use super::network::{peers, peers_name, policy, selector, service};
use super::pod::pod;
use super::volume::claim_spec;
use super::{Names, Object, stateful_name};
use crate::labels;

/// Seconds without progress after which a rollout counts as stuck: Kubernetes' default.
const PROGRESS_SECONDS: u32 = 600;
/// How many pods more or fewer than wanted there may be while they are replaced: Kubernetes' default.
const PODS_MORE: &str = "25%";
/// Tries of a job before it counts as failed.
const TRIES: u32 = 3;
/// The size in a StatefulSet's templates of claims, which can never be changed. The volumes make the claims themselves,
/// at their size, before it looks for them.
const CLAIM_GIB: u32 = 1;
/// Old replica sets that are kept: going back is a new rollout, by Cairn's own revisions.
const HISTORY: u32 = 2;

/// The objects of a workload, the one that tells how it is last.
///
/// # Errors
/// [`Unresolved`] while something it refers to is not published.
pub fn workload(
    target: &Target,
    spec: &Spec,
    inputs: &Inputs,
    digest: Hash,
) -> Result<Vec<Object>, Unresolved> {
    made(target, &Names::of(target), spec, inputs, digest)
}

/// The objects of a workload's canary: its own names and its own pods, beside those that run.
///
/// # Errors
/// [`Unresolved`] while something it refers to is not published.
pub fn canary(
    target: &Target,
    spec: &Spec,
    inputs: &Inputs,
    digest: Hash,
) -> Result<Vec<Object>, Unresolved> {
    made(&target.canary(), &Names::of(target).canary(), spec, inputs, digest)
}

fn made(
    target: &Target,
    names: &Names,
    spec: &Spec,
    inputs: &Inputs,
    digest: Hash,
) -> Result<Vec<Object>, Unresolved> {
    let restart = match spec.mode {
        Mode::Service | Mode::Worker | Mode::Stateful => None,
        Mode::Job | Mode::Cron { .. } => Some("Never"),
    };
    let pod = pod(target, names, spec, inputs, restart)?;
    let account = json!({ "automountServiceAccountToken": false });
    let mut objects = vec![Object::new(&names.key("v1", "ServiceAccount"), target, account)];
    objects.extend(pod.reads);
    objects.extend(service(target, names, spec));
    objects.push(policy(target, names, spec));
    let mut main = match &spec.mode {
        Mode::Service | Mode::Worker => {
            objects.extend(scaler(target, names, spec));
            objects.extend(disruption_budget(target, names, spec));
            deployment(target, names, spec, pod.template)
        }
        Mode::Stateful => {
            objects.push(peers(target, names, spec));
            objects.extend(disruption_budget(target, names, spec));
            stateful_set(target, names, spec, pod.template, &pod.own)
        }
        Mode::Job => {
            // Most of a job cannot be changed (Kubernetes: immutable): another revision is another job.
            let name = labels::with_digest(&names.name, digest.to_hex().as_bytes());
            let key = names.called("batch/v1", "Job", name);
            let body = json!({ "spec": { "backoffLimit": TRIES, "template": pod.template } });
            Object::new(&key, target, body)
        }
        Mode::Cron { schedule } => {
            let job = json!({ "spec": { "backoffLimit": TRIES, "template": pod.template } });
            let body = json!({ "spec": {
                "schedule": schedule,
                "timeZone": "Etc/UTC",
                "concurrencyPolicy": "Forbid",
                "jobTemplate": job,
            } });
            Object::new(&names.key("batch/v1", "CronJob"), target, body)
        }
    };
    for path in &spec.delegated {
        main.take_out(path);
    }
    objects.push(main.marked(digest));
    Ok(objects)
}

fn deployment(target: &Target, names: &Names, spec: &Spec, template: Value) -> Object {
    let strategy = match &spec.strategy {
        // What Kubernetes fills in by itself is nobody's, so it would stay, and is refused with the other strategy.
        Strategy::Rolling | Strategy::Canary(_) => json!({
            "type": "RollingUpdate",
            "rollingUpdate": { "maxSurge": PODS_MORE, "maxUnavailable": PODS_MORE },
        }),
        Strategy::Recreate => json!({ "type": "Recreate" }),
    };
    let mut body = Map::from_iter([
        ("selector".to_owned(), json!({ "matchLabels": selector(target) })),
        ("strategy".to_owned(), strategy),
        ("progressDeadlineSeconds".to_owned(), json!(PROGRESS_SECONDS)),
        ("revisionHistoryLimit".to_owned(), json!(HISTORY)),
        ("template".to_owned(), spread(template, target, spec)),
    ]);
    // Whoever scales by load owns the number (score-k8s PR #27).
    if let Scale::Fixed(replicas) = spec.scale {
        body.insert("replicas".into(), json!(replicas));
    }
    Object::new(&names.key("apps/v1", "Deployment"), target, json!({ "spec": body }))
}

fn stateful_set(
    target: &Target,
    names: &Names,
    spec: &Spec,
    template: Value,
    own: &BTreeSet<String>,
) -> Object {
    let claims = own
        .iter()
        .map(|name| json!({ "metadata": { "name": name }, "spec": claim_spec(CLAIM_GIB) }));
    let mut body = Map::from_iter([
        ("serviceName".to_owned(), json!(peers_name(&names.name))),
        ("selector".to_owned(), json!({ "matchLabels": selector(target) })),
        // One after the other when they are replaced, all the same. In order at the start as well, a replica that
        // never gets ready would keep a fix from being rolled out (Kubernetes: StatefulSet, forced rollback).
        ("podManagementPolicy".to_owned(), json!("Parallel")),
        ("updateStrategy".to_owned(), json!({ "type": "RollingUpdate" })),
        ("revisionHistoryLimit".to_owned(), json!(HISTORY)),
        ("volumeClaimTemplates".to_owned(), claims.collect()),
        ("template".to_owned(), spread(template, target, spec)),
    ]);
    if let Scale::Fixed(replicas) = spec.scale {
        body.insert("replicas".into(), json!(replicas));
    }
    let key = names.called("apps/v1", "StatefulSet", stateful_name(&names.name));
    Object::new(&key, target, json!({ "spec": body }))
}

/// Replicas go to different zones where there are any.
fn spread(mut template: Value, target: &Target, spec: &Spec) -> Value {
    if most(spec) > 1
        && let Some(Value::Object(pod)) = template.get_mut("spec")
    {
        let spread = json!([{
            "maxSkew": 1,
            "topologyKey": "topology.kubernetes.io/zone",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": { "matchLabels": selector(target) },
        }]);
        pod.insert("topologySpreadConstraints".into(), spread);
    }
    template
}

fn most(spec: &Spec) -> u32 {
    match spec.scale {
        Scale::Fixed(replicas) => replicas,
        Scale::Auto { max, .. } => max,
    }
}

fn scaler(target: &Target, names: &Names, spec: &Spec) -> Option<Object> {
    let Scale::Auto { min, max, cpu_percent } = spec.scale else { return None };
    let goal = json!({ "type": "Utilization", "averageUtilization": cpu_percent });
    let body = json!({ "spec": {
        "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": names.name },
        "minReplicas": min.max(1),
        "maxReplicas": max.max(1),
        "metrics": [{ "type": "Resource", "resource": { "name": "cpu", "target": goal } }],
    } });
    Some(Object::new(&names.key("autoscaling/v2", "HorizontalPodAutoscaler"), target, body))
}

/// One replica may be missing while nodes are drained; a workload of one has nothing to spare.
fn disruption_budget(target: &Target, names: &Names, spec: &Spec) -> Option<Object> {
    let least = match spec.scale {
        Scale::Fixed(replicas) => replicas,
        Scale::Auto { min, .. } => min,
    };
    if least < 2 {
        return None;
    }
    let selector = json!({ "matchLabels": selector(target) });
    let body = json!({ "spec": { "maxUnavailable": 1, "selector": selector } });
    Some(Object::new(&names.key("policy/v1", "PodDisruptionBudget"), target, body))
}
