//! Kinds that only the cluster knows: found by asking it, followed from the first time that one is used.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;

use domain::lifecycle::FailureClass;
use kube::api::{ListParams, Patch, PatchParams};
use reconcilers::CallError;
use serde_json::Value;
use tokio::time::Instant;

use super::client::{Requests, Unanswered, told, twice};
use super::kinds::{Watched, group};
use super::{Cluster, retry};
use crate::labels;
use crate::objects::Key;

/// How long the objects of a kind may take to be listed for the first time.
const LISTED: Duration = Duration::from_secs(20);
/// All that a cluster knows, in one answer.
const DISCOVERY: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
/// That a cluster does not know a kind is not asked again for so long.
const MISSING: Duration = Duration::from_secs(5);

/// How far a kind is followed.
#[derive(Clone, Debug)]
pub(super) enum Progress {
    /// The cluster did not know it then.
    Missing(Instant),
    /// Its objects are being listed.
    Listing(Watched),
    /// They were.
    Listed(Watched),
    /// They cannot be.
    Broken(Watched, String),
}

impl Progress {
    pub(super) const fn watched(&self) -> Option<&Watched> {
        match self {
            Self::Missing(_) => None,
            Self::Listing(watched) | Self::Listed(watched) | Self::Broken(watched, _) => {
                Some(watched)
            }
        }
    }
}

/// A kind by the group of its API and its name: what is of another version is the same.
pub(super) fn identity(api_version: &str, kind: &str) -> (String, String) {
    (group(api_version).to_owned(), kind.to_owned())
}

impl Cluster {
    /// Sees to it that a kind is followed; none where the cluster does not know it. With `fresh` it is asked again.
    ///
    /// # Errors
    /// While its objects are being listed, or when they cannot be.
    pub(crate) async fn follow(
        &self,
        api_version: &str,
        kind: &str,
        fresh: bool,
    ) -> Result<Option<Watched>, CallError> {
        if let Some(watched) = Watched::find(api_version, kind) {
            return Ok(Some(watched));
        }
        self.warm()?;
        let identity = identity(api_version, kind);
        let known = self.shared.state().found.get(&identity).cloned();
        match known {
            Some(Progress::Listed(watched)) => return Ok(Some(watched)),
            Some(Progress::Missing(at)) if !fresh && at.elapsed() < MISSING => return Ok(None),
            Some(Progress::Listing(_) | Progress::Broken(..)) => {}
            Some(Progress::Missing(_)) | None => {
                let requests = self.requests()?;
                let found = {
                    let _turn = self.turns.acquire().await;
                    requests.discover(api_version, kind).await?
                };
                let found =
                    found.map_or_else(|| Progress::Missing(Instant::now()), Progress::Listing);
                self.shared.found(identity.clone(), found);
            }
        }
        self.listed(&identity).await
    }

    /// Waits until the objects of a kind are listed.
    async fn listed(&self, identity: &(String, String)) -> Result<Option<Watched>, CallError> {
        let mut news = self.shared.kinds.subscribe();
        let kind = &identity.1;
        let waited = tokio::time::timeout(LISTED, async {
            loop {
                news.borrow_and_update();
                match self.shared.state().found.get(identity) {
                    Some(Progress::Listed(watched)) => return Ok(Some(watched.clone())),
                    Some(Progress::Broken(_, reason)) => {
                        return Err(retry(&format!(
                            "its objects of the kind {kind} cannot be listed: {reason}"
                        )));
                    }
                    Some(Progress::Missing(_)) | None => return Ok(None),
                    Some(Progress::Listing(_)) => {}
                }
                if news.changed().await.is_err() {
                    return Err(retry("the cluster is being left"));
                }
            }
        });
        waited.await.unwrap_or_else(|_| {
            Err(retry(&format!("its objects of the kind {kind} are being listed")))
        })
    }

    /// How a kind that is followed is addressed.
    pub(super) fn watched(&self, key: &Key) -> Result<Watched, CallError> {
        let known = || {
            let state = self.shared.state();
            state.found.get(&identity(&key.api_version, &key.kind))?.watched().cloned()
        };
        Watched::find(&key.api_version, &key.kind).or_else(known).ok_or_else(|| CallError {
            class: FailureClass::Retry,
            message: format!("{key}: {} is not followed", key.kind),
        })
    }

    /// The metadata of an object that may be there and not ours.
    pub(crate) async fn metadata(&self, key: &Key) -> Result<Option<Value>, CallError> {
        let resource = self.watched(key)?.resource();
        let requests = self.requests()?;
        let _turn = self.turns.acquire().await;
        let api = requests.api(&resource, key.namespace.as_deref());
        let found = twice(key, "get", || api.get_metadata_opt(&key.name)).await;
        let found = found.map_err(|error| error.told(key))?;
        Ok(found.and_then(|found| serde_json::to_value(found.metadata).ok()))
    }

    /// Lets go of an object: it stays, and nothing on it says any more that it is ours.
    pub(crate) async fn release(&self, key: &Key) -> Result<(), CallError> {
        let resource = self.watched(key)?.resource();
        let requests = self.requests()?;
        let _turn = self.turns.acquire().await;
        let gone = serde_json::json!({ "metadata": {
            "labels": { labels::UID: null, labels::TENANT: null },
            "annotations": { labels::RESOURCE: null, labels::CONTENT: null },
        } });
        let api = requests.api(&resource, key.namespace.as_deref());
        let patch = Patch::Merge(&gone);
        let parameters = PatchParams::default();
        let patched = twice(key, "release", || api.patch_metadata(&key.name, &parameters, &patch));
        match patched.await {
            Ok(object) => {
                let uid = object.metadata.uid.unwrap_or_default();
                self.shared.forget(key, &uid);
                Ok(())
            }
            Err(Unanswered::Refused(kube::Error::Api(status))) if status.code == 404 => Ok(()),
            Err(error) => Err(error.told(key)),
        }
    }

    /// What the cluster knows, as `group/version` and `group/version/Kind`: two requests.
    pub(crate) async fn api_versions(&self) -> Result<Vec<String>, CallError> {
        let requests = self.requests()?;
        let mut known = BTreeSet::new();
        for path in ["/api", "/apis"] {
            let _turn = self.turns.acquire().await;
            let request = http::Request::get(path).header(http::header::ACCEPT, DISCOVERY);
            let request = request.body(Vec::new()).map_err(|error| retry(&error.to_string()))?;
            let asked = soon(&path, || requests.client.request::<Value>(request.clone()));
            let told_of = asked.await.map_err(|error| unread(&error))?;
            add_versions(&told_of, &mut known);
        }
        Ok(known.into_iter().collect())
    }

    /// The first object of a kind, by plural and group, that does not carry a uid: it would go with its definition.
    pub(crate) async fn other(
        &self,
        api_version: &str,
        kind: &str,
        uid: &str,
    ) -> Result<Option<String>, CallError> {
        let Some(watched) = self.follow(api_version, kind, true).await? else { return Ok(None) };
        let requests = self.requests()?;
        let _turn = self.turns.acquire().await;
        let api = requests.api(&watched.resource(), None);
        let others = ListParams::default().labels(&format!("{}!={uid}", labels::UID)).limit(1);
        let listed = soon(&kind, || api.list_metadata(&others)).await;
        let listed = listed.map_err(|error| unread(&error))?;
        Ok(listed.items.into_iter().next().map(|item| {
            let name = item.metadata.name.unwrap_or_default();
            item.metadata.namespace.map_or_else(|| name.clone(), |its| format!("{its}/{name}"))
        }))
    }
}

/// Asks what is asked again later if there is no answer soon.
async fn soon<T, F: Future<Output = Result<T, kube::Error>>>(
    what: &impl Display,
    ask: impl Fn() -> F,
) -> Result<T, Unanswered> {
    let asked = tokio::time::timeout(LISTED, twice(what, "read", ask)).await;
    asked.unwrap_or(Err(Unanswered::Late))
}

/// Why nothing was read, for now.
fn unread(error: &Unanswered) -> CallError {
    match error {
        Unanswered::Refused(error) => retry(&told(error)),
        Unanswered::Late => retry("it does not answer"),
    }
}

/// Everything that a discovery names (Kubernetes: aggregated discovery, GA since 1.30).
fn add_versions(told_of: &Value, known: &mut BTreeSet<String>) {
    let list = |value: &Value, name: &str| {
        value.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    for group in list(told_of, "items") {
        let group_name = group.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("");
        for version in list(&group, "versions") {
            let Some(name) = version.get("version").and_then(Value::as_str) else { continue };
            let slash = if group_name.is_empty() { "" } else { "/" };
            let version_name = format!("{group_name}{slash}{name}");
            for resource in list(&version, "resources") {
                let kind = resource.pointer("/responseKind/kind").and_then(Value::as_str);
                known.extend(kind.map(|kind| format!("{version_name}/{kind}")));
            }
            known.insert(version_name);
        }
    }
}

impl Requests {
    /// Asks the cluster how a kind is addressed; none when it does not know it.
    async fn discover(&self, api_version: &str, kind: &str) -> Result<Option<Watched>, CallError> {
        let asked = || async {
            if api_version.contains('/') {
                self.client.list_api_group_resources(api_version).await
            } else {
                self.client.list_core_api_resources(api_version).await
            }
        };
        let told_of = match soon(&kind, asked).await {
            Err(Unanswered::Refused(kube::Error::Api(status))) if status.code == 404 => {
                return Ok(None);
            }
            Err(error) => return Err(unread(&error)),
            Ok(told_of) => told_of,
        };
        let found = told_of.resources.into_iter().find(|one| {
            one.kind == kind
                && !one.name.contains('/')
                && one.verbs.iter().any(|verb| verb == "patch")
        });
        Ok(found.map(|one| Watched::told(api_version, kind, &one.name, one.namespaced)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use reconcilers::WallClock;

    use super::super::shared::Shared;
    use super::*;

    #[test]
    fn a_kind_that_two_have_found_is_followed_once() {
        let watched = Watched::told("example.com/v1", "Widget", "widgets", true);
        let widget = || identity("example.com/v1", "Widget");
        let shared = Shared::new(Arc::new(WallClock), Arc::default());
        let is_listed = || matches!(shared.state().found.get(&widget()), Some(Progress::Listed(_)));
        shared.found(widget(), Progress::Missing(Instant::now()));
        shared.found(widget(), Progress::Listing(watched.clone()));
        shared.listed(&watched, &BTreeSet::new());
        assert!(is_listed());
        // Nobody would list it a second time.
        shared.found(widget(), Progress::Listing(watched.clone()));
        shared.found(widget(), Progress::Missing(Instant::now()));
        assert!(is_listed());
        shared.dropped(&watched);
        shared.found(widget(), Progress::Listing(watched));
        assert!(!is_listed());
    }
}
