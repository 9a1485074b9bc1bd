//! A relational database: managed (RDS) or in the cluster, as its class says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kind::{Change, Kind, Need, OutputDeclaration, Violation};
use crate::name::ResourceId;

/// The smallest storage in GiB (AWS: RDS gp3 starts at 20; in-cluster classes may go lower).
pub const STORAGE_GIB_MIN: u32 = 1;
/// The largest storage in GiB (AWS: RDS, 64 TiB).
pub const STORAGE_GIB_MAX: u32 = 65_536;

/// The `database` kind.
pub struct Database;

/// A relational engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// PostgreSQL.
    Postgres,
    /// MySQL.
    Mysql,
}

impl Engine {
    /// The name in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
        }
    }

    /// The port it listens on.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::Mysql => 3306,
        }
    }
}

/// What is wanted of a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The engine; replacing it replaces the database.
    pub engine: Engine,
    /// The engine's major version, such as `16`. May only go up.
    pub version: String,
    /// Storage in GiB, 1..=65536. May only grow in place.
    pub storage_gib: u32,
    /// The size in the provider's words, such as `db.t4g.micro`.
    pub size: String,
    /// The name of the database inside the server.
    pub database: String,
    /// A standby in a second zone.
    #[serde(default)]
    pub highly_available: bool,
    /// Days that backups are kept, 0..=35 (AWS: RDS).
    #[serde(default)]
    pub backup_days: u32,
    /// The cluster it runs in or is reachable from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ResourceId>,
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

impl Kind for Database {
    const NAME: &'static str = "database";
    const STATEFUL: bool = true;
    type Spec = Spec;

    fn validate(spec: &Spec) -> Vec<Violation> {
        let mut violations = Vec::new();
        if !(STORAGE_GIB_MIN..=STORAGE_GIB_MAX).contains(&spec.storage_gib) {
            violations.push(Violation::new("storage_gib", format!("must be {STORAGE_GIB_MIN} to {STORAGE_GIB_MAX} GiB")));
        }
        if major(&spec.version).is_none() {
            violations.push(Violation::new("version", "must start with a number, such as `16` or `8.4`"));
        }
        if spec.backup_days > 35 {
            violations.push(Violation::new("backup_days", "must be 0 to 35 days"));
        }
        let mut letters = spec.database.chars();
        if !letters.next().is_some_and(|c| c.is_ascii_lowercase())
            || spec.database.len() > 63
            || !letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        {
            violations.push(Violation::new("database", "must be 1 to 63 of a-z, 0-9 and `_`, starting with a letter"));
        }
        violations
    }

    fn needs(spec: &Spec) -> Vec<Need> {
        spec.cluster.iter().cloned().map(Need::ready).collect()
    }

    fn outputs(_: &Spec) -> Vec<OutputDeclaration> {
        OutputDeclaration::with_secrets(&["host", "port", "database", "username"], &["password"])
    }

    fn change(old: &Spec, new: &Spec) -> Change {
        // The versions of different engines say nothing of each other.
        if old.engine != new.engine {
            return Change::Replace {
                why: format!(
                    "engine cannot change in place ({} -> {}): a new database takes its place, and the data has to be moved",
                    old.engine.as_str(),
                    new.engine.as_str()
                ),
            };
        }
        if let (Some(from), Some(to)) = (major(&old.version), major(&new.version))
            && to < from
        {
            return Change::Refused { why: format!("version cannot go down ({from} -> {to}): restore a backup instead") };
        }
        let forced = Change::forces("database", &old.database, &new.database)
            .or_else(|| Change::forces("cluster", &old.cluster, &new.cluster));
        let shrinks = (new.storage_gib < old.storage_gib).then(|| Change::Replace {
            why: format!("storage_gib cannot shrink in place ({} -> {})", old.storage_gib, new.storage_gib),
        });
        forced.or(shrinks).unwrap_or_else(|| Change::in_place(old, new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Spec {
        Spec {
            engine: Engine::Postgres,
            version: "16".into(),
            storage_gib: 20,
            size: "db.t4g.micro".into(),
            database: "shop".into(),
            highly_available: false,
            backup_days: 7,
            cluster: None,
        }
    }

    #[test]
    fn storage_grows_in_place_and_shrinks_by_replacement() {
        assert_eq!(Database::change(&small(), &Spec { storage_gib: 40, ..small() }), Change::InPlace);
        let shrunk = Database::change(&small(), &Spec { storage_gib: 10, ..small() });
        assert!(matches!(shrunk, Change::Replace { .. }));
    }

    #[test]
    fn a_version_never_goes_down() {
        let down = Database::change(&small(), &Spec { version: "15".into(), ..small() });
        assert!(matches!(down, Change::Refused { .. }));
        assert_eq!(Database::change(&small(), &Spec { version: "17".into(), ..small() }), Change::InPlace);
    }

    #[test]
    fn another_engine_is_another_database_whatever_its_version() {
        let mysql = Spec { engine: Engine::Mysql, version: "8.4".into(), ..small() };
        let why = "engine cannot change in place (postgres -> mysql): a new database takes its place, and the data has to be moved";
        assert_eq!(Database::change(&small(), &mysql), Change::Replace { why: why.into() });
        assert!(matches!(Database::change(&mysql, &small()), Change::Replace { .. }));
    }

    #[test]
    fn each_bad_field_is_named() {
        let bad = Spec { storage_gib: 0, version: "new".into(), backup_days: 36, database: "1".into(), ..small() };
        let paths: Vec<_> = Database::validate(&bad).into_iter().map(|v| v.path).collect();
        assert_eq!(paths, ["storage_gib", "version", "backup_days", "database"]);
        assert_eq!(Database::validate(&small()), []);
    }
}
