//! Where the log and the views of a server are: in its data folder, or past one machine.

use std::path::Path;
use std::sync::Arc;

use ::reconcilers::Leases;
use ::reconcilers::leases::Timing;
use ::reconcilers::leases::nats::NatsStore;
use api::Durability;
use journal::snapshots::Snapshots;
use journal::sqlite::SqliteSnapshots;
use journal::{Executor, Journal};
use projections::Views;

use super::{Settings, caused, log_folder, open_log, trouble, views_folder};
use crate::failure::{Exit, Failure, Outcome};
use crate::logs::{self, LogAt};

/// What a server stands on.
pub(super) struct Stores {
    /// The one write path.
    pub(super) executor: Executor,
    /// What an acknowledged change survives.
    pub(super) durability: Durability,
    /// What there is beside the log where others use it too.
    pub(super) beside: Option<Beside>,
}

/// What the servers of a log have beside it.
#[derive(Clone)]
pub(super) struct Beside {
    pub(super) client: journal::jetstream::Client,
    context: journal::jetstream::Context,
    replicas: usize,
}

/// Opens the log.
pub(super) async fn open(settings: &Settings) -> Outcome<Stores> {
    match &settings.journal {
        LogAt::Sqlite(_) => {
            let (executor, durability) = embedded(settings)?;
            Ok(Stores { executor, durability, beside: None })
        }
        LogAt::JetStream(options) => {
            let options =
                journal::jetstream::Options { require: settings.require, ..(**options).clone() };
            jetstream(&options).await
        }
    }
}

/// Opens the views.
pub(crate) async fn views(at: Option<&str>, data: &Path) -> Outcome<Views> {
    match at {
        None => {
            let folder = views_folder(data);
            Views::open_sqlite(&folder).await.map_err(|error| trouble::views(&folder, &error))
        }
        // The address may hold a password: it is not repeated.
        Some(url) => Views::open_postgres(url).await.map_err(|error| {
            caused(
                Failure::new(Exit::Unreachable, "the views on PostgreSQL cannot be used"),
                &error,
            )
        }),
    }
}

/// The shares of the work: all of it, where nobody else uses the log.
pub(super) async fn leases(beside: Option<&Beside>) -> Outcome<Leases> {
    let Some(Beside { context, replicas, .. }) = beside else { return Ok(Leases::alone()) };
    let store = NatsStore::open(context, *replicas).await.map_err(|error| {
        caused(Failure::new(Exit::Unreachable, "the leases on JetStream cannot be used"), &error)
    })?;
    Ok(Leases::join(Arc::new(store), Timing::default()))
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
    let snapshots =
        SqliteSnapshots::open(&folder).map_err(|error| trouble::log(&folder, &error))?;
    Ok((executor(journal, Arc::new(snapshots)), promised))
}

/// The log on JetStream, with what its servers proved to promise.
async fn jetstream(options: &journal::jetstream::Options) -> Outcome<Stores> {
    let journal = logs::connect(options).await?;
    let promise = journal.promise().clone();
    tracing::info!(durability = %promise.durability, servers = ?promise.servers, reasons = ?promise.reasons, "the log is open");
    for warning in &promise.warnings {
        tracing::warn!("{warning}");
    }
    let snapshots = journal.snapshots().await.map_err(|error| {
        caused(Failure::new(Exit::Unreachable, "the snapshots on JetStream cannot be used"), &error)
    })?;
    let (client, context) = (journal.client(), journal.context());
    let beside = Some(Beside { client, context, replicas: options.replicas });
    let executor = executor(Arc::new(journal), Arc::new(snapshots));
    Ok(Stores { executor, durability: promise.durability, beside })
}

fn executor(journal: Arc<dyn Journal>, snapshots: Arc<dyn Snapshots>) -> Executor {
    let settings = journal::Settings { snapshots: Some(snapshots), ..journal::Settings::default() };
    Executor::with(journal, settings)
}
