//! An archive becomes a folder, or is refused. Only plain files and folders are taken.
//!
//! # Guarantees
//! - Every path is checked before anything is written: names joined by `/` below one folder, each once.
//! - Bytes, files and the ratio of the two lengths are counted while reading, so a bomb is refused before it is big.
//! - Archives inside it are checked in the same way, for Helm unpacks them.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use domain::kinds::helm::is_file_path;
use flate2::read::MultiGzDecoder;
use tar::{Archive, Entry, EntryType};

use crate::{Error, lasting};

/// The largest archive.
pub const ARCHIVE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What all files may hold together, archives inside included. The largest public chart has 12 MB.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// What one file may hold (Helm: 5 MiB).
const FILE_BYTES_MAX: u64 = 5 * 1024 * 1024;
/// The most files and folders. The largest public chart has 600.
const ENTRIES_MAX: usize = 10_000;
/// How many times longer it may become. Public charts have 4 to 12.
const RATIO_MAX: u64 = 100;
/// From so many bytes on: a short text may repeat itself.
const RATIO_FROM: u64 = 1024 * 1024;
/// How deep archives may be within archives.
const NESTING_MAX: usize = 4;
/// How deep folders may be.
const DEPTH_MAX: usize = 24;
/// The longest name of a file or folder.
const NAME_MAX: usize = 200;

/// What has been read so far, archives within archives included.
#[derive(Default)]
struct Counted {
    bytes: u64,
    entries: usize,
}

/// Stops where there is more than there may be: headers and padding count, too.
struct Limited<R> {
    inner: R,
    left: u64,
}

const TOO_MUCH: &str = "it holds too much";

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(u64::try_from(read).unwrap_or(u64::MAX))
            .ok_or_else(|| io::Error::other(TOO_MUCH))?;
        Ok(read)
    }
}

/// Unpacks a chart's archive below a folder. Gives the chart's own folder.
///
/// # Errors
/// When it is none, or anything in it may not be there; then what was written so far is worth nothing.
pub fn unpack(archive: &[u8], folder: &Path) -> Result<PathBuf, Error> {
    let mut counted = Counted::default();
    let root = walk(archive, Some(folder), &mut counted, 0)?;
    let chart = folder.join(&root);
    if !chart.join("Chart.yaml").is_file() {
        return lasting(format!("the archive is no chart: there is no {root}/Chart.yaml"));
    }
    Ok(chart)
}

/// Checks an archive, and writes it where a folder is given. Gives the one folder that everything in it is in.
fn walk(
    archive: &[u8],
    folder: Option<&Path>,
    counted: &mut Counted,
    nesting: usize,
) -> Result<String, Error> {
    if archive.len() > ARCHIVE_BYTES_MAX {
        return lasting(format!(
            "the archive has {} bytes; at most {ARCHIVE_BYTES_MAX} are read",
            archive.len()
        ));
    }
    if nesting > NESTING_MAX {
        return lasting(format!("there are archives more than {NESTING_MAX} deep within archives"));
    }
    let packed = u64::try_from(archive.len()).unwrap_or(u64::MAX);
    let allowed = packed
        .saturating_mul(RATIO_MAX)
        .max(RATIO_FROM)
        .min(BYTES_MAX - counted.bytes.min(BYTES_MAX));
    let mut unpacked = Archive::new(Limited { inner: MultiGzDecoder::new(archive), left: allowed });
    let mut seen = BTreeSet::new();
    let mut root = None;
    for entry in unpacked.entries().map_err(unreadable)? {
        let mut entry = entry.map_err(unreadable)?;
        counted.entries += 1;
        if counted.entries > ENTRIES_MAX {
            return lasting(format!("the archive has more than {ENTRIES_MAX} files"));
        }
        let is_folder = match kind(&entry)? {
            Kind::Nothing => continue,
            Kind::Folder => true,
            Kind::File => false,
        };
        let path = checked_path(&entry)?;
        let first = path.split('/').next().unwrap_or_default().to_owned();
        if *root.get_or_insert_with(|| first.clone()) != first {
            return lasting(format!("the archive has more than one folder: `{first}` is another"));
        }
        if !is_folder && path == first {
            return lasting(format!("the archive's file `{path}` is in no folder"));
        }
        if !seen.insert((path.to_lowercase(), is_folder)) && !is_folder {
            return lasting(format!("the archive has `{path}` twice"));
        }
        if seen.contains(&(path.to_lowercase(), !is_folder)) {
            return lasting(format!("the archive has `{path}` as a file and as a folder"));
        }
        if !is_folder {
            take(&mut entry, &path, folder, counted, nesting)?;
        }
    }
    root.map_or_else(|| lasting("the archive is empty"), Ok)
}

enum Kind {
    File,
    Folder,
    /// A comment of git's, which is no file.
    Nothing,
}

#[allow(clippy::wildcard_enum_match_arm, reason = "whatever else there is, or will be, is neither")]
fn kind<R: Read>(entry: &Entry<'_, R>) -> Result<Kind, Error> {
    let path = entry.path_bytes();
    let path = String::from_utf8_lossy(&path);
    let path: String = path.chars().take(80).flat_map(char::escape_debug).collect();
    match entry.header().entry_type() {
        EntryType::Regular => Ok(Kind::File),
        EntryType::Directory => Ok(Kind::Folder),
        EntryType::XGlobalHeader => Ok(Kind::Nothing),
        EntryType::Symlink | EntryType::Link => {
            lasting(format!("`{path}` is a link; a chart has none"))
        }
        _ => lasting(format!("`{path}` is neither a file nor a folder")),
    }
}

/// The path of an entry, if it leads nowhere else.
fn checked_path<R: Read>(entry: &Entry<'_, R>) -> Result<String, Error> {
    let bytes = entry.path_bytes();
    let Ok(path) = std::str::from_utf8(&bytes) else {
        return lasting("the archive has a path that is not UTF-8");
    };
    let path = path.strip_prefix("./").unwrap_or(path).trim_end_matches('/');
    let shown: String = path.chars().take(80).flat_map(char::escape_debug).collect();
    let fits =
        path.split('/').count() <= DEPTH_MAX && path.split('/').all(|name| name.len() <= NAME_MAX);
    if is_file_path(path) && fits {
        Ok(path.to_owned())
    } else {
        lasting(format!("the archive has a path that it may not have: `{shown}`"))
    }
}

/// Reads a file, and writes it where a folder is given.
fn take<R: Read>(
    entry: &mut Entry<'_, R>,
    path: &str,
    folder: Option<&Path>,
    counted: &mut Counted,
    nesting: usize,
) -> Result<(), Error> {
    let mut bytes = Vec::new();
    entry.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    counted.bytes = counted.bytes.saturating_add(length);
    if length > FILE_BYTES_MAX || counted.bytes > BYTES_MAX {
        return lasting(format!("`{path}` makes the archive larger than a chart may be"));
    }
    if path.split('/').any(|name| name == "charts")
        && !path.contains("/templates/")
        && is_archive(&bytes)
    {
        let within = walk(&bytes, None, counted, nesting + 1);
        within.map_err(|error| Error::Lasting(format!("in `{path}`: {error}")))?;
    }
    folder.map_or(Ok(()), |folder| write(folder, path, &bytes))
}

/// By what it begins with: Helm goes by that, too.
fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// Writes a file of a chart below a folder.
///
/// # Errors
/// When its path leads elsewhere, or the folder cannot be written to.
pub fn write(folder: &Path, path: &str, bytes: &[u8]) -> Result<(), Error> {
    if !is_file_path(path) {
        return lasting(format!("`{path}` is not a file of a chart"));
    }
    let place = folder.join(path);
    let unwritten =
        |error: io::Error| Error::Passing(format!("`{path}` cannot be written: {error}"));
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent).map_err(unwritten)?;
    }
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).open(&place).map_err(unwritten)?;
    io::Write::write_all(&mut file, bytes).map_err(unwritten)
}

/// Checks the archives that a folder of a chart holds.
///
/// # Errors
/// As [`unpack`].
pub fn check_within(path: &str, bytes: &[u8]) -> Result<(), Error> {
    if !is_archive(bytes) {
        return Ok(());
    }
    let checked = walk(bytes, None, &mut Counted::default(), 1);
    checked.map(|_| ()).map_err(|error| Error::Lasting(format!("in `{path}`: {error}")))
}

fn unreadable(error: io::Error) -> Error {
    let words = if error.to_string().contains(TOO_MUCH) {
        "the archive holds more than its length allows for, or than a chart may".to_owned()
    } else {
        format!("the archive cannot be read: {error}")
    };
    Error::Lasting(words)
}
