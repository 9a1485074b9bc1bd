//! What the processes of a resource write: read where they run, when somebody asks. None of it is kept, and none of it
//! goes into the log of what happened.
//!
//! # Guarantees
//! - Memory is bounded: whoever reads slowly slows the reading down.
//! - The values of secrets that the resource is given are blotted out of its lines.

mod followed;

use std::collections::HashSet;
use std::sync::Arc;

use domain::deployment::{self, Deployment};
use domain::{Name, Resource, ResourceId, StreamId, Tenant, Time};
use futures::StreamExt as _;
use futures::stream::{BoxStream, SelectAll};
use journal::{Executor, LoadError};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use followed::Followed;

use crate::driver::needs;
use crate::providers::{Providers, spec};
use crate::reconcile::{CallError, Target};

/// The longest line in bytes; what is longer is cut there.
pub const LINE_BYTES_MAX: usize = 16 * 1024;
/// Lines of each container where nobody says how many.
pub const TAIL: u32 = 100;
/// The most workloads that are followed at once. A deployment rarely has so many.
const WORKLOADS_MAX: usize = 100;

/// What is wanted of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogQuery {
    /// The container; every one where none is named.
    pub container: Option<String>,
    /// So many of the last lines of each container.
    pub tail: Option<u32>,
    /// Only lines of the last so many seconds.
    pub since_seconds: Option<u32>,
    /// Of the run before this one, such as the one that crashed.
    pub previous: bool,
    /// Goes on with what is written from now on, also by containers that start later.
    pub follow: bool,
}

/// A line of a log, or a word about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// The pod that wrote it, or that the word is about.
    pub pod: Option<String>,
    /// The container of the pod.
    pub container: Option<String>,
    /// When it was written.
    pub time: Option<Time>,
    /// The line, without its end.
    pub text: String,
    /// It is a word about the log, such as why a container has none yet.
    pub note: bool,
}

impl LogLine {
    /// A word about a log.
    pub fn note(text: impl Into<String>) -> Self {
        Self { pod: None, container: None, time: None, text: text.into(), note: true }
    }
}

/// Lines as they come. The last may be an error: there will be no more.
pub type LogLines = BoxStream<'static, Result<LogLine, CallError>>;

/// Why there is no log to be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Name another, or deploy it first.
    #[error("there is no deployment `{0}`")]
    NoDeployment(Name),
    /// Name one of these.
    #[error("{deployment} has no workload `{workload}`: it has {}", .known.join(", "))]
    NoWorkload {
        /// Where it was looked for.
        deployment: Name,
        /// What was looked for.
        workload: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Nothing in it writes a log.
    #[error("nothing of {0} writes a log")]
    NothingWrites(Name),
    /// Name one of its workloads.
    #[error("{deployment} has {found} workloads, and at most {WORKLOADS_MAX} are read at once")]
    TooMany {
        /// Which.
        deployment: Name,
        /// How many.
        found: usize,
    },
    /// Try again.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// Reads the logs of deployments, wherever their workloads run.
#[derive(Clone)]
pub struct Logs {
    executor: Executor,
    providers: Arc<Providers>,
}

impl Logs {
    /// Reads from whoever acts on each kind.
    #[must_use]
    pub fn new(executor: Executor, providers: Providers) -> Self {
        Self { executor, providers: Arc::new(providers) }
    }

    /// The lines of a deployment, or of one of its workloads; each with the name of its workload.
    ///
    /// # Errors
    /// See [`LogError`]. What cannot be read of one workload is said in the lines.
    pub async fn read(
        &self,
        tenant: &Tenant,
        name: &Name,
        workload: Option<&str>,
        query: &LogQuery,
    ) -> Result<BoxStream<'static, NamedLine>, LogError> {
        let stream = StreamId::new(tenant.clone(), deployment::KIND, name.clone())
            .map_err(|_| LogError::NoDeployment(name.clone()))?;
        let head = self.executor.journal().head().await.map_err(LoadError::from)?;
        let found = self.executor.load_state::<Deployment>(&stream).await?.state;
        if found.application.is_none() || found.deleted {
            return Err(LogError::NoDeployment(name.clone()));
        }
        let mut writers = Vec::new();
        for id in &found.members {
            writers.extend(self.of(tenant, name, id, query).await?);
        }
        if writers.is_empty() {
            return Err(LogError::NothingWrites(name.clone()));
        }
        if let Some(wanted) = workload {
            let known: Vec<String> = writers.iter().map(|writer| writer.short.clone()).collect();
            writers.retain(|writer| writer.short == wanted);
            if writers.is_empty() {
                let (deployment, workload) = (name.clone(), wanted.to_owned());
                return Err(LogError::NoWorkload { deployment, workload, known });
            }
        }
        if writers.len() > WORKLOADS_MAX {
            let found = writers.len();
            return Err(LogError::TooMany { deployment: name.clone(), found });
        }
        if query.follow {
            let followed = Followed {
                logs: self.clone(),
                tenant: tenant.clone(),
                deployment: name.clone(),
                only: workload.map(str::to_owned),
                query: query.clone(),
                news: self.executor.journal().follow(head),
                lines: SelectAll::new(),
                known: HashSet::new(),
            };
            return Ok(followed.with(writers).lines());
        }
        // One after the other, so that the same log is the same text.
        let lines = writers.into_iter().map(|writer| named(writer.short, writer.lines));
        Ok(futures::stream::iter(lines).flatten().boxed())
    }

    /// Who writes the lines of a resource; none where its kind writes none.
    async fn of(
        &self,
        tenant: &Tenant,
        deployment: &Name,
        id: &ResourceId,
        query: &LogQuery,
    ) -> Result<Option<Writer>, LogError> {
        let resource = self.executor.load_state::<Resource>(&id.stream(tenant)).await?.state;
        let (Some(uid), Some(spec)) = (resource.uid(), spec(&resource)) else { return Ok(None) };
        let target = Target { tenant: tenant.clone(), id: id.clone(), uid };
        let (inputs, _) = needs(&self.executor, &resource, &target).await?;
        let lines = self.providers.of(id.kind).logs(&target, spec, &inputs, query);
        let short = short(deployment, id);
        Ok(lines.map(|lines| Writer { id: id.clone(), uid, short, lines }))
    }
}

/// A line, and the workload that wrote it.
pub type NamedLine = (String, Result<LogLine, CallError>);

/// Whose lines can be read.
struct Writer {
    id: ResourceId,
    uid: Uuid,
    short: String,
    lines: LogLines,
}

fn named(short: String, lines: LogLines) -> BoxStream<'static, NamedLine> {
    lines.map(move |line| (short.clone(), line)).boxed()
}

/// What a member is called within its deployment: `dev_shop_web` is `web`.
fn short(deployment: &Name, id: &ResourceId) -> String {
    let name = id.name.as_str();
    let rest = name.strip_prefix(deployment.as_str()).and_then(|rest| rest.strip_prefix('_'));
    rest.unwrap_or(name).to_owned()
}
