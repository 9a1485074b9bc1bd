//! Writing: a batch and its checkpoint in one transaction.

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::batch::{
    ActivityRow, Batch, EdgeChange, Handle, Held, Membership, RevisionRow, VersionRow,
};
use crate::sql::{self, SCHEMA};
use crate::store::{Checkpoint, StoreError};

/// Makes the tables in an empty file; refuses a file of another schema.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match found {
        0 => {
            transaction.execute_batch(sql::SCHEMA_SQLITE)?;
            transaction.pragma_update(None, "user_version", SCHEMA)?;
            Ok(transaction.commit()?)
        }
        SCHEMA => Ok(()),
        found => Err(StoreError::Schema { found, expected: SCHEMA }),
    }
}

/// Takes over. In a transaction of its own: a statement that commits when it ends gives its row before that, and
/// the row of a commit that then fails (a full disk) would be an epoch that nobody has.
pub(super) fn claim(connection: &mut Connection) -> Result<Checkpoint, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Checkpoint { position: row.get(0)?, epoch: row.get(1)?, stopped: None })
    };
    let checkpoint = transaction.prepare_cached(sql::CLAIM)?.query_row([], read)?;
    transaction.commit()?;
    Ok(checkpoint)
}

pub(super) fn stop(
    connection: &mut Connection,
    epoch: i64,
    reason: &str,
) -> Result<(), StoreError> {
    let stopped = connection.prepare_cached(sql::STOP)?.execute(params![reason, epoch])?;
    if stopped == 0 { Err(StoreError::Fenced) } else { Ok(()) }
}

pub(super) fn apply(
    connection: &mut Connection,
    epoch: i64,
    batch: &Batch,
) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let moved = transaction
        .prepare_cached(sql::MOVE_CHECKPOINT)?
        .execute(params![batch.to, batch.from, epoch])?;
    if moved == 0 {
        return Err(StoreError::Fenced);
    }
    close(&transaction, &batch.closed)?;
    versions(&transaction, &batch.versions)?;
    activity(&transaction, &batch.activity)?;
    edges(&transaction, &batch.edges)?;
    handles(&transaction, &batch.handles)?;
    revisions(&transaction, &batch.revisions)?;
    memberships(&transaction, &batch.memberships)?;
    hold(&transaction, &batch.held)?;
    if let Some(stream) = &batch.released {
        transaction.prepare_cached(sql::RELEASE)?.execute([stream.to_string()])?;
    }
    Ok(transaction.commit()?)
}

fn close(transaction: &Transaction<'_>, closed: &[(i64, i64)]) -> Result<(), StoreError> {
    let mut update = transaction.prepare_cached(sql::CLOSE_VERSION)?;
    for (from_position, to_position) in closed {
        update.execute([to_position, from_position])?;
    }
    Ok(())
}

fn versions(transaction: &Transaction<'_>, rows: &[VersionRow]) -> Result<(), StoreError> {
    let mut insert = transaction.prepare_cached(sql::INSERT_VERSION)?;
    for row in rows {
        let (stream, columns) = (&row.stream, &row.columns);
        insert.execute(params![
            row.from_position,
            row.to_position,
            stream.to_string(),
            stream.tenant().as_str(),
            stream.kind(),
            stream.name().as_str(),
            i64::from(stream.resource().is_some()),
            row.version,
            row.time,
            columns.phase,
            i64::from(columns.ready),
            columns.deployment,
            columns.environment,
            columns.application,
            columns.class,
            columns.uid,
            columns.since,
            columns.generation,
            columns.summary,
            row.doc,
        ])?;
    }
    Ok(())
}

fn activity(transaction: &Transaction<'_>, rows: &[ActivityRow]) -> Result<(), StoreError> {
    let mut insert = transaction.prepare_cached(sql::INSERT_ACTIVITY)?;
    for row in rows {
        insert.execute(params![
            row.position,
            row.commit_id,
            row.time,
            row.stream.tenant().as_str(),
            row.stream.to_string(),
            row.version,
            row.actor,
            row.command,
            i64::from(row.intent),
            row.causation_id,
            row.correlation_id,
            row.traceparent,
            row.events,
        ])?;
    }
    Ok(())
}

fn edges(transaction: &Transaction<'_>, changes: &[EdgeChange]) -> Result<(), StoreError> {
    let mut open = transaction.prepare_cached(sql::OPEN_EDGE)?;
    let mut close = transaction.prepare_cached(sql::CLOSE_EDGE)?;
    for change in changes {
        let (statement, edge, at) = match change {
            EdgeChange::Opened { edge, at } => (&mut open, edge, at),
            EdgeChange::Closed { edge, at } => (&mut close, edge, at),
        };
        statement.execute(params![at, edge.source, edge.target, edge.output])?;
    }
    Ok(())
}

fn handles(transaction: &Transaction<'_>, rows: &[Handle]) -> Result<(), StoreError> {
    let mut insert = transaction.prepare_cached(sql::INSERT_HANDLE)?;
    for row in rows {
        insert.execute(params![row.handle, row.stream.to_string(), row.since])?;
    }
    Ok(())
}

fn revisions(transaction: &Transaction<'_>, rows: &[RevisionRow]) -> Result<(), StoreError> {
    let mut insert = transaction.prepare_cached(sql::INSERT_REVISION)?;
    for row in rows {
        insert.execute(params![row.stream.to_string(), row.number, row.position])?;
    }
    Ok(())
}

fn memberships(transaction: &Transaction<'_>, rows: &[Membership]) -> Result<(), StoreError> {
    let mut insert = transaction.prepare_cached(sql::INSERT_MEMBERSHIP)?;
    for row in rows {
        let tenant = row.stream.tenant().as_str();
        insert.execute(params![tenant, row.grouping, row.value, row.stream.to_string()])?;
    }
    Ok(())
}

fn hold(transaction: &Transaction<'_>, rows: &[Held]) -> Result<(), StoreError> {
    let mut insert = transaction.prepare_cached(sql::HOLD)?;
    for row in rows {
        let Held { stream, position, version, time, reason, commits } = row;
        insert.execute(params![stream.to_string(), position, version, time, reason, commits])?;
    }
    Ok(())
}
