//! What the users of a generated plane want, and the plans that say so.

use std::collections::{BTreeMap, BTreeSet};

use domain::kind::Change;
use domain::lifecycle::{Lifetime, Resources};
use domain::plan::{Header, Pins, Plan, Purpose, ResourcePin, Step, StepAction};
use domain::{KindName, Name, Resource, ResourceId, Spec};
use serde_json::{Value, json};

use tests::rng::Rng;

/// The cluster that everything runs on.
pub const CLUSTER: &str = "cluster/a";
/// The gateway that routes share.
pub const GATEWAY: &str = "support-service/a_gateway";

/// Resources in an order in which everything comes after what it needs.
pub type Wanted = Vec<(ResourceId, Spec, Lifetime)>;

pub fn id(text: &str) -> ResourceId {
    text.parse().unwrap()
}

fn spec(id: &ResourceId, value: Value) -> Spec {
    id.kind.read_spec(value).unwrap()
}

pub fn cluster() -> Spec {
    let value = json!({"location": "eu", "version": "1.36", "nodes_min": 1, "nodes_max": 3});
    KindName::Cluster.read_spec(value).unwrap()
}

/// A random application: some of everything, referring to each other.
pub fn application(deployment: &str, rng: &mut Rng) -> Wanted {
    let mut wanted: Wanted = vec![(id(CLUSTER), cluster(), Lifetime::Kept)];
    let owned = Lifetime::Deployment(deployment.parse().unwrap());
    let named = |kind: &str, name: &str| id(&format!("{kind}/{deployment}_{name}"));
    let add = |wanted: &mut Wanted, id: &ResourceId, value: Value| {
        wanted.push((id.clone(), spec(id, value), owned.clone()));
    };
    let (bucket, database) = (named("bucket", "files"), named("database", "db"));
    let (api, web) = (named("workload", "api"), named("workload", "web"));
    let has = |rng: &mut Rng| rng.per_mille(650);
    let (with_bucket, with_database) = (has(rng), has(rng));
    let (with_api, with_web, with_route) = (has(rng), has(rng), has(rng));
    if with_bucket {
        let region = if rng.per_mille(700) { "eu" } else { "us" };
        let value = json!({"region": region, "expire_days": rng.below(2)});
        add(&mut wanted, &bucket, value);
    }
    if with_database {
        let value = json!({"engine": "postgres", "version": "16", "size": "s", "database": "shop",
            "storage_gib": 20 + rng.below(2), "cluster": CLUSTER});
        add(&mut wanted, &database, value);
    }
    let variables = if with_database {
        json!({"HOST": format!("${{{database}.host}}"), "PASSWORD": format!("${{{database}.password}}")})
    } else {
        json!({})
    };
    if with_database && has(rng) {
        let secret = named("secret", "url");
        add(
            &mut wanted,
            &secret,
            json!({"template": format!("pg://${{{database}.password}}@${{{database}.host}}")}),
        );
    }
    let workload = |rng: &mut Rng, after: Value, grants: Value| {
        json!({"mode": "worker", "cluster": CLUSTER, "scale": {"fixed": 1 + rng.below(3)},
            "containers": {"main": {"image": format!("app:{}", rng.below(3)), "variables": variables}},
            "after": after, "grants": grants})
    };
    if with_api {
        let grants = if with_bucket { json!([bucket]) } else { json!([]) };
        let value = workload(rng, json!([]), grants);
        add(&mut wanted, &api, value);
    }
    if with_web {
        let after = if with_api { json!([api]) } else { json!([]) };
        let value = workload(rng, after, json!([]));
        add(&mut wanted, &web, value);
    }
    if with_web && with_route {
        let gateway = id(GATEWAY);
        let value = json!({"capability": "gateway", "version": "1", "cluster": CLUSTER});
        wanted.push((gateway.clone(), spec(&gateway, value), Lifetime::WhileNeeded));
        let route = named("route", "web");
        let value = json!({"host": format!("{deployment}.test").replace('_', "-"), "path": "/",
            "workload": web, "port": 80, "gateway": GATEWAY});
        wanted.push((route.clone(), spec(&route, value), owned.clone()));
        let record = named("dns-record", "web");
        let host = format!("{}-{}.test", deployment.replace('_', "-"), rng.below(2));
        let value = json!({"host": host, "target": format!("${{{GATEWAY}.address}}")});
        wanted.push((record.clone(), spec(&record, value), owned));
    }
    wanted
}

/// The plan from what lives to what is wanted.
pub fn plan(
    deployment: &Name,
    purpose: Purpose,
    wanted: &Wanted,
    live: &Resources,
    members: &BTreeSet<ResourceId>,
) -> Plan {
    let mut steps: Vec<Step> = Vec::new();
    let mut index: BTreeMap<ResourceId, u32> = BTreeMap::new();
    for (id, spec, lifetime) in wanted {
        let Some(action) = action(live.get(id).unwrap_or(&Resource::Absent), spec, lifetime) else {
            continue;
        };
        let needs = spec.needs().into_iter().map(|need| need.resource);
        let after = needs.filter_map(|need| index.get(&need).copied()).collect::<BTreeSet<_>>();
        index.insert(id.clone(), steps.len() as u32);
        steps.push(step(id, action, Some(spec.clone()), lifetime.clone(), after));
    }
    let kept: BTreeSet<_> = wanted.iter().map(|(id, ..)| id).collect();
    let mut gone: Vec<_> = members.iter().filter(|id| !kept.contains(id)).collect();
    gone.sort_by_key(|id| std::cmp::Reverse(rank(id)));
    for id in gone {
        let Some(body) = live.get(id).and_then(Resource::body) else { continue };
        let needs_it = |other: &ResourceId| {
            let body = live.get(other).and_then(Resource::body);
            body.is_some_and(|body| body.spec.needs().iter().any(|need| need.resource == *id))
        };
        let after =
            index.iter().filter(|(other, _)| needs_it(other)).map(|(_, index)| *index).collect();
        index.insert(id.clone(), steps.len() as u32);
        steps.push(step(id, StepAction::Delete, None, body.lifetime.clone(), after));
    }
    let pin = |resource: &Resource| ResourcePin {
        uid: resource.body().map(|body| body.uid),
        generation: resource.body().map_or(0, |body| body.generation),
    };
    let resources = live.iter().map(|(id, state)| (id.clone(), pin(state))).collect();
    let header = Header {
        deployment: deployment.clone(),
        application: "app".parse().unwrap(),
        environment: "dev".parse().unwrap(),
        revision: 1,
        purpose,
        pins: Pins { resources, ..Pins::default() },
        placement: None,
        notes: Vec::new(),
    };
    Plan { header, steps }
}

fn step(
    id: &ResourceId,
    action: StepAction,
    spec: Option<Spec>,
    lifetime: Lifetime,
    after: BTreeSet<u32>,
) -> Step {
    Step {
        resource: id.clone(),
        action,
        spec,
        class: None,
        lifetime,
        protected: false,
        after: after.into_iter().collect(),
        why: Vec::new(),
        changes: Vec::new(),
    }
}

fn action(live: &Resource, spec: &Spec, lifetime: &Lifetime) -> Option<StepAction> {
    let Resource::Live(body) = live else { return Some(StepAction::Create) };
    if !matches!(lifetime, Lifetime::Deployment(_)) {
        return None;
    }
    match body.spec.change(spec) {
        Change::None => None,
        Change::InPlace => Some(StepAction::Change),
        Change::Replace { why } | Change::Refused { why } => Some(StepAction::Replace { why }),
    }
}

/// Where a kind stands between what is needed and who needs it.
fn rank(id: &ResourceId) -> u8 {
    match id.kind {
        KindName::Cluster => 0,
        KindName::SupportService => 1,
        KindName::Bucket | KindName::Database => 2,
        KindName::Secret => 3,
        KindName::Workload if id.name.as_str().ends_with("api") => 4,
        KindName::Workload => 5,
        KindName::Route | KindName::DnsRecord => 6,
        KindName::Cache
        | KindName::Certificate
        | KindName::Extension
        | KindName::Helm
        | KindName::Manifests
        | KindName::Queue
        | KindName::Volume => 7,
    }
}
