//! Applications to test with: public Score documents, or the project's own where those are not there.

use std::path::{Path, PathBuf};

/// The repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The Score documents of a folder.
#[must_use]
pub fn score_files(folder: &Path) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.to_string_lossy().ends_with(".score.yaml")).collect();
    files.sort();
    files
}

/// The same, borrowed.
#[must_use]
pub fn paths(files: &[PathBuf]) -> Vec<&Path> {
    files.iter().map(PathBuf::as_path).collect()
}

/// One application.
pub struct Sample {
    /// What it is called.
    pub name: String,
    /// Its files.
    pub files: Vec<PathBuf>,
}

impl Sample {
    /// The images that its files leave open.
    #[must_use]
    pub fn images(&self) -> &'static [(&'static str, &'static str)] {
        match self.name.as_str() {
            "traderx" => &[("ingress", "registry.example/traderx/ingress:1")],
            _ => &[],
        }
    }
}

/// Every one.
#[must_use]
pub fn applications() -> Vec<Sample> {
    let shared = root().join("../shared/data/score");
    let own = root().join("samples/score");
    let base = if shared.is_dir() { shared } else { own };
    let mut applications = Vec::new();
    for file in score_files(&base) {
        let name = file.file_name().unwrap().to_str().unwrap();
        let name = name.replace(".score.yaml", "").replace("--", "-");
        applications.push(Sample { name, files: vec![file] });
    }
    for (name, folder) in [
        ("files", "specification--files"),
        ("boutique", "onlineboutique"),
        ("store", "aks-store-demo"),
        ("traderx", "traderx/services"),
    ] {
        let files = score_files(&base.join(folder));
        if !files.is_empty() {
            applications.push(Sample { name: name.to_owned(), files });
        }
    }
    // The AI variant of `product` takes the place of the other, beside the rest of the store.
    let with_ai = score_files(&base.join("aks-store-demo/with-ai"));
    if !with_ai.is_empty() {
        let rest = score_files(&base.join("aks-store-demo"));
        let rest = rest.into_iter().filter(|file| !file.ends_with("product.score.yaml"));
        let files = rest.chain(with_ai).collect();
        applications.push(Sample { name: "store-ai".to_owned(), files });
    }
    applications
}

/// The sample shop, nothing of which is protected from deletion, as a file in a folder.
#[must_use]
pub fn unprotected_shop(folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(root().join("samples/shop/app.yaml")).unwrap();
    let file = folder.join("app.yaml");
    let text = text.replace("db: {type: postgres, delete: protect}", "db: {type: postgres}");
    std::fs::write(&file, text).unwrap();
    file
}

/// Files of Kubernetes objects: what public charts become, or the project's own where those are not there.
#[must_use]
pub fn manifests() -> Vec<PathBuf> {
    let shared = root().join("../shared/data/manifests");
    let entries = std::fs::read_dir(shared).into_iter().flatten();
    let files = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|ending| ending == "yaml")).collect();
    files.sort();
    if files.is_empty() {
        files.push(root().join("samples/manifests/objects.yml"));
    }
    files
}
