//! Reading: rows as plain values, prepared statements, snapshots.

use std::error::Error;

use bytes::{BufMut as _, BytesMut};
use deadpool_postgres::{Object, Pool};
use futures::future::try_join_all;
use futures::try_join;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Row, Statement as Prepared};

use crate::store::{Cells, Statement, StoreError, Value};

/// Statements kept prepared by a connection: more than there are shapes of queries in use at a time.
const STATEMENTS_MAX: usize = 256;

/// Answers statements; more than one of them in one snapshot. A connection that broke is replaced, once.
pub(super) async fn select(
    pool: &Pool,
    statements: &[Statement],
) -> Result<Vec<Vec<Cells>>, StoreError> {
    let client = pool.get().await?;
    match answer(&client, statements).await {
        Err(_) if client.is_closed() => {
            drop(client);
            Ok(cells(answer(&pool.get().await?, statements).await?)?)
        }
        answers => cells(answers?),
    }
}

/// Everything is on its way before the first answer is back: one round trip.
async fn answer(
    client: &Object,
    statements: &[Statement],
) -> Result<Vec<Vec<Row>>, tokio_postgres::Error> {
    if client.statement_cache.size() > STATEMENTS_MAX {
        client.statement_cache.clear();
    }
    let prepared = statements.iter().map(|statement| client.prepare_cached(&statement.text));
    let prepared = try_join_all(prepared).await?;
    let ask = |(prepared, statement)| ask(client, prepared, statement);
    if let ([prepared], [statement]) = (prepared.as_slice(), statements) {
        return Ok(vec![ask((prepared, statement)).await?]);
    }
    let begin = client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY");
    let answers = try_join_all(prepared.iter().zip(statements).map(ask));
    let (_, answers, ()) = try_join!(begin, answers, client.batch_execute("COMMIT"))?;
    Ok(answers)
}

async fn ask(
    client: &Object,
    prepared: &Prepared,
    statement: &Statement,
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let values: Vec<&(dyn ToSql + Sync)> =
        statement.values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
    client.query(prepared, &values).await
}

fn cells(answers: Vec<Vec<Row>>) -> Result<Vec<Vec<Cells>>, StoreError> {
    let row = |row: Row| {
        let values = (0..row.len()).map(|column| row.try_get::<_, Value>(column));
        let values = values.collect::<Result<Vec<_>, _>>().map_err(|_| StoreError::Shape)?;
        Ok(Cells::new(values))
    };
    answers.into_iter().map(|rows| rows.into_iter().map(row).collect()).collect()
}

type AnyError = Box<dyn Error + Sync + Send>;

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, AnyError> {
        match *ty {
            Type::INT8 => Ok(Self::Int(i64::from_sql(ty, raw)?)),
            Type::INT4 => Ok(Self::Int(i32::from_sql(ty, raw)?.into())),
            _ => Ok(Self::Text(String::from_sql(ty, raw)?)),
        }
    }

    fn from_sql_null(_: &Type) -> Result<Self, AnyError> {
        Ok(Self::Null)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT8 | Type::INT4) || <String as FromSql<'_>>::accepts(ty)
    }
}

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, AnyError> {
        match self {
            Self::Null => return Ok(IsNull::Yes),
            // The server takes a depth or a count for a smaller number.
            Self::Int(number) if *ty == Type::INT4 => out.put_i32(i32::try_from(*number)?),
            Self::Int(number) => out.put_i64(*number),
            Self::Text(text) => out.put_slice(text.as_bytes()),
        }
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        <Self as FromSql<'_>>::accepts(ty)
    }

    to_sql_checked!();
}
