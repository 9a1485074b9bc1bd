//! A disk so small that it can be filled.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Place;

/// The folder of a place that the disk is mounted on.
pub(crate) const MOUNTED: &str = "disk";
/// What fills it.
const BALLAST: &str = "ballast";
/// What is written at once. The last piece is cut where the disk ends.
const PIECE_BYTES: usize = 64 * 1024;

/// A small filesystem in memory. Dropping it removes it with all that is on it.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
    _place: Place,
}

impl SmallDisk {
    /// Mounts a disk of so many bytes, usable by everybody; none where this program may not mount.
    #[must_use]
    pub fn mount(bytes: u64) -> Option<Self> {
        let place = Place::new();
        let path = place.join(MOUNTED);
        std::fs::create_dir(&path).expect("a folder");
        let options = format!("size={bytes},mode=1777");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "cairn-test"]).arg(&path);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Self { path, _place: place })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fills it to the last byte.
    pub fn fill(&self) {
        let mut ballast = File::create(self.path.join(BALLAST)).expect("a file on the disk");
        while ballast.write_all(&[0; PIECE_BYTES]).is_ok() {}
    }

    /// Makes room again.
    pub fn free(&self) {
        std::fs::remove_file(self.path.join(BALLAST)).expect("a disk that was filled");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount(&self.path);
    }
}

/// Takes a disk away, also from under a process that still has files there.
pub(crate) fn unmount(path: &Path) {
    let _ = Command::new("umount").arg("--lazy").arg(path).output();
}
