//! What things are called, so that the names alone keep apart what must be apart.
//!
//! `<env>_<app>_<res>` is an application's resource, `<env>_<app>_<workload>_<res>` a workload's own,
//! `<env>_<app>_<id>` a shared one (dots of the id become `_`), `<env>_<app>_<workload>` a workload.

use crate::commit::Hash;
use crate::kinds::KindName;
use crate::kinds::support_service::Capability;
use crate::name::{InvalidName, LABEL_LENGTH_MAX, Name, ResourceId};

/// A cluster's id.
pub(super) fn cluster(name: &str) -> Option<ResourceId> {
    Some(ResourceId::new(KindName::Cluster, name.parse().ok()?))
}

/// A support service's id: `<cluster>_<capability>`.
pub(super) fn support(
    cluster: &ResourceId,
    capability: Capability,
) -> Result<ResourceId, InvalidName> {
    let name = Name::join(&[cluster.name.as_str(), capability.as_str()])?;
    Ok(ResourceId::new(KindName::SupportService, name))
}

/// The id of a chart that gives a capability: `<cluster>_<capability>_<class>`.
pub(super) fn chart(
    cluster: &ResourceId,
    capability: Capability,
    class: &str,
) -> Result<ResourceId, InvalidName> {
    let name = Name::join(&[cluster.name.as_str(), capability.as_str(), class])?;
    Ok(ResourceId::new(KindName::Helm, name))
}

/// A workload's id.
pub(super) fn workload(deployment: &Name, workload: &str) -> Result<ResourceId, InvalidName> {
    Ok(ResourceId::new(KindName::Workload, Name::join(&[deployment.as_str(), workload])?))
}

/// The id of the job that runs before a workload.
pub(super) fn migration(workload: &ResourceId) -> Result<ResourceId, InvalidName> {
    Ok(ResourceId::new(KindName::Workload, Name::join(&[workload.name.as_str(), "migrate"])?))
}

/// The name of a requested resource.
pub(super) fn resource(
    deployment: &Name,
    workload: Option<&str>,
    name: &str,
    shared_id: Option<&str>,
) -> Result<Name, InvalidName> {
    match (shared_id, workload) {
        (Some(id), _) => Name::join(&[deployment.as_str(), &id.to_lowercase().replace('.', "_")]),
        (None, Some(workload)) => Name::join(&[deployment.as_str(), workload, name]),
        (None, None) => Name::join(&[deployment.as_str(), name]),
    }
}

/// One DNS label made of words: lower case, anything else becomes `-`, cut to length with a digest of the whole.
pub(super) fn label(words: &[&str]) -> String {
    let whole = words.join("-");
    let mut label = String::new();
    for character in whole.chars() {
        match character.to_ascii_lowercase() {
            kept @ ('a'..='z' | '0'..='9') => label.push(kept),
            _ if label.ends_with('-') || label.is_empty() => {}
            _ => label.push('-'),
        }
    }
    let label = label.trim_end_matches('-');
    if label.is_empty() || label.len() > LABEL_LENGTH_MAX {
        let digest = digest(&whole);
        let room = LABEL_LENGTH_MAX - digest.len() - 1;
        let start = label.get(..room.min(label.len())).unwrap_or_default().trim_end_matches('-');
        return if start.is_empty() { digest } else { format!("{start}-{digest}") };
    }
    label.to_owned()
}

/// A short digest of a text, to tell apart what would have the same name.
pub(super) fn digest(text: &str) -> String {
    Hash::of(text.as_bytes()).to_hex().chars().take(8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::is_label;

    #[test]
    fn anything_becomes_a_label() {
        assert_eq!(label(&["cart", "REDIS_ADDR"]), "cart-redis-addr");
        assert_eq!(label(&["web", "/etc/app.yaml"]), "web-etc-app-yaml");
        for odd in ["", "___", "é", &"x".repeat(200), &format!("{}-y", "x".repeat(53))] {
            assert!(is_label(&label(&[odd])), "{odd}");
        }
    }

    #[test]
    fn a_shared_name_has_no_workload_in_it() {
        let deployment: Name = "dev_shop".parse().unwrap();
        let name = |workload, id| resource(&deployment, workload, "db", id).unwrap().to_string();
        assert_eq!(name(Some("web"), None), "dev_shop_web_db");
        assert_eq!(name(None, None), "dev_shop_db");
        assert_eq!(name(Some("web"), Some("main.db")), "dev_shop_main_db");
    }
}
