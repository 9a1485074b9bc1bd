//! Hooks: objects that are made at certain moments, one after the other, each waited for.
//!
//! A hook's object carries which run made it. So a look after a crash knows whether it has run, and one that was left
//! by an earlier run is removed first, where its policy says so.

use std::collections::BTreeSet;

use domain::kinds::Helm;
use domain::kinds::helm::hook::{Hook, Moment, Policy};
use domain::kinds::manifests::Spec;
use domain::lifecycle::FailureClass;
use reconcilers::converge::SeenState;
use reconcilers::{CallError, Scene};
use serde_json::{Value, json};

use super::notes::Notes;
use super::rendering::Rendering;
use crate::cluster::{Cluster, Entry};
use crate::labels;
use crate::manifests::apply::{self, Applying};
use crate::manifests::{Item, Set, prepare, refused};
use crate::objects::Key;
use crate::provider::Kubernetes;

/// The kinds of what hooks make.
pub(super) fn kinds(rendering: &Rendering) -> BTreeSet<String> {
    super::kinds_of(rendering.hooks.iter().map(|hook| &hook.object))
}

/// What the hooks of a chart run with.
#[derive(Clone, Copy)]
pub(super) struct Running<'a> {
    pub(super) kubernetes: &'a Kubernetes,
    pub(super) cluster: &'a Cluster,
    pub(super) scene: Scene<'a, Helm>,
    pub(super) rendering: &'a Rendering,
    pub(super) sealed: Option<&'a Key>,
}

impl Running<'_> {
    /// Runs the hooks of a moment that have not run yet. Gives what is waited for, if anything is.
    pub(super) async fn run(
        &self,
        moment: Moment,
        notes: &mut Notes,
        applying: Option<&Applying>,
    ) -> Result<Option<String>, CallError> {
        if let Some(why) = notes.failed(moment) {
            return Err(refused(FailureClass::Terminal, why.to_owned()));
        }
        let hooks = self.rendering.hooks(moment);
        for (number, hook) in hooks.iter().enumerate() {
            if notes.has_run(moment, number) {
                continue;
            }
            match self.one(moment, hook, notes).await {
                Ok(None) => notes.note_run(moment, number),
                Ok(Some(waits)) => return Ok(Some(waits)),
                Err(Stopped::Failed(key, why)) => {
                    let why = format!("the {} hook {key} failed: {why}", moment.as_str());
                    if hook.policies.contains(&Policy::HookFailed) {
                        notes.note_failure(moment, &why);
                        self.note(notes, applying).await?;
                        self.delete(&key).await?;
                    }
                    return Err(refused(FailureClass::Terminal, why));
                }
                Err(Stopped::Call(error)) => return Err(error),
            }
            self.note(notes, applying).await?;
        }
        // Only now: what comes first, such as an account, is there for what comes later.
        for hook in hooks.iter().filter(|hook| hook.policies.contains(&Policy::HookSucceeded)) {
            let Placed { key, .. } = self.placed(hook).await?;
            let ran = |entry: &Entry| entry.hook.as_deref() == Some(&*notes.run(moment));
            if self.cluster.seen(&key).is_some_and(|entry| ran(&entry) && entry.deleting.is_none())
            {
                self.delete(&key).await?;
            }
        }
        Ok(None)
    }

    async fn note(&self, notes: &Notes, applying: Option<&Applying>) -> Result<(), CallError> {
        let spec = self.rendering.set(self.scene.spec);
        let target = self.scene.target;
        let set = Set { target, spec: &spec, notes: notes.map(), sealed: self.sealed };
        match applying {
            Some(applying) => applying.note(self.cluster, set).await,
            None => apply::note(self.cluster, set).await,
        }
    }

    async fn delete(&self, key: &Key) -> Result<(), CallError> {
        if let Some(entry) = self.cluster.seen(key) {
            self.cluster.delete(key, &entry.uid).await?;
        }
        Ok(())
    }

    /// Which object a hook makes, and what it says.
    async fn placed(&self, hook: &Hook) -> Result<Placed, CallError> {
        let target = self.scene.target;
        let spec = self.rendering.set_of_hook(self.scene.spec, hook);
        let items = prepare::items(self.cluster, target, &spec, true).await?;
        prepare::check_scope(&items, target, &spec)?;
        let item = items.into_iter().next();
        let found = item.and_then(|item| Some((item.known.clone()?.0, item)));
        let Some((key, item)) = found else {
            let message = format!("{}: the cluster does not know this kind", hook.object);
            return Err(refused(FailureClass::Retry, message));
        };
        Ok(Placed { key, item, spec })
    }

    /// Runs one hook. Gives what is waited for, if it is not over.
    async fn one(
        &self,
        moment: Moment,
        hook: &Hook,
        notes: &Notes,
    ) -> Result<Option<String>, Stopped> {
        let placed = self.placed(hook).await?;
        let key = &placed.key;
        let run = notes.run(moment);
        let there = self.cluster.seen(key).filter(|it| it.target.uid == self.scene.target.uid);
        let there = match there {
            Some(entry) if entry.deleting.is_some() => {
                return Ok(Some(format!("what an earlier hook made is on its way out: {key}")));
            }
            Some(entry) if entry.hook.as_deref() == Some(run.as_str()) => Some(entry),
            Some(entry) if hook.policies.contains(&Policy::BeforeHookCreation) => {
                if !self.cluster.delete(key, &entry.uid).await? {
                    return Ok(Some(format!("what an earlier hook made is on its way out: {key}")));
                }
                None
            }
            Some(_) | None => None,
        };
        let entry = match there {
            Some(entry) => entry,
            None => self.make(&placed, notes, &run).await?,
        };
        self.judge(moment, key, &entry).await
    }

    /// Makes what a hook makes.
    async fn make(&self, placed: &Placed, notes: &Notes, run: &str) -> Result<Entry, Stopped> {
        let Placed { key, item, spec } = placed;
        let target = self.scene.target;
        let set = Set { target, spec, notes: notes.map(), sealed: self.sealed };
        let mut body = self.kubernetes.prepared(self.cluster, set, item, key).await?;
        if let Some(Value::Object(annotations)) = body.pointer_mut("/metadata/annotations") {
            annotations.remove(labels::CONTENT);
            annotations.insert(labels::HOOK.into(), json!(run));
        }
        let ours = self.cluster.seen(key).is_some_and(|entry| entry.target.uid == target.uid);
        let takes =
            ours || (apply::may_take(self.cluster, key, target, spec.adopt).await? && spec.force);
        self.cluster.apply(key, &body, takes).await?;
        self.cluster.seen(key).ok_or_else(|| {
            let message = format!("what a hook made was not seen: {key}");
            Stopped::Call(refused(FailureClass::Retry, message))
        })
    }

    /// What runs to an end is waited for, everything else is there at once.
    async fn judge(
        &self,
        moment: Moment,
        key: &Key,
        entry: &Entry,
    ) -> Result<Option<String>, Stopped> {
        let waits = || Some(format!("the {} hook {key} runs", moment.as_str()));
        match (key.kind.as_str(), &entry.state) {
            ("Job" | "Pod", SeenState::Failed(why)) => {
                Err(Stopped::Failed(key.clone(), why.clone()))
            }
            ("Job" | "Pod", SeenState::Pending(_) | SeenState::Deleting) => Ok(waits()),
            ("Pod", SeenState::Ready) => {
                let pod = self.cluster.get(key).await?.unwrap_or_default();
                let phase = pod.pointer("/status/phase").and_then(Value::as_str);
                Ok(if phase == Some("Succeeded") { None } else { waits() })
            }
            _ => Ok(None),
        }
    }
}

/// Which object a hook makes, and what it says.
struct Placed {
    key: Key,
    item: Item,
    spec: Spec,
}

/// Why a hook is not over, for good or for now.
enum Stopped {
    /// What it made has failed.
    Failed(Key, String),
    /// A call has.
    Call(CallError),
}

impl From<CallError> for Stopped {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}
