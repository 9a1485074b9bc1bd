//! The views in PostgreSQL: kept up, rebuilt and asked, each against the same rows written and read raw.

mod graphql;
mod raw;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _};
use journal::sqlite::SqliteJournal;
use journal::{Executor, Journal};
use projections::{Filter, PostgresViews, Sort, Views};
use servers::postgres::{Options, Postgres};

use crate::load;
use crate::report::Report;

/// Resources; each lives through 4 commits and 5 events.
const RESOURCES: u64 = 25_000;
/// Events of one resource.
const EVENTS: u64 = 5;
/// Questions in a row of each kind, by each asker.
const QUESTIONS: u64 = 4_000;
/// Who ask at the same time: as many as a replica has connections.
const ASKERS: u64 = 8;
/// The namespace of the views that are asked.
const SHOWN: &str = "followed_1";
/// The database of the server.
const DATABASE: &str = "postgres";

/// One server with syncing on, and what is measured on it.
struct Bench {
    server: Postgres,
    journal: Arc<dyn Journal>,
    resources: u64,
}

/// Fills a log, then shows it twice in each way, and writes and reads the same rows raw in between.
pub(crate) async fn measure(report: &mut Report, scale: u64) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let bench = Bench {
        server: Postgres::start(&Options { fsync: true, ..Options::default() }),
        journal: Arc::new(SqliteJournal::open(directory.path())?),
        resources: RESOURCES / scale,
    };
    bench.fill().await?;
    let followed = bench.follow(SHOWN).await?;
    let rows = raw::Rows::of(&bench.url(), SHOWN).await?;
    let inserted = bench.raw("inserted_1", async |client| rows.insert(client).await).await?;
    let inserted_again = bench.raw("inserted_2", async |client| rows.insert(client).await).await?;
    let followed_again = bench.follow("followed_2").await?;
    let (ours, theirs) = (mean(followed, followed_again), mean(inserted, inserted_again));
    report.ratio(
        "live views on PostgreSQL (events) / raw UNNEST",
        "/s",
        bench.rate(ours),
        bench.rate(theirs),
        0.5,
    );
    let rebuilt = bench.rebuild(SHOWN).await?;
    let copied = bench.raw("copied_1", async |client| rows.copy(client).await).await?;
    let copied_again = bench.raw("copied_2", async |client| rows.copy(client).await).await?;
    let rebuilt_again = bench.rebuild("followed_2").await?;
    let (ours, theirs) = (mean(rebuilt, rebuilt_again), mean(copied, copied_again));
    report.ratio(
        "rebuild on PostgreSQL (events) / raw COPY",
        "/s",
        bench.rate(ours),
        bench.rate(theirs),
        0.35,
    );
    bench.questions(report, scale).await?;
    graphql::measure(&bench, report, scale).await
}

fn mean(a: f64, b: f64) -> f64 {
    f64::midpoint(a, b)
}

impl Bench {
    fn url(&self) -> String {
        self.server.url_of(DATABASE)
    }

    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn rate(&self, seconds: f64) -> f64 {
        (self.resources * EVENTS) as f64 / seconds
    }

    async fn fill(&self) -> anyhow::Result<()> {
        let (executor, tenant) = (Executor::new(Arc::clone(&self.journal)), load::tenant()?);
        futures::stream::iter(0..self.resources)
            .map(|number| {
                let (executor, tenant) = (executor.clone(), tenant.clone());
                tokio::spawn(
                    async move { load::live(&executor, &load::stream(&tenant, number)?).await },
                )
            })
            .buffer_unordered(64)
            .map_err(anyhow::Error::from)
            .try_for_each(std::future::ready)
            .await
    }

    async fn views(&self, namespace: &str) -> anyhow::Result<Views> {
        let store = PostgresViews::open(&self.url(), namespace).await?;
        Ok(Views::open(Arc::new(store)).await?)
    }

    /// The whole log through the loop that keeps views up, into tables with all their indexes.
    async fn follow(&self, namespace: &str) -> anyhow::Result<f64> {
        let views = self.views(namespace).await?;
        let head = self.journal.head().await?;
        let wanted = views.clone();
        let start = Instant::now();
        let shutdown = async move {
            let _ = wanted.at_least(head, Duration::from_secs(600)).await;
        };
        projections::run(Arc::clone(&self.journal), views, shutdown).await?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// The whole log into new tables beside the old ones, their indexes, and the switch.
    async fn rebuild(&self, namespace: &str) -> anyhow::Result<f64> {
        let views = self.views(namespace).await?;
        let start = Instant::now();
        views.rebuild(&self.journal).await?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// Something done by hand in empty tables of the same shape.
    async fn raw(
        &self,
        namespace: &str,
        work: impl AsyncFnOnce(&tokio_postgres::Client) -> anyhow::Result<()>,
    ) -> anyhow::Result<f64> {
        drop(PostgresViews::open(&self.url(), namespace).await?);
        let client = raw::connect(&self.url(), namespace).await?;
        let start = Instant::now();
        work(&client).await?;
        Ok(start.elapsed().as_secs_f64())
    }

    async fn questions(&self, report: &mut Report, scale: u64) -> anyhow::Result<()> {
        let views = self.views(SHOWN).await?;
        let count = QUESTIONS / scale;
        let tenant = load::tenant()?;
        for askers in [1, ASKERS] {
            let by_id = async |number: u64| {
                let stream = load::stream(&tenant, number % self.resources)?;
                anyhow::ensure!(views.get(&stream, None).await?.is_some());
                Ok(())
            };
            let ours = asked(askers, count, by_id).await?;
            let raw =
                raw::asked(&self.url(), askers, count, self.resources, raw::Question::ById).await?;
            report.ratio(
                &format!("view by id on PostgreSQL, {askers} askers"),
                "/s",
                ours,
                raw,
                0.5,
            );
            let filter = Filter::of(tenant.clone(), &["database"]);
            let list = async |number: u64| {
                let after = load::stream(&tenant, number % self.resources)?.to_string();
                views.list(&filter, Sort::Name, Some(&after), 50, None).await?;
                Ok(())
            };
            let ours = asked(askers, count, list).await?;
            let raw =
                raw::asked(&self.url(), askers, count, self.resources, raw::Question::List).await?;
            report.ratio(
                &format!("list of 50 on PostgreSQL, {askers} askers"),
                "/s",
                ours,
                raw,
                0.5,
            );
        }
        Ok(())
    }
}

/// Questions a second, with so many under way at a time.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
async fn asked(
    askers: u64,
    count: u64,
    ask: impl AsyncFn(u64) -> anyhow::Result<()>,
) -> anyhow::Result<f64> {
    let start = Instant::now();
    let asking = (0..askers).map(async |asker| {
        for number in 0..count {
            ask(number * askers + asker).await?;
        }
        Ok::<_, anyhow::Error>(())
    });
    futures::future::try_join_all(asking).await?;
    Ok((askers * count) as f64 / start.elapsed().as_secs_f64())
}
