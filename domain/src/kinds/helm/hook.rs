//! What of a chart runs at certain moments, and is no part of what is wanted for good.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::commit::Hash;

/// When a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "Helm's own words")]
pub enum Moment {
    PreInstall,
    PostInstall,
    PreUpgrade,
    PostUpgrade,
    PreDelete,
    PostDelete,
}

impl Moment {
    const ALL: [Self; 6] = [
        Self::PreInstall,
        Self::PostInstall,
        Self::PreUpgrade,
        Self::PostUpgrade,
        Self::PreDelete,
        Self::PostDelete,
    ];

    /// Helm's word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreInstall => "pre-install",
            Self::PostInstall => "post-install",
            Self::PreUpgrade => "pre-upgrade",
            Self::PostUpgrade => "post-upgrade",
            Self::PreDelete => "pre-delete",
            Self::PostDelete => "post-delete",
        }
    }
}

/// When what a hook has made is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "Helm's own words")]
pub enum Policy {
    BeforeHookCreation,
    HookSucceeded,
    HookFailed,
}

impl Policy {
    const ALL: [Self; 3] = [Self::BeforeHookCreation, Self::HookSucceeded, Self::HookFailed];

    const fn as_str(self) -> &'static str {
        match self {
            Self::BeforeHookCreation => "before-hook-creation",
            Self::HookSucceeded => "hook-succeeded",
            Self::HookFailed => "hook-failed",
        }
    }
}

/// An object that is made at certain moments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// Which object, as [`super::super::manifests::ObjectKey`] is written.
    pub object: String,
    /// What it says.
    pub digest: Hash,
    /// When.
    pub moments: BTreeSet<Moment>,
    /// Lighter ones come first.
    pub weight: i64,
    /// When it is removed.
    pub policies: BTreeSet<Policy>,
}

/// What an object says of itself as a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Nothing: it is wanted for good.
    NoHook,
    /// It runs at moments that there are none of here, such as tests.
    Other,
    /// When, with which weight, and when it is removed.
    Hook(BTreeSet<Moment>, i64, BTreeSet<Policy>),
}

/// Reads what an object says of itself. What Helm 2 called `crd-install` is wanted for good.
#[must_use]
pub fn said(body: &Value) -> Said {
    let annotation = |name: &str| {
        let all = body.pointer("/metadata/annotations")?;
        all.get(name).and_then(Value::as_str)
    };
    let Some(hooks) = annotation("helm.sh/hook") else { return Said::NoHook };
    let words = |text: &str| -> BTreeSet<String> {
        text.split(',').map(|word| word.trim().to_ascii_lowercase()).collect()
    };
    let named = words(hooks);
    if named.contains("crd-install") {
        return Said::NoHook;
    }
    let moments = Moment::ALL.into_iter().filter(|moment| named.contains(moment.as_str()));
    let moments: BTreeSet<Moment> = moments.collect();
    if moments.is_empty() {
        return Said::Other;
    }
    let weight = annotation("helm.sh/hook-weight").and_then(|text| text.trim().parse().ok());
    let named = words(annotation("helm.sh/hook-delete-policy").unwrap_or_default());
    let policies = Policy::ALL.into_iter().filter(|policy| named.contains(policy.as_str()));
    let mut policies: BTreeSet<Policy> = policies.collect();
    if policies.is_empty() {
        policies.insert(Policy::BeforeHookCreation);
    }
    Said::Hook(moments, weight.unwrap_or(0), policies)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_hook_says_when_it_runs_and_when_it_goes() {
        let object = |annotations: Value| json!({ "metadata": { "annotations": annotations } });
        assert_eq!(said(&object(json!({}))), Said::NoHook);
        assert_eq!(said(&object(json!({ "helm.sh/hook": "crd-install" }))), Said::NoHook);
        assert_eq!(said(&object(json!({ "helm.sh/hook": "test" }))), Said::Other);
        let plain = said(&object(json!({ "helm.sh/hook": "pre-install, pre-upgrade" })));
        let moments = BTreeSet::from([Moment::PreInstall, Moment::PreUpgrade]);
        assert_eq!(plain, Said::Hook(moments, 0, [Policy::BeforeHookCreation].into()));
        let policies = "hook-succeeded,hook-failed";
        let weighed = said(&object(json!({
            "helm.sh/hook": "post-delete", "helm.sh/hook-weight": "-5", "helm.sh/hook-delete-policy": policies,
        })));
        let expected = BTreeSet::from([Policy::HookSucceeded, Policy::HookFailed]);
        assert_eq!(weighed, Said::Hook([Moment::PostDelete].into(), -5, expected));
    }
}
