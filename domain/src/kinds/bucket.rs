//! Object storage.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kind::{Change, Kind, Need, OutputDeclaration, Violation};

/// The `bucket` kind.
pub struct Bucket;

/// What is wanted of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Where it lies; replacing it replaces the bucket.
    pub region: String,
    /// Keeps old versions of objects.
    #[serde(default)]
    pub versioning: bool,
    /// Anyone may read. Off unless a class allows it.
    #[serde(default)]
    pub public_read: bool,
    /// Days after which objects expire; 0 keeps them.
    #[serde(default)]
    pub expire_days: u32,
}

impl Kind for Bucket {
    const NAME: &'static str = "bucket";
    const STATEFUL: bool = true;
    type Spec = Spec;

    fn validate(spec: &Spec) -> Vec<Violation> {
        let empty = spec.region.is_empty().then(|| Violation::new("region", "must not be empty"));
        empty.into_iter().collect()
    }

    fn needs(_: &Spec) -> Vec<Need> {
        Vec::new()
    }

    fn outputs(_: &Spec) -> Vec<OutputDeclaration> {
        OutputDeclaration::with_secrets(&["endpoint", "region", "bucket"], &["access_key_id", "secret_key"])
    }

    fn change(old: &Spec, new: &Spec) -> Change {
        Change::forces("region", &old.region, &new.region).unwrap_or_else(|| Change::in_place(old, new))
    }
}
