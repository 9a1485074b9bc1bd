//! A chart of Helm: its templates are rendered with values, and what comes out is applied as `manifests` are.

pub mod hook;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::manifests::{PodSecurity, Scope};
use super::support_service::Capability;
use crate::commit::Hash;
use crate::kind::{Change, Kind, Need, OutputDeclaration, Violation};
use crate::name::{ResourceId, is_label};
use crate::text::json_needs;

/// The most files of a chart in a folder: their paths and digests are in one event.
pub const FILES_MAX: usize = 500;
/// The longest values as JSON, in bytes: they are in one event, and in a plan twice.
pub const VALUES_BYTES_MAX: usize = 64 * 1024;
/// The longest name of a release (Helm: `release name … must be no longer than 53`).
pub const RELEASE_MAX: usize = 53;
/// The most fields that are left to others.
const DELEGATED_MAX: usize = 100;
/// The longest path of a file, and name or address of a chart.
const TEXT_MAX: usize = 500;

/// The `helm` kind.
pub struct Helm;

/// What is wanted of a chart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The cluster that it is put into.
    pub cluster: ResourceId,
    /// Which chart, and where it is had.
    pub chart: Chart,
    /// Its values. Texts in them may refer to outputs.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub values: Map<String, Value>,
    /// The name of the release, which charts make names of; the resource's own where it is left out or empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// The namespace of the release; the deployment's own where it is left out or empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// How far its objects may reach.
    #[serde(default)]
    pub scope: Scope,
    /// The Pod Security Standard of a namespace that is made for it.
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
    /// Objects beside the chart's own, which are applied with them, such as the class of the gateways that it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<Value>,
    /// Nothing is installed where the cluster brings this along already. Said of support services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless_brought: Option<Capability>,
}

/// Which chart: of a repository, of a registry, or one that was sent along. What does not belong to one of the three is
/// refused by [`Chart::source`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Chart {
    /// The address of a repository, the one below which its `index.yaml` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Its address in a registry, such as `oci://registry.example.com/charts/web`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oci: Option<String>,
    /// Its name, in a repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its version, exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The SHA-256 of its archive, in hex. Without it, whatever the repository has under this version is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The SHA-256 of an archive that was sent along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<String>,
    /// Path → SHA-256, of the files of a folder that was sent along.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
}

/// Where a chart is had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// From a repository that has an index.
    Repository {
        /// Its address.
        url: &'a str,
        /// The chart's name.
        name: &'a str,
        /// Exactly this version.
        version: &'a str,
        /// What its archive must be.
        sha256: Option<Hash>,
    },
    /// From a registry.
    Oci {
        /// Its address there.
        url: &'a str,
        /// Exactly this version.
        version: &'a str,
        /// What its archive must be.
        sha256: Option<Hash>,
    },
    /// An archive in the log.
    Archive(Hash),
    /// Files in the log.
    Files(&'a BTreeMap<String, String>),
}

fn said(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

/// A word that may stand in an address and in the name of a file.
fn is_word(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._+".contains(&byte);
    !text.starts_with('.') && (1..=100).contains(&text.len()) && text.bytes().all(allowed)
}

/// Whether a file of a chart may be called that: names joined by `/`, none of which leads elsewhere.
#[must_use]
pub fn is_file_path(path: &str) -> bool {
    let named = |name: &str| !matches!(name, "" | "." | "..");
    let plain = |c: char| !c.is_control() && c != '\\' && c != ':';
    path.len() <= TEXT_MAX && path.split('/').all(named) && path.chars().all(plain)
}

impl Chart {
    /// Where it is had.
    ///
    /// # Errors
    /// What is wrong, with the field.
    pub fn source(&self) -> Result<Source<'_>, Violation> {
        let wrong = |field: &str, why: &str| Err(Violation::new(format!("chart.{field}"), why));
        let sha256 = match said(self.sha256.as_ref()).map(Hash::from_hex) {
            Some(None) => return wrong("sha256", "must be a SHA-256 in hex"),
            Some(Some(digest)) => Some(digest),
            None => None,
        };
        let sent = match (said(self.archive.as_ref()), self.files.is_empty()) {
            (None, true) => None,
            (Some(digest), true) => match Hash::from_hex(digest) {
                Some(digest) => Some(Source::Archive(digest)),
                None => return wrong("archive", "must be a SHA-256 in hex"),
            },
            (None, false) => Some(Source::Files(&self.files)),
            (Some(_), false) => return wrong("archive", "is either an archive or files, not both"),
        };
        let (url, oci) = (said(self.repository.as_ref()), said(self.oci.as_ref()));
        if let Some(sent) = sent {
            let digest_fits = sha256.is_none_or(|pinned| sent == Source::Archive(pinned));
            return match (url, oci) {
                (None, None) if digest_fits => Ok(sent),
                (None, None) => wrong("sha256", "is not that of the archive that was sent along"),
                _ => wrong("repository", "must be left out: the chart was sent along"),
            };
        }
        let Some(version) = said(self.version.as_ref()).filter(|version| is_word(version)) else {
            return wrong("version", "must be one version exactly, such as 1.2.3");
        };
        match (url, oci) {
            (Some(url), None) if url.len() <= TEXT_MAX && is_web(url) => {
                match said(self.name.as_ref()).filter(|name| is_word(name)) {
                    Some(name) => Ok(Source::Repository { url, name, version, sha256 }),
                    None => wrong("name", "must be the chart's name in the repository"),
                }
            }
            (Some(_), None) => wrong("repository", "must be an address, such as https://charts.example.com"),
            (None, Some(url)) if url.len() <= TEXT_MAX && is_oci(url) => {
                Ok(Source::Oci { url, version, sha256 })
            }
            (None, Some(_)) => {
                wrong("oci", "must be an address, such as oci://registry.example.com/charts/web")
            }
            (Some(_), Some(_)) => wrong("oci", "is either in a repository or in a registry, not both"),
            (None, None) => wrong("repository", "must be said, unless the chart is in a folder or an archive beside the application's file"),
        }
    }

    fn wrong_files(&self) -> Option<Violation> {
        if self.files.len() > FILES_MAX {
            let message = format!("are {}; at most {FILES_MAX} can be kept: package the chart", self.files.len());
            return Some(Violation::new("chart.files", message));
        }
        let bad = |(path, digest): &(&String, &String)| {
            !is_file_path(path) || Hash::from_hex(digest).is_none()
        };
        let (path, _) = self.files.iter().find(bad)?;
        let path: String = path.chars().take(80).collect();
        Some(Violation::new("chart.files", format!("`{path}` is not a file of a chart")))
    }
}

fn is_web(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && is_plain(rest))
}

fn is_oci(url: &str) -> bool {
    url.strip_prefix("oci://").is_some_and(|rest| {
        let mut parts = rest.split('/');
        let (host, named) = (parts.next().unwrap_or(""), parts.all(is_word));
        !host.is_empty() && named && is_plain(rest) && rest.contains('/')
    })
}

/// Without a name and password, a query or what no address has.
fn is_plain(rest: &str) -> bool {
    rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"@?#\\\"'<>{}".contains(&byte))
}

impl Spec {
    /// The namespace that is said, if any.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        said(self.namespace.as_ref())
    }

    /// The name of the release that is said, if any.
    #[must_use]
    pub fn release(&self) -> Option<&str> {
        said(self.release.as_ref())
    }

    fn wrong_namespace(&self) -> Option<Violation> {
        let namespace = self.namespace()?;
        if !is_label(namespace) {
            return Some(Violation::new("namespace", format!("`{namespace}` is not a DNS label")));
        }
        (self.scope == Scope::Namespace).then(|| {
            let message = "must be left out: a class that does not reach the cluster has the deployment's own";
            Violation::new("namespace", message)
        })
    }

    fn wrong_release(&self) -> Option<Violation> {
        let release = self.release()?;
        (!is_label(release) || release.len() > RELEASE_MAX).then(|| {
            let message = format!("must be a DNS label of at most {RELEASE_MAX} characters");
            Violation::new("release", message)
        })
    }

    fn wrong_objects(&self) -> Option<Violation> {
        let named = |object: &Value| {
            let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
            ["/apiVersion", "/kind", "/metadata/name"].into_iter().all(|it| text(it).is_some())
        };
        let at = self.objects.iter().position(|object| !named(object))?;
        let message = "must be an object of Kubernetes, with apiVersion, kind and metadata.name";
        Some(Violation::new(format!("objects[{at}]"), message))
    }

    fn wrong_values(&self) -> Option<Violation> {
        let length = |json: serde_json::Result<String>| json.map_or(0, |json| json.len());
        let bytes = length(serde_json::to_string(&self.values))
            + length(serde_json::to_string(&self.objects));
        (bytes > VALUES_BYTES_MAX).then(|| {
            let message = format!(
                "are {bytes} bytes as JSON; at most {VALUES_BYTES_MAX} can be kept: leave out what the chart has as its default"
            );
            Violation::new("values", message)
        })
    }
}

impl Kind for Helm {
    const NAME: &'static str = "helm";
    /// Volumes and definitions of resources may be among its objects.
    const STATEFUL: bool = true;
    type Spec = Spec;

    fn validate(spec: &Spec) -> Vec<Violation> {
        let mut found: Vec<Violation> = spec.chart.source().err().into_iter().collect();
        found.extend(spec.chart.wrong_files());
        found.extend(spec.wrong_namespace());
        found.extend(spec.wrong_release());
        found.extend(spec.wrong_values());
        found.extend(spec.wrong_objects());
        for (key, fields) in &spec.delegated {
            let own = |field: &String| field.starts_with("metadata.") || !field.contains('.');
            if fields.len() > DELEGATED_MAX || fields.iter().any(own) {
                let message = "must be dotted paths below `spec` or `data`, such as spec.replicas";
                found.push(Violation::new(format!("delegated.{key}"), message));
            }
        }
        found
    }

    fn needs(spec: &Spec) -> Vec<Need> {
        let values = spec.values.values().chain(&spec.objects).flat_map(json_needs);
        std::iter::once(Need::ready(spec.cluster.clone())).chain(values).collect()
    }

    fn outputs(_: &Spec) -> Vec<OutputDeclaration> {
        OutputDeclaration::plain(&["chart", "namespace", "release", "rendered", "values"])
    }

    fn change(old: &Spec, new: &Spec) -> Change {
        Change::forces("cluster", &old.cluster, &new.cluster)
            .or_else(|| Change::forces("release", &old.release, &new.release))
            .unwrap_or_else(|| Change::in_place(old, new))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wrong(chart: Value) -> Vec<String> {
        let spec = json!({ "cluster": "cluster/a", "chart": chart });
        let spec = serde_json::from_value(spec).unwrap();
        Helm::validate(&spec).iter().map(|violation| violation.path.clone()).collect()
    }

    #[test]
    fn a_chart_is_had_from_one_place_alone() {
        let digest = Hash::of(b"x").to_hex();
        let good: [Value; 4] = [
            json!({ "repository": "https://charts.example.com", "name": "web", "version": "1.2.3" }),
            json!({ "oci": "oci://example.com:5000/charts/web", "version": "v1.2.3+b", "sha256": digest }),
            json!({ "archive": digest, "sha256": digest }),
            json!({ "files": { "Chart.yaml": digest } }),
        ];
        for chart in good {
            assert!(wrong(chart.clone()).is_empty(), "{chart}");
        }
        for (chart, field) in [
            (json!({}), "version"),
            (json!({ "version": "1.0.0" }), "repository"),
            (json!({ "repository": "file:///etc", "name": "web", "version": "1.0.0" }), "repository"),
            (json!({ "repository": "https://ada:secret@a.test", "name": "web", "version": "1.0.0" }), "repository"),
            (json!({ "repository": "https://a.test", "name": "../web", "version": "1.0.0" }), "name"),
            (json!({ "repository": "https://a.test", "name": "web", "version": "^1" }), "version"),
            (json!({ "oci": "oci://a.test/../web", "version": "1.0.0" }), "oci"),
            (json!({ "oci": "oci://a.test/web", "version": "1.0.0", "sha256": "abc" }), "sha256"),
            (json!({ "archive": digest, "sha256": Hash::of(b"y").to_hex() }), "sha256"),
            (json!({ "files": { "../x": digest } }), "files"),
        ] {
            assert_eq!(wrong(chart.clone()), [format!("chart.{field}")], "{chart}");
        }
    }

    #[test]
    fn values_refer_to_outputs() {
        let spec: Spec = serde_json::from_value(json!({
            "cluster": "cluster/a", "chart": { "files": {} },
            "values": { "db": { "host": "${database/dev_shop_db.host}" } },
        }))
        .unwrap();
        let needs: Vec<String> = Helm::needs(&spec).iter().map(|need| need.resource.to_string()).collect();
        assert_eq!(needs, ["cluster/a", "database/dev_shop_db"]);
    }
}
