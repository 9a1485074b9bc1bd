//! A folder as the place of an archive.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tempfile::Builder;
use tokio::task::spawn_blocking;

use super::{Put, Target, Unavailable};

/// What is being written has such a name; it is not listed.
const UNFINISHED: &str = ".unfinished-";
/// Unfinished files older than this are of a process that is gone: writing 64 MiB takes seconds.
const UNFINISHED_AGE_MAX: Duration = Duration::from_secs(3_600);

/// An archive in a folder. A thing is written beside its place, synced, and then takes the place if that is free.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Takes a folder; it is made with the first thing that is put. What crashed writers left is removed.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let folder = Self(path.into());
        folder.sweep();
        folder
    }

    fn sweep(&self) {
        let folders = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let files = folders.flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten());
        for file in files.flatten() {
            let old = file.metadata().and_then(|data| data.modified()).is_ok_and(|time| {
                SystemTime::now().duration_since(time).is_ok_and(|age| age > UNFINISHED_AGE_MAX)
            });
            if old && file.file_name().to_string_lossy().starts_with(UNFINISHED) {
                // Should it stay, it is in nobody's way.
                let _ = fs::remove_file(file.path());
            }
        }
    }

    async fn on_thread<T: Send + 'static>(
        path: PathBuf,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let done = spawn_blocking(move || {
            work(&path).map_err(|error| Unavailable::new(format!("{}: {error}", path.display())))
        });
        done.await.map_err(Unavailable::new)?
    }
}

impl Target for Folder {
    fn put<'a>(&'a self, name: &'a str, bytes: Vec<u8>) -> BoxFuture<'a, Result<Put, Unavailable>> {
        Self::on_thread(self.0.join(name), move |path| put(path, &bytes)).boxed()
    }

    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, Unavailable>> {
        Self::on_thread(self.0.join(name), |path| none_if_missing(fs::read(path))).boxed()
    }

    fn list<'a>(&'a self, folder: &'a str) -> BoxFuture<'a, Result<Vec<String>, Unavailable>> {
        Self::on_thread(self.0.join(folder), list).boxed()
    }

    fn describe(&self) -> String {
        self.0.display().to_string()
    }
}

fn put(path: &Path, bytes: &[u8]) -> io::Result<Put> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    let mut file = Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    let put = match file.persist_noclobber(path) {
        Ok(_) => Put::Done,
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Put::Present,
        Err(error) => return Err(error.error),
    };
    // The name is durable when the folder is, and the folder's own name when its parent is.
    File::open(folder)?.sync_all()?;
    if let Some(parent) = folder.parent() {
        File::open(parent)?.sync_all()?;
    }
    Ok(put)
}

fn list(path: &Path) -> io::Result<Vec<String>> {
    let Some(entries) = none_if_missing(fs::read_dir(path))? else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn none_if_missing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_put_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let target = Folder::new(folder.path().join("archive"));
        assert_eq!(target.list("a").await.unwrap(), Vec::<String>::new());
        assert_eq!(target.get("a/1").await.unwrap(), None);
        assert_eq!(target.put("a/2", b"two".into()).await.unwrap(), Put::Done);
        assert_eq!(target.put("a/1", b"one".into()).await.unwrap(), Put::Done);
        assert_eq!(target.put("a/1", b"other".into()).await.unwrap(), Put::Present);
        assert_eq!(target.get("a/1").await.unwrap(), Some(b"one".into()));
        assert_eq!(target.list("a").await.unwrap(), ["1", "2"]);
    }

    #[tokio::test]
    async fn half_a_thing_is_not_seen() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        let half = folder.path().join("a/.unfinished-x");
        fs::write(&half, "ha").unwrap();
        let target = Folder::new(folder.path());
        assert!(half.exists(), "somebody may be writing it");
        assert_eq!(target.list("a").await.unwrap(), Vec::<String>::new());
        let long_ago = SystemTime::now() - 2 * UNFINISHED_AGE_MAX;
        File::options().write(true).open(&half).unwrap().set_modified(long_ago).unwrap();
        let _ = Folder::new(folder.path());
        assert!(!half.exists());
    }
}
