//! The logs of a workload's pods, read from its cluster while somebody reads them.
//!
//! # Flow
//! Its pods are listed, or followed · each container that has run is read by a reader of its own · all of them write
//! into one short queue, so whoever reads slowly slows them down. Nothing has to be watched already: a process that
//! only answers questions reads as well as the one that acts.

mod follow;
mod pods;
mod reader;

use std::sync::Arc;
use std::time::Duration;

use domain::SecretRef;
use domain::lifecycle::FailureClass;
use futures::{FutureExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client};
use reconcilers::{CallError, LogLine, LogLines, LogQuery, Target};
use tokio::sync::mpsc;

use crate::blot::Blot;
use crate::cluster::{Clusters, told};
use crate::labels::UID;
use crate::objects;
use pods::Container;
use reader::Reader;
pub(crate) use reader::next_line;

/// Lines that wait for whoever reads: enough that readers need not take turns for each.
const QUEUED_MAX: usize = 256;
/// The most pods of one workload that are looked through.
const PODS_MAX: u32 = 500;
/// The most containers of one workload that are read in one go.
const CONTAINERS_MAX: usize = 100;

/// How long a cluster may take to say which pods there are.
const ANSWER: Duration = Duration::from_secs(15);

/// Whose logs, and where they are.
pub(crate) struct Source {
    pub(crate) clusters: Arc<Clusters>,
    pub(crate) credentials: SecretRef,
    pub(crate) target: Target,
    /// What must not be shown.
    pub(crate) secrets: Vec<SecretRef>,
    pub(crate) query: LogQuery,
}

type Sender = mpsc::Sender<Result<LogLine, CallError>>;

/// Nobody reads any more, or nothing can be read.
enum Ended {
    Unread,
    Failed(CallError),
}

impl From<CallError> for Ended {
    fn from(error: CallError) -> Self {
        Self::Failed(error)
    }
}

/// The lines of a workload. Nothing is asked of the cluster before the first is wanted, nor once nobody reads.
pub(crate) fn lines(source: Source) -> LogLines {
    let begin = async move {
        let (sender, receiver) = mpsc::channel(QUEUED_MAX);
        tokio::spawn(async move {
            let reading = read(&source, &sender).boxed();
            let ended = tokio::select! { ended = reading => ended, () = sender.closed() => Ok(()) };
            if let Err(Ended::Failed(error)) = ended {
                // Nobody may be there to be told.
                let _ = sender.send(Err(error)).await;
            }
        });
        futures::stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|line| (line, receiver))
        })
    };
    futures::stream::once(begin).flatten().boxed()
}

/// What readers share.
#[derive(Clone)]
struct Shared {
    pods: Api<Pod>,
    blot: Arc<Blot>,
    query: LogQuery,
    sender: Sender,
}

impl Shared {
    async fn say(&self, line: LogLine) -> Result<(), Ended> {
        self.sender.send(Ok(line)).await.map_err(|_| Ended::Unread)
    }

    async fn note(&self, container: &Container, text: String) -> Result<(), Ended> {
        let (pod, name) = (Some(container.pod.clone()), Some(container.name.clone()));
        self.say(LogLine { pod, container: name, ..LogLine::note(text) }).await
    }

    /// Whether it is one of those that are wanted.
    fn wants(&self, container: &Container) -> bool {
        self.query.container.as_deref().is_none_or(|only| only == container.name)
    }
}

async fn read(source: &Source, sender: &Sender) -> Result<(), Ended> {
    let client: Client = source.clusters.client(&source.credentials).await?;
    let (_, namespace) = objects::address(&source.target);
    let shared = Shared {
        pods: Api::namespaced(client, &namespace),
        blot: Arc::new(Blot::of(&source.clusters, &source.secrets).await),
        query: source.query.clone(),
        sender: sender.clone(),
    };
    // Also of a new revision that is tried beside the old.
    let selector = format!("{UID} in ({}, {})", source.target.uid, source.target.canary().uid);
    match source.query.follow {
        true => follow::follow(&shared, &selector).await,
        false => once(&shared, &selector).await,
    }
}

/// Reads what there is, one container after the other.
async fn once(shared: &Shared, selector: &str) -> Result<(), Ended> {
    let parameters = ListParams::default().labels(selector).limit(PODS_MAX);
    let found = tokio::time::timeout(ANSWER, shared.pods.list(&parameters)).await;
    let found = found.map_err(|_| late())?.map_err(|error| unread(&error))?;
    let mut pods = found.items;
    pods.sort_by_cached_key(pods::order);
    let containers: Vec<Container> = pods.iter().flat_map(pods::containers).collect();
    if containers.is_empty() {
        return shared.say(LogLine::note(NO_PODS)).await;
    }
    let wanted: Vec<&Container> = containers.iter().filter(|it| shared.wants(it)).collect();
    if wanted.is_empty() {
        return shared.say(LogLine::note(unknown(shared, &containers))).await;
    }
    for container in wanted.iter().take(CONTAINERS_MAX) {
        match &container.waiting {
            Some(why) => shared.note(container, format!("it has no log yet: {why}")).await?,
            None => Reader::new(shared, container).read_all().await?,
        }
    }
    if wanted.len() > CONTAINERS_MAX {
        let text = format!("{} containers are left out: name one", wanted.len() - CONTAINERS_MAX);
        shared.say(LogLine::note(text)).await?;
    }
    Ok(())
}

/// What is said where nothing runs.
const NO_PODS: &str = "it has no pods now; `cairn trace` says what it waits for";

/// What is said where no container has the name that was asked for.
fn unknown(shared: &Shared, containers: &[Container]) -> String {
    let mut known: Vec<&str> = containers.iter().map(|it| it.name.as_str()).collect();
    known.sort_unstable();
    known.dedup();
    let wanted = shared.query.container.as_deref().unwrap_or_default();
    format!("it has no container `{wanted}`: it has {}", known.join(", "))
}

fn late() -> CallError {
    let message = format!("the cluster did not answer within {} s", ANSWER.as_secs());
    CallError { class: FailureClass::Retry, message }
}

/// A cluster's refusal, in its own words.
fn unread(error: &kube::Error) -> CallError {
    let words =
        if let kube::Error::Api(status) = error { status.message.clone() } else { told(error) };
    CallError { class: FailureClass::Retry, message: format!("the log cannot be read: {words}") }
}
