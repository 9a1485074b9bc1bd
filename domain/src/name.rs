//! Names: validated once, at the edge, before they become a subject, a path or SQL.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::kinds::KindName;

/// The longest name in bytes: a subject token well inside every store's limit for keys.
pub const NAME_LENGTH_MAX: usize = 200;
/// The longest DNS label in bytes (RFC 1123).
pub const LABEL_LENGTH_MAX: usize = 63;

/// DNS labels joined by `_`, such as `prod_shop_db`.
///
/// Invariant: 1..=200 bytes; every label is 1..=63 of `a-z0-9-` and neither starts nor ends with `-`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// An isolated organisation: the first token of every stream. One DNS label.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(Name);

/// The text cannot be a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is not a name: use 1 to 63 of a-z, 0-9 and `-`, not starting or ending with `-`{}",
    .text.escape_debug(), if *.single { "" } else { "; parts joined by `_`, 200 characters in all" }
)]
pub struct InvalidName {
    text: String,
    single: bool,
}

/// True for one DNS label: 1..=63 of `a-z0-9-`, neither starting nor ending with `-`.
#[must_use]
pub fn is_label(text: &str) -> bool {
    (1..=LABEL_LENGTH_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

impl Name {
    /// Joins labels with `_`.
    ///
    /// # Errors
    /// [`InvalidName`] when the whole is not a name.
    pub fn join(labels: &[&str]) -> Result<Self, InvalidName> {
        labels.join("_").parse()
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() <= NAME_LENGTH_MAX && text.split('_').all(is_label) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName { text: text.chars().take(80).collect(), single: false })
        }
    }
}

impl Tenant {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for Tenant {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_label(text) {
            Ok(Self(Name(text.into())))
        } else {
            Err(InvalidName { text: text.chars().take(80).collect(), single: true })
        }
    }
}

/// One managed thing within a tenant: `database/dev_shop_db`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId {
    /// What it is.
    pub kind: KindName,
    /// Which one.
    pub name: Name,
}

impl ResourceId {
    /// Names a resource.
    #[must_use]
    pub const fn new(kind: KindName, name: Name) -> Self {
        Self { kind, name }
    }

    /// The stream that holds its life.
    #[must_use]
    pub fn stream(&self, tenant: &Tenant) -> StreamId {
        StreamId {
            tenant: tenant.clone(),
            kind: self.kind.as_str().into(),
            name: self.name.clone(),
        }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// The text is not `kind/name` of a known kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidResourceId {
    /// There is no `/`.
    #[error("`{0}` is not a resource: write kind/name, such as database/dev_shop_db")]
    NoSlash(String),
    /// The kind is not in the registry.
    #[error("there is no kind `{0}`")]
    UnknownKind(String),
    /// The part after the `/` is not a name.
    #[error(transparent)]
    Name(#[from] InvalidName),
}

impl FromStr for ResourceId {
    type Err = InvalidResourceId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, name) = text
            .split_once('/')
            .ok_or_else(|| InvalidResourceId::NoSlash(text.chars().take(80).collect()))?;
        let kind = KindName::parse(kind)
            .ok_or_else(|| InvalidResourceId::UnknownKind(kind.chars().take(80).collect()))?;
        Ok(Self { kind, name: name.parse()? })
    }
}

/// One aggregate's events: `ev.<tenant>.<kind>.<name>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    tenant: Tenant,
    kind: Arc<str>,
    name: Name,
}

impl StreamId {
    /// Names the stream of an aggregate that is not a resource, such as a deployment.
    ///
    /// # Errors
    /// [`InvalidName`] when `kind` is not one DNS label.
    pub fn new(tenant: Tenant, kind: &str, name: Name) -> Result<Self, InvalidName> {
        if is_label(kind) {
            Ok(Self { tenant, kind: kind.into(), name })
        } else {
            Err(InvalidName { text: kind.chars().take(80).collect(), single: true })
        }
    }

    /// Whose it is.
    #[must_use]
    pub const fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// The aggregate's kind: a [`KindName`] or `application`, `class`, `deployment`, ….
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Which one.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// The resource whose life this stream holds, if it is a resource's.
    #[must_use]
    pub fn resource(&self) -> Option<ResourceId> {
        KindName::parse(&self.kind).map(|kind| ResourceId { kind, name: self.name.clone() })
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ev.{}.{}.{}", self.tenant, self.kind, self.name)
    }
}

/// The text is not `ev.<tenant>.<kind>.<name>`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a stream: ev.<tenant>.<kind>.<name>")]
pub struct InvalidStreamId(String);

impl FromStr for StreamId {
    type Err = InvalidStreamId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidStreamId(text.chars().take(240).collect());
        let mut tokens = text.split('.');
        let (Some("ev"), Some(tenant), Some(kind), Some(name), None) =
            (tokens.next(), tokens.next(), tokens.next(), tokens.next(), tokens.next())
        else {
            return Err(invalid());
        };
        let tenant = tenant.parse().map_err(|_| invalid())?;
        let name = name.parse().map_err(|_| invalid())?;
        Self::new(tenant, kind, name).map_err(|_| invalid())
    }
}

macro_rules! textual {
    ($($type:ident : $pattern:expr),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    )*};
}
textual!(
    Name: "^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$",
    Tenant: "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
    ResourceId: "^[a-z-]+/[a-z0-9]([a-z0-9_-]*[a-z0-9])?$",
    StreamId: "^ev\\.[a-z0-9-]+\\.[a-z0-9-]+\\.[a-z0-9_-]+$"
);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_dns_labels_joined_by_underscores() {
        for good in ["a", "prod_shop_db", "x-1_2-y", &"a".repeat(63)] {
            assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "_",
            "a__b",
            "-a",
            "a-",
            "A",
            "a.b",
            "a*",
            "a>",
            "a b",
            "a\0",
            "é",
            "../x",
            &"a".repeat(64),
        ] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?} must not be a name");
        }
    }

    #[test]
    fn a_stream_survives_the_trip_through_text() {
        let stream: StreamId = "ev.acme.database.dev_shop_db".parse().unwrap();
        assert_eq!(stream.to_string(), "ev.acme.database.dev_shop_db");
        assert_eq!(stream.resource().unwrap().to_string(), "database/dev_shop_db");
        for bad in ["ev.acme.database", "ev.a.b.c.d", "xx.a.b.c", "ev.*.b.c", "ev.a.b.>"] {
            assert!(bad.parse::<StreamId>().is_err(), "{bad:?} must not be a stream");
        }
    }
}
