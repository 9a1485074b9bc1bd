//! Who needs whom, folded from the log: pure, and small enough for a hundred thousand resources.
//!
//! A resource *holds* what the specs it was made from need: the current one, and earlier ones until it is ready
//! at the current one, because the thing in the world may still be the earlier.

mod node;
mod occupied;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::commit::{Commit, UnreadableEvent};
use domain::lifecycle::{ActionName, Event, Lifetime};
use domain::{Name, Resource, ResourceId, Spec, StreamId, Time, deployment, environment};
use journal::Recorded;
use node::{Index, Node, Phase};
use uuid::Uuid;

/// The cause of what is done for a resource or a deployment: the last commit that says what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// That commit.
    pub commit: Uuid,
    /// The first commit of the whole consequence.
    pub correlation: Uuid,
}

/// Why something is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Something it depends on changed.
    Signal,
    /// Something else is wanted of it.
    Intent,
}

/// Something to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wake {
    /// The resource's or deployment's stream.
    pub stream: StreamId,
    /// Why.
    pub why: Why,
}

/// The graph of all resources, as of a position.
#[derive(Default)]
pub struct Graph {
    by_stream: HashMap<StreamId, Index>,
    nodes: Vec<Node>,
    interests: HashMap<Index, BTreeSet<Index>>,
    watched: HashMap<Index, Vec<Index>>,
    free: Vec<Index>,
}

impl Graph {
    /// Takes in a commit, and says who should look.
    ///
    /// # Errors
    /// [`UnreadableEvent`] when the log is newer than this program. Stop.
    pub fn apply(&mut self, recorded: &Recorded) -> Result<Vec<Wake>, UnreadableEvent> {
        let commit = &recorded.sealed.commit;
        let mut wakes = BTreeMap::new();
        if commit.stream.kind() == deployment::KIND {
            let index = self.index(&commit.stream);
            self.note_cause(index, commit);
            let over = commit.events.iter().any(|event| event.event_type == "Deleted");
            if let Some(node) = self.node_mut(index) {
                node.phase = if over { Phase::Gone } else { Phase::Live };
            }
            wakes.insert(index, Why::Intent);
        } else if commit.stream.kind() == environment::KIND {
            // Its rules may say something else of what runs in it.
            wakes.extend(self.deployments_in(&commit.stream).map(|index| (index, Why::Signal)));
        } else if commit.stream.resource().is_some() {
            let index = self.index(&commit.stream);
            let events = journal::codec::events::<Resource>(domain::schema::upcast, recorded)?;
            for event in events {
                self.apply_event(index, event, recorded, &mut wakes);
            }
        }
        let woken = wakes.into_iter().filter_map(|(index, why)| {
            self.node(index).map(|node| Wake { stream: node.stream.clone(), why })
        });
        let woken = woken.collect();
        if let Some(index) = self.by_stream.get(&commit.stream) {
            self.forget(*index);
        }
        Ok(woken)
    }

    /// Gives up a node that says nothing any more: gone, needed by nobody, watched by nobody.
    fn forget(&mut self, index: Index) {
        let silent = self.node(index).is_some_and(|node| {
            matches!(node.phase, Phase::Gone | Phase::Absent)
                && node.dependents.is_empty()
                && node.needs.is_empty()
        });
        if silent
            && !self.watched.contains_key(&index)
            && !self.interests.contains_key(&index)
            && let Some(stream) = self.node(index).map(|node| node.stream.clone())
            && self.by_stream.remove(&stream).is_some()
        {
            self.free.push(index);
        }
    }

    fn apply_event(
        &mut self,
        index: Index,
        event: Event,
        recorded: &Recorded,
        wakes: &mut BTreeMap<Index, Why>,
    ) {
        let commit = &recorded.sealed.commit;
        match event {
            Event::Declared { spec, lifetime, at, .. } => {
                self.note_cause(index, commit);
                self.declare(index, &spec, &lifetime, at);
                wakes.insert(index, Why::Intent);
                self.wake_dependents(index, wakes);
                self.wake_needs(index, wakes);
            }
            Event::Revised { spec, at, .. } => {
                self.note_cause(index, commit);
                self.revise(index, &spec, at);
                wakes.insert(index, Why::Intent);
                self.wake_needs(index, wakes);
            }
            Event::DeletionRequested { .. } => {
                self.note_cause(index, commit);
                if let Some(node) = self.node_mut(index) {
                    node.phase = Phase::Deleting;
                    node.deleting.get_or_insert(recorded.position);
                }
                wakes.insert(index, Why::Intent);
                self.wake_dependents(index, wakes);
            }
            Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::DriftAccepted { .. }
            | Event::CanaryPromoted { .. } => {
                wakes.insert(index, Why::Intent);
            }
            Event::ActionStarted { action: ActionName::Create, .. } => {
                if let Some(node) = self.node_mut(index) {
                    node.touched.get_or_insert(recorded.position);
                }
                return;
            }
            Event::OutputsPublished { .. }
            | Event::CanaryStepped { .. }
            | Event::CanaryShifted { .. }
            | Event::CanaryFailed { .. }
            | Event::CanaryEnded { .. } => self.wake_dependents(index, wakes),
            Event::BecameReady { at, .. } => {
                self.wake_needs(index, wakes);
                self.release_held(index, at);
                self.wake_dependents(index, wakes);
            }
            Event::Deleted { at, .. } => {
                self.wake_needs(index, wakes);
                self.bury(index, at);
            }
            Event::BecameUnready { .. }
            | Event::ActionFailed { .. }
            | Event::CanaryMeasured { .. } => {}
            Event::ActionStarted { .. }
            | Event::ActionSucceeded { .. }
            | Event::Blocked { .. }
            | Event::Noticed { .. }
            | Event::Abandoned { .. }
            | Event::Protected { .. }
            | Event::Unprotected { .. }
            | Event::DriftDetected { .. }
            | Event::DriftCleared { .. } => return,
        }
        for &deployment in self.watched.get(&index).into_iter().flatten() {
            wakes.entry(deployment).or_insert(Why::Signal);
        }
    }

    fn note_cause(&mut self, index: Index, commit: &Commit) {
        self.node_mut(index).into_iter().for_each(|node| node.note_cause(commit));
    }

    fn declare(&mut self, index: Index, spec: &Spec, lifetime: &Lifetime, at: Time) {
        let deployment = match lifetime {
            Lifetime::Deployment(name) => Some(name.clone()),
            Lifetime::WhileNeeded | Lifetime::Kept => None,
        };
        if let Some(node) = self.node_mut(index) {
            node.phase = Phase::Live;
            node.while_needed = *lifetime == Lifetime::WhileNeeded;
            node.deployment = deployment;
            node.touched = None;
            node.deleting = None;
            node.unneeded_since = at;
        }
        self.revise(index, spec, at);
        self.release_held(index, at);
    }

    fn revise(&mut self, index: Index, spec: &Spec, at: Time) {
        let Some(tenant) = self.node(index).map(|node| node.stream.tenant().clone()) else {
            return;
        };
        let ids: BTreeSet<ResourceId> =
            spec.needs().into_iter().map(|need| need.resource).collect();
        let new: Vec<Index> = ids.iter().map(|id| self.index(&id.stream(&tenant))).collect();
        for &need in &new {
            if let Some(node) = self.node_mut(need)
                && !node.dependents.contains(&index)
            {
                node.dependents.push(index);
            }
        }
        let Some(node) = self.node_mut(index) else { return };
        let old = std::mem::replace(&mut node.needs, new);
        for need in old {
            if !node.held.contains(&need) {
                node.held.push(need);
            }
        }
        // What was never touched holds nothing: there is no thing of the earlier spec.
        if node.touched.is_none() {
            self.release_held(index, at);
        }
    }

    fn release_held(&mut self, index: Index, at: Time) {
        let Some(node) = self.node_mut(index) else { return };
        let held = std::mem::take(&mut node.held);
        let kept = node.needs.clone();
        for need in held.into_iter().filter(|need| !kept.contains(need)) {
            self.release(index, need, at);
        }
    }

    fn release(&mut self, index: Index, need: Index, at: Time) {
        if let Some(node) = self.node_mut(need) {
            node.dependents.retain(|dependent| *dependent != index);
            if node.dependents.is_empty() {
                node.unneeded_since = at;
                self.forget(need);
            }
        }
    }

    fn bury(&mut self, index: Index, at: Time) {
        let Some(node) = self.node_mut(index) else { return };
        node.phase = Phase::Gone;
        node.touched = None;
        node.deleting = None;
        let needs = std::mem::take(&mut node.needs);
        let held = std::mem::take(&mut node.held);
        for need in needs.into_iter().chain(held) {
            self.release(index, need, at);
        }
    }

    fn wake_dependents(&self, index: Index, wakes: &mut BTreeMap<Index, Why>) {
        for &dependent in self.node(index).into_iter().flat_map(|node| &node.dependents) {
            wakes.entry(dependent).or_insert(Why::Signal);
        }
    }

    /// Wakes who may wait for this one to let go.
    fn wake_needs(&self, index: Index, wakes: &mut BTreeMap<Index, Why>) {
        let Some(node) = self.node(index) else { return };
        for &need in node.needs.iter().chain(&node.held) {
            let waits = |node: &Node| node.phase == Phase::Deleting || node.while_needed;
            if self.node(need).is_some_and(waits) {
                wakes.entry(need).or_insert(Why::Signal);
            }
        }
    }

    /// Somebody who may have a thing in the world that needs this one, from before its deletion was asked for.
    ///
    /// Whoever was touched only afterwards saw the deletion before it acted, and waits itself.
    #[must_use]
    pub fn dependent(&self, stream: &StreamId) -> Option<ResourceId> {
        let node = self.find(stream)?;
        let before = node.deleting?;
        node.dependents
            .iter()
            .filter_map(|dependent| self.node(*dependent))
            .filter(|dependent| dependent.touched.is_some_and(|touched| touched < before))
            .find_map(|dependent| dependent.stream.resource())
    }

    /// Since when nothing needs it, for what lives only while it is needed.
    #[must_use]
    pub fn unneeded_since(&self, stream: &StreamId) -> Option<Time> {
        let index = *self.by_stream.get(stream)?;
        let node = self.node(index)?;
        let watched = self.watched.get(&index).is_some_and(|watchers| !watchers.is_empty());
        (node.while_needed && node.phase == Phase::Live && node.dependents.is_empty() && !watched)
            .then_some(node.unneeded_since)
    }

    /// The last commit that says what is wanted of it.
    #[must_use]
    pub fn cause(&self, stream: &StreamId) -> Option<Cause> {
        self.find(stream)?.cause
    }

    /// The deployment that a resource belongs to, or that a stream is of.
    #[must_use]
    pub fn deployment(&self, stream: &StreamId) -> Option<Name> {
        if stream.kind() == deployment::KIND {
            return Some(stream.name().clone());
        }
        self.find(stream)?.deployment.clone()
    }

    /// Remembers what a deployment's rollout waits for or relies on, in place of what it did before. What may be unneeded
    /// by that should look.
    pub fn watch(&mut self, deployment: &StreamId, resources: &[StreamId], now: Time) -> Vec<Wake> {
        let mut wakes = Vec::new();
        let watcher = self.index(deployment);
        let new: BTreeSet<Index> = resources.iter().map(|stream| self.index(stream)).collect();
        let old = self.interests.remove(&watcher).unwrap_or_default();
        for gone in old.difference(&new) {
            if let Some(watchers) = self.watched.get_mut(gone) {
                watchers.retain(|index| *index != watcher);
                if watchers.is_empty() {
                    self.watched.remove(gone);
                }
            }
            if let Some(node) = self.node_mut(*gone) {
                node.unneeded_since = node.unneeded_since.max(now);
                if node.while_needed && node.phase == Phase::Live && node.dependents.is_empty() {
                    wakes.push(Wake { stream: node.stream.clone(), why: Why::Signal });
                }
            }
            self.forget(*gone);
        }
        for added in new.difference(&old) {
            self.watched.entry(*added).or_default().push(watcher);
        }
        if !new.is_empty() {
            self.interests.insert(watcher, new);
        }
        self.forget(watcher);
        wakes
    }

    /// It is wanted or on its way out.
    #[must_use]
    pub fn is_present(&self, stream: &StreamId) -> bool {
        self.find(stream).is_some_and(Node::is_present)
    }

    /// Every resource and every deployment that is wanted or on its way out.
    pub fn streams(&self) -> impl Iterator<Item = &StreamId> {
        self.nodes.iter().filter(|node| node.is_present()).map(|node| &node.stream)
    }

    /// Every wanted resource that belongs to a deployment, with it.
    pub fn owned(&self) -> impl Iterator<Item = (&StreamId, &Name)> {
        self.nodes
            .iter()
            .filter(|node| node.phase == Phase::Live)
            .filter_map(|node| Some((&node.stream, node.deployment.as_ref()?)))
    }

    fn index(&mut self, stream: &StreamId) -> Index {
        if let Some(index) = self.by_stream.get(stream) {
            return *index;
        }
        let node = Node::new(stream.clone());
        let index = match self.free.pop() {
            Some(index) => index,
            None => Index::try_from(self.nodes.len()).unwrap_or(Index::MAX),
        };
        match self.node_mut(index) {
            Some(free) => *free = node,
            None => self.nodes.push(node),
        }
        self.by_stream.insert(stream.clone(), index);
        index
    }

    fn find(&self, stream: &StreamId) -> Option<&Node> {
        self.node(*self.by_stream.get(stream)?)
    }

    fn node(&self, index: Index) -> Option<&Node> {
        self.nodes.get(usize::try_from(index).ok()?)
    }

    fn node_mut(&mut self, index: Index) -> Option<&mut Node> {
        self.nodes.get_mut(usize::try_from(index).ok()?)
    }
}

#[cfg(test)]
mod tests;
