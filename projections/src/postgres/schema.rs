//! Which schema counts: one for each version of the tables, named by a pointer that is flipped in a transaction.
//!
//! `cairn.pointer` says, for each version of the tables, the number of the schema that counts:
//! `cairn_v<version>_<number>`. So programs of two versions run side by side, each on tables of its own, and a
//! rebuild fills the next number while the one before answers.

use tokio_postgres::{Client, Error};
use tracing::{info, warn};

use crate::sql::{self, SCHEMA};
use crate::store::StoreError;

/// The longest namespace: the names made of it stay well below PostgreSQL's 63 bytes.
const NAMESPACE_BYTES_MAX: usize = 40;
/// How long the old tables are waited for at a time, so that readers do not queue behind.
const DROP_WAIT: &str = "500ms";
/// How often that is tried, before they are left to the next rebuild.
const DROP_TRIES_MAX: u32 = 10;

/// The name of an installation's views in a database that may hold several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Namespace(String);

impl Namespace {
    pub(super) fn parse(name: &str) -> Result<Self, StoreError> {
        let letters = name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if letters
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.len() <= NAMESPACE_BYTES_MAX
        {
            return Ok(Self(name.to_owned()));
        }
        let reason = format!(
            "`{name}` is no namespace: a letter, then letters, digits and `_`, {NAMESPACE_BYTES_MAX} at most"
        );
        Err(StoreError::Unavailable { reason })
    }

    /// Also the channel on which wake-ups come.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The schema of the tables of this number.
    pub(super) fn schema(&self, number: i64) -> String {
        format!("{}_v{SCHEMA}_{number}", self.0)
    }

    /// The number that counts, if there is one.
    pub(super) async fn current(&self, client: &Client) -> Result<Option<i64>, Error> {
        let select = format!("SELECT number FROM {}.pointer WHERE version = $1", self.0);
        match client.query_opt(&select, &[&SCHEMA]).await {
            Ok(row) => row.map(|row| row.try_get(0)).transpose(),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes empty views, unless somebody else just did.
    pub(super) async fn begin(&self, client: &mut Client) -> Result<i64, Error> {
        let transaction = client.transaction().await?;
        let name = self.as_str();
        let lock = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
        transaction.execute(lock, &[&name]).await?;
        let make = format!(
            "CREATE SCHEMA IF NOT EXISTS {name}; CREATE TABLE IF NOT EXISTS {name}.pointer \
             (version BIGINT PRIMARY KEY, number BIGINT NOT NULL)"
        );
        transaction.batch_execute(&make).await?;
        let select = format!("SELECT number FROM {name}.pointer WHERE version = $1");
        if let Some(row) = transaction.query_opt(&select, &[&SCHEMA]).await? {
            return row.try_get(0);
        }
        let (number, schema) = (1, self.schema(1));
        transaction.batch_execute(&empty(&schema)).await?;
        transaction.batch_execute(sql::INDEXES_POSTGRES).await?;
        let insert = format!("INSERT INTO {name}.pointer (version, number) VALUES ($1, $2)");
        transaction.execute(&insert, &[&SCHEMA, &number]).await?;
        transaction.commit().await?;
        info!(schema, "views are begun");
        Ok(number)
    }

    /// Makes an empty schema for a rebuild: none when another process is rebuilding already.
    pub(super) async fn beside(&self, client: &Client) -> Result<Option<i64>, StoreError> {
        let lock = format!("{}:rebuild", self.0);
        let select = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))";
        if !client.query_one(select, &[&lock]).await?.try_get::<_, bool>(0)? {
            return Ok(None);
        }
        let current = self.current(client).await?.ok_or(StoreError::Replaced)?;
        self.sweep(client, current).await?;
        let number = current + 1;
        client.batch_execute(&empty(&self.schema(number))).await?;
        Ok(Some(number))
    }

    /// Makes a schema count in place of the one before, in one transaction: whoever wrote there is fenced off.
    pub(super) async fn promote(&self, client: &mut Client, number: i64) -> Result<(), StoreError> {
        let name = self.as_str();
        let before = number - 1;
        let transaction = client.transaction().await?;
        let flip =
            format!("UPDATE {name}.pointer SET number = $1 WHERE version = $2 AND number = $3");
        if transaction.execute(&flip, &[&number, &SCHEMA, &before]).await? == 0 {
            return Err(StoreError::Fenced);
        }
        let fence = format!("UPDATE {}.checkpoint SET epoch = epoch + 1", self.schema(before));
        transaction.execute(&fence, &[]).await?;
        transaction.execute("SELECT pg_notify($1, '')", &[&name]).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Removes the schemas of this version that do not count, and those of versions before the last one. Queries
    /// under way end first; what is still in use after some tries is left to the next rebuild.
    pub(super) async fn sweep(&self, client: &Client, current: i64) -> Result<(), Error> {
        let name = self.as_str();
        let before = format!(
            "DELETE FROM {name}.pointer WHERE version < (SELECT MAX(version) FROM {name}.pointer WHERE version < $1)"
        );
        client.execute(&before, &[&SCHEMA]).await?;
        let stale = format!(
            "SELECT s.nspname::text FROM pg_namespace s WHERE s.nspname ~ ('^' || $1 || '_v[0-9]+_[0-9]+$') AND ( \
             (s.nspname LIKE replace($2, '_', '\\_') || '%' AND s.nspname <> $3) OR NOT EXISTS ( \
             SELECT 1 FROM {name}.pointer p \
             WHERE s.nspname LIKE replace($1 || '_v' || p.version || '_', '_', '\\_') || '%'))"
        );
        let own = self.schema(current);
        let prefix = format!("{name}_v{SCHEMA}_");
        client.batch_execute(&format!("SET lock_timeout = '{DROP_WAIT}'")).await?;
        for row in client.query(&stale, &[&name, &prefix, &own]).await? {
            let schema: String = row.try_get(0)?;
            let mut tries = 0;
            while let Err(error) =
                client.batch_execute(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE")).await
            {
                tries += 1;
                if tries == DROP_TRIES_MAX || client.is_closed() {
                    warn!(schema, %error, "old views are left to the next rebuild");
                    break;
                }
            }
        }
        client.batch_execute("RESET lock_timeout").await
    }
}

/// Tables without the indexes that only readers need.
fn empty(schema: &str) -> String {
    format!(
        "DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}; SET search_path TO {schema}; {}",
        sql::SCHEMA_POSTGRES
    )
}

fn is_missing(error: &Error) -> bool {
    use tokio_postgres::error::SqlState;
    matches!(error.code(), Some(&(SqlState::UNDEFINED_TABLE | SqlState::INVALID_SCHEMA_NAME)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_a_plain_word() {
        assert_eq!(Namespace::parse("shop_2").unwrap().schema(3), format!("shop_2_v{SCHEMA}_3"));
        for wrong in ["", "2", "Shop", "a b", "a;drop", "ä", &"a".repeat(41)] {
            assert!(Namespace::parse(wrong).is_err(), "{wrong}");
        }
    }
}
