//! A new revision is tried with a share of the traffic before it replaces the old one.

use domain::Resource;
use domain::StreamId;
use domain::environment::{self, Analysis, Environment};
use domain::lifecycle::Command;
use domain::plan::Purpose;
use serde_json::{Value, json};
use tests::{namespace, now};

use super::World;
use crate::server::Server;

/// A route, and steps of which each has to be promoted.
const STEPS: &str = "resources:\n  all: {type: route, params: {workload: NAME, host: NAME.test}}\n\
     workloads:\n  NAME:\n    image: registry.example/NAME:VERSION\n    port: 8080\n    replicas: 4\n    strategy:\n      canary:\n        \
     steps: [{weight: 20, approval: true}, {weight: 60, approval: true}]\n        drain: 1s\n";

impl World {
    async fn try_version(&self, name: &str, version: u32, more: &str) {
        let text = STEPS.replace("NAME", name).replace("VERSION", &version.to_string());
        let file = self.folder.path().join(format!("{name}.yaml"));
        std::fs::write(&file, format!("name: {name}\n{text}{more}")).unwrap();
        self.plane.apply(name, &[&file], &[]).await;
    }

    /// The share of the traffic, in percent, that its route leads to what is tried; none where that is led nowhere.
    fn share(&self, name: &str) -> Option<u64> {
        let Some(cluster) = &self.cluster else {
            return self.plane.world_spec(&format!("route/dev_{name}_all"))["canary"].as_u64();
        };
        let path = format!(
            "GET /apis/gateway.networking.k8s.io/v1/namespaces/{}/httproutes/all",
            namespace(name)
        );
        let (_, found) = cluster.ask(&path, &Value::Null);
        let backends = found["spec"]["rules"][0]["backendRefs"].as_array().cloned();
        let backends = backends.unwrap_or_default();
        let [old, new] = backends.as_slice() else { return None };
        assert_eq!(old["weight"].as_u64().unwrap() + new["weight"].as_u64().unwrap(), 100);
        new["weight"].as_u64()
    }

    async fn shares(&self, name: &str, share: Option<u64>) {
        self.plane.until("the share", async || self.share(name) == share).await;
    }

    async fn waits_for_approval(&self, name: &str) {
        let id = Self::id(name);
        let said = async || self.plane.blocker(&id).await.contains("has yet to be promoted");
        self.plane.until("it to wait for approval", said).await;
    }

    /// The environment lets new versions be measured there, and takes back what fails.
    async fn may_ask(&self, analysis: Analysis) {
        let (plane, name) = (&self.plane, "dev".parse().unwrap());
        let stream = StreamId::new(plane.tenant().clone(), environment::KIND, name).unwrap();
        let state = plane.executor.load_state::<Environment>(&stream).await.unwrap().state;
        let definition = state.definition.clone().unwrap();
        let definition =
            environment::Definition { analysis, rollback_on_failure: true, ..definition };
        let command = environment::Command::Define { definition, at: now() };
        plane.put::<Environment>(environment::KIND, &"dev".parse().unwrap(), command).await;
    }

    /// The second version is tried, and measures well.
    async fn try_measured(&self, name: &str, check: &str, measured: &str) {
        let checks = format!("        checks: [{check}]\n");
        self.try_version(name, 1, &checks).await;
        self.plane.deliver(name).await;
        self.try_version(name, 2, &checks).await;
        self.plane.begin(name, Purpose::Deploy).await;
        self.waits_for_approval(name).await;
        let noted = self.plane.noted(&Self::id(name), "CanaryMeasured").await;
        assert!(noted.contains(measured), "{noted}");
    }

    /// What is tried fails, for this reason, and the first version is what runs and what is wanted.
    async fn goes_back(&self, name: &str, why: &str) {
        let failed = async || {
            let Resource::Live(body) = self.plane.resource(&Self::id(name)).await else {
                return false;
            };
            body.canary.is_none() && body.is_ready()
        };
        self.plane.until("it to fail", failed).await;
        let noted = self.plane.noted(&Self::id(name), "CanaryFailed").await;
        assert!(noted.contains(why), "{noted}");
        self.has_ended(name).await;
        assert_eq!(self.runs(name).unwrap(), format!("registry.example/{name}:1"));
    }

    /// Nothing of what was tried is left.
    async fn has_ended(&self, name: &str) {
        let id = Self::id(name);
        let ended = async || {
            let Resource::Live(body) = self.plane.resource(&id).await else { return false };
            body.is_ready() && body.canary.is_none()
        };
        self.plane.until("the trial to end", ended).await;
        self.shares(name, None).await;
        if let Some(cluster) = &self.cluster {
            let path = format!("GET /apis/apps/v1/namespaces/{}/deployments", namespace(name));
            let (_, found) = cluster.ask(&path, &Value::Null);
            assert_eq!(found["items"].as_array().unwrap().len(), 1, "{found}");
        }
    }
}

/// It gets its share step by step, each when somebody says so, and replaces the old in the end.
pub(crate) async fn a_new_version_is_tried_first(world: &World) {
    world.try_version("try", 1, "").await;
    world.plane.deliver("try").await;
    assert_eq!(world.share("try"), None, "the first is tried beside nothing");
    world.try_version("try", 2, "").await;
    world.plane.begin("try", Purpose::Deploy).await;
    world.waits_for_approval("try").await;
    world.shares("try", Some(20)).await;
    world.command("try", Command::Promote { full: false, at: now() }).await;
    world.shares("try", Some(60)).await;
    world.waits_for_approval("try").await;
    if world.cluster.is_some() {
        assert_eq!(world.runs("try").unwrap(), "registry.example/try:1", "it runs beside it");
    }
    world.command("try", Command::Promote { full: false, at: now() }).await;
    world.plane.ready("try").await;
    world.has_ended("try").await;
    assert_eq!(world.runs("try").unwrap(), "registry.example/try:2");
}

/// Wanting the old again, or something newer, takes effect at once.
pub(crate) async fn what_is_tried_can_be_left(world: &World) {
    world.try_version("left", 1, "").await;
    world.plane.deliver("left").await;
    world.try_version("left", 2, "").await;
    world.plane.begin("left", Purpose::Deploy).await;
    world.shares("left", Some(20)).await;
    world.try_version("left", 3, "").await;
    world.plane.begin("left", Purpose::Deploy).await;
    let newer = async || {
        let Resource::Live(body) = world.plane.resource(&World::id("left")).await else {
            return false;
        };
        body.generation == 3 && body.canary.is_some_and(|canary| canary.generation == 3)
    };
    world.plane.until("the newer to be tried", newer).await;
    world.waits_for_approval("left").await;
    world.try_version("left", 1, "").await;
    world.plane.deliver("left").await;
    world.has_ended("left").await;
    assert_eq!(world.runs("left").unwrap(), "registry.example/left:1");
    world.plane.delete("left").await;
    assert_eq!(world.runs("left"), None);
}

/// What Prometheus says ends it, and the whole deployment goes back.
pub(crate) async fn what_measures_badly_goes_back(world: &World) {
    let prometheus = Server::start();
    let answer = |value: &str| {
        let sample = json!([1_700_000_000, value]);
        json!({ "status": "success", "data": { "resultType": "scalar", "result": sample } })
    };
    prometheus.put("/api/v1/query?query=errors", answer("0.001").to_string().as_bytes());
    let address = Some(format!("http://{}", prometheus.address));
    world.may_ask(Analysis { prometheus: address, urls: Vec::new() }).await;
    let check = "{name: errors, query: errors, max: 0.01, every: 1s}";
    world.try_measured("bad", check, "0.001").await;
    prometheus.put("/api/v1/query?query=errors", answer("0.5").to_string().as_bytes());
    world.goes_back("bad", "the check `errors` failed 1 time: 0.5 is more than 0.01").await;
}

/// So does an address that answers no more as it should.
pub(crate) async fn what_answers_badly_goes_back(world: &World) {
    let service = Server::start();
    service.put("/well", b"it is");
    let address = format!("http://{}", service.address);
    world.may_ask(Analysis { prometheus: None, urls: vec![address.clone()] }).await;
    let check = format!("{{name: smoke, url: '{address}/well', every: 1s}}");
    world.try_measured("ill", &check, "it answers").await;
    let asked = service.asked();
    assert!(!asked.is_empty() && asked.iter().all(|it| it.starts_with("GET /well ")), "{asked:?}");
    service.put_answer("/well", (500, Vec::new(), Vec::new()));
    let why = format!("the check `smoke` failed 1 time: {address}/well answers 500");
    world.goes_back("ill", &why).await;
}
