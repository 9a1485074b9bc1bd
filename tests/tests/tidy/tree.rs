//! The files of the repository, as text.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Paths relative to the root, with `/`, and what is in them.
#[derive(Default)]
pub(crate) struct Tree(BTreeMap<String, String>);

impl Tree {
    /// What git tracks or would track. Binary files have an empty text.
    pub(crate) fn of_repository() -> Self {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output();
        let listed = match listed {
            Ok(output) if output.status.success() => output.stdout,
            Ok(output) => panic!("git ls-files: {}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => panic!("git is needed to list the files: {error}"),
        };
        let listed = String::from_utf8_lossy(&listed);
        let mut files = BTreeMap::new();
        for path in listed.split_terminator('\0') {
            // A file that was deleted but not yet committed is listed and not there.
            if let Ok(bytes) = std::fs::read(root.join(path)) {
                files.insert(path.to_owned(), String::from_utf8(bytes).unwrap_or_default());
            }
        }
        Self(files)
    }

    /// A tree for the tests of the rules.
    pub(crate) fn planted(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }

    /// Every file.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The files whose names end so.
    pub(crate) fn ending(&self, suffix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files().filter(move |(path, _)| path.ends_with(suffix))
    }

    /// What is in a file.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    /// Whether it is a file or a folder.
    pub(crate) fn has(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        path.is_empty()
            || self.0.contains_key(path)
            || self.0.keys().any(|file| file.starts_with(&folder))
    }
}
