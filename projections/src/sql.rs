//! The statements that write, in SQL that SQLite and PostgreSQL read alike. A number is first used in its order.

/// Changes whenever the tables do: views of another schema are rebuilt, never migrated.
pub(crate) const SCHEMA: i64 = 6;

/// The tables, in the SQLite dialect: `INTEGER PRIMARY KEY` is the row id itself.
pub(crate) const SCHEMA_SQLITE: &str = include_str!("sql/schema.sqlite.sql");

/// The tables, in the PostgreSQL dialect, with the indexes that writing needs.
pub(crate) const SCHEMA_POSTGRES: &str = include_str!("sql/schema.postgres.sql");

/// The other indexes, in the PostgreSQL dialect.
pub(crate) const INDEXES_POSTGRES: &str = include_str!("sql/indexes.postgres.sql");

/// The statistics of tables that were just filled.
pub(crate) const STATISTICS_POSTGRES: &str = include_str!("sql/statistics.postgres.sql");

pub(crate) const CLAIM: &str = "UPDATE checkpoint SET epoch = epoch + 1, stopped = NULL WHERE name = 'views' \
     RETURNING pos, epoch";

pub(crate) const CHECKPOINT: &str =
    "SELECT pos, epoch, stopped FROM checkpoint WHERE name = 'views'";

pub(crate) const STOP: &str =
    "UPDATE checkpoint SET stopped = $1 WHERE name = 'views' AND epoch = $2";

pub(crate) const MOVE_CHECKPOINT: &str =
    "UPDATE checkpoint SET pos = $1 WHERE name = 'views' AND pos = $2 AND epoch = $3";

pub(crate) const CLOSE_VERSION: &str =
    "UPDATE versions SET to_position = $1 WHERE from_position = $2";

pub(crate) const INSERT_VERSION: &str = "INSERT INTO versions (from_position, to_position, stream, tenant, \
     kind, name, resource, version, time, phase, ready, deployment, environment, application, class, uid, \
     since, generation, summary, doc) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)";

pub(crate) const INSERT_ACTIVITY: &str = "INSERT INTO activity (position, commit_id, time, tenant, stream, \
     version, actor, command, intent, causation_id, correlation_id, traceparent, events) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

pub(crate) const OPEN_EDGE: &str = "INSERT INTO edges (from_position, source, target, output, to_position) \
     VALUES ($1, $2, $3, $4, 9223372036854775807)";

pub(crate) const CLOSE_EDGE: &str = "UPDATE edges SET to_position = $1 \
     WHERE source = $2 AND target = $3 AND output = $4 AND to_position = 9223372036854775807";

pub(crate) const INSERT_HANDLE: &str = "INSERT INTO handles (handle, stream, since) VALUES ($1, $2, $3) \
     ON CONFLICT (handle, stream) DO NOTHING";

pub(crate) const INSERT_REVISION: &str = "INSERT INTO revisions (stream, number, position) VALUES ($1, $2, $3) \
     ON CONFLICT (stream, number) DO NOTHING";

pub(crate) const INSERT_MEMBERSHIP: &str = "INSERT INTO memberships (tenant, grouping, value, stream) \
     VALUES ($1, $2, $3, $4) ON CONFLICT (tenant, grouping, value, stream) DO NOTHING";

pub(crate) const HOLD: &str = "INSERT INTO quarantine (stream, position, version, time, reason, commits) \
     VALUES ($1, $2, $3, $4, $5, $6) \
     ON CONFLICT (stream) DO UPDATE SET commits = quarantine.commits + excluded.commits";

pub(crate) const RELEASE: &str = "DELETE FROM quarantine WHERE stream = $1";

/// Queries for every row of every view but the epoch, which counts runners: for whoever compares two stores.
pub const ROWS: [&str; 8] = [
    "SELECT * FROM versions ORDER BY from_position",
    "SELECT * FROM edges ORDER BY source, target, output, from_position",
    "SELECT * FROM activity ORDER BY position",
    "SELECT * FROM handles ORDER BY handle, stream",
    "SELECT * FROM revisions ORDER BY stream, number",
    "SELECT * FROM memberships ORDER BY tenant, grouping, value, stream",
    "SELECT * FROM quarantine ORDER BY stream",
    "SELECT name, pos, stopped FROM checkpoint",
];
