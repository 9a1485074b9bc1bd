//! Folders of servers, removed with them.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Once;

use tempfile::TempDir;

use crate::disk;

/// What the folders' names begin with.
const PREFIX: &str = "cairn-server-";
/// Held by whoever uses a folder, in the folder.
const LOCK: &str = "in-use";

/// A folder under the system's one for temporary files, with a short path, because sockets need one.
///
/// Those that a killed test program left behind are removed by the next one.
#[derive(Debug)]
pub struct Place {
    folder: TempDir,
    _lock: File,
}

impl Place {
    /// Makes a folder that others can pass through: a server may run as another user.
    #[must_use]
    pub fn new() -> Self {
        static SWEPT: Once = Once::new();
        SWEPT.call_once(sweep);
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o711)).expect("its mode");
        let lock = File::create(folder.path().join(LOCK)).expect("a lock file");
        lock.lock().expect("nobody else knows the folder");
        Self { folder, _lock: lock }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path in it.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

/// Removes the folders whose owners are gone: nobody holds their locks.
fn sweep() {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let lock = ours.then(|| File::open(entry.path().join(LOCK)).ok()).flatten();
        // A folder without a lock file is just being made.
        if lock.is_some_and(|lock| lock.try_lock().is_ok()) {
            disk::unmount(&entry.path().join(disk::MOUNTED));
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
