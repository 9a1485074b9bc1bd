//! One chart as an application of its own, on a real cluster.

use std::path::{Path, PathBuf};
use std::process::Command;

use domain::Resource;
use domain::plan::Purpose;
use serde_json::{Value, json};
use servers::kubernetes::ControlPlane;
use tests::samples::root;
use tests::{Plane, read_whole};

/// A release.
pub(crate) struct Release {
    /// The application.
    pub(crate) name: String,
    folder: PathBuf,
}

impl Release {
    /// A release of the tests' chart, in a folder of its own, applied to nothing yet.
    pub(crate) fn new(name: &str, directory: &Path) -> Self {
        let folder = directory.join(name);
        let release = Self { name: name.to_owned(), folder };
        copy(&root().join("tests/charts/shop"), &release.chart());
        release
    }

    /// The chart's folder.
    pub(crate) fn chart(&self) -> PathBuf {
        self.folder.join("shop")
    }

    /// Changes a file of the chart.
    pub(crate) fn edit(&self, path: &str, from: &str, to: &str) {
        let path = self.chart().join(path);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from}");
        std::fs::write(path, text.replace(from, to)).unwrap();
    }

    /// Writes the application's file, with these params.
    pub(crate) fn write(&self, params: &Value) {
        self.write_with(params, &json!({}));
    }

    /// The same, with more resources.
    pub(crate) fn write_with(&self, params: &Value, others: &Value) {
        let mut resources =
            json!({ "web": { "type": "helm", "class": "cluster", "params": params } });
        let others = others.as_object().unwrap().clone();
        resources.as_object_mut().unwrap().extend(others);
        let app = json!({ "name": self.name, "resources": resources });
        std::fs::write(self.file(), app.to_string()).unwrap();
    }

    /// The application's file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join("app.yaml")
    }

    /// The resource.
    pub(crate) fn id(&self) -> String {
        format!("helm/dev_{}_web", self.name)
    }

    /// Records a revision with these params, and delivers it.
    pub(crate) async fn deliver(&self, plane: &Plane, params: &Value) {
        self.write(params);
        plane.apply(&self.name, &[&self.file()], &[]).await;
        plane.deliver(&self.name).await;
    }

    /// Records a revision with these params, and begins to deliver it.
    pub(crate) async fn begin(&self, plane: &Plane, params: &Value) {
        self.write(params);
        plane.apply(&self.name, &[&self.file()], &[]).await;
        plane.begin(&self.name, Purpose::Deploy).await;
    }

    /// What would change, as paths.
    pub(crate) async fn planned(&self, plane: &Plane, params: &Value) -> Vec<String> {
        self.write(params);
        let _ = read_whole(&self.name, &[&self.file()], &[]);
        plane.apply(&self.name, &[&self.file()], &[]).await;
        let planned = plane.plan(&self.name, Purpose::Deploy, None).await.unwrap();
        let changes = planned.plan.steps.iter().flat_map(|step| &step.changes);
        changes.map(|change| change.path.clone()).collect()
    }

    /// What it waits for, in words; nothing when it is ready.
    pub(crate) async fn waits_for(&self, plane: &Plane) -> String {
        match plane.resource(&self.id()).await {
            Resource::Live(body) | Resource::Deleting(body, _) => {
                if body.is_ready() {
                    return String::new();
                }
                let failure = body.action.and_then(|action| action.failure);
                let failure = failure.map(|failure| failure.message);
                failure.or(body.blocker.map(|blocker| blocker.reason)).unwrap_or_default()
            }
            Resource::Gone(_) | Resource::Absent => "absent".into(),
        }
    }

    /// Waits until it says this.
    pub(crate) async fn says(&self, plane: &Plane, words: &[&str]) {
        let told = format!("{} to say {words:?}", self.name);
        let says = async || {
            let reason = self.waits_for(plane).await;
            words.iter().all(|word| reason.contains(word))
        };
        plane.until(&told, says).await;
    }

    /// What it published.
    pub(crate) async fn output(&self, plane: &Plane, name: &str) -> String {
        let Resource::Live(body) = plane.resource(&self.id()).await else {
            panic!("it is not there")
        };
        body.outputs[name].to_string()
    }

    /// Packages the chart. Gives the archive.
    pub(crate) fn package(&self) -> Vec<u8> {
        let made = Command::new(root().join("target/servers/helm"))
            .args(["package", "--destination"])
            .arg(&self.folder)
            .arg(self.chart())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        std::fs::read(self.folder.join("shop-1.0.0.tgz")).unwrap()
    }
}

/// An object of the cluster; nothing where there is none.
pub(crate) fn object(cluster: &ControlPlane, path: &str) -> Value {
    let (status, object) = cluster.ask(&format!("GET {path}"), &Value::Null);
    if status == 200 { object } else { Value::Null }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &place);
        } else {
            std::fs::copy(entry.path(), place).unwrap();
        }
    }
}
