//! What is there of an application, and which requests were about it, by the API server's own word.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use servers::kubernetes::{Call, ControlPlane};
use tests::namespace;

use super::PATIENCE;

/// Kinds of what is made here, all of which are followed from the first moment.
pub(super) const KINDS: [(&str, &str); 11] = [
    ("api/v1", "serviceaccounts"),
    ("api/v1", "services"),
    ("api/v1", "configmaps"),
    ("api/v1", "secrets"),
    ("api/v1", "persistentvolumeclaims"),
    ("apis/apps/v1", "deployments"),
    ("apis/apps/v1", "statefulsets"),
    ("apis/batch/v1", "jobs"),
    ("apis/networking.k8s.io/v1", "networkpolicies"),
    ("apis/policy/v1", "poddisruptionbudgets"),
    ("apis/autoscaling/v2", "horizontalpodautoscalers"),
];
/// Those that not every cluster has: followed once one of them is used.
const OTHERS: [(&str, &str); 6] = [
    ("apis/apiextensions.k8s.io/v1", "customresourcedefinitions"),
    ("apis/gateway.networking.k8s.io/v1", "gateways"),
    ("apis/gateway.networking.k8s.io/v1", "listenersets"),
    ("apis/gateway.networking.k8s.io/v1", "httproutes"),
    ("apis/cert-manager.io/v1", "certificates"),
    ("apis/externaldns.k8s.io/v1alpha1", "dnsendpoints"),
];
/// Between two looks at what is on its way out.
const A_MOMENT: Duration = Duration::from_millis(100);

/// The group of the kinds that an application defines: its own, so that requests say whose they are.
pub(super) fn group(name: &str) -> String {
    format!("{name}.example.com")
}

/// Everything of ours in a cluster, but what controllers make: plural and object.
pub(super) struct Found(Vec<(String, Value)>);

impl Found {
    pub(super) fn look(cluster: &ControlPlane) -> Self {
        let mut all = Vec::new();
        for (group, plural) in KINDS.into_iter().chain(OTHERS) {
            let items = list(cluster, group, plural);
            assert!(items.is_some() || OTHERS.contains(&(group, plural)), "{plural} are not there");
            all.extend(items.into_iter().flatten().map(|item| (plural.to_owned(), item)));
        }
        // What is defined by one of them, as far as that is still served.
        let definitions = all.iter().filter(|(plural, _)| plural == OTHERS[0].1);
        let defined = definitions.flat_map(|(_, definition)| {
            let spec = &definition["spec"];
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let version = text(&spec["versions"][0]["name"]);
            let plural = text(&spec["names"]["plural"]);
            let path = format!("apis/{}/{version}", text(&spec["group"]));
            let items = list(cluster, &path, &plural).unwrap_or_default();
            items.into_iter().map(move |item| (plural.clone(), item))
        });
        let defined: Vec<(String, Value)> = defined.collect();
        all.extend(defined);
        Self(all)
    }

    /// The same, once nothing of these applications is on its way out.
    pub(super) async fn settled(cluster: &ControlPlane, names: &[&str]) -> Self {
        let mut turns = tokio::time::interval(A_MOMENT);
        let settled = tokio::time::timeout(PATIENCE, async {
            loop {
                turns.tick().await;
                let found = Self::look(cluster);
                let goes = |item: &Value| !item["metadata"]["deletionTimestamp"].is_null();
                if !names.iter().any(|name| found.items(name).any(|(_, item)| goes(item))) {
                    return found;
                }
            }
        });
        settled.await.unwrap_or_else(|_| panic!("something of {names:?} does not go"))
    }

    /// What is in its namespace, or in none and has its name.
    fn items(&self, name: &str) -> impl Iterator<Item = &(String, Value)> {
        let (place, end) = (namespace(name), format!(".{}", group(name)));
        self.0.iter().filter(move |(_, item)| {
            let text = |field: &str| item["metadata"][field].as_str();
            let is_named = || text("name").is_some_and(|name| name.ends_with(&end));
            text("namespace").map_or_else(is_named, |namespace| namespace == place)
        })
    }

    /// Kind and name of each, as if all applications had the same name.
    pub(super) fn objects(&self, name: &str) -> BTreeSet<String> {
        self.uids(name).into_keys().collect()
    }

    /// The same, with the uid of each.
    pub(super) fn uids(&self, name: &str) -> BTreeMap<String, String> {
        let items = self.items(name).map(|(plural, item)| {
            let text = |field: &str| item["metadata"][field].as_str().unwrap();
            let called = text("name").replace(name, "NAME");
            (format!("{plural}/{called}"), text("uid").to_owned())
        });
        items.collect()
    }

    /// The resources of which there are objects of more than one incarnation.
    pub(super) fn doubled(&self, name: &str) -> Vec<String> {
        let mut incarnations: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (_, item) in self.items(name) {
            let metadata = &item["metadata"];
            if let Some(resource) = metadata["annotations"]["cairn.dev/resource"].as_str() {
                let uid = metadata["labels"]["cairn.dev/uid"].as_str().unwrap();
                incarnations.entry(resource.to_owned()).or_default().insert(uid.to_owned());
            }
        }
        let doubled = incarnations.into_iter().filter(|(_, uids)| uids.len() > 1);
        doubled.map(|(resource, _)| resource).collect()
    }

    /// Kind and name of everything.
    pub(super) fn all(&self) -> Vec<String> {
        let called = |item: &Value| item["metadata"]["name"].as_str().unwrap().to_owned();
        self.0.iter().map(|(plural, item)| format!("{plural}/{}", called(item))).collect()
    }
}

/// What of a kind is ours; none where there is no such kind.
fn list(cluster: &ControlPlane, group: &str, plural: &str) -> Option<Vec<Value>> {
    let path = format!("GET /{group}/{plural}?labelSelector=cairn.dev%2Fuid");
    let (status, answer) = cluster.ask(&path, &Value::Null);
    if status == 404 {
        return None;
    }
    assert_eq!(status, 200, "{answer}");
    Some(answer["items"].as_array().unwrap().clone())
}

/// By what a request says that it is about something of an application.
#[derive(Clone)]
pub(super) struct Place {
    namespace: String,
    inside: String,
    group: String,
    defined: String,
}

impl Place {
    pub(super) fn called(name: &str) -> Self {
        let (namespace, group) = (namespace(name), group(name));
        Self {
            inside: format!("/namespaces/{namespace}/"),
            namespace: format!("/api/v1/namespaces/{namespace}"),
            defined: format!(".{group}"),
            group,
        }
    }

    /// In its namespace, or of its name. One that makes a namespace does not name it.
    pub(super) fn has(&self, call: &Call) -> bool {
        let is_named = |part: &str| part == self.group || part.ends_with(&self.defined);
        !call.watch
            && (call.path == self.namespace
                || call.path.contains(&self.inside)
                || call.path.split('/').any(is_named))
    }

    /// Those of them that are.
    pub(super) fn of<'a>(&'a self, calls: &'a [Call]) -> impl Iterator<Item = &'a Call> {
        calls.iter().filter(|call| self.has(call))
    }
}
