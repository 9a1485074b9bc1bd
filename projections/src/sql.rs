//! The statements that write, in SQL that SQLite and PostgreSQL read alike. A number is first used in its order.

/// The tables, in the SQLite dialect: `INTEGER PRIMARY KEY` is the row id itself.
pub(crate) const SCHEMA_SQLITE: &str = include_str!("sql/schema.sqlite.sql");

pub(crate) const CLAIM: &str =
    "UPDATE checkpoint SET epoch = epoch + 1 WHERE name = 'views' RETURNING pos, epoch";

pub(crate) const MOVE_CHECKPOINT: &str =
    "UPDATE checkpoint SET pos = $1 WHERE name = 'views' AND pos = $2 AND epoch = $3";

pub(crate) const CLOSE_VERSION: &str =
    "UPDATE versions SET to_position = $1 WHERE from_position = $2";

pub(crate) const INSERT_VERSION: &str = "INSERT INTO versions (from_position, to_position, stream, tenant, \
     kind, name, resource, version, time, phase, ready, deployment, environment, application, class, uid, \
     summary, doc) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";

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
