//! How each store goes about a question, for the tests that show that none reads a whole table.

use std::sync::atomic::{AtomicU32, Ordering};

use servers::postgres::Postgres;

use crate::postgres::{PLANNING, PostgresViews};
use crate::sql::{SCHEMA, SCHEMA_SQLITE};
use crate::store::{Statement, Value};

/// Rows that make the statistics of PostgreSQL say something.
const FILL: &str = "INSERT INTO versions SELECT n, CASE WHEN n > 9000 THEN 9223372036854775807 ELSE n + 1000 END, \
     'ev.acme.bucket.b' || n % 1000, 'acme', 'bucket', 'b' || n % 1000, 1, n / 1000 + 1, n, 'ready', n % 2, \
     'dev_shop' || n % 50, 'dev', 'shop' || n % 50, 'bucket_c' || n % 5, NULL, n, 1, NULL, '{}' \
     FROM generate_series(1, 10000) n; \
     INSERT INTO memberships SELECT DISTINCT 'acme', g.name, g.value, v.stream FROM versions v CROSS JOIN LATERAL \
     (VALUES ('deployment', v.deployment), ('environment', v.environment), ('application', v.application), \
     ('class', v.class)) AS g(name, value); \
     INSERT INTO activity SELECT n, n::text, n, 'acme', 'ev.acme.bucket.b' || n % 1000, n / 1000 + 1, 'user:anna', \
     'Declare', n % 2, NULL, n::text, NULL, '[]' FROM generate_series(1, 10000) n; \
     INSERT INTO edges SELECT 'ev.acme.workload.w' || n, 'ev.acme.cluster.c' || n % 10, '', n, 9223372036854775807 \
     FROM generate_series(1, 5000) n; ANALYZE;";

/// How SQLite does it.
pub(crate) fn sqlite(statement: &Statement) -> String {
    let connection = rusqlite::Connection::open_in_memory().unwrap();
    connection.execute_batch(SCHEMA_SQLITE).unwrap();
    let mut explain =
        connection.prepare(&format!("EXPLAIN QUERY PLAN {}", statement.text)).unwrap();
    let lines =
        explain.query_map(rusqlite::params_from_iter(&statement.values), |row| row.get(3)).unwrap();
    lines.map(Result::unwrap).collect::<Vec<String>>().join("; ")
}

/// Views in PostgreSQL to be asked about, empty or with some rows.
pub(crate) struct Explainer {
    schema: String,
}

impl Explainer {
    pub(crate) fn new(filled: bool) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let namespace = format!("explain{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let server = Postgres::shared();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(PostgresViews::open(&server.url(), &namespace)).unwrap();
        let schema = format!("{namespace}_v{SCHEMA}_1");
        if filled {
            server.query("postgres", &format!("SET search_path TO {schema}; {FILL}")).unwrap();
        }
        Self { schema }
    }

    /// The plan that a reader's connection makes once and keeps.
    pub(crate) fn plan(&self, statement: &Statement) -> String {
        let settings = PLANNING.iter().map(|(name, value)| format!("SET {name} = {value}; "));
        let values = statement.values.iter().map(|value| match value {
            Value::Null => "NULL".to_owned(),
            Value::Int(number) => number.to_string(),
            Value::Text(text) => format!("'{}'", text.replace('\'', "''")),
        });
        let values = values.collect::<Vec<_>>().join(", ");
        let values = if values.is_empty() { values } else { format!("({values})") };
        let sql = format!(
            "SET search_path TO {}; {} PREPARE q AS {}; EXPLAIN (COSTS OFF) EXECUTE q{values}",
            self.schema,
            settings.collect::<String>(),
            statement.text
        );
        let rows = Postgres::shared().query("postgres", &sql).unwrap();
        let lines = rows.into_iter().flatten().flatten().map(|line| line.trim().to_owned());
        lines.collect::<Vec<_>>().join("; ")
    }
}
