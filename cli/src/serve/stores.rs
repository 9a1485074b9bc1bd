//! Where the log and the views of a server are: in its data folder, or past one machine.

use std::sync::Arc;

use api::Durability;
use journal::snapshots::Snapshots;
use journal::sqlite::SqliteSnapshots;
use journal::{Executor, Journal};
use projections::Views;

use super::{Settings, caused, log_folder, open_log, unusable, views_folder};
use crate::failure::{Exit, Failure, Outcome};
use crate::logs::{self, LogAt};

/// What a server stands on.
pub(super) struct Stores {
    /// The one write path.
    pub(super) executor: Executor,
    /// What can be shown.
    pub(super) views: Views,
    /// What an acknowledged change survives.
    pub(super) durability: Durability,
}

/// Opens both.
pub(super) async fn open(settings: &Settings) -> Outcome<Stores> {
    let (executor, durability) = match &settings.journal {
        LogAt::Sqlite(_) => embedded(settings)?,
        LogAt::JetStream(options) => {
            let options =
                journal::jetstream::Options { require: settings.require, ..(**options).clone() };
            jetstream(&options).await?
        }
    };
    let views = match &settings.views {
        None => {
            let folder = views_folder(&settings.data);
            Views::open_sqlite(&folder).await.map_err(|error| unusable(&folder, error))?
        }
        Some(url) => Views::open_postgres(url).await.map_err(|error| {
            // The address may hold a password.
            caused(
                Failure::new(Exit::Unreachable, "the views on PostgreSQL cannot be used"),
                &error,
            )
        })?,
    };
    Ok(Stores { executor, views, durability })
}

/// The log of the data folder.
fn embedded(settings: &Settings) -> Outcome<(Executor, Durability)> {
    let promised = Durability::PowerLoss;
    if let Some(required) = settings.require.filter(|required| *required > promised) {
        let message = format!("the embedded log promises {promised}, and {required} is required");
        return Err(Failure::new(Exit::Invalid, message)
            .hint("use a log on three servers: --journal nats://...?replicas=3"));
    }
    let journal = open_log(&settings.data)?;
    let folder = log_folder(&settings.data);
    let snapshots = SqliteSnapshots::open(&folder).map_err(|error| unusable(&folder, error))?;
    Ok((executor(journal, Arc::new(snapshots)), promised))
}

/// The log on JetStream, with what its servers proved to promise.
async fn jetstream(options: &journal::jetstream::Options) -> Outcome<(Executor, Durability)> {
    let journal = logs::connect(options).await?;
    let promise = journal.promise().clone();
    tracing::info!(durability = %promise.durability, servers = ?promise.servers, reasons = ?promise.reasons, "the log is open");
    for warning in &promise.warnings {
        tracing::warn!("{warning}");
    }
    let snapshots = journal.snapshots().await.map_err(|error| {
        caused(Failure::new(Exit::Unreachable, "the snapshots on JetStream cannot be used"), &error)
    })?;
    Ok((executor(Arc::new(journal), Arc::new(snapshots)), promise.durability))
}

fn executor(journal: Arc<dyn Journal>, snapshots: Arc<dyn Snapshots>) -> Executor {
    let settings = journal::Settings { snapshots: Some(snapshots), ..journal::Settings::default() };
    Executor::with(journal, settings)
}
