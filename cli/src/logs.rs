//! Logs as the command line names them, and the folder they are in.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use journal::Journal;

use crate::failure::{Failure, Outcome};
use crate::serve;

/// Where a log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LogAt {
    /// In a data folder: this one, or the one of the command.
    Sqlite(Option<PathBuf>),
}

impl FromStr for LogAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "sqlite" => Ok(Self::Sqlite(None)),
            Some(("sqlite", folder)) if !folder.is_empty() => Ok(Self::Sqlite(Some(folder.into()))),
            _ => Err("write sqlite or sqlite:FOLDER".into()),
        }
    }
}

impl LogAt {
    /// Opens a log that is there.
    pub(crate) async fn open(&self, data: Option<PathBuf>) -> Outcome<Arc<dyn Journal>> {
        match self {
            Self::Sqlite(folder) => {
                let data = existing(folder.clone().or(data))?;
                Ok(serve::open_log(&data)?)
            }
        }
    }

    /// Opens a log, or makes it.
    pub(crate) async fn open_or_make(&self, data: Option<PathBuf>) -> Outcome<Arc<dyn Journal>> {
        match self {
            Self::Sqlite(folder) => {
                let data = serve::data_folder(folder.clone().or(data))?;
                Ok(serve::open_log(&data)?)
            }
        }
    }
}

/// A data folder that holds a log: nothing is made by looking.
pub(crate) fn existing(given: Option<PathBuf>) -> Outcome<PathBuf> {
    let data = serve::data_folder(given)?;
    if serve::log_folder(&data).is_dir() {
        Ok(data)
    } else {
        Err(Failure::not_found(format!("log in {}", data.display()))
            .hint("name the folder with --data-dir"))
    }
}

/// The secret key that signs anchors, and the public one beside it.
pub(crate) fn key_files(data: &Path) -> (PathBuf, PathBuf) {
    (data.join("anchor.key"), data.join("anchor.pub"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_named_by_their_sort_and_place() {
        assert_eq!("sqlite".parse(), Ok(LogAt::Sqlite(None)));
        assert_eq!("sqlite:a:b".parse(), Ok(LogAt::Sqlite(Some("a:b".into()))));
        for wrong in ["", "sqlite:", "postgres", "/a"] {
            assert!(LogAt::from_str(wrong).is_err(), "{wrong}");
        }
    }
}
