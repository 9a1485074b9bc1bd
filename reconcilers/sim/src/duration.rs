//! How long things take in the simulated world, at speed 1.

use domain::KindName;

/// How long it takes to make one, in microseconds, before jitter.
#[must_use]
pub const fn create_micros(kind: KindName) -> i64 {
    const SECOND: i64 = 1_000_000;
    SECOND
        * match kind {
            KindName::Cluster => 90,
            KindName::Database => 60,
            KindName::Queue => 25,
            KindName::Cache | KindName::Extension | KindName::Helm | KindName::Manifests => 20,
            KindName::SupportService => 15,
            KindName::Certificate => 10,
            KindName::Workload => 8,
            KindName::Bucket | KindName::DnsRecord => 5,
            KindName::Volume => 4,
            KindName::Route => 3,
            KindName::Secret => 1,
        }
}

/// How long a change takes: half as long as making it.
#[must_use]
pub const fn update_micros(kind: KindName) -> i64 {
    create_micros(kind) / 2
}

/// How long a removal takes: a third as long as making it.
#[must_use]
pub const fn delete_micros(kind: KindName) -> i64 {
    create_micros(kind) / 3
}
