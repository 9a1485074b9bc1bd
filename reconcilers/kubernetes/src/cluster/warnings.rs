//! What a cluster warns of: Kubernetes' events of the type `Warning` about objects in namespaces of ours.
//!
//! They are seen by a watch of their own. A cluster that does not let us read them is no worse for it.

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::Arc;

use domain::Time;
use domain::lifecycle::Notice;
use futures::StreamExt as _;
use k8s_openapi::api::events::v1::Event;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use tracing::debug;

use super::{Cluster, Shared, told};
use crate::objects::Key;

/// The most warnings that are kept of a namespace: the newest. Each is about one object and for one reason.
const KEPT_MAX: usize = 64;
/// What was warned of longer ago is over, or would have been said again (Kubernetes: a series is told of every six
/// minutes).
const FRESH_MICROS: i64 = 10 * 60 * 1_000_000;
/// The most characters of a message.
const MESSAGE_MAX: usize = 300;
/// As for objects: a watch is made anew after so many seconds.
const WATCH_SECONDS: u32 = 240;
/// Events of one page when they are listed.
const PAGE: u32 = 500;

/// A warning about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Warning {
    kind: String,
    name: String,
    uid: String,
    notice: Notice,
}

/// Warnings by namespace, the oldest first.
#[derive(Default)]
pub(super) struct Warnings(BTreeMap<String, VecDeque<Warning>>);

impl Warnings {
    fn put(&mut self, namespace: &str, warning: Warning) {
        let kept = self.0.entry(namespace.to_owned()).or_default();
        kept.retain(|known| {
            known.uid != warning.uid || known.notice.reason != warning.notice.reason
        });
        kept.push_back(warning);
        while kept.len() > KEPT_MAX {
            kept.pop_front();
        }
    }

    /// Forgets a namespace that is gone.
    pub(super) fn forget(&mut self, namespace: &str) {
        self.0.remove(namespace);
    }

    /// Those about any of these objects, or about what a Deployment has made of itself: its ReplicaSets.
    fn about<'a>(&self, objects: impl Iterator<Item = (&'a Key, &'a str)> + Clone) -> Vec<Notice> {
        let namespace = objects.clone().find_map(|(key, _)| key.namespace.as_deref());
        let kept = namespace.and_then(|namespace| self.0.get(namespace));
        let is_about = |warning: &&Warning| {
            objects.clone().any(|(key, uid)| {
                let made = warning.kind == "ReplicaSet"
                    && key.kind == "Deployment"
                    && warning.name.rsplit_once('-').is_some_and(|(of, _)| of == key.name);
                uid == warning.uid || made
            })
        };
        let found = kept.into_iter().flatten().filter(is_about);
        found.map(|warning| warning.notice.clone()).collect()
    }
}

impl Cluster {
    /// What is warned of about these objects, each with its uid.
    pub(crate) fn warnings<'a>(
        &self,
        objects: impl Iterator<Item = (&'a Key, &'a str)> + Clone,
    ) -> Vec<Notice> {
        let mut found = self.shared.state().warnings.about(objects);
        let now = self.now();
        found.retain(|notice| now.micros_since(notice.at) < FRESH_MICROS);
        found
    }
}

/// Follows the warnings of a cluster for as long as its other watches run.
pub(super) async fn follow(shared: Arc<Shared>, client: Client) {
    let api: Api<Event> = Api::all(client);
    let config =
        watcher::Config::default().fields("type=Warning").timeout(WATCH_SECONDS).page_size(PAGE);
    let mut events = pin!(watcher(api, config).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Apply(event) | watcher::Event::InitApply(event)) => {
                take(&shared, event);
            }
            // They end by themselves after an hour; what was warned of stays so.
            Ok(watcher::Event::Init | watcher::Event::InitDone | watcher::Event::Delete(_)) => {}
            Err(error) => debug!(error = told(&error), "a cluster's warnings cannot be read"),
        }
    }
}

fn take(shared: &Shared, event: Event) {
    let Some((namespace, warning)) = read(event, shared.now()) else { return };
    let mut state = shared.state();
    if !state.namespaces.contains_key(&namespace) {
        return;
    }
    let owner = state.cache.owner(&warning.uid).cloned();
    state.warnings.put(&namespace, warning);
    drop(state);
    owner.iter().for_each(|owner| shared.tell(owner));
}

/// The namespace of what an event is about, and what it says.
fn read(event: Event, now: Time) -> Option<(String, Warning)> {
    let about = event.regarding?;
    let (kind, name) = (about.kind?, about.name?);
    // The last time that it was seen: once as part of a series, once by those who write the older form.
    let last = event.series.map(|series| series.last_observed_time.0);
    let last = last.or_else(|| Some(event.deprecated_last_timestamp?.0));
    let last = last.or_else(|| Some(event.event_time?.0));
    let at = last.map(|time| Time::from_micros(time.as_microsecond()));
    let message = event.note.unwrap_or_default();
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let notice = Notice {
        reason: event.reason?,
        about: format!("{kind} {name}"),
        message: message.chars().filter(|c| !c.is_control()).take(MESSAGE_MAX).collect(),
        at: at.unwrap_or(now),
    };
    let uid = about.uid.unwrap_or_default();
    Some((about.namespace?, Warning { kind, name, uid, notice }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warning(kind: &str, name: &str, uid: &str, reason: &str) -> Warning {
        let notice = Notice {
            reason: reason.into(),
            about: format!("{kind} {name}"),
            message: "m".into(),
            at: Time::from_micros(0),
        };
        Warning { kind: kind.into(), name: name.into(), uid: uid.into(), notice }
    }

    fn key(kind: &str, name: &str) -> Key {
        Key {
            api_version: "v1".into(),
            kind: kind.into(),
            namespace: Some("dev-shop".into()),
            name: name.into(),
        }
    }

    #[test]
    fn warnings_are_found_by_what_they_are_about_and_repetitions_are_one() {
        let mut warnings = Warnings::default();
        for _ in 0..3 {
            warnings.put("dev-shop", warning("Pod", "web-5d-x", "p", "FailedScheduling"));
        }
        warnings.put("dev-shop", warning("ReplicaSet", "web-5d", "r", "FailedCreate"));
        warnings.put("dev-shop", warning("ReplicaSet", "web-api-5d", "s", "FailedCreate"));
        warnings.put("dev-blog", warning("Pod", "web-5d-x", "p", "BackOff"));
        let (deployment, pod) = (key("Deployment", "web"), key("Pod", "web-5d-x"));
        let found = warnings.about([(&deployment, "d"), (&pod, "p")].into_iter());
        let found: Vec<&str> = found.iter().map(|notice| notice.about.as_str()).collect();
        assert_eq!(found, ["Pod web-5d-x", "ReplicaSet web-5d"]);
    }

    #[test]
    fn only_the_newest_are_kept() {
        let mut warnings = Warnings::default();
        for number in 0..2 * KEPT_MAX {
            warnings.put("dev-shop", warning("Pod", "web", &number.to_string(), "BackOff"));
        }
        assert_eq!(warnings.0["dev-shop"].len(), KEPT_MAX);
        warnings.forget("dev-shop");
        assert!(warnings.0.is_empty());
    }
}
