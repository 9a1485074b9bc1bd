//! Kubernetes objects as somebody wrote them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::commit::Hash;
use crate::kind::{Change, Kind, Need, OutputDeclaration, Violation};
use crate::name::{ResourceId, is_label};

/// The most objects of one resource: their keys and digests are in one event, and in a plan twice.
pub const OBJECTS_MAX: usize = 300;
/// The most fields that are left to others.
const DELEGATED_MAX: usize = 100;

/// The `manifests` kind.
pub struct Manifests;

/// What is wanted of a set of objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The cluster that they are in.
    pub cluster: ResourceId,
    /// The namespace of those that name none; the deployment's own where it is left out or empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `<apiVersion> <kind> [<namespace>/]<name>` → SHA-256 of the object as JSON, under which it is kept.
    pub objects: BTreeMap<String, String>,
    /// How far they may reach.
    #[serde(default)]
    pub scope: Scope,
    /// The Pod Security Standard of a namespace that is made for them.
    #[serde(default)]
    pub pod_security: PodSecurity,
    /// Takes over objects that are there already and are nobody's, as far as Cairn knows. Otherwise they are refused.
    #[serde(default)]
    pub adopt: bool,
    /// Takes fields that another manager owns when taking over. Otherwise that is refused, with the manager's name.
    #[serde(default)]
    pub force: bool,
    /// Replaces an object that cannot change as asked. Otherwise that is refused; jobs are always replaced.
    #[serde(default)]
    pub replace: bool,
    /// Object, or `*` for each → dotted paths of fields that are left to others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub delegated: BTreeMap<String, Vec<String>>,
}

/// How far objects may reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Their one namespace.
    #[default]
    Namespace,
    /// Any namespace, and what is in none: whoever may write them may do everything in the cluster.
    Cluster,
}

/// A Pod Security Standard (Kubernetes: GA since 1.25).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "Kubernetes' own words")]
pub enum PodSecurity {
    #[default]
    Restricted,
    Baseline,
    Privileged,
}

impl PodSecurity {
    /// Kubernetes' word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Restricted => "restricted",
            Self::Baseline => "baseline",
            Self::Privileged => "privileged",
        }
    }
}

/// Which object: `<apiVersion> <kind> [<namespace>/]<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Such as `apps/v1`.
    pub api_version: String,
    /// Such as `Deployment`.
    pub kind: String,
    /// None where the object says none.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

/// Not a key of an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidKey(String);

impl ObjectKey {
    /// Checks the parts of a key.
    ///
    /// # Errors
    /// [`InvalidKey`] with what is wrong.
    pub fn new(
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Self, InvalidKey> {
        let wrong = |what: &str, text: &str| {
            let text: String = text.chars().take(80).collect();
            Err(InvalidKey(format!("`{text}` is not {what}")))
        };
        let made_of = |text: &str, more: &[u8], most: usize| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || more.contains(&byte);
            (1..=most).contains(&text.len()) && text.bytes().all(fits) && text != "." && text != ".."
        };
        let (group, version) = api_version.split_once('/').unwrap_or(("core", api_version));
        if !made_of(group, b"-.", 253) || !made_of(version, b"", 63) {
            return wrong("an apiVersion, such as apps/v1", api_version);
        }
        if !made_of(kind, b"", 63) {
            return wrong("a kind, such as Deployment", kind);
        }
        if let Some(namespace) = namespace.filter(|namespace| !is_label(namespace)) {
            return wrong("the name of a namespace", namespace);
        }
        // Roles have names such as `system:auth-delegator`.
        if !made_of(name, b"-.:_", 253) {
            return wrong("a name: at most 253 letters, digits, `-`, `.`, `_` and `:`", name);
        }
        Ok(Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        })
    }

    /// The group of its API; empty for the core.
    #[must_use]
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.api_version, self.kind)?;
        self.namespace.iter().try_for_each(|namespace| write!(f, "{namespace}/"))?;
        f.write_str(&self.name)
    }
}

impl FromStr for ObjectKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let mut words = text.split(' ');
        let (Some(api_version), Some(kind), Some(name), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            let text: String = text.chars().take(80).collect();
            return Err(InvalidKey(format!(
                "`{text}` is not `<apiVersion> <kind> [<namespace>/]<name>`"
            )));
        };
        match name.split_once('/') {
            Some((namespace, name)) => Self::new(api_version, kind, Some(namespace), name),
            None => Self::new(api_version, kind, None, name),
        }
    }
}

impl Spec {
    /// The namespace that is said, if any.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref().filter(|namespace| !namespace.is_empty())
    }

    /// The dotted paths of an object's fields that are left to others.
    pub fn delegated<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let of = |key: &str| self.delegated.get(key).into_iter().flatten();
        of(key).chain(of("*")).map(String::as_str)
    }

    fn wrong_object(&self, text: &str, digest: &str) -> Option<Violation> {
        let path = format!("objects.{text}");
        let key: ObjectKey = match text.parse() {
            Ok(key) => key,
            Err(InvalidKey(why)) => return Some(Violation::new(path, why)),
        };
        if Hash::from_hex(digest).is_none() {
            return Some(Violation::new(path, "must be a SHA-256 in hex"));
        }
        let elsewhere = key.namespace.as_deref().is_some_and(|its| self.namespace() != Some(its));
        (self.scope == Scope::Namespace && elsewhere).then(|| {
            let message = "is in a namespace of its own: leave it out, or ask for a class that may reach other namespaces";
            Violation::new(path, message)
        })
    }
}

impl Kind for Manifests {
    const NAME: &'static str = "manifests";
    /// Volumes and definitions of resources may be among them.
    const STATEFUL: bool = true;
    type Spec = Spec;

    fn validate(spec: &Spec) -> Vec<Violation> {
        let mut found = Vec::new();
        if let Some(namespace) = spec.namespace().filter(|namespace| !is_label(namespace)) {
            let message = format!("`{namespace}` is not a DNS label");
            found.push(Violation::new("namespace", message));
        }
        if spec.scope == Scope::Namespace && spec.namespace().is_some() {
            let message = "must be left out: a class that does not reach the cluster has the deployment's own";
            found.push(Violation::new("namespace", message));
        }
        if spec.objects.is_empty() || spec.objects.len() > OBJECTS_MAX {
            let count = spec.objects.len();
            let message = format!("must be 1 to {OBJECTS_MAX}, not {count}; split them into several resources");
            found.push(Violation::new("objects", message));
        }
        found.extend(spec.objects.iter().filter_map(|(key, digest)| spec.wrong_object(key, digest)));
        for (key, fields) in &spec.delegated {
            let path = format!("delegated.{key}");
            if key != "*" && !spec.objects.contains_key(key) {
                found.push(Violation::new(&path, "there is no such object"));
            }
            let own = |field: &String| field.starts_with("metadata.") || !field.contains('.');
            if fields.len() > DELEGATED_MAX || fields.iter().any(own) {
                let message = "must be dotted paths below `spec` or `data`, such as spec.replicas";
                found.push(Violation::new(&path, message));
            }
        }
        found
    }

    fn needs(spec: &Spec) -> Vec<Need> {
        vec![Need::ready(spec.cluster.clone())]
    }

    fn outputs(_: &Spec) -> Vec<OutputDeclaration> {
        OutputDeclaration::plain(&["namespace"])
    }

    fn change(old: &Spec, new: &Spec) -> Change {
        Change::forces("cluster", &old.cluster, &new.cluster)
            .unwrap_or_else(|| Change::in_place(old, new))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(object: &str, scope: &str) -> Spec {
        let digest = Hash::of(b"x").to_hex();
        serde_json::from_value(json!({ "cluster": "cluster/a", "scope": scope, "objects": { object: digest } })).unwrap()
    }

    #[test]
    fn a_key_reads_as_it_is_written() {
        for text in [
            "v1 Namespace sup",
            "apps/v1 Deployment sup/web",
            "rbac.authorization.k8s.io/v1 ClusterRole system:auth-delegator",
        ] {
            assert_eq!(text.parse::<ObjectKey>().unwrap().to_string(), text);
        }
        for text in ["", "v1 Pod", "v1 Pod a b", "v1 Pod ../x", "v1 Pod A/x", "a b/c d", "v1 Pod a/b/c", "v1 Pod ${x}"] {
            assert!(text.parse::<ObjectKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn objects_of_other_namespaces_need_a_class_that_reaches_them() {
        assert!(Manifests::validate(&spec("v1 ConfigMap web", "namespace")).is_empty());
        assert_eq!(Manifests::validate(&spec("v1 ConfigMap sup/web", "namespace")).len(), 1);
        assert!(Manifests::validate(&spec("v1 ConfigMap sup/web", "cluster")).is_empty());
    }
}
