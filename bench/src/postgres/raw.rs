//! The same rows and the same questions without Cairn: `UNNEST`, `COPY`, prepared statements.

use std::time::Instant;

use anyhow::Context as _;
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _, TryStreamExt as _, pin_mut};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, NoTls};

use crate::load;

/// Rows of a raw transaction, of each table: as the views' own batches while they catch up.
const BATCH: usize = 2_000;

/// Connects to the tables of a namespace.
pub(super) async fn connect(url: &str, namespace: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    let schema = schema_of(&client, namespace).await?;
    client.batch_execute(&format!("SET search_path TO {schema}")).await?;
    Ok(client)
}

/// The schema of a namespace.
pub(super) async fn schema(url: &str, namespace: &str) -> anyhow::Result<String> {
    schema_of(&connect(url, namespace).await?, namespace).await
}

async fn schema_of(client: &Client, namespace: &str) -> anyhow::Result<String> {
    let like = format!("{}\\_v%", namespace.replace('_', "\\_"));
    let select = "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE $1";
    Ok(client.query_one(select, &[&like]).await?.try_get(0)?)
}

/// One column of some rows.
enum Column {
    Ints(Vec<i64>),
    Texts(Vec<Option<String>>),
}

/// One table's rows: in batches, column by column, and as the bytes of a `COPY`.
struct Table {
    name: String,
    insert: String,
    batches: Vec<Vec<Column>>,
    copied: Vec<Bytes>,
}

/// Every row that the views ended with.
pub(super) struct Rows(Vec<Table>);

impl Rows {
    pub(super) async fn of(url: &str, namespace: &str) -> anyhow::Result<Self> {
        let client = connect(url, namespace).await?;
        let names = ["versions", "activity", "edges", "handles", "revisions", "memberships"];
        let mut tables = Vec::new();
        for name in names {
            tables.push(Table::read(&client, name).await?);
        }
        Ok(Self(tables))
    }

    /// A transaction for every batch.
    pub(super) async fn insert(&self, client: &Client) -> anyhow::Result<()> {
        let mut prepared = Vec::new();
        for table in &self.0 {
            prepared.push(client.prepare(&table.insert).await?);
        }
        let batches = self.0.iter().map(|table| table.batches.len()).max().unwrap_or_default();
        for batch in 0..batches {
            client.batch_execute("BEGIN").await?;
            for (table, insert) in self.0.iter().zip(&prepared) {
                let Some(columns) = table.batches.get(batch) else { continue };
                let parameters = columns.iter().map(|column| match column {
                    Column::Ints(values) => values as &(dyn ToSql + Sync),
                    Column::Texts(values) => values,
                });
                client.execute(insert, &parameters.collect::<Vec<_>>()).await?;
            }
            client.batch_execute("COMMIT").await?;
        }
        Ok(())
    }

    /// One `COPY` a table.
    pub(super) async fn copy(&self, client: &Client) -> anyhow::Result<()> {
        for table in &self.0 {
            let sink = client.copy_in(&format!("COPY {} FROM STDIN BINARY", table.name)).await?;
            pin_mut!(sink);
            for bytes in &table.copied {
                sink.send(bytes.clone()).await?;
            }
            sink.finish().await?;
        }
        Ok(())
    }
}

impl Table {
    async fn read(client: &Client, name: &str) -> anyhow::Result<Self> {
        let rows = client.query(&format!("SELECT * FROM {name} ORDER BY 1"), &[]).await?;
        let statement = client.prepare(&format!("SELECT * FROM {name}")).await?;
        let is_int = |index: usize| {
            statement.columns().get(index).is_some_and(|column| *column.type_() == Type::INT8)
        };
        let count = statement.columns().len();
        let arrays = (0..count).map(|index| {
            format!("${}::{}[]", index + 1, if is_int(index) { "bigint" } else { "text" })
        });
        let arrays = arrays.collect::<Vec<_>>().join(", ");
        let insert = format!("INSERT INTO {name} SELECT * FROM unnest({arrays})");
        let mut batches = Vec::new();
        for chunk in rows.chunks(BATCH) {
            let column = |index: usize| -> anyhow::Result<Column> {
                Ok(if is_int(index) {
                    Column::Ints(
                        chunk.iter().map(|row| row.try_get(index)).collect::<Result<_, _>>()?,
                    )
                } else {
                    Column::Texts(
                        chunk.iter().map(|row| row.try_get(index)).collect::<Result<_, _>>()?,
                    )
                })
            };
            batches.push((0..count).map(column).collect::<anyhow::Result<_>>()?);
        }
        let copied = client.copy_out(&format!("COPY {name} TO STDOUT BINARY")).await?;
        let copied = copied.try_collect().await?;
        Ok(Self { name: name.to_owned(), insert, batches, copied })
    }
}

/// What is asked.
#[derive(Clone, Copy)]
pub(super) enum Question {
    ById,
    List,
}

/// Questions a second by so many connections, each statement prepared once, rows read as text.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(super) async fn asked(
    url: &str,
    askers: u64,
    count: u64,
    resources: u64,
    question: Question,
) -> anyhow::Result<f64> {
    const COLUMNS: &str = "SELECT stream, from_position, version, time, phase, ready, deployment, environment, \
         application, class, uid, since, generation, doc FROM versions WHERE ";
    let rest = match question {
        Question::ById => "stream = $1 ORDER BY from_position DESC LIMIT 1",
        Question::List => {
            "to_position = 9223372036854775807 AND tenant = 'bench' AND resource = 1 AND stream > $1 \
             ORDER BY stream LIMIT 51"
        }
    };
    let clients = futures::stream::iter(0..askers).then(|_| connect(url, "followed_1"));
    let clients: Vec<Client> = clients.try_collect().await?;
    let tenant = load::tenant()?;
    let start = Instant::now();
    let asking = clients.iter().zip(0..).map(async |(client, asker): (&Client, u64)| {
        let prepared = client.prepare(&format!("{COLUMNS}{rest}")).await?;
        for number in 0..count {
            let stream = load::stream(&tenant, (number * askers + asker) % resources)?.to_string();
            let rows = client.query(&prepared, &[&stream]).await?;
            for row in &rows {
                let _: &str = row.try_get(13).context("the document")?;
            }
        }
        Ok::<_, anyhow::Error>(())
    });
    futures::future::try_join_all(asking).await?;
    Ok((askers * count) as f64 / start.elapsed().as_secs_f64())
}
