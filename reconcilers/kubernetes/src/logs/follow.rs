//! Follows the pods of a workload: whatever begins to run is read, also what a rollout brings.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::runtime::{WatchStreamExt as _, watcher};
use reconcilers::LogLine;
use tokio::task::JoinSet;

use super::pods::{self, Container};
use super::reader::Reader;
use super::{ANSWER, CONTAINERS_MAX, Ended, NO_PODS, PODS_MAX, Shared, late, unknown, unread};
use crate::cluster::told;

/// A watch that breaks so often in a row is told of: once is nothing.
const BROKEN_MIN: u32 = 2;

/// A run of a container: the pod's uid, its name, and how often it was begun again.
type Run = (String, String, i32);

struct Following<'a> {
    shared: &'a Shared,
    readers: JoinSet<Result<(), Ended>>,
    /// Runs that were begun to be read.
    begun: BTreeSet<Run>,
    /// Why containers have no log yet, as it was last said.
    said: BTreeMap<(String, String), String>,
    /// The pods that were there before have been read of.
    listed: bool,
    /// All that was seen, for whoever named a container that is not among them.
    seen: Vec<Container>,
    left_out: bool,
}

/// Follows until nobody reads.
pub(super) async fn follow(shared: &Shared, selector: &str) -> Result<(), Ended> {
    reach(shared).await?;
    let config = watcher::Config::default().labels(selector).page_size(PODS_MAX);
    let mut events = pin!(watcher(shared.pods.clone(), config).default_backoff());
    let mut following = Following {
        shared,
        readers: JoinSet::new(),
        begun: BTreeSet::new(),
        said: BTreeMap::new(),
        listed: false,
        seen: Vec::new(),
        left_out: false,
    };
    let mut broken = 0;
    loop {
        let event = tokio::select! {
            Some(event) = events.next() => event,
            Some(ended) = following.readers.join_next() => {
                if let Ok(Err(Ended::Unread)) = ended {
                    return Err(Ended::Unread);
                }
                continue;
            }
            else => return Ok(()),
        };
        match event {
            Ok(event) => {
                broken = 0;
                following.take(event).await?;
            }
            Err(watcher::Error::InitialListFailed(kube::Error::Api(status)))
                if matches!(status.code, 401 | 403) =>
            {
                return Err(unread(&kube::Error::Api(status)).into());
            }
            Err(error) => {
                broken += 1;
                if broken == BROKEN_MIN {
                    let text = format!("the cluster is asked again: {}", told(&error));
                    shared.say(LogLine::note(text)).await?;
                }
            }
        }
    }
}

/// Whether the cluster answers at all: whoever begins to read is told at once where it does not.
async fn reach(shared: &Shared) -> Result<(), Ended> {
    let one = ListParams::default().limit(1);
    match tokio::time::timeout(ANSWER, shared.pods.list(&one)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(unread(&error).into()),
        Err(_) => Err(late().into()),
    }
}

impl Following<'_> {
    async fn take(&mut self, event: watcher::Event<Pod>) -> Result<(), Ended> {
        match event {
            watcher::Event::Init => Ok(()),
            watcher::Event::InitApply(pod) | watcher::Event::Apply(pod) => self.look(&pod).await,
            watcher::Event::InitDone => {
                if !self.listed && self.seen.is_empty() {
                    self.shared.say(LogLine::note(NO_PODS)).await?;
                } else if !self.listed && !self.seen.iter().any(|it| self.shared.wants(it)) {
                    self.shared.say(LogLine::note(unknown(self.shared, &self.seen))).await?;
                }
                self.listed = true;
                self.seen.clear();
                Ok(())
            }
            watcher::Event::Delete(pod) => {
                let uid = pod.metadata.uid.unwrap_or_default();
                self.begun.retain(|(pod, _, _)| *pod != uid);
                self.said.retain(|(pod, _), _| *pod != uid);
                Ok(())
            }
        }
    }

    async fn look(&mut self, pod: &Pod) -> Result<(), Ended> {
        for container in pods::containers(pod) {
            if !self.listed {
                self.seen.push(container.clone());
            }
            if !self.shared.wants(&container) {
                continue;
            }
            let of = (container.pod_uid.clone(), container.name.clone());
            if let Some(why) = &container.waiting {
                let said = self.said.insert(of, why.clone());
                if said.as_ref() != Some(why) {
                    let text = format!("it has no log yet: {why}");
                    self.shared.note(&container, text).await?;
                }
                continue;
            }
            self.begin(of, container).await?;
        }
        Ok(())
    }

    async fn begin(&mut self, of: (String, String), container: Container) -> Result<(), Ended> {
        let run = (of.0, of.1, container.run);
        if self.begun.contains(&run) {
            return Ok(());
        }
        if self.readers.len() >= CONTAINERS_MAX {
            if !std::mem::replace(&mut self.left_out, true) {
                let text =
                    format!("more than {CONTAINERS_MAX} containers write: some are left out");
                self.shared.say(LogLine::note(text)).await?;
            }
            return Ok(());
        }
        // A run that follows another, or that a rollout brought, is read from its beginning.
        let again = self.begun.iter().any(|(pod, name, _)| *pod == run.0 && *name == run.1);
        self.begun.insert(run);
        let reader = Reader::new(self.shared, &container);
        self.readers.spawn(reader.follow(self.listed || again));
        Ok(())
    }
}
