//! An application whose revisions are tried: one workload with a share of the traffic, one as a whole beside the old.

use std::path::Path;

use domain::lifecycle::Command;
use domain::plan::Purpose;
use domain::{Resource, ResourceId};
use tests::{Plane, context, now};

/// Does that to it, and waits until it is done.
pub(super) async fn operate(plane: &Plane, folder: &Path, name: &str, operation: &str) {
    let trial = Trial { plane, folder, name };
    match operation {
        "create" => trial.apply(1, 1).await,
        // Both are tried to the end.
        "change" => {
            let before = (trial.generation("web").await, trial.generation("other").await);
            trial.apply(2, 2).await;
            trial.promoted("web", before.0).await;
            trial.promoted("other", before.1).await;
        }
        // What is tried is replaced by something newer, which is tried to the end.
        "fix" => {
            let before = trial.generation("web").await;
            trial.apply(3, 2).await;
            let before = trial.tried("web", before).await;
            trial.apply(4, 2).await;
            trial.promoted("web", before).await;
        }
        // What is tried is given up: what runs is wanted again.
        "back" => {
            let before = trial.generation("web").await;
            trial.apply(5, 2).await;
            trial.tried("web", before).await;
            trial.apply(4, 2).await;
        }
        "shrink" => trial.apply(4, 0).await,
        // While something is tried.
        _ => {
            let before = trial.generation("web").await;
            trial.apply(6, 0).await;
            trial.tried("web", before).await;
            return plane.delete(name).await;
        }
    }
    plane.ready(name).await;
    trial.is_over("web").await;
    if operation != "shrink" {
        trial.is_over("other").await;
    }
}

struct Trial<'a> {
    plane: &'a Plane,
    folder: &'a Path,
    name: &'a str,
}

impl Trial<'_> {
    /// Wants these versions; of the second workload none at all where that is 0.
    async fn apply(&self, web: u32, other: u32) {
        let name = self.name;
        let route = |workload: &str| {
            format!(
                "  {workload}: {{type: route, params: {{workload: {workload}, host: {name}.test, path: /{workload}}}}}\n"
            )
        };
        let mut routes = route("web");
        let mut workloads = format!(
            "  web:\n    image: registry.example/web:{web}\n    port: 8080\n    replicas: 2\n    \
             strategy: {{canary: {{steps: [{{weight: 20, approval: true}}, {{weight: 60}}], drain: 1s}}}}\n"
        );
        if other > 0 {
            routes += &route("other");
            workloads += &format!(
                "  other:\n    image: registry.example/other:{other}\n    port: 8080\n    \
                 strategy: {{blue-green: {{approval: true, drain: 1s}}}}\n"
            );
        }
        let text = format!("name: {name}\nresources:\n{routes}workloads:\n{workloads}");
        let file = self.folder.join(format!("{name}.yaml"));
        std::fs::write(&file, text).unwrap();
        self.plane.apply(name, &[&file], &[]).await;
        self.plane.begin(name, Purpose::Deploy).await;
    }

    fn id(&self, workload: &str) -> String {
        format!("workload/dev_{}_{workload}", self.name)
    }

    async fn generation(&self, workload: &str) -> u64 {
        self.plane.resource(&self.id(workload)).await.body().map_or(0, |body| body.generation)
    }

    /// Waits until a newer generation is tried and has yet to be promoted, or runs: where what runs was not seen to be
    /// well, nothing is compared with it. Gives which.
    async fn tried(&self, workload: &str, before: u64) -> u64 {
        let id = self.id(workload);
        let is_tried = async || {
            let Resource::Live(body) = self.plane.resource(&id).await else { return false };
            if body.generation <= before {
                return false;
            }
            match &body.canary {
                Some(canary) => {
                    canary.generation == body.generation
                        && canary.shifted
                        && self.plane.blocker(&id).await.contains("has yet to be promoted")
                }
                None => body.is_ready(),
            }
        };
        self.plane.until(&format!("{id} to be tried"), is_tried).await;
        self.generation(workload).await
    }

    /// The same, and promotes it where it is tried.
    async fn promoted(&self, workload: &str, before: u64) {
        self.tried(workload, before).await;
        let id: ResourceId = self.id(workload).parse().unwrap();
        let resource = self.plane.resource(&self.id(workload)).await;
        if resource.body().is_some_and(|body| body.canary.is_some()) {
            let stream = id.stream(self.plane.tenant());
            let promote = Command::Promote { full: false, at: now() };
            self.plane.executor.execute::<Resource>(&stream, promote, context()).await.unwrap();
        }
    }

    /// Waits until nothing is tried any more.
    async fn is_over(&self, workload: &str) {
        let id = self.id(workload);
        let is_over = async || {
            let Resource::Live(body) = self.plane.resource(&id).await else { return false };
            body.canary.is_none() && body.is_ready()
        };
        self.plane.until(&format!("{id} to be as before"), is_over).await;
    }
}
