//! One suite of behaviours for the simulated world and for a real Kubernetes: where they differ, the simulator is wrong.

mod canary;
mod others;

use domain::lifecycle::Command;
use domain::plan::Purpose;
use domain::{Resource, ResourceId};
use serde_json::{Value, json};
use servers::kubernetes::{ControlPlane, Options};
use sim::Happening;
use tempfile::TempDir;
use tests::{Plane, context, namespace, now};

/// Whoever meddles, by the name that each world gives to it.
const MEDDLER: &str = "kubectl";
/// More processor than any node has.
const TOO_MUCH: &str = "1000";
/// As many replicas as the load asks for.
const BY_LOAD: &str = "scale: {min: 2, max: 4, cpu: 50}\n";

/// Where applications run.
struct World {
    plane: Plane,
    folder: TempDir,
    cluster: Option<ControlPlane>,
}

impl World {
    async fn simulated() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { plane: Plane::start(folder.path()).await, folder, cluster: None }
    }

    async fn real() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cluster = ControlPlane::start(&Options { nodes: 3, ..Options::default() });
        let plane = Plane::start_on(folder.path(), &cluster.kubeconfig()).await;
        Self { plane, folder, cluster: Some(cluster) }
    }

    /// Has an application of one workload in a version; `rest` is more of its file.
    async fn apply(&self, name: &str, version: u32, rest: &str) {
        let file = self.folder.path().join(format!("{name}.yaml"));
        let text =
            format!("name: {name}\nimage: registry.example/{name}:{version}\nport: 8080\n{rest}");
        std::fs::write(&file, text).unwrap();
        self.plane.apply(name, &[&file], &[]).await;
    }

    async fn deliver(&self, name: &str, version: u32, rest: &str) {
        self.apply(name, version, rest).await;
        self.plane.deliver(name).await;
    }

    fn id(name: &str) -> String {
        format!("workload/dev_{name}_{name}")
    }

    /// Somebody else does something to an application's only workload: so it happens in the simulated world, and so on a
    /// cluster.
    fn meddle(&self, name: &str, simulated: Happening, real: &[&str]) {
        let Some(cluster) = &self.cluster else {
            let id = Self::id(name).parse().unwrap();
            return self.plane.world.happen(self.plane.tenant(), &id, simulated).unwrap();
        };
        let namespace = format!("--namespace={}", namespace(name));
        let _ = cluster.kubectl(&[real, &[&namespace]].concat());
    }

    fn change(&self, name: &str) {
        let detail = "replicas: 1 -> 7".to_owned();
        let drift = Happening::Drift { detail, by: Some(MEDDLER.into()) };
        self.meddle(name, drift, &["scale", &format!("deployment/{name}"), "--replicas=7"]);
    }

    fn remove(&self, name: &str) {
        let removed = Happening::Remove { by: Some(MEDDLER.into()) };
        self.meddle(name, removed, &["delete", &format!("deployment/{name}"), "--wait=false"]);
    }

    /// The image that runs; none where nothing does.
    fn runs(&self, name: &str) -> Option<String> {
        let image = match &self.cluster {
            None => {
                let id: ResourceId = Self::id(name).parse().unwrap();
                let spec: Value = self.plane.world.with_world(|world| {
                    let found = world.find(self.plane.tenant(), &id).ok()?;
                    serde_json::from_str(&found.spec).ok()
                })?;
                spec["containers"]["main"]["image"].clone()
            }
            Some(cluster) => {
                let path =
                    format!("GET /apis/apps/v1/namespaces/{}/deployments/{name}", namespace(name));
                let (status, found) = cluster.ask(&path, &Value::Null);
                (status == 200).then_some(())?;
                found["spec"]["template"]["spec"]["containers"][0]["image"].clone()
            }
        };
        Some(image.as_str().unwrap().to_owned())
    }

    async fn command(&self, name: &str, command: Command) {
        let id: ResourceId = Self::id(name).parse().unwrap();
        let stream = id.stream(self.plane.tenant());
        self.plane.executor.execute::<Resource>(&stream, command, context()).await.unwrap();
    }

    /// How often it has been noted that somebody else changed something.
    async fn drifts(&self, name: &str) -> usize {
        let id: ResourceId = Self::id(name).parse().unwrap();
        let stream = id.stream(self.plane.tenant());
        let loaded = self.plane.executor.journal().load(&stream, 0).await.unwrap();
        let events = loaded.commits.iter().flat_map(|one| &one.sealed.commit.events);
        events.filter(|event| event.event_type == "DriftDetected").count()
    }

    /// Waits until that has been noted so often.
    async fn drifted(&self, name: &str, times: usize) {
        self.plane.until("drift to be noted", async || self.drifts(name).await >= times).await;
    }
}

/// A new version replaces the old, and nothing else is said to change.
async fn a_new_version_runs(world: &World) {
    world.deliver("roll", 1, "").await;
    assert_eq!(world.runs("roll").unwrap(), "registry.example/roll:1");
    let Resource::Live(before) = world.plane.resource(&World::id("roll")).await else { panic!() };
    assert_eq!(before.outputs["port"].to_string(), "8080");
    world.deliver("roll", 2, "replicas: 2\n").await;
    assert_eq!(world.runs("roll").unwrap(), "registry.example/roll:2");
    let Resource::Live(after) = world.plane.resource(&World::id("roll")).await else { panic!() };
    assert_eq!((before.uid, before.outputs), (after.uid, after.outputs));
}

/// What somebody changes is set right, and has their name on it.
async fn a_change_is_set_right(world: &World) {
    world.deliver("drift", 1, "").await;
    world.change("drift");
    world.drifted("drift", 1).await;
    let noted = world.plane.noted(&World::id("drift"), "DriftDetected").await;
    assert!(noted.contains(MEDDLER), "{noted}");
    world.plane.ready("drift").await;
}

/// What somebody removes is made again.
async fn what_was_removed_is_made_again(world: &World) {
    world.deliver("again", 1, "").await;
    world.remove("again");
    world.drifted("again", 1).await;
    world.plane.until("it to be back", async || world.runs("again").is_some()).await;
    world.plane.ready("again").await;
}

/// What is paused is left as it is, until it is resumed.
async fn what_is_paused_is_left_alone(world: &World) {
    world.deliver("pause", 1, "").await;
    world.command("pause", Command::Pause { at: now() }).await;
    world.remove("pause");
    world.plane.until("it to go", async || world.runs("pause").is_none()).await;
    world.command("pause", Command::Resume { at: now() }).await;
    world.plane.until("it to be back", async || world.runs("pause").is_some()).await;
    world.plane.ready("pause").await;
}

/// A pod that fits nowhere says so, and what is good again recovers at once.
async fn what_fits_nowhere_says_so(world: &World) {
    world.deliver("big", 1, "").await;
    world.apply("big", 2, &format!("requests: {{cpu: '{TOO_MUCH}'}}\n")).await;
    world.plane.begin("big", Purpose::Deploy).await;
    for words in ["Unschedulable", "Insufficient cpu"] {
        let said = async || world.plane.blocker(&World::id("big")).await.contains(words);
        world.plane.until(words, said).await;
    }
    world.deliver("big", 3, "").await;
    assert_eq!(world.runs("big").unwrap(), "registry.example/big:3");
}

/// The same again is nothing to do.
async fn the_same_again_is_nothing(world: &World) {
    world.deliver("same", 1, "").await;
    let head = world.plane.caught_up().await;
    world.apply("same", 1, "").await;
    let again = world.plane.plan("same", Purpose::Deploy, None).await.unwrap();
    assert!(again.plan.steps.is_empty(), "{:?}", again.plan.steps);
    let stream = World::id("same").parse::<ResourceId>().unwrap().stream(world.plane.tenant());
    let loaded = world.plane.executor.journal().load(&stream, 0).await.unwrap();
    assert!(loaded.commits.iter().all(|one| one.position <= head), "it was written to");
}

/// What scales by its load has as many as that asks for, and a change of that is no drift.
async fn what_scales_by_load_is_not_fought_over(world: &World) {
    world.deliver("scale", 1, BY_LOAD).await;
    if let Some(cluster) = &world.cluster {
        replicas_are_left_to_others(world, cluster).await;
    }
    world.deliver("scale", 1, "scale: {min: 1, max: 4, cpu: 50}\n").await;
    world.deliver("scale", 1, "replicas: 2\n").await;
}

/// The number is not ours: what the scaler or somebody else makes of it stays, though the rest is applied again.
async fn replicas_are_left_to_others(world: &World, cluster: &ControlPlane) {
    let namespace = namespace("scale");
    let inside = format!("--namespace={namespace}");
    let found = || {
        let path = format!("GET /apis/apps/v1/namespaces/{namespace}/deployments/scale");
        let (status, found) = cluster.ask(&path, &Value::Null);
        assert_eq!(status, 200, "{found}");
        found
    };
    let is_not_ours = |found: &Value| {
        let managers = found["metadata"]["managedFields"].as_array().unwrap();
        let mut ours = managers.iter().filter(|one| one["manager"] == "cairn").peekable();
        assert!(ours.peek().is_some(), "{managers:?}");
        let owns = |one: &Value| !one["fieldsV1"]["f:spec"]["f:replicas"].is_null();
        assert!(!ours.any(owns), "{managers:?}");
    };
    // The least that it may have, what somebody sets within the limits, and beyond them.
    for (version, set, left) in [(2, None, 2), (3, Some(3), 3), (4, Some(7), 4)] {
        if let Some(set) = set {
            let to = format!("--replicas={set}");
            let _ = cluster.kubectl(&["scale", "deployment/scale", &to, &inside]);
        }
        let so = format!("--for=jsonpath={{.spec.replicas}}={left}");
        let _ = cluster.kubectl(&["wait", "deployment/scale", &so, "--timeout=120s", &inside]);
        is_not_ours(&found());
        world.deliver("scale", version, BY_LOAD).await;
        let found = found();
        assert_eq!(found["spec"]["replicas"], json!(left), "{found}");
        is_not_ours(&found);
        assert_eq!(world.runs("scale").unwrap(), format!("registry.example/scale:{version}"));
    }
    assert_eq!(world.drifts("scale").await, 0, "nothing of ours was changed");
}

/// A deletion leaves nothing.
async fn a_deletion_leaves_nothing(world: &World) {
    world.deliver("gone", 1, "files: {/etc/a: {content: one}}\n").await;
    world.plane.delete("gone").await;
    assert_eq!(world.runs("gone"), None);
    assert!(matches!(world.plane.resource(&World::id("gone")).await, Resource::Gone(_)));
    if let Some(cluster) = &world.cluster {
        let path = format!("GET /api/v1/namespaces/{}", namespace("gone"));
        assert_eq!(cluster.ask(&path, &json!(null)).0, 404);
    }
}

/// All of them, on one world.
async fn behaves(world: World) {
    a_new_version_runs(&world).await;
    a_change_is_set_right(&world).await;
    what_was_removed_is_made_again(&world).await;
    what_is_paused_is_left_alone(&world).await;
    what_fits_nowhere_says_so(&world).await;
    the_same_again_is_nothing(&world).await;
    what_scales_by_load_is_not_fought_over(&world).await;
    a_deletion_leaves_nothing(&world).await;
    others::who_meddles_again_and_again_is_named(&world).await;
    others::what_keeps_its_place_is_delivered(&world).await;
    canary::a_new_version_is_tried_first(&world).await;
    canary::what_is_tried_can_be_left(&world).await;
    if world.cluster.is_some() {
        canary::what_measures_badly_goes_back(&world).await;
        canary::what_answers_badly_goes_back(&world).await;
    }
    world.plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulated_world_behaves() {
    behaves(World::simulated().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_kubernetes_behaves() {
    behaves(World::real().await).await;
}
