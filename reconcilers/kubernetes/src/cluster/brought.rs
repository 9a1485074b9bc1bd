//! What a cluster brings along: classes of gateways, issuers of certificates and the like that are there already and
//! work. It is seen by watches, begun when the kind is defined there; nothing is asked for again and again.
//!
//! A cluster that does not let us look is taken for one that brings nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;

use domain::kinds::support_service::{By, Capability};
use futures::StreamExt as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, GroupVersionKind};
use kube::core::{DynamicObject, PartialObjectMeta};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use reconcilers::converge::SeenState;
use tokio::task::{AbortHandle, JoinSet};
use tracing::debug;

use super::client::whole;
use super::{Shared, told};
use crate::health::any;
use crate::labels::UID;

/// As for objects: a watch is made anew after so many seconds.
const WATCH_SECONDS: u32 = 240;
/// Objects of one page when they are listed.
const PAGE: u32 = 500;

/// By what a capability is known.
#[derive(Debug)]
struct Mark {
    capability: Capability,
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    /// Only the one of this name counts.
    name: Option<&'static str>,
    /// The kind is enough: it has no objects that say whether it works.
    defined: bool,
}

const fn mark(
    capability: Capability,
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
) -> Mark {
    Mark { capability, group, version, kind, plural, name: None, defined: false }
}

const MARKS: [Mark; 7] = [
    mark(Capability::Gateway, "gateway.networking.k8s.io", "v1", "GatewayClass", "gatewayclasses"),
    mark(Capability::Certificates, "cert-manager.io", "v1", "ClusterIssuer", "clusterissuers"),
    mark(
        Capability::Secrets,
        "external-secrets.io",
        "v1",
        "ClusterSecretStore",
        "clustersecretstores",
    ),
    Mark {
        defined: true,
        ..mark(Capability::Dns, "externaldns.k8s.io", "v1alpha1", "DNSEndpoint", "dnsendpoints")
    },
    Mark {
        defined: true,
        ..mark(Capability::Autoscaling, "keda.sh", "v1alpha1", "ScaledObject", "scaledobjects")
    },
    Mark {
        defined: true,
        ..mark(Capability::Monitoring, "monitoring.coreos.com", "v1", "Prometheus", "prometheuses")
    },
    Mark {
        name: Some("v1beta1.metrics.k8s.io"),
        ..mark(Capability::Metrics, "apiregistration.k8s.io", "v1", "APIService", "apiservices")
    },
];

/// How many capabilities are looked for.
pub(super) const LOOKED_FOR: usize = MARKS.len();

/// Whether a capability can be seen in a cluster.
pub(crate) fn has_mark(capability: Capability) -> bool {
    MARKS.iter().any(|mark| mark.capability == capability)
}

impl Mark {
    /// The name of its definition.
    fn definition(&self) -> String {
        format!("{}.{}", self.plural, self.group)
    }

    /// Every cluster has it, without a definition.
    const fn is_built_in(&self) -> bool {
        self.name.is_some()
    }

    fn resource(&self) -> ApiResource {
        let gvk = GroupVersionKind::gvk(self.group, self.version, self.kind);
        ApiResource::from_gvk_with_plural(&gvk, self.plural)
    }
}

fn config() -> watcher::Config {
    watcher::Config::default().timeout(WATCH_SECONDS).page_size(PAGE)
}

/// Follows what a cluster brings along for as long as its other watches run.
pub(super) async fn follow(shared: Arc<Shared>, client: Client) {
    let mut marks = Marks { shared, client, tasks: JoinSet::new(), followed: BTreeMap::new() };
    MARKS.iter().filter(|mark| mark.is_built_in()).for_each(|mark| marks.begin(mark, By::Others));
    // Of definitions the names are enough: what they define may be megabytes.
    let api: Api<PartialObjectMeta<CustomResourceDefinition>> = Api::all(marks.client.clone());
    let mut events = pin!(watcher(api, config()).default_backoff());
    let mut listed = BTreeSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(definition)) => {
                marks.defined(&definition);
                listed.insert(definition.name_any());
            }
            Ok(watcher::Event::InitDone) => {
                let gone =
                    |mark: &&Mark| !mark.is_built_in() && !listed.contains(&mark.definition());
                MARKS.iter().filter(gone).for_each(|mark| marks.end(mark));
            }
            Ok(watcher::Event::Apply(definition)) => marks.defined(&definition),
            Ok(watcher::Event::Delete(definition)) => {
                let name = definition.name_any();
                let gone = MARKS.iter().find(|mark| mark.definition() == name);
                gone.iter().for_each(|mark| marks.end(mark));
            }
            Err(error) => {
                debug!(error = told(&error), "a cluster's definitions cannot be read");
                let others = MARKS.iter().filter(|mark| !mark.is_built_in());
                others.for_each(|mark| marks.shared.looked_for(mark.capability));
            }
        }
    }
}

/// The marks that are looked at.
struct Marks {
    shared: Arc<Shared>,
    client: Client,
    tasks: JoinSet<()>,
    followed: BTreeMap<Capability, AbortHandle>,
}

impl Marks {
    fn defined(&mut self, definition: &PartialObjectMeta<CustomResourceDefinition>) {
        let name = definition.name_any();
        if let Some(mark) = MARKS.iter().find(|mark| mark.definition() == name) {
            self.begin(mark, by(definition));
        }
    }

    fn begin(&mut self, mark: &'static Mark, by: By) {
        if mark.defined {
            let named = BTreeMap::from([(mark.group.to_owned(), by)]);
            self.shared.brings(mark.capability, named);
        } else if !self.followed.contains_key(&mark.capability) {
            let (shared, client) = (Arc::clone(&self.shared), self.client.clone());
            let task = self.tasks.spawn(follow_mark(shared, client, mark));
            self.followed.insert(mark.capability, task);
        }
    }

    fn end(&mut self, mark: &Mark) {
        if let Some(task) = self.followed.remove(&mark.capability) {
            task.abort();
        }
        self.shared.brings(mark.capability, BTreeMap::new());
    }
}

/// Follows the objects of a mark: those that are ready are what is brought along.
async fn follow_mark(shared: Arc<Shared>, client: Client, mark: &'static Mark) {
    let resource = mark.resource();
    let api: Api<DynamicObject> = Api::all_with(client, &resource);
    let config = match mark.name {
        Some(name) => config().fields(&format!("metadata.name={name}")),
        None => config(),
    };
    let mut events = pin!(watcher(api, config).default_backoff());
    let (mut known, mut is_listing) = (BTreeMap::new(), false);
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => {
                known.clear();
                is_listing = true;
            }
            Ok(watcher::Event::InitDone) => is_listing = false,
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => {
                let name = object.name_any();
                let by = by(&object);
                let ready = whole(object, &resource).ok();
                match ready.map(|object| any::health(&object)) {
                    Some(SeenState::Ready) => known.insert(name, by),
                    Some(SeenState::Pending(_) | SeenState::Failed(_) | SeenState::Deleting)
                    | None => known.remove(&name),
                };
            }
            Ok(watcher::Event::Delete(object)) => {
                known.remove(&object.name_any());
            }
            Err(error) => {
                debug!(error = told(&error), kind = mark.kind, "cannot be followed");
                shared.looked_for(mark.capability);
            }
        }
        if !is_listing {
            shared.brings(mark.capability, known.clone());
        }
    }
}

/// Who put it there. What a chart says may name another manager in its labels: the incarnation is on everything of ours.
fn by(object: &impl kube::ResourceExt) -> By {
    if object.labels().contains_key(UID) { By::Cairn } else { By::Others }
}
