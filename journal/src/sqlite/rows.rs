//! Reading commits from rows: every one that leaves here has had its seal and its index entries checked.

use domain::StreamId;
use domain::commit::{BrokenCommit, Sealed};
use rusqlite::{Connection, OptionalExtension as _, Row, ToSql};
use uuid::Uuid;

use crate::chain::Tip;
use crate::{Breakage, JournalError, Loaded, Position, Recorded, Token};

/// A row as stored.
struct Stored {
    position: Position,
    stream: String,
    first_version: i64,
    commit_id: [u8; 16],
    bytes: Box<[u8]>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT position, stream, first_version, commit_id, bytes FROM commits ", $rest)
    };
}

/// A number for SQLite, whose integers are signed. No log grows so long that it matters.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unavailable(error: &rusqlite::Error) -> JournalError {
    JournalError::Unavailable { reason: error.to_string() }
}

fn position(row: &Row<'_>) -> rusqlite::Result<Position> {
    row.get::<_, i64>(0).map(|number| Position::new(number.unsigned_abs()))
}

fn stored(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok(Stored {
        position: position(row)?,
        stream: row.get(1)?,
        first_version: row.get(2)?,
        commit_id: row.get(3)?,
        bytes: row.get_ref(4)?.as_blob()?.into(),
    })
}

fn recorded(stored: Stored) -> Result<Recorded, JournalError> {
    let Stored { position, stream, first_version, commit_id, bytes } = stored;
    let damaged = |breakage: Breakage| JournalError::Damaged {
        position,
        stream: stream.parse().ok(),
        breakage: Box::new(breakage),
    };
    let sealed = Sealed::open(bytes).map_err(|broken: BrokenCommit| damaged(broken.into()))?;
    let commit = &sealed.commit;
    let actual = (commit.stream.to_string(), signed(commit.first_version), commit.commit_id);
    if (stream.as_str(), first_version, &commit_id)
        != (actual.0.as_str(), actual.1, actual.2.as_bytes())
    {
        let stated = format!("{stream} {first_version} {}", Uuid::from_bytes(commit_id));
        let actual = format!("{} {} {}", actual.0, actual.1, actual.2);
        return Err(damaged(Breakage::Index { stated, actual }));
    }
    Ok(Recorded { position, sealed: sealed.into() })
}

fn many(
    connection: &Connection,
    sql: &str,
    parameters: &[&dyn ToSql],
) -> Result<Vec<Stored>, JournalError> {
    let read = || {
        let mut statement = connection.prepare_cached(sql)?;
        statement.query_map(parameters, stored)?.collect::<rusqlite::Result<Vec<_>>>()
    };
    read().map_err(|error| unavailable(&error))
}

fn one(
    connection: &Connection,
    sql: &str,
    parameters: &[&dyn ToSql],
) -> Result<Option<Recorded>, JournalError> {
    let read = || {
        let mut statement = connection.prepare_cached(sql)?;
        statement.query_row(parameters, stored).optional()
    };
    read().map_err(|error| unavailable(&error))?.map(recorded).transpose()
}

/// The last position of the log; its commit is checked.
pub(super) fn head(connection: &Connection) -> Result<Position, JournalError> {
    let last = one(connection, select!("ORDER BY position DESC LIMIT 1"), &[])?;
    Ok(last.map_or(Position::START, |last| last.position))
}

/// The commits of a stream after a version, and its token.
pub(super) fn load(
    connection: &Connection,
    stream: &StreamId,
    after_version: u64,
) -> Result<Loaded, JournalError> {
    // The token is read first: should the stream grow in between, the commits tell the newer one. The other
    // way round, the token could be newer than what was read. Of a whole stream the commits tell all.
    let token = if after_version == 0 { Token::EMPTY } else { token(connection, stream)? };
    let commits = many(
        connection,
        select!("WHERE stream = ?1 AND first_version > ?2 ORDER BY first_version"),
        &[&stream.to_string(), &signed(after_version)],
    )?;
    let commits: Vec<_> = commits.into_iter().map(recorded).collect::<Result<_, _>>()?;
    let token = commits.last().map_or(token, |last| Token::at(last.position));
    Ok(Loaded { commits, token })
}

/// Where a stream ends.
pub(super) fn token(connection: &Connection, stream: &StreamId) -> Result<Token, JournalError> {
    let sql = "SELECT position FROM commits WHERE stream = ?1 ORDER BY first_version DESC LIMIT 1";
    let read = || {
        let mut statement = connection.prepare_cached(sql)?;
        statement.query_row([stream.to_string()], position).optional()
    };
    let last = read().map_err(|error| unavailable(&error))?;
    Ok(last.map_or(Token::EMPTY, Token::at))
}

/// The end of a stream, as an append must know it.
pub(super) fn tip(connection: &Connection, stream: &StreamId) -> Result<Tip, JournalError> {
    let sql = select!("WHERE stream = ?1 ORDER BY first_version DESC LIMIT 1");
    Ok(one(connection, sql, &[&stream.to_string()])?.as_ref().map(Tip::of).unwrap_or_default())
}

/// A commit by its id.
pub(super) fn find(
    connection: &Connection,
    commit_id: Uuid,
) -> Result<Option<Recorded>, JournalError> {
    one(connection, select!("WHERE commit_id = ?1"), &[commit_id.as_bytes()])
}

/// Where a commit is, by its id.
pub(super) fn find_position(
    connection: &Connection,
    commit_id: Uuid,
) -> rusqlite::Result<Option<Position>> {
    let mut statement =
        connection.prepare_cached("SELECT position FROM commits WHERE commit_id = ?1")?;
    statement.query_row([commit_id.as_bytes()], position).optional()
}

/// The next commits of the log, up to the first damaged one; an error if that is the very next.
pub(super) fn after(
    connection: &Connection,
    after: Position,
    count_max: usize,
) -> Result<Vec<Recorded>, JournalError> {
    let sql = select!("WHERE position > ?1 ORDER BY position LIMIT ?2");
    let stored = many(connection, sql, &[&signed(after.get()), &signed(count_max as u64)])?;
    let mut whole = Vec::with_capacity(stored.len());
    for stored in stored {
        match recorded(stored) {
            Ok(recorded) => whole.push(recorded),
            Err(error) if whole.is_empty() => return Err(error),
            Err(_) => break,
        }
    }
    Ok(whole)
}
