//! Reading: a bounded pool of connections, and rows as plain values.

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};

use rusqlite::Connection;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};

use super::{READER_CACHE_KIB, connect};
use crate::store::{Cells, Checkpoint, Statement, StoreError, Value};

/// Connections that only read. Opened on the first need, at most `max`.
pub(super) struct Pool {
    path: PathBuf,
    max: usize,
    state: Mutex<Idle>,
    returned: Condvar,
}

#[derive(Default)]
struct Idle {
    connections: Vec<Connection>,
    opened: usize,
}

impl Pool {
    pub(super) fn new(path: PathBuf, max: usize) -> Self {
        Self { path, max, state: Mutex::default(), returned: Condvar::new() }
    }

    /// Lends a connection; waits for one when all are in use.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.take()?;
        let result = work(&mut connection);
        self.state.lock().unwrap_or_else(PoisonError::into_inner).connections.push(connection);
        self.returned.notify_one();
        result
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let mut idle = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(connection) = idle.connections.pop() {
                return Ok(connection);
            }
            if idle.opened < self.max {
                let connection = connect(&self.path, READER_CACHE_KIB)?;
                connection.pragma_update(None, "query_only", true)?;
                idle.opened += 1;
                return Ok(connection);
            }
            idle = self.returned.wait(idle).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

pub(super) fn checkpoint(connection: &mut Connection) -> Result<Checkpoint, StoreError> {
    let mut query = connection.prepare_cached(crate::sql::CHECKPOINT)?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Checkpoint { position: row.get(0)?, epoch: row.get(1)?, stopped: row.get(2)? })
    };
    Ok(query.query_row([], read)?)
}

/// Answers statements; more than one of them in one snapshot.
pub(super) fn select(
    connection: &mut Connection,
    statements: &[Statement],
) -> Result<Vec<Vec<Cells>>, StoreError> {
    if let [statement] = statements {
        return Ok(vec![select_one(connection, statement)?]);
    }
    let snapshot = connection.transaction()?;
    statements.iter().map(|statement| select_one(&snapshot, statement)).collect()
}

fn select_one(connection: &Connection, statement: &Statement) -> Result<Vec<Cells>, StoreError> {
    let mut query = connection.prepare_cached(&statement.text)?;
    let columns = query.column_count();
    let mut rows = query.query(rusqlite::params_from_iter(&statement.values))?;
    let mut answer = Vec::new();
    while let Some(row) = rows.next()? {
        let mut values = Vec::with_capacity(columns);
        for column in 0..columns {
            values.push(value(row.get_ref(column)?)?);
        }
        answer.push(Cells::new(values));
    }
    Ok(answer)
}

fn value(value: ValueRef<'_>) -> Result<Value, StoreError> {
    match value {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(number) => Ok(Value::Int(number)),
        ValueRef::Text(text) => {
            String::from_utf8(text.to_vec()).map(Value::Text).map_err(|_| StoreError::Shape)
        }
        ValueRef::Real(_) | ValueRef::Blob(_) => Err(StoreError::Shape),
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }
}
