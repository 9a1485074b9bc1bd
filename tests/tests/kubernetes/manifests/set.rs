//! One set of objects as an application of its own, on a real cluster.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use servers::kubernetes::ControlPlane;
use tests::{Plane, read_whole};

/// The namespace that public charts were rendered for.
pub(crate) const NAMESPACE: &str = "sup";
/// Objects longer than this are left out of `kubectl diff`, which takes seconds for each megabyte.
const DIFF_BYTES_MAX: usize = 60_000;

/// A set.
pub(crate) struct Set {
    /// The application.
    pub(crate) name: String,
    folder: PathBuf,
    /// Key → object, as it was read.
    pub(crate) objects: BTreeMap<String, Value>,
}

impl Set {
    /// A set of what is in a file, applied to nothing yet.
    pub(crate) fn new(file: &Path, folder: &Path) -> Self {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(file).unwrap();
        Self::of(&name, &text, folder)
    }

    /// A set of what a text says.
    pub(crate) fn of(name: &str, text: &str, folder: &Path) -> Self {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("objects.yaml"), text).unwrap();
        let mut set = Self { name: name.to_owned(), folder, objects: BTreeMap::new() };
        set.ask_for("");
        set
    }

    /// Writes the application's file, with more params.
    pub(crate) fn ask_for(&mut self, params: &str) {
        let file = self.file();
        let text = format!(
            "name: {}\nresources:\n  objects:\n    type: manifests\n    class: cluster\n    params:\n      files: [objects.yaml]\n      namespace: {NAMESPACE}\n      pod_security: privileged\n{params}",
            self.name
        );
        std::fs::write(&file, text).unwrap();
        let parsed = read_whole(&self.name, &[&file], &[]);
        let named = parsed.model.resources["objects"].params["objects"].clone();
        self.objects = named
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, digest)| {
                let json = &parsed.contents[digest.as_str().unwrap()];
                (key.clone(), serde_json::from_slice(json).unwrap())
            })
            .collect();
    }

    /// The application's file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join("app.yaml")
    }

    /// The resource.
    pub(crate) fn id(&self) -> String {
        format!("manifests/dev_{}_objects", self.name)
    }

    /// Writes what the objects say now, one document each.
    pub(crate) fn write(&mut self) {
        let documents: Vec<String> = self.objects.values().map(ToString::to_string).collect();
        std::fs::write(self.folder.join("objects.yaml"), documents.join("\n---\n")).unwrap();
        self.ask_for("");
    }

    /// Changes one object, adds one, and takes one out; gives the three keys.
    pub(crate) fn change(&mut self) -> [String; 3] {
        let of = |kind: &str| self.objects.keys().find(|key| key.contains(kind)).cloned();
        let changed = of(" Deployment ").or_else(|| of(" DaemonSet ")).unwrap();
        let taken = of(" ClusterRoleBinding ").or_else(|| of(" Service ")).unwrap();
        let added = format!("v1 ConfigMap {NAMESPACE}/added");
        let object = self.objects.get_mut(&changed).unwrap();
        object["spec"]["template"]["metadata"]["annotations"]["example.com/changed"] = json!("yes");
        self.objects.remove(&taken);
        let config = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": { "a": "b" },
            "metadata": { "name": "added", "namespace": NAMESPACE },
        });
        self.objects.insert(added.clone(), config);
        self.write();
        [changed, added, taken]
    }

    pub(crate) async fn apply(&self, plane: &Plane) {
        plane.apply(&self.name, &[&self.file()], &[]).await;
    }

    /// What `kubectl` would change about the objects; nothing, if they are what was asked for.
    pub(crate) fn diff(&self, cluster: &ControlPlane, paths: &BTreeMap<String, String>) -> String {
        let whole = self.objects.iter().map(|(key, object)| {
            let mut object = object.clone();
            if paths[key].contains("/namespaces/") {
                let own = object["metadata"]["namespace"].as_str().unwrap_or(NAMESPACE).to_owned();
                object["metadata"]["namespace"] = json!(own);
            }
            object.to_string()
        });
        let small: Vec<String> = whole.filter(|text| text.len() <= DIFF_BYTES_MAX).collect();
        let path = self.folder.join("diff.yaml");
        std::fs::write(&path, small.join("\n---\n")).unwrap();
        let mut command = Command::new(cluster.kubectl_program());
        command.arg(format!("--kubeconfig={}", cluster.kubeconfig_file().display()));
        command.args(["diff", "--server-side", "--force-conflicts", "--field-manager=somebody"]);
        command.arg("--filename").arg(path);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        text(&output.stdout) + &text(&output.stderr)
    }
}
