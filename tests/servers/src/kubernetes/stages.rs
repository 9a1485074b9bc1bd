//! What pods go through that only pretend: KWOK's own stages.

use std::path::{Path, PathBuf};

use crate::installed;

/// A pod with this label, said to be `true`, fails a second or two after its containers run. Annotations that begin so
/// say of what: `…/reason`, `…/exit-code`, `…/container-name`.
pub const CONTAINER_FAILS: &str = "pod-container-running-failed.stage.kwok.x-k8s.io";
/// The same before its containers run, in those that come before them.
pub const INIT_CONTAINER_FAILS: &str = "pod-init-container-running-failed.stage.kwok.x-k8s.io";

/// How pods live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stages {
    /// They are ready as soon as they have a node, and gone as soon as they are deleted.
    #[default]
    Fast,
    /// Each step takes one to five seconds: they are made, what comes before their containers runs and completes, they
    /// are ready. Those that are deleted take their grace.
    General,
    /// The same, and those that carry [`CONTAINER_FAILS`] or [`INIT_CONTAINER_FAILS`] fail.
    Chaos,
}

impl Stages {
    /// The files that KWOK is given, those of nodes among them.
    pub(super) fn files(self) -> Vec<PathBuf> {
        let mut files = files_of(&installed("kwok-stages"));
        if self != Self::Fast {
            files.retain(|file| !begins(file, "pod-"));
            files.extend(files_of(&installed("kwok-stages/general")));
        }
        if self == Self::Chaos {
            files.extend(files_of(&installed("kwok-stages/chaos")));
        }
        files
    }
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("stages").flatten();
    let files = entries.map(|entry| entry.path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect()
}

fn begins(file: &Path, with: &str) -> bool {
    file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(with))
}
