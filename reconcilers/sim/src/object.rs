//! A thing in the simulated world, and what can happen to it.

use std::sync::Arc;

use domain::commit::Hash;
use domain::{KindName, ResourceId, Tenant, Time};
use reconcilers::Target;
use reconcilers::converge::{Changed, Seen, SeenState};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{capacity, outputs};

/// The most steps in which a workload's replicas come up: each is a wake-up.
const ROLL_STEPS_MAX: u32 = 4;

/// An effect on the world. The world is the fold of these; they are also its ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the fields are those of the object they lead to")]
pub enum Entry {
    /// A thing was made.
    Created {
        at: Time,
        tenant: Tenant,
        id: ResourceId,
        uid: Uuid,
        token: Uuid,
        digest: Hash,
        spec: Arc<str>,
        ready_at: Time,
    },
    /// It was changed by its owner.
    Updated { at: Time, uid: Uuid, digest: Hash, spec: Arc<str>, ready_at: Time },
    /// Its removal began.
    DeletionStarted { at: Time, uid: Uuid, gone_at: Time },
    /// It is gone; its owner was told.
    Deleted { at: Time, uid: Uuid },
    /// Somebody else changed it.
    Drifted { at: Time, uid: Uuid, detail: String, by: Option<String> },
    /// Somebody else removed it.
    Removed { at: Time, uid: Uuid, by: Option<String> },
    /// It stopped working.
    Broke { at: Time, uid: Uuid, message: String, for_good: bool },
    /// It works again.
    Healed { at: Time, uid: Uuid },
}

impl Entry {
    /// Which incarnation it happened to.
    #[must_use]
    pub const fn uid(&self) -> Uuid {
        match self {
            Self::Created { uid, .. }
            | Self::Updated { uid, .. }
            | Self::DeletionStarted { uid, .. }
            | Self::Deleted { uid, .. }
            | Self::Drifted { uid, .. }
            | Self::Removed { uid, .. }
            | Self::Broke { uid, .. }
            | Self::Healed { uid, .. } => *uid,
        }
    }
}

/// What can happen to a thing that its owner did not ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Happening {
    /// It stops working: until it is healed, or for good.
    Break {
        /// What it says.
        message: String,
        /// It will not get well by itself.
        for_good: bool,
    },
    /// It works again.
    Heal,
    /// Somebody else changes it.
    Drift {
        /// What differs.
        detail: String,
        /// Who did it.
        by: Option<String>,
    },
    /// Somebody else removes it.
    Remove {
        /// Who did it.
        by: Option<String>,
    },
}

impl Happening {
    pub(crate) fn to(self, uid: Uuid, at: Time) -> Entry {
        match self {
            Self::Break { message, for_good } => Entry::Broke { at, uid, message, for_good },
            Self::Heal => Entry::Healed { at, uid },
            Self::Drift { detail, by } => Entry::Drifted { at, uid, detail, by },
            Self::Remove { by } => Entry::Removed { at, uid, by },
        }
    }
}

/// A thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// What carries which tags.
    pub target: Target,
    /// What the call that made it carried.
    pub token: Uuid,
    /// The digest of what its owner last asked for.
    pub applied: Hash,
    /// What it is, as JSON.
    pub spec: Arc<str>,
    /// How somebody else changed it.
    pub changed: Option<Changed>,
    /// When its last change began.
    pub since: Time,
    /// When it is or was as asked.
    pub ready_at: Time,
    /// When it is gone.
    pub gone_at: Option<Time>,
    /// What is wrong with it, and whether for good.
    pub broken: Option<(String, bool)>,
}

impl Object {
    /// The replicas that a workload wants; 1 for everything else.
    pub(crate) fn replicas(&self) -> u32 {
        if self.target.id.kind != KindName::Workload {
            return 1;
        }
        let spec: serde_json::Value = serde_json::from_str(&self.spec).unwrap_or_default();
        let scale = spec.get("scale");
        let number = |value: Option<&serde_json::Value>| {
            value.and_then(serde_json::Value::as_u64).and_then(|n| u32::try_from(n).ok())
        };
        number(scale.and_then(|scale| scale.get("fixed")))
            .or_else(|| number(scale.and_then(|scale| scale.get("auto")?.get("min"))))
            .unwrap_or(1)
    }

    /// How many of its replicas are ready, and how many there are: each is another pod.
    #[must_use]
    pub fn pods(&self, now: Time) -> (u32, u32) {
        let wanted = self.replicas();
        if now >= self.ready_at {
            return (wanted, wanted);
        }
        let whole = self.ready_at.micros_since(self.since).max(1);
        let steps = i64::from(wanted.min(ROLL_STEPS_MAX));
        let step = now.micros_since(self.since) * steps / whole;
        let ready = i64::from(wanted) * step / steps.max(1);
        (u32::try_from(ready).unwrap_or(wanted), wanted)
    }

    /// When it next looks different, if time alone makes it so.
    pub(crate) fn next_change(&self, now: Time) -> Option<Time> {
        if let Some(gone_at) = self.gone_at {
            return (gone_at > now).then_some(gone_at);
        }
        if self.ready_at <= now {
            return None;
        }
        let steps = i64::from(self.replicas().clamp(1, ROLL_STEPS_MAX));
        let whole = self.ready_at.micros_since(self.since).max(1);
        let step = now.micros_since(self.since) * steps / whole + 1;
        // Rounded up, so that the step is complete by then.
        let next = self.since.plus_micros((whole * step + steps - 1) / steps);
        Some(next.min(self.ready_at))
    }

    /// What its owner sees of it; none once it is gone.
    #[must_use]
    pub fn seen(&self, now: Time) -> Option<Seen> {
        let state = match (self.gone_at, &self.broken) {
            (Some(gone_at), _) if gone_at <= now => return None,
            (Some(_), _) => SeenState::Deleting,
            (None, Some((message, true))) => SeenState::Failed(message.clone()),
            (None, Some((message, false))) => SeenState::Pending(message.clone()),
            (None, None) if capacity::is_exceeded(self) => {
                SeenState::Pending(capacity::words(self))
            }
            (None, None) if now >= self.ready_at => SeenState::Ready,
            (None, None) => SeenState::Pending(self.progress(now)),
        };
        let actual = match &self.changed {
            Some(changed) => Hash::of(changed.detail.as_bytes()),
            None => self.applied,
        };
        let outputs =
            if state == SeenState::Ready { outputs::of(self) } else { domain::OutputMap::new() };
        Some(Seen {
            applied: self.applied,
            actual,
            state,
            outputs,
            external: Some(self.external()),
            changed: self.changed.clone(),
            notices: Vec::new(),
            borrowed: false,
            canary: None,
        })
    }

    /// The world's name for it.
    #[must_use]
    pub fn external(&self) -> String {
        format!("sim:{}:{}", self.target.id.kind, self.short())
    }

    /// Enough of its uid to tell it from others.
    pub(crate) fn short(&self) -> String {
        self.target.uid.simple().to_string().split_off(20)
    }

    fn progress(&self, now: Time) -> String {
        match self.target.id.kind {
            KindName::Workload => {
                let (ready, wanted) = self.pods(now);
                format!("{ready} of {wanted} replicas ready")
            }
            KindName::Certificate => "it is being issued".into(),
            KindName::SupportService => "it is being installed".into(),
            KindName::Bucket
            | KindName::Cache
            | KindName::Cluster
            | KindName::Database
            | KindName::DnsRecord
            | KindName::Extension
            | KindName::Helm
            | KindName::Manifests
            | KindName::Queue
            | KindName::Route
            | KindName::Secret
            | KindName::Volume => "it is being made".into(),
        }
    }
}

impl Object {
    /// Its removal is complete, though nobody has been told.
    #[must_use]
    pub fn is_gone(&self, now: Time) -> bool {
        self.gone_at.is_some_and(|gone_at| gone_at <= now)
    }
}

impl Entry {
    /// When.
    #[must_use]
    pub const fn at(&self) -> Time {
        match self {
            Self::Created { at, .. }
            | Self::Updated { at, .. }
            | Self::DeletionStarted { at, .. }
            | Self::Deleted { at, .. }
            | Self::Drifted { at, .. }
            | Self::Removed { at, .. }
            | Self::Broke { at, .. }
            | Self::Healed { at, .. } => *at,
        }
    }
}

impl Object {
    /// The fewest effects that lead to it.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let (at, uid) = (self.since, self.target.uid);
        let created = Entry::Created {
            at,
            tenant: self.target.tenant.clone(),
            id: self.target.id.clone(),
            uid,
            token: self.token,
            digest: self.applied,
            spec: Arc::clone(&self.spec),
            ready_at: self.ready_at,
        };
        let drifted = self.changed.clone().map(|Changed { detail, by }| Entry::Drifted {
            at,
            uid,
            detail,
            by,
        });
        let broke = self.broken.clone().map(|(message, for_good)| Entry::Broke {
            at,
            uid,
            message,
            for_good,
        });
        let leaving = self.gone_at.map(|gone_at| Entry::DeletionStarted { at, uid, gone_at });
        std::iter::once(created).chain(drifted).chain(broke).chain(leaving).collect()
    }
}
