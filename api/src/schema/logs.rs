//! What the workloads of a deployment write, as it is read where they run.

use async_graphql::{InputObject, SimpleObject};
use futures::{Stream, StreamExt as _};
use reconcilers::logs::LogError;
use reconcilers::{CallError, LogLine as Line, LogQuery};

use super::types::Timestamp;
use crate::fault::Fault;
use crate::plane::Plane;

/// The most lines of a container from its end that may be asked for.
const TAIL_MAX: u32 = 1_000_000;

/// Which lines. Every field left out lets everything through.
#[derive(Clone, Default, InputObject)]
pub(crate) struct LogFilter {
    /// Of this workload, by its name within the deployment.
    workload: Option<String>,
    /// Of this container.
    container: Option<String>,
    /// So many of the last lines of each container; 100 when it is not said.
    tail: Option<u32>,
    /// Only lines of the last so many seconds.
    since_seconds: Option<u32>,
    /// Of the run before this one, such as the one that crashed.
    #[graphql(default)]
    previous: bool,
    /// Goes on with what is written from now on, also by pods that start later.
    #[graphql(default)]
    follow: bool,
}

/// A line of a log, or a word about it.
#[derive(SimpleObject)]
pub(crate) struct LogLine {
    /// The workload, by its name within the deployment.
    workload: String,
    /// The pod that wrote it.
    pod: Option<String>,
    /// The container of the pod.
    container: Option<String>,
    /// When it was written.
    time: Option<Timestamp>,
    /// The line. Values of secrets that the workload is given are blotted out.
    text: String,
    /// It is no line, but a word about the log, such as why a container has none yet.
    note: bool,
}

/// Lines of a deployment. What is wrong with one workload is a word among the lines of the others.
pub(crate) async fn logs(
    plane: &Plane,
    deployment: &str,
    filter: LogFilter,
) -> Result<impl Stream<Item = Option<async_graphql::Result<LogLine>>> + use<>, Fault> {
    let Some(logs) = &plane.logs else {
        return Err(Fault::unavailable("this server sees no world, so it can read no logs"));
    };
    if filter.tail.is_some_and(|tail| tail > TAIL_MAX) {
        return Err(Fault::bad_input(format!("tail is at most {TAIL_MAX}")));
    }
    let name = deployment.parse().map_err(Fault::bad_input)?;
    let query = LogQuery {
        container: filter.container,
        tail: filter.tail,
        since_seconds: filter.since_seconds,
        previous: filter.previous,
        follow: filter.follow,
    };
    let lines = logs.read(&plane.tenant, &name, filter.workload.as_deref(), &query).await?;
    Ok(lines.map(|(workload, line)| Some(Ok(shown(workload, line)))))
}

fn shown(workload: String, line: Result<Line, CallError>) -> LogLine {
    let line = line.unwrap_or_else(|error| Line::note(error.to_string()));
    let Line { pod, container, time, text, note } = line;
    LogLine { workload, pod, container, time: time.map(Timestamp), text, note }
}

impl From<LogError> for Fault {
    fn from(error: LogError) -> Self {
        match error {
            LogError::NoDeployment(_)
            | LogError::NoWorkload { .. }
            | LogError::NothingWrites(_) => Self::no_log(error),
            LogError::TooMany { .. } => Self::bad_input(error),
            LogError::Load(error) => error.into(),
        }
    }
}
