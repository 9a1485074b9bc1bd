//! What is known of one incarnation of a resource.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::CanaryStatus;
use crate::kinds::Spec;
use crate::name::{Name, ResourceId};
use crate::text::OutputMap;
use crate::time::Time;

/// A class at a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClassRef {
    /// Its name, `<type>_<class>`.
    pub name: Name,
    /// Its version, from 1.
    pub version: u64,
}

/// Why a resource exists, and so when it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Lifetime {
    /// A deployment's: it goes when the deployment does or no longer declares it.
    Deployment(Name),
    /// It goes a grace time after nothing needs it any more. Support services.
    WhileNeeded,
    /// It stays until somebody deletes it. Clusters.
    Kept,
}

/// What is known of the current incarnation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Body {
    /// Names this incarnation.
    pub uid: Uuid,
    /// Counts the revisions of the spec, from 1.
    pub generation: u64,
    /// What is wanted.
    pub spec: Spec,
    /// The class it was made from.
    pub class: Option<ClassRef>,
    /// Why it exists.
    pub lifetime: Lifetime,
    /// When this incarnation was declared.
    pub declared_at: Time,
    /// When the spec was last revised.
    pub revised_at: Time,
    /// Set while Cairn takes no action on it.
    pub paused: bool,
    /// Set while deletion is refused.
    pub protected: bool,
    /// The last action, as intended and as it went.
    pub action: Option<Action>,
    /// The provider's name for it, such as an ARN.
    pub external: Option<String>,
    /// What it published.
    pub outputs: OutputMap,
    /// Whether it is as wanted.
    pub readiness: Readiness,
    /// What it waits for.
    pub blocker: Option<Blocker>,
    /// How the world differs though we were done.
    pub drift: Option<Drift>,
    /// The digest of a difference that was taken as wanted.
    #[serde(default)]
    pub accepted: Option<String>,
    /// Who keeps making the same difference, however often it is set right.
    #[serde(default)]
    pub contest: Option<Contest>,
    /// What its world has warned of since it was last ready or revised.
    #[serde(default)]
    pub notices: Vec<Notice>,
    /// How far the trial of a new revision has come.
    #[serde(default)]
    pub canary: Option<CanaryStatus>,
}

/// Whether a resource is as wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// The generation last seen ready; 0 for never.
    pub generation: u64,
    /// Ready now, at `generation`.
    pub ready: bool,
    /// Since when it has been so.
    pub since: Time,
    /// Why not, when not.
    pub reason: Option<String>,
}

/// What a reconciler does to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ActionName {
    /// Makes it.
    Create,
    /// Changes it in place.
    Update,
    /// Removes it.
    Delete,
}

/// An action: recorded before it is tried (invariant 8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Which.
    pub name: ActionName,
    /// For which generation.
    pub generation: u64,
    /// When it was first intended.
    pub since: Time,
    /// The provider acknowledged it.
    pub done: bool,
    /// How it last failed.
    pub failure: Option<Failure>,
}

/// Why an action failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// What to do about it.
    pub class: FailureClass,
    /// The provider's own words.
    pub message: String,
}

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailureClass {
    /// Try again, later and later.
    Retry,
    /// Try again, slower: the provider is asking for it.
    Throttled,
    /// Only a changed spec or a person can help. Looked at again at every resync.
    Terminal,
}

/// What a resource waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Blocker {
    /// The resource it waits for, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<ResourceId>,
    /// In words.
    pub reason: String,
    /// Since when.
    pub since: Time,
}

/// The most notices between two revisions: what comes later says seldom more.
pub const NOTICES_MAX: usize = 8;

/// A warning of the world that a thing lives in, such as an event of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notice {
    /// In a word, such as `FailedScheduling`.
    pub reason: String,
    /// What it is about, in the world's words, such as `Pod web-1`.
    pub about: String,
    /// In a sentence.
    pub message: String,
    /// When it was last seen before it was noted.
    pub at: Time,
}

impl Notice {
    /// The same warning of the same sort of thing, however its words differ: each replica has a name of its own.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let sort = |about: &str| about.split(' ').next().unwrap_or_default().to_owned();
        self.reason == other.reason && sort(&self.about) == sort(&other.about)
    }
}

/// How the world differs from the spec though we were done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Drift {
    /// What differs.
    pub detail: String,
    /// Who did it, where the provider can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The digest of what was found; none when nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// When it was seen.
    pub since: Time,
}

/// The same difference by the same hand, again and again: two who write the same field, each sure of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contest {
    /// What differs, as [`Drift::detail`].
    pub detail: String,
    /// Who does it.
    pub by: String,
    /// How often it was seen, from 1.
    pub times: u32,
    /// When it was seen first.
    pub since: Time,
    /// When it was seen last.
    pub last: Time,
}

/// So often is a difference set right that somebody else makes again.
pub const CONTEST_MAX: u32 = 3;
/// A difference that comes back later than this after the last time is a new one, in microseconds: ten minutes.
pub const CONTEST_MICROS: i64 = 10 * 60 * 1_000_000;

impl Contest {
    /// Whether setting it right once more would only go on with it.
    #[must_use]
    pub const fn is_fight(&self) -> bool {
        self.times > CONTEST_MAX
    }

    /// What is known after a difference was seen: it goes on, or another begins. None where nobody can be named.
    pub(super) fn after(before: Option<Self>, drift: &Drift) -> Option<Self> {
        let by = drift.by.clone()?;
        let known = before.filter(|known| {
            let pause = drift.since.micros_since(known.last);
            known.by == by && known.detail == drift.detail && pause <= CONTEST_MICROS
        });
        let (times, since) = known.map_or((0, drift.since), |known| (known.times, known.since));
        let detail = drift.detail.clone();
        Some(Self { detail, by, times: times.saturating_add(1), since, last: drift.since })
    }
}

/// A deletion in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// When it was asked for.
    pub since: Time,
    /// Something new will take the name: whoever needs it waits and need not go first.
    pub replacement: bool,
}

/// What remains of an incarnation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grave {
    /// Which incarnation.
    pub uid: Uuid,
    /// What it was.
    pub spec: Spec,
    /// Whose it was.
    pub lifetime: Lifetime,
    /// When it was gone.
    pub at: Time,
}

impl Body {
    /// Those that say something new: each reason is noted once, and no more than so many.
    #[must_use]
    pub fn new_notices(&self, seen: &[Notice]) -> Vec<Notice> {
        let mut new: Vec<Notice> = Vec::new();
        for notice in seen {
            let room = self.notices.len() + new.len() < NOTICES_MAX;
            if room && !self.notices.iter().chain(&new).any(|known| known.is_like(notice)) {
                new.push(notice.clone());
            }
        }
        new
    }

    /// As wanted now, in its current generation.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.readiness.ready && self.readiness.generation == self.generation
    }

    /// The deployment it belongs to.
    #[must_use]
    pub const fn deployment(&self) -> Option<&Name> {
        match &self.lifetime {
            Lifetime::Deployment(name) => Some(name),
            Lifetime::WhileNeeded | Lifetime::Kept => None,
        }
    }
}
