//! Where the archive of a test is kept: the suite runs over a folder, and over a bucket of a real server.

use std::path::PathBuf;
use std::sync::Arc;

use archive::target::Location;
use archive::{Bucket, Folder, Target};
use servers::moto::Moto;
use tempfile::TempDir;

/// What everything in a test's bucket begins with.
const PREFIX: &str = "some/place";

/// What sort of place a test is run over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sort {
    Folder,
    Bucket,
}

impl Sort {
    /// An empty place.
    pub(crate) fn place(self) -> Place {
        match self {
            Self::Folder => Place::Folder(tempfile::tempdir().unwrap()),
            Self::Bucket => Place::Bucket(Moto::shared().create_bucket()),
        }
    }
}

/// A place for one archive, and everything that can be done to it behind the archive's back.
pub(crate) enum Place {
    Folder(TempDir),
    /// By the bucket's name.
    Bucket(String),
}

impl Place {
    pub(crate) fn target(&self) -> Arc<dyn Target> {
        match self {
            Self::Folder(folder) => Arc::new(Folder::new(folder.path())),
            Self::Bucket(name) => Arc::new(bucket(name, Moto::shared().port())),
        }
    }

    /// The names in a folder of the archive that end like this, in order.
    pub(crate) fn names(&self, folder: &str, end: &str) -> Vec<String> {
        let mut names = match self {
            Self::Folder(place) => {
                let entries = std::fs::read_dir(place.path().join(folder)).unwrap();
                let names = entries.map(|entry| entry.unwrap().file_name());
                names.map(|name| format!("{folder}/{}", name.to_string_lossy())).collect()
            }
            Self::Bucket(bucket) => {
                let beginning = format!("{PREFIX}/{folder}/");
                let names = Moto::shared().names(bucket, &beginning).into_iter();
                let inner = |name: String| name.strip_prefix(PREFIX).unwrap()[1..].to_owned();
                names.map(inner).collect::<Vec<_>>()
            }
        };
        names.retain(|name| name.ends_with(end));
        names.sort();
        names
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        match self {
            Self::Folder(place) => std::fs::read(place.path().join(name)).unwrap(),
            Self::Bucket(bucket) => Moto::shared().read(bucket, &format!("{PREFIX}/{name}")),
        }
    }

    /// Puts something there, whatever was there before.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        match self {
            Self::Folder(place) => {
                let path: PathBuf = place.path().join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, bytes).unwrap();
            }
            Self::Bucket(bucket) => {
                Moto::shared().write(bucket, &format!("{PREFIX}/{name}"), bytes);
            }
        }
    }

    pub(crate) fn remove(&self, name: &str) {
        match self {
            Self::Folder(place) => std::fs::remove_file(place.path().join(name)).unwrap(),
            Self::Bucket(bucket) => Moto::shared().remove(bucket, &format!("{PREFIX}/{name}")),
        }
    }
}

/// A place in a bucket of the server on a port, or of what stands in front of it.
pub(crate) fn bucket(name: &str, port: u16) -> Bucket {
    let url = format!("s3://{name}/{PREFIX}?endpoint=http://127.0.0.1:{port}");
    let location: Location = url.parse().unwrap();
    Bucket::open(location, &key).unwrap()
}

/// Variables with a key that a test's server believes.
pub(crate) fn key(name: &str) -> Option<String> {
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].contains(&name).then(|| "test".to_owned())
}

/// Makes each test one over a folder and one over a bucket.
macro_rules! over_both {
    ($($name:ident),* $(,)?) => {
        mod folder {
            $(#[tokio::test] async fn $name() { super::$name(crate::place::Sort::Folder).await })*
        }
        mod bucket {
            $(#[tokio::test] async fn $name() { super::$name(crate::place::Sort::Bucket).await })*
        }
    };
}
pub(crate) use over_both;
