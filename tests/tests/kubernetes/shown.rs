//! What a user would try first: applications that others published, through all that happens to one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use domain::deployment::{self, Deployment};
use domain::environment::{self, Environment};
use domain::kinds::{TypedSpec as _, Workload};
use domain::lifecycle::Command;
use domain::plan::Purpose;
use domain::text::Inputs;
use domain::{Resource, ResourceId, StreamId};
use kubernetes::objects::workload;
use reconcilers::converge::Desired;
use reconcilers::{Reconcile as _, Target};
use serde_json::Value;
use servers::kubernetes::{ControlPlane, Options};
use tests::samples::{root, score_files};
use tests::{Plane, context, namespace, now};

use super::manifests::{Set, settle};

const SHOP: &str = "boutique";
const FRONT: &str = "workload/dev_boutique_frontend";
/// The version that the public files have.
const VERSION: &str = ":v0.10.5";
/// Two workloads of the same form, where the public files are not there.
const OWN: [(&str, &str); 2] = [("frontend.score.yaml", FRONTEND), ("cart.score.yaml", CART)];
const FRONTEND: &str = "apiVersion: score.dev/v1b1
metadata:
  name: frontend
  annotations:
    tags: web
containers:
  frontend:
    image: registry.example/frontend:v0.10.5
    variables: {CART: '${resources.cart.name}:7070'}
resources:
  cart: {type: service}
  dns: {type: dns}
  route: {type: route, params: {host: '${resources.dns.host}', path: /, port: 8080}}
service: {ports: {http: {port: 8080}}}
";
const CART: &str = "apiVersion: score.dev/v1b1
metadata: {name: cart}
containers:
  cart:
    image: registry.example/cart:v0.10.5
    resources: {limits: {cpu: \"220m\"}, requests: {cpu: \"200m\"}}
service: {ports: {grpc: {port: 7070}}}
";

/// The files of an application, which a test changes.
struct Shop {
    plane: Plane,
    cluster: ControlPlane,
    files: Vec<(PathBuf, String)>,
}

impl Shop {
    async fn start(folder: &Path) -> Self {
        let cluster = ControlPlane::start(&Options { nodes: 10, ..Options::default() });
        let plane = Plane::start_on(folder, &cluster.kubeconfig()).await;
        let public = score_files(&root().join("../shared/data/score/onlineboutique"));
        let read = |path: &PathBuf| std::fs::read_to_string(path).unwrap();
        let name = |path: &PathBuf| folder.join(path.file_name().unwrap());
        let mut files: Vec<_> = public.iter().map(|path| (name(path), read(path))).collect();
        if files.is_empty() {
            files = OWN.map(|(name, text)| (folder.join(name), text.to_owned())).into();
        }
        let mut shop = Self { plane, cluster, files };
        shop.change("frontend", "tags:", "cairn.dev/strategy: blue-green\n    tags:");
        shop
    }

    /// Has a file say something else.
    fn change(&mut self, file: &str, from: &str, to: &str) {
        let (path, text) = self
            .files
            .iter_mut()
            .find(|(path, _)| path.ends_with(format!("{file}.score.yaml")))
            .unwrap();
        assert!(text.contains(from), "{from} is not in {}", path.display());
        *text = text.replacen(from, to, 1);
    }

    /// Has every file but one say another version.
    fn roll(&mut self, from: &str, to: &str, but: &str) {
        for (path, text) in &mut self.files {
            if !path.ends_with(format!("{but}.score.yaml")) {
                *text = text.replace(from, to);
            }
        }
    }

    async fn apply(&self) {
        for (path, text) in &self.files {
            std::fs::write(path, text).unwrap();
        }
        let paths: Vec<&Path> = self.files.iter().map(|(path, _)| path.as_path()).collect();
        self.plane.apply(SHOP, &paths, &[]).await;
    }

    /// Every image that runs, in order.
    fn images(&self) -> Vec<String> {
        let path = format!("GET /apis/apps/v1/namespaces/{}/deployments", namespace(SHOP));
        let (status, found) = self.cluster.ask(&path, &Value::Null);
        assert_eq!(status, 200, "{found}");
        let containers =
            |it: &Value| it["spec"]["template"]["spec"]["containers"].as_array().unwrap().clone();
        let all = found["items"].as_array().unwrap().iter().flat_map(containers);
        let mut images: Vec<String> =
            all.map(|it| it["image"].as_str().unwrap().to_owned()).collect();
        images.sort();
        images
    }

    /// How many of those that run are of a version.
    fn of(&self, version: &str) -> usize {
        self.images().iter().filter(|image| image.ends_with(version)).count()
    }

    /// What Cairn applies for its workloads, but for secrets.
    async fn objects(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for node in self.plane.tree(SHOP).await.nodes {
            let id = format!("{}/{}", node.stream.kind(), node.stream.name());
            let Resource::Live(body) = self.plane.resource(&id).await else { panic!("{id}") };
            let Some(spec) = Workload::of(&body.spec) else { continue };
            let mut inputs = Inputs::default();
            for need in body.spec.needs() {
                let needed = self.plane.resource(&need.resource.to_string()).await;
                inputs.outputs.insert(need.resource, needed.body().unwrap().published());
            }
            let id = id.parse().unwrap();
            let target = Target { tenant: self.plane.tenant().clone(), id, uid: body.uid };
            let desired = Desired::new(Workload::desired(spec, &inputs).unwrap());
            let objects = workload(&target, spec, &inputs, desired.digest).unwrap();
            let open = objects.iter().filter(|object| object.secrets.is_empty());
            all.extend(open.map(|object| object.filled(&BTreeMap::new())));
        }
        all
    }

    /// What is on the cluster is what Cairn would apply: `kubectl` finds no difference.
    async fn is_settled(&self, folder: &Path) {
        let objects = self.objects().await;
        for kind in ["Deployment", "Service", "NetworkPolicy", "ServiceAccount"] {
            let of_it = objects.iter().filter(|object| object["kind"] == kind).count();
            assert!(of_it >= 2, "{of_it} of {kind}");
        }
        let texts: Vec<String> = objects.iter().map(ToString::to_string).collect();
        let set = Set::of("settled", &texts.join("\n---\n"), folder);
        assert_eq!(set.objects.len(), objects.len());
        // Each names its namespace itself.
        let paths = set.objects.keys().map(|key| (key.clone(), "/namespaces/".to_owned()));
        assert_eq!(set.diff(&self.cluster, &paths.collect()), "");
    }

    async fn deployment(&self) -> Deployment {
        let name = format!("dev_{SHOP}").parse().unwrap();
        let stream = StreamId::new(self.plane.tenant().clone(), deployment::KIND, name).unwrap();
        (*self.plane.executor.load_state::<Deployment>(&stream).await.unwrap().state).clone()
    }

    /// What fails is taken back, and soon.
    async fn is_strict(&self) {
        let plane = &self.plane;
        let stream =
            StreamId::new(plane.tenant().clone(), environment::KIND, "dev".parse().unwrap());
        let state = plane.executor.load_state::<Environment>(&stream.unwrap()).await.unwrap().state;
        let definition = state.definition.clone().unwrap();
        let definition = environment::Definition {
            rollback_on_failure: true,
            step_timeout_seconds: 20,
            ..definition
        };
        let command = environment::Command::Define { definition, at: now() };
        plane.put::<Environment>(environment::KIND, &"dev".parse().unwrap(), command).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_shop_is_rolled_forward_tried_broken_and_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut shop = Shop::start(folder.path()).await;
    shop.apply().await;
    shop.plane.deliver(SHOP).await;
    let all = shop.of(VERSION);
    assert!(all >= 2, "{:?}", shop.images());
    shop.is_settled(folder.path()).await;

    // Rolled forward, but for what the world sees.
    shop.roll(VERSION, ":v0.10.6", "frontend");
    shop.apply().await;
    shop.plane.deliver(SHOP).await;
    assert_eq!((shop.of(VERSION), shop.of(":v0.10.6")), (1, all - 1), "{:?}", shop.images());

    // What the world sees is tried beside the old, until somebody says that it is good.
    shop.change("frontend", VERSION, ":v0.10.6");
    shop.apply().await;
    shop.plane.begin(SHOP, Purpose::Deploy).await;
    let waits = async || shop.plane.blocker(FRONT).await.contains("has yet to be promoted");
    shop.plane.until("somebody to be asked", waits).await;
    assert_eq!((shop.of(VERSION), shop.of(":v0.10.6")), (1, all), "both run: {:?}", shop.images());
    let id: ResourceId = FRONT.parse().unwrap();
    let promote = Command::Promote { full: true, at: now() };
    let stream = id.stream(shop.plane.tenant());
    shop.plane.executor.execute::<Resource>(&stream, promote, context()).await.unwrap();
    shop.plane.ready(SHOP).await;
    // What was tried still runs while the last requests to it end.
    let alone = async || shop.images().len() == all;
    shop.plane.until("the trial to end", alone).await;
    assert_eq!((shop.of(VERSION), shop.of(":v0.10.6")), (0, all), "{:?}", shop.images());

    // Broken: one of them fits nowhere. All of it goes back by itself, also what was good.
    shop.is_strict().await;
    shop.roll(":v0.10.6", ":v0.10.7", "frontend");
    for cpu in ["220m", "200m"] {
        shop.change("cart", cpu, "1000");
    }
    shop.apply().await;
    shop.plane.begin(SHOP, Purpose::Deploy).await;
    let back = async || {
        let last = shop.deployment().await.rollout;
        last.is_some_and(|last| last.purpose == Purpose::Rollback)
    };
    shop.plane.until("it to be taken back", back).await;
    shop.plane.ready(SHOP).await;
    assert_eq!((shop.of(":v0.10.6"), shop.of(":v0.10.7")), (all, 0), "{:?}", shop.images());
    shop.is_settled(folder.path()).await;
    shop.plane.delete(SHOP).await;
    shop.plane.stop().await;
}

/// Threeport's first sample: a chart as it was rendered, with a database that keeps its disk.
#[tokio::test(flavor = "multi_thread")]
async fn the_sample_that_threeport_begins_with_is_delivered_as_it_is() {
    let cluster = ControlPlane::start(&Options { nodes: 3, ..Options::default() });
    let folder = tempfile::tempdir().unwrap();
    let plane = Plane::start_on(folder.path(), &cluster.kubeconfig()).await;
    let public = root().join("../shared/data/threeport/workload/wordpress-manifest-local.yaml");
    let own = root().join("samples/manifests/objects.yml");
    let set = Set::new(if public.is_file() { &public } else { &own }, folder.path());
    set.apply(&plane).await;
    settle(&plane, &set).await;
    let again = plane.plan(&set.name, Purpose::Deploy, None).await.unwrap();
    assert!(again.plan.steps.is_empty(), "{:?}", again.plan.steps);
    assert!(plane.resource(&set.id()).await.is_ready());
    plane.delete(&set.name).await;
    plane.stop().await;
}
