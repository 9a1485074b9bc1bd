//! A log that somebody changed behind its back.

use std::path::Path;

use rusqlite::Connection;

use crate::Position;
use crate::sqlite::FILE;

/// Changes a letter in the middle of a commit of an embedded log whose program has ended: only the commit's seal tells.
///
/// # Errors
/// When the log cannot be written.
pub fn forge(folder: &Path, position: Position) -> Result<(), rusqlite::Error> {
    let log = Connection::open(folder.join(FILE))?;
    let forge = "UPDATE commits SET bytes = CAST(replace(CAST(bytes AS TEXT), '\"actor\"', '\"Actor\"') AS BLOB) \
                 WHERE position = $1";
    let changed = log.execute(forge, [i64::try_from(position.get()).unwrap_or(i64::MAX)])?;
    if changed == 1 { Ok(()) } else { Err(rusqlite::Error::QueryReturnedNoRows) }
}
