//! THE REGISTRY: one line a kind.
//!
//! Everything that repeats per kind is generated from [`for_each_kind!`](crate::for_each_kind): the [`KindName`] and [`Spec`] enums
//! here, the reconcilers' and providers' tables elsewhere.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::commit::Hash;
use crate::kind::{Change, Kind, Need, OutputDeclaration, Violation};
use crate::name::ResourceId;

/// Calls a macro with every kind as `module => Type, …`.
#[macro_export]
macro_rules! for_each_kind {
    ($callback:path) => {
        $callback! {
            bucket => Bucket,
            cache => Cache,
            certificate => Certificate,
            cluster => Cluster,
            database => Database,
            dns_record => DnsRecord,
            extension => Extension,
            helm => Helm,
            manifests => Manifests,
            queue => Queue,
            route => Route,
            secret => Secret,
            support_service => SupportService,
            volume => Volume,
            workload => Workload,
        }
    };
}

macro_rules! registry {
    ($($module:ident => $kind:ident),* $(,)?) => {
        $(pub mod $module;)*
        $(pub use $module::$kind;)*

        /// A kind, by name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "each is documented in its module")]
        pub enum KindName { $($kind),* }

        impl KindName {
            /// Every kind, in alphabetical order.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The name in streams, files and on the command line.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => <$kind as Kind>::NAME),* }
            }

            /// Replacing it loses data.
            #[must_use]
            pub const fn is_stateful(self) -> bool {
                match self { $(Self::$kind => <$kind as Kind>::STATEFUL),* }
            }

            /// Reads a spec of this kind.
            ///
            /// # Errors
            /// When the value does not fit the kind's schema; the message names the field.
            pub fn read_spec(self, value: Value) -> Result<Spec, serde_json::Error> {
                Ok(match self { $(Self::$kind => Spec::$kind(serde_json::from_value(value)?)),* })
            }

            /// The JSON Schema of this kind's spec.
            #[must_use]
            pub fn spec_schema(self) -> Schema {
                match self { $(Self::$kind => schemars::schema_for!(<$kind as Kind>::Spec)),* }
            }
        }

        /// What is wanted of a resource, of whatever kind. Written as `{"<kind>": {…}}`.
        #[derive(Clone, Debug, PartialEq)]
        #[allow(missing_docs, reason = "each is documented in its module")]
        pub enum Spec { $($kind(<$kind as Kind>::Spec)),* }

        impl Spec {
            /// Its kind.
            #[must_use]
            pub const fn kind(&self) -> KindName {
                match self { $(Self::$kind(_) => KindName::$kind),* }
            }

            /// What is wrong with it.
            #[must_use]
            pub fn validate(&self) -> Vec<Violation> {
                match self { $(Self::$kind(spec) => <$kind as Kind>::validate(spec)),* }
            }

            /// What it needs; sorted, each once.
            #[must_use]
            pub fn needs(&self) -> Vec<Need> {
                let mut needs = match self { $(Self::$kind(spec) => <$kind as Kind>::needs(spec)),* };
                needs.sort();
                needs.dedup();
                needs
            }

            /// What it will publish.
            #[must_use]
            pub fn outputs(&self) -> Vec<OutputDeclaration> {
                match self { $(Self::$kind(spec) => <$kind as Kind>::outputs(spec)),* }
            }

            /// How the way to another spec can be gone.
            #[must_use]
            pub fn change(&self, new: &Self) -> Change {
                match (self, new) {
                    $((Self::$kind(old), Self::$kind(new)) => <$kind as Kind>::change(old, new),)*
                    (old, new) => Change::Refused { why: format!("a {} cannot become a {}", old.kind(), new.kind()) },
                }
            }

            /// The spec alone, without its kind.
            #[must_use]
            pub fn to_value(&self) -> Value {
                match self { $(Self::$kind(spec) => serde_json::to_value(spec).unwrap_or(Value::Null)),* }
            }
        }

        impl Serialize for Spec {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$kind(spec) => serializer.collect_map([(<$kind as Kind>::NAME, spec)])),*
                }
            }
        }

        $(impl TypedSpec for $kind {
            fn of(spec: &Spec) -> Option<&Self::Spec> {
                if let Spec::$kind(spec) = spec { Some(spec) } else { None }
            }
        })*
    };
}
for_each_kind!(registry);

/// Narrows a [`Spec`] to one kind's.
pub trait TypedSpec: Kind {
    /// The spec, if it is of this kind.
    fn of(spec: &Spec) -> Option<&Self::Spec>;
}

impl KindName {
    /// Finds a kind by name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for KindName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for KindName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for KindName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&name)
            .ok_or_else(|| serde::de::Error::custom(format!("there is no kind `{name}`")))
    }
}

impl JsonSchema for KindName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "KindName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "a kind: schema/events/<kind>/spec.v1.json" })
    }
}

impl Spec {
    /// A digest of the spec: equal specs, equal digests.
    #[must_use]
    pub fn digest(&self) -> Hash {
        Hash::of(self.to_value().to_string().as_bytes())
    }

    /// The cluster that it lives in; none for what lives in none.
    #[must_use]
    pub fn cluster(&self) -> Option<ResourceId> {
        let mut needs = self.needs().into_iter().map(|need| need.resource);
        needs.find(|id| id.kind == KindName::Cluster)
    }
}

impl<'de> Deserialize<'de> for Spec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = std::collections::BTreeMap::<KindName, Value>::deserialize(deserializer)?;
        let mut entries = map.into_iter();
        match (entries.next(), entries.next()) {
            (Some((kind, value)), None) => kind.read_spec(value).map_err(serde::de::Error::custom),
            _ => Err(serde::de::Error::custom("a spec is one kind and its fields")),
        }
    }
}

impl JsonSchema for Spec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Spec".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object", "minProperties": 1, "maxProperties": 1,
            "description": "one kind and its spec: schema/events/<kind>/spec.v1.json"
        })
    }
}
