//! What the server answers, as far as the client shows it.

use domain::Time;
use serde::Deserialize;
use serde_json::Value;

/// The fields of a resource that lists and trees show.
pub(crate) const RESOURCE: &str = "fragment R on Resource { id kind name uid phase ready since reason class deployment \
     generation readyGeneration external declaredAt action { name since done failure } drift { detail by since } blocker { on reason since } \
     notices { reason about message at } }";

/// A resource.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Resource {
    pub(crate) id: String,
    pub(crate) phase: String,
    pub(crate) ready: bool,
    pub(crate) since: Option<Time>,
    pub(crate) reason: Option<String>,
    pub(crate) class: Option<String>,
    pub(crate) deployment: Option<String>,
    pub(crate) declared_at: Option<Time>,
    pub(crate) generation: Option<u64>,
    pub(crate) ready_generation: Option<u64>,
    pub(crate) blocker: Option<Waits>,
    pub(crate) action: Option<Action>,
    pub(crate) drift: Option<Drift>,
    /// What its world has warned of while it was not ready.
    #[serde(default)]
    pub(crate) notices: Vec<Notice>,
}

/// A warning, such as an event of Kubernetes.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Notice {
    pub(crate) reason: String,
    pub(crate) about: String,
    pub(crate) message: String,
    pub(crate) at: Time,
}

/// The resource that is waited for, when it is one.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Waits {
    pub(crate) on: Option<String>,
}

/// The last action on a resource.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Action {
    pub(crate) name: String,
    pub(crate) failure: Option<String>,
}

/// A difference between the world and what is wanted.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Drift {
    pub(crate) detail: String,
}

/// What a resource waits for.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Blocker {
    pub(crate) on: Option<String>,
    pub(crate) reason: String,
    pub(crate) since: Time,
}

/// A node of a deployment's tree.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Node {
    pub(crate) resource: Resource,
    /// The deployment's own; otherwise shared.
    pub(crate) member: bool,
    pub(crate) needs: Vec<String>,
    pub(crate) blockers: Vec<Blocker>,
}

/// A rollout.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Rollout {
    pub(crate) name: String,
    pub(crate) number: u64,
    pub(crate) revision: u64,
    pub(crate) purpose: String,
    pub(crate) outcome: String,
    pub(crate) reason: Option<String>,
}

/// A deployment with its tree.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Deployment {
    pub(crate) name: String,
    pub(crate) phase: String,
    pub(crate) revision: Option<u64>,
    pub(crate) good_revision: Option<u64>,
    /// The last rollout failed, and a rollback is about to start.
    #[serde(default)]
    pub(crate) rollback_pending: bool,
    pub(crate) rollout: Option<Rollout>,
    /// The rollout that was asked for by its number.
    pub(crate) ours: Option<Rollout>,
    pub(crate) tree: Option<Vec<Node>>,
    #[serde(default)]
    pub(crate) left_behind: Vec<LeftBehind>,
    pub(crate) stranded: Option<Stranded>,
}

/// Why a deployment cannot leave a cluster that is lost.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Stranded {
    pub(crate) cluster: String,
    pub(crate) since: Time,
    pub(crate) reason: String,
}

/// What a deployment left in a cluster that was lost.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct LeftBehind {
    pub(crate) resource: String,
    pub(crate) cluster: String,
    pub(crate) since: Time,
}

/// A commit.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Commit {
    pub(crate) position: String,
    pub(crate) time: Time,
    pub(crate) subject: String,
    pub(crate) actor: String,
    pub(crate) command: String,
    #[serde(default)]
    pub(crate) events: Vec<Event>,
}

/// An event of a commit.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Event {
    #[serde(rename = "type")]
    pub(crate) event_type: String,
    #[serde(default)]
    pub(crate) data: Option<Value>,
}

impl Resource {
    /// It is being deleted.
    pub(crate) fn is_going(&self) -> bool {
        self.phase == "deleting"
    }

    /// What it is doing, in a few words.
    pub(crate) fn state(&self) -> String {
        let action = self.action.as_ref();
        // How it could not be made says nothing of how it goes.
        let relevant = |action: &&Action| self.phase != "deleting" || action.name == "delete";
        let failure = action.filter(relevant).and_then(|action| action.failure.as_deref());
        // Waiting for nothing but itself is being worked on.
        let waits = self.blocker.as_ref().is_some_and(|blocker| blocker.on.is_some());
        match (self.phase.as_str(), failure, &self.drift) {
            ("failing", Some(failure), _) => format!("failing: {failure}"),
            ("deleting", Some(failure), _) => format!("deleting: {failure}"),
            ("working" | "blocked", _, _) if waits => "waiting".to_owned(),
            ("paused", _, Some(drift)) => format!("paused, drifted: {}", drift.detail),
            (phase, _, Some(drift)) if phase != "deleting" => format!("drifted: {}", drift.detail),
            ("working" | "blocked", _, _) if self.generation == self.ready_generation => {
                "unready".to_owned()
            }
            ("working" | "blocked", _, _) => match action.map(|action| action.name.as_str()) {
                Some("create") => "creating".to_owned(),
                Some("update") => "updating".to_owned(),
                Some("delete") => "deleting".to_owned(),
                _ => "pending".to_owned(),
            },
            (phase, _, _) => phase.to_owned(),
        }
    }
}
