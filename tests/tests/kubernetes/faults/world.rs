//! Applications of every sort on one cluster, and how all goes there when nothing is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::Resource;
use futures::future::join_all;
use serde_json::Value;
use servers::kubernetes::{ControlPlane, Faulty, Options};
use tempfile::TempDir;
use tests::Plane;

use super::found::{Found, Place};
use super::scenarios::{self, Application, Scenario};

/// What all applications share that have routes.
const GATEWAY: &str = "support-service/real_gateway";

/// What all of it uses: a disk is used once.
const DISKS: u32 = 40;

/// Everything that is done to applications of whatever sort, one after the other.
pub(super) const OPERATIONS: [&str; 6] = ["create", "change", "fix", "back", "shrink", "delete"];

/// What is there after an operation when nothing is wrong, and how many requests that takes.
pub(super) struct Calm {
    pub(super) objects: BTreeSet<String>,
    pub(super) requests: usize,
}

/// Applications of every sort on a cluster that misbehaves on command.
pub(super) struct World {
    pub(super) cluster: ControlPlane,
    pub(super) faulty: Arc<Faulty>,
    pub(super) folder: TempDir,
    pub(super) plane: Plane,
}

impl World {
    pub(super) async fn start() -> Self {
        let cluster = ControlPlane::start(&Options { disks: DISKS, ..Options::default() });
        let faulty = Arc::new(Faulty::start(&cluster));
        let folder = tempfile::tempdir().unwrap();
        let plane = Plane::start_on(folder.path(), &faulty.kubeconfig()).await;
        scenarios::certify(&plane).await;
        Self { cluster, faulty, folder, plane }
    }

    /// The same, with somebody who has seen nothing yet.
    pub(super) async fn begun_anew(self) -> Self {
        self.plane.stop().await;
        let plane = Plane::start_on(self.folder.path(), &self.faulty.kubeconfig()).await;
        scenarios::certify(&plane).await;
        Self { plane, ..self }
    }

    /// Does something to these applications at once, and gives what is there then.
    pub(super) async fn operate<'a>(
        &self,
        all: impl IntoIterator<Item = &'a Application>,
        operation: &str,
    ) -> Found {
        let all: Vec<&Application> = all.into_iter().collect();
        let folder = self.folder.path();
        join_all(all.iter().map(|one| one.operate(&self.plane, folder, operation))).await;
        let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
        Found::settled(&self.cluster, &names).await
    }

    /// How every operation goes, with one application of each sort.
    pub(super) async fn calm(&self) -> BTreeMap<(Scenario, &'static str), Calm> {
        let all = Scenario::ALL.map(|scenario| scenario.called("calm"));
        let mut days = BTreeMap::new();
        for operation in OPERATIONS {
            let of = || all.iter().filter(|one| one.scenario.has(operation));
            let _ = self.faulty.calls();
            let found = self.operate(of(), operation).await;
            let calls = self.faulty.calls();
            for Application { scenario, name } in of() {
                let objects = found.objects(name);
                assert_eq!(objects.is_empty(), operation == "delete", "{name}: {objects:?}");
                let requests = Place::called(name).of(&calls).count();
                days.insert((*scenario, operation), Calm { objects, requests });
            }
        }
        self.is_empty().await;
        days
    }

    /// Nothing is left of anything, and nothing of what it was in.
    pub(super) async fn is_empty(&self) {
        let resource = async || self.plane.resource(GATEWAY).await;
        let is_gone = async || matches!(resource().await, Resource::Gone(_));
        self.plane.until("what is shared to go", is_gone).await;
        let left = Found::look(&self.cluster).all();
        assert!(left.is_empty(), "{left:?}");
        let (_, left) = self.cluster.ask(
            "GET /api/v1/namespaces?labelSelector=app.kubernetes.io%2Fmanaged-by%3Dcairn",
            &Value::Null,
        );
        assert_eq!(left["items"].as_array().unwrap().len(), 0, "{left}");
    }
}
