//! Archives as the command line names them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use archive::target::Location;
use archive::{Bucket, Folder, Target};

use crate::failure::{Exit, Failure, Outcome};

/// Where an archive is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ArchiveAt {
    /// In a folder.
    Folder(PathBuf),
    /// In a bucket, on S3 or on what speaks S3.
    Bucket(Location),
}

impl FromStr for ArchiveAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("s3", _)) => text.parse().map(Self::Bucket).map_err(|e| format!("{e}")),
            Some((scheme, rest)) if rest.starts_with("//") => {
                Err(format!("an archive is in a folder or in s3://BUCKET/PREFIX, not on {scheme}"))
            }
            _ if text.is_empty() => Err("name a folder, or s3://BUCKET/PREFIX".to_owned()),
            Some(_) | None => Ok(Self::Folder(text.into())),
        }
    }
}

impl fmt::Display for ArchiveAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Bucket(location) => location.fmt(f),
        }
    }
}

impl ArchiveAt {
    /// The place itself. Credentials for a bucket are those of the environment.
    pub(crate) fn open(&self) -> Outcome<Arc<dyn Target>> {
        match self {
            Self::Folder(folder) => Ok(Arc::new(Folder::new(folder))),
            Self::Bucket(location) => {
                let variable = |name: &str| std::env::var(name).ok();
                let bucket = Bucket::open(location.clone(), &variable).map_err(|error| {
                    Failure::new(Exit::Invalid, format!("cannot use the archive {location}"))
                        .detail(error.to_string())
                });
                Ok(Arc::new(bucket?))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_named_by_folder_or_url() {
        let folder = |text: &str| assert_eq!(text.parse(), Ok(ArchiveAt::Folder(text.into())));
        ["archive", "/mnt/a", "./s3", "a:b", "s3/x"].into_iter().for_each(folder);
        let url = "s3://backups/cairn?endpoint=https://h:9000";
        let bucket: ArchiveAt = url.parse().unwrap();
        assert_eq!(bucket.to_string(), "s3://backups/cairn at https://h:9000");
        for wrong in ["", "s3:", "s3:backups", "s3://a:b@c", "gs://backups", "https://s3.example/b"]
        {
            assert!(wrong.parse::<ArchiveAt>().is_err(), "{wrong}");
        }
    }
}
