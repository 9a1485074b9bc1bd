//! What the servers promise, judged by what they say of themselves when the log is opened.

use std::fmt;

use super::monitor::Server;
use crate::Durability;

/// Below this, and in the range after it, anybody who can connect may get at the log (CVE-2026-33222, -33223,
/// -33248, -33219).
const FLOOR: Version = Version(2, 11, 15);
const HOLE_FROM: Version = Version(2, 12, 0);
const HOLE_UNTIL: Version = Version(2, 12, 6);
/// From here on `sync_interval: always` on three replicas is fast, and known losses with it are mended.
const RECOMMENDED: Version = Version(2, 15, 0);

/// A server's version without what follows the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(u64, u64, u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl Version {
    /// A text that is no version is older than any.
    pub(super) fn read(text: &str) -> Self {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Self(next(), next(), next())
    }

    /// Why a server of this version is refused, if it is.
    pub(super) fn refused(self) -> Option<String> {
        if self < FLOOR {
            return Some(format!("it is older than {FLOOR}"));
        }
        let hole = (HOLE_FROM..HOLE_UNTIL).contains(&self);
        hole.then(|| format!("{HOLE_FROM} up to {HOLE_UNTIL} let strangers at the log"))
    }
}

/// What the servers proved when the log was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// What an acknowledged append survives.
    pub durability: Durability,
    /// On how many servers a commit is kept.
    pub replicas: usize,
    /// The servers that keep the log and their versions, as far as they were asked.
    pub servers: Vec<String>,
    /// Why it is this class, and not the next one.
    pub reasons: Vec<String>,
    /// What does no harm yet, and should be changed.
    pub warnings: Vec<String>,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.durability, self.reasons.join("; "))
    }
}

/// What is known of the servers.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    pub(super) replicas: usize,
    /// The names of those that keep the log.
    pub(super) keepers: Vec<String>,
    /// What those said whose monitoring address was given.
    pub(super) monitored: Vec<Server>,
    /// The version of the one we are connected to.
    pub(super) version: String,
}

/// Judges the evidence. What is not proved is not promised.
pub(super) fn judge(evidence: &Evidence) -> Promise {
    let Evidence { replicas, keepers, monitored, version } = evidence;
    let replicas = *replicas;
    let said = |keeper: &String| monitored.iter().find(|server| server.name == *keeper);
    let unknown: Vec<_> = keepers.iter().filter(|&k| said(k).is_none()).cloned().collect();
    let lazy: Vec<_> = keepers.iter().filter_map(said).filter(|s| !s.sync_always()).collect();
    let lazy: Vec<_> = lazy.into_iter().map(|server| server.name.clone()).collect();
    let mut reasons = Vec::new();
    if monitored.is_empty() {
        reasons
            .push("no monitoring address was given, so when the servers sync is not known".into());
    } else if !unknown.is_empty() {
        let unknown = unknown.join(", ");
        reasons.push(format!("no monitoring address was given for {unknown}, which keep the log"));
    }
    if !lazy.is_empty() {
        let lazy = lazy.join(", ");
        reasons.push(format!(
            "{lazy} acknowledge before they sync: set `sync_interval: always` in their jetstream block"
        ));
    }
    let synced = reasons.is_empty() && !keepers.is_empty();
    let durability = match (synced, replicas) {
        (false, _) => Durability::ProcessCrash,
        (true, 0..=2) => Durability::PowerLoss,
        (true, _) => Durability::Quorum,
    };
    match durability {
        Durability::ProcessCrash => {}
        Durability::PowerLoss => {
            reasons.push("every server that keeps the log syncs before it acknowledges".into());
            reasons.push(format!("{replicas} replica: a lost disk is a lost log"));
        }
        Durability::Quorum => {
            reasons
                .push(format!("{replicas} replicas, each of which syncs before it acknowledges"));
        }
    }
    let mut servers: Vec<_> =
        monitored.iter().map(|server| format!("{} {}", server.name, server.version)).collect();
    if servers.is_empty() {
        servers.push(version.clone());
    }
    let mut versions = monitored.iter().map(|server| server.version.as_str()).chain([&**version]);
    let old = versions.find(|version| Version::read(version) < RECOMMENDED);
    let warnings = old.map(|version| {
        format!("nats-server {version} is older than {RECOMMENDED}, the first whose known losses are mended")
    });
    Promise { durability, replicas, servers, reasons, warnings: warnings.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(replicas: usize, monitored: &[(&str, bool)]) -> Promise {
        let names = ["one", "two", "three"];
        judge(&Evidence {
            replicas,
            keepers: names.iter().take(replicas).map(|&name| name.into()).collect(),
            monitored: monitored.iter().map(|(n, sync)| Server::new(n, "2.15.1", *sync)).collect(),
            version: "2.15.1".into(),
        })
    }

    #[test]
    fn what_is_not_proved_is_not_promised() {
        let all = [("one", true), ("two", true), ("three", true)];
        type Row<'a> = (usize, &'a [(&'a str, bool)], Durability);
        let table: [Row<'_>; 7] = [
            (1, &[], Durability::ProcessCrash),
            (3, &[], Durability::ProcessCrash),
            (1, &[("one", false)], Durability::ProcessCrash),
            (1, &[("one", true)], Durability::PowerLoss),
            (3, &all[..2], Durability::ProcessCrash),
            (3, &[("one", true), ("two", false), ("three", true)], Durability::ProcessCrash),
            (3, &all, Durability::Quorum),
        ];
        for (replicas, monitored, durability) in table {
            let promise = judged(replicas, monitored);
            assert_eq!(promise.durability, durability, "{replicas} {monitored:?}");
            assert!(!promise.reasons.is_empty());
        }
        let lazy = judged(3, &[("one", true), ("two", false), ("three", true)]).to_string();
        assert!(lazy.contains("two acknowledge before they sync"), "{lazy}");
    }

    #[test]
    fn versions_with_known_holes_are_refused() {
        let refused = ["", "2.9.10", "2.10.26", "2.11.14", "2.12.0", "2.12.5-RC.1"];
        let taken =
            ["2.11.15", "2.11.16", "2.12.6", "2.14.7", "2.15.1", "2.16.0-preview.1", "3.0.0"];
        assert!(refused.iter().all(|version| Version::read(version).refused().is_some()));
        assert!(taken.iter().all(|version| Version::read(version).refused().is_none()));
    }

    #[test]
    fn an_old_server_is_taken_with_a_warning() {
        let mut evidence = Evidence {
            replicas: 1,
            keepers: vec!["one".into()],
            monitored: vec![Server::new("one", "2.14.7", true)],
            version: "2.14.7".into(),
        };
        assert_eq!(judge(&evidence).warnings.len(), 1);
        evidence.monitored = vec![Server::new("one", "2.15.1", true)];
        evidence.version = "2.15.1".into();
        assert!(judge(&evidence).warnings.is_empty());
    }
}
