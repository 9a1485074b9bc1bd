//! What our objects are called and carry.

use std::collections::BTreeMap;

use domain::commit::Hash;
use domain::{Name, ResourceId, Tenant};
use reconcilers::Target;
use uuid::Uuid;

/// Who applies, for all that one control plane applies. Another name would orphan every field (Kubernetes:
/// server-side apply).
pub const FIELD_MANAGER: &str = "cairn";
/// On everything of ours: what the watches look for.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "cairn");
/// The incarnation that an object belongs to.
pub const UID: &str = "cairn.dev/uid";
/// Whose it is.
pub const TENANT: &str = "cairn.dev/tenant";
/// The resource, `kind/name`: an annotation, since it may be longer than a label.
pub const RESOURCE: &str = "cairn.dev/resource";
/// The digest of what was last asked for, on the object that is applied last.
pub const APPLIED: &str = "cairn.dev/applied";
/// The digest of what an object says, on each: an object that says the same is not applied again.
pub const CONTENT: &str = "cairn.dev/content";
/// On the record of a set of objects: which kinds are among them, as `apiVersion kind`, with `,` between.
pub const KINDS: &str = "cairn.dev/kinds";
/// On the record of a set of objects: the namespace that was named for them.
pub const NAMESPACE: &str = "cairn.dev/namespace";
/// What is on the record of a chart begins so.
pub const HELM: &str = "cairn.dev/helm-";
/// On what a hook of a chart made: which run of it.
pub const HOOK: &str = "cairn.dev/hook";
/// On what stays when its chart goes, by the chart's own word.
pub const POLICY: &str = "helm.sh/resource-policy";
/// Names of objects end in so many hexadecimal digits where the name alone would not tell them apart.
const DIGITS: usize = 6;
/// The longest name of an object: a DNS label.
const LENGTH_MAX: usize = 63;

/// The labels of everything that belongs to an incarnation. None of them changes in its life, so that selectors may
/// use them.
#[must_use]
pub fn labels(target: &Target) -> BTreeMap<String, String> {
    let place = Place::of(&target.id);
    let mut labels = BTreeMap::from([
        (MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned()),
        (UID.to_owned(), target.uid.to_string()),
        (TENANT.to_owned(), target.tenant.to_string()),
        ("app.kubernetes.io/name".to_owned(), value(&place.rest)),
    ]);
    if let Some(deployment) = &place.deployment {
        labels.insert("app.kubernetes.io/instance".to_owned(), value(deployment.as_str()));
    }
    if let Some(application) = &place.application {
        labels.insert("app.kubernetes.io/part-of".to_owned(), value(application));
    }
    labels
}

/// The annotations of everything that belongs to an incarnation.
#[must_use]
pub fn annotations(target: &Target) -> BTreeMap<String, String> {
    BTreeMap::from([(RESOURCE.to_owned(), target.id.to_string())])
}

/// Whose an object is, by what it carries.
#[must_use]
pub fn target(
    labels: &BTreeMap<String, String>,
    annotations: &BTreeMap<String, String>,
) -> Option<Target> {
    let tenant: Tenant = labels.get(TENANT)?.parse().ok()?;
    let id: ResourceId = annotations.get(RESOURCE)?.parse().ok()?;
    let uid: Uuid = labels.get(UID)?.parse().ok()?;
    Some(Target { tenant, id, uid })
}

/// The namespace of a deployment's objects: `<environment>-<application>`.
#[must_use]
pub fn namespace(target: &Target) -> String {
    let place = Place::of(&target.id);
    let name = place.deployment.as_ref().map_or("shared", Name::as_str);
    unambiguous(name, target.tenant.as_str())
}

/// The name of a resource's objects within its namespace.
#[must_use]
pub fn name(id: &ResourceId) -> String {
    unambiguous(&Place::of(id).rest, "")
}

/// A resource's place in its deployment: names are `<environment>_<application>_<rest>`.
struct Place {
    deployment: Option<Name>,
    application: Option<String>,
    rest: String,
}

impl Place {
    fn of(id: &ResourceId) -> Self {
        let text = id.name.as_str();
        let mut parts = text.splitn(3, '_');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(environment), Some(application), Some(rest)) => Self {
                deployment: Name::join(&[environment, application]).ok(),
                application: Some(application.to_owned()),
                rest: rest.to_owned(),
            },
            _ => Self { deployment: None, application: None, rest: text.to_owned() },
        }
    }
}

/// Text of labels and `_` as one DNS label. `_` becomes `-`; where there was a `-` as well, or it is too long, a digest
/// tells it from what would look the same. What others are told of a workload is its name as it is in the file, so
/// that stays; plans refuse two of a kind that differ in `_` and `-` alone.
fn unambiguous(text: &str, owner: &str) -> String {
    let plain = text.replace('_', "-");
    let is_mixed = text.contains('-') && text.contains('_');
    if !is_mixed && plain.len() <= LENGTH_MAX && matches!(owner, "" | "default") {
        return plain;
    }
    let digest = Hash::of(format!("{owner} {text}").as_bytes()).to_hex();
    let head: String = plain.chars().take(LENGTH_MAX - DIGITS - 1).collect();
    let digits: String = digest.chars().take(DIGITS).collect();
    format!("{}-{digits}", head.trim_end_matches('-'))
}

/// A name made of others, cut where it is too long.
#[must_use]
pub fn fitting(name: &str) -> String {
    within(name, LENGTH_MAX)
}

/// A name of so many letters at most, cut where it is longer.
#[must_use]
pub fn within(name: &str, length_max: usize) -> String {
    if name.len() <= length_max {
        return name.to_owned();
    }
    digested(name, name.as_bytes(), length_max)
}

/// Text as the value of a label.
fn value(text: &str) -> String {
    if text.len() <= LENGTH_MAX { text.to_owned() } else { unambiguous(text, "value") }
}

/// A name with the digest of what it stands for, so that another content has another name.
#[must_use]
pub fn with_digest(name: &str, content: &[u8]) -> String {
    digested(name, content, LENGTH_MAX)
}

fn digested(name: &str, content: &[u8], length_max: usize) -> String {
    let digits: String = Hash::of(content).to_hex().chars().take(8).collect();
    let head: String = name.chars().take(length_max - 9).collect();
    format!("{}-{digits}", head.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(id: &str, tenant: &str) -> Target {
        Target { tenant: tenant.parse().unwrap(), id: id.parse().unwrap(), uid: Uuid::nil() }
    }

    #[test]
    fn names_are_plain_where_they_can_be_and_differ_where_they_must() {
        let web = target("workload/dev_shop_web", "default");
        assert_eq!(namespace(&web), "dev-shop");
        assert_eq!(name(&web.id), "web");
        let alike = [
            namespace(&target("workload/a-b_c_web", "default")),
            namespace(&target("workload/a_b-c_web", "default")),
            namespace(&target("workload/a_b_web", "default")),
            namespace(&target("workload/a_b_web", "acme")),
        ];
        let different: std::collections::BTreeSet<_> = alike.iter().collect();
        assert_eq!(different.len(), alike.len(), "{alike:?}");
        // What other workloads connect to.
        assert_eq!(name(&"workload/dev_shop_web-api".parse().unwrap()), "web-api");
        assert_eq!(name(&"volume/dev_shop_db_data".parse().unwrap()), "db-data");
        let (one, other) = ("volume/dev_shop_my-db_data", "volume/dev_shop_my_db-data");
        assert_ne!(name(&one.parse().unwrap()), name(&other.parse().unwrap()));
        let long = format!("workload/dev_shop_{}_{}", "x".repeat(60), "y".repeat(60));
        assert!(name(&long.parse().unwrap()).len() <= LENGTH_MAX);
    }

    #[test]
    fn an_object_says_whose_it_is() {
        let web = target("workload/dev_shop_web", "acme");
        assert_eq!(super::target(&labels(&web), &annotations(&web)), Some(web));
    }
}
