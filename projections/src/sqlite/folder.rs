//! Which file counts.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names the file that counts; the first where it is missing.
const CURRENT: &str = "current";
/// The number of the first file.
const FIRST: u64 = 1;

/// The folder of the views.
#[derive(Clone)]
pub(super) struct Folder(Arc<Path>);

impl Folder {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        Ok(Self(path.into()))
    }

    pub(super) fn file(&self, number: u64) -> PathBuf {
        self.0.join(format!("views-{number}.db"))
    }

    /// The number of the file that counts. Whatever else a crash left behind is removed.
    pub(super) fn current(&self) -> io::Result<u64> {
        let number = match fs::read_to_string(self.0.join(CURRENT)) {
            Ok(text) => text.trim().parse().unwrap_or(FIRST),
            Err(error) if error.kind() == io::ErrorKind::NotFound => FIRST,
            Err(error) => return Err(error),
        };
        self.remove(number + 1)?;
        if let Some(before) = number.checked_sub(1) {
            self.remove(before)?;
        }
        Ok(number)
    }

    /// Makes a file count, at once and for good, and removes the one before. Whoever has that open reads on.
    pub(super) fn set_current(&self, number: u64) -> io::Result<()> {
        let beside = self.0.join("current.new");
        let mut file = fs::File::create(&beside)?;
        writeln!(file, "{number}")?;
        file.sync_all()?;
        fs::rename(&beside, self.0.join(CURRENT))?;
        fs::File::open(&self.0)?.sync_all()?;
        number.checked_sub(1).map_or(Ok(()), |before| self.remove(before))
    }

    pub(super) fn remove(&self, number: u64) -> io::Result<()> {
        for suffix in ["", "-wal", "-shm"] {
            match fs::remove_file(self.0.join(format!("views-{number}.db{suffix}"))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}
