//! What must hold after every step, and in the end.

use std::collections::{BTreeMap, BTreeSet};

use domain::deployment::{Deployment, Outcome};
use domain::lifecycle::{ActionName, Event};
use domain::{Resource, ResourceId, StreamId, Time};
use futures::FutureExt as _;
use futures::StreamExt as _;
use journal::{Journal as _, Position};
use reconcilers::Clock as _;
use reconcilers::converge::create_token;
use sim::Entry;
use uuid::Uuid;

use crate::plane::Plane;
use crate::wanted::{CLUSTER, GATEWAY, id};

/// What has been seen of the log and of the world so far.
#[derive(Default)]
pub struct Checks {
    position: Position,
    entries: usize,
    streams: BTreeSet<StreamId>,
    /// Deployments of which something new was recorded.
    moved: BTreeSet<StreamId>,
    /// Incarnations whose creation was announced, and whose deletion was asked for, and when.
    announced: BTreeSet<Uuid>,
    unwanted: BTreeMap<Uuid, Time>,
    created: BTreeMap<Uuid, Time>,
    pub failures: Vec<String>,
}

impl Checks {
    pub const fn streams(&self) -> &BTreeSet<StreamId> {
        &self.streams
    }

    pub fn take_moved(&mut self) -> BTreeSet<StreamId> {
        std::mem::take(&mut self.moved)
    }

    /// Looks at what is new in the log and in the world.
    pub fn look(&mut self, plane: &Plane) {
        let mut gone = Vec::new();
        let mut follow = plane.journal.follow(self.position);
        while let Some(Some(Ok(recorded))) = follow.next().now_or_never() {
            self.position = recorded.position;
            let stream = &recorded.sealed.commit.stream;
            if stream.kind() == domain::deployment::KIND {
                self.streams.insert(stream.clone());
                self.moved.insert(stream.clone());
            }
            if stream.resource().is_none() {
                continue;
            }
            self.streams.insert(stream.clone());
            for record in &recorded.sealed.commit.events {
                match record.decode::<Event>().unwrap() {
                    Event::ActionStarted { uid, action: ActionName::Create, .. } => {
                        self.announced.insert(uid);
                    }
                    Event::DeletionRequested { uid, at, .. } => {
                        self.unwanted.entry(uid).or_insert(at);
                    }
                    Event::Deleted { uid, .. } => gone.push(uid),
                    _ => {}
                }
            }
        }
        for entry in self.new_entries(plane) {
            self.look_at_effect(plane, &entry);
        }
        let now = plane.clock.now();
        for uid in gone {
            if plane.sim.with_world(|world| world.see(uid, 0, now)).is_some() {
                self.failures
                    .push(format!("{uid} was recorded as gone, and is there (invariant 6)"));
            }
        }
    }

    fn new_entries(&mut self, plane: &Plane) -> Vec<Entry> {
        let entries = plane.sim.with_world(|world| world.ledger()[self.entries..].to_vec());
        self.entries += entries.len();
        entries
    }

    fn look_at_effect(&mut self, plane: &Plane, entry: &Entry) {
        match entry {
            Entry::Created { uid, token, id, at, .. } => {
                self.created.insert(*uid, *at);
                if *token != create_token(*uid) {
                    self.failures
                        .push(format!("{id} was made with a token of its own (invariant 8)"));
                }
                if !self.announced.contains(uid) {
                    self.failures.push(format!("{id} was made unannounced (invariant 8)"));
                }
            }
            Entry::DeletionStarted { uid, .. } => {
                if !self.unwanted.contains_key(uid) {
                    self.failures.push(format!("{uid} was deleted while wanted (invariant 5)"));
                }
                self.look_at_deletion(plane, *uid);
            }
            Entry::Updated { .. }
            | Entry::Deleted { .. }
            | Entry::Drifted { .. }
            | Entry::Removed { .. }
            | Entry::Broke { .. }
            | Entry::Healed { .. } => {}
        }
    }

    /// Whoever needs it, and was there when its deletion was asked for, must be gone.
    fn look_at_deletion(&mut self, plane: &Plane, uid: Uuid) {
        let Some(&since) = self.unwanted.get(&uid) else { return };
        let now = plane.clock.now();
        let (deleted, there): (Option<ResourceId>, Vec<_>) = plane.sim.with_world(|world| {
            let there = world.objects().filter(|object| !object.is_gone(now));
            let target = world.objects().find(|object| object.target.uid == uid);
            let id = target.map(|object| object.target.id.clone());
            (id, there.map(|object| object.target.clone()).collect())
        });
        let Some(deleted) = deleted else { return };
        let state = plane.resource(&deleted);
        let replacement = matches!(&*state, Resource::Deleting(_, d) if d.replacement);
        // A worker that slept made it once more after it was gone: whoever needs it has its successor.
        let succeeded = state.body().is_some_and(|body| body.uid != uid);
        if replacement || succeeded {
            return;
        }
        for other in there {
            let state = plane.resource(&other.id);
            let Some(body) = state.body().filter(|body| body.uid == other.uid) else { continue };
            let needs = body.spec.needs().iter().any(|need| need.resource == deleted);
            if needs && self.created.get(&other.uid).is_some_and(|created| *created < since) {
                self.failures
                    .push(format!("{deleted} was deleted before {} (invariant 9)", other.id));
            }
        }
    }

    /// Everything is as wanted, and nothing else is there.
    pub fn finish(&mut self, plane: &Plane) {
        let mut wanted: BTreeSet<ResourceId> = BTreeSet::new();
        for (name, application) in &plane.wanted {
            let deployment = plane.state::<Deployment>(&plane.deployment(name));
            if deployment.outcome != Some(Outcome::Succeeded) {
                let outcome = &deployment.outcome;
                self.failures.push(format!("{name} ended as {outcome:?}"));
            }
            for (id, spec, _) in application.iter().flatten() {
                wanted.insert(id.clone());
                let state = plane.resource(id);
                if !matches!(&*state, Resource::Live(body) if body.spec == *spec && body.is_ready())
                {
                    self.failures.push(format!("{id} is not as wanted: {state:?}"));
                }
            }
        }
        let kept = [id(CLUSTER), id(GATEWAY)];
        for id in self.streams.iter().filter_map(StreamId::resource) {
            let state = plane.resource(&id);
            let live = matches!(&*state, Resource::Live(body) if body.is_ready());
            let gone = matches!(&*state, Resource::Gone(_));
            if !(live || gone) {
                self.failures.push(format!("{id} does not rest: {state:?}"));
            }
            if live && !wanted.contains(&id) && !kept.contains(&id) && !plane.direct.contains(&id) {
                self.failures.push(format!("{id} lives, and nobody wants it"));
            }
        }
        self.compare_worlds(plane);
    }

    /// The world holds one thing for each resource that lives, and nothing else.
    fn compare_worlds(&mut self, plane: &Plane) {
        let now = plane.clock.now();
        let live = self.streams.iter().filter_map(StreamId::resource).filter_map(|id| {
            let state = plane.resource(&id);
            matches!(&*state, Resource::Live(_)).then(|| state.uid()).flatten()
        });
        let live: BTreeSet<Uuid> = live.collect();
        plane.sim.with_world(|world| {
            let there: BTreeSet<Uuid> = world
                .objects()
                .filter(|object| !object.is_gone(now))
                .map(|object| object.target.uid)
                .collect();
            for uid in there.difference(&live) {
                self.failures.push(format!("{uid} is there, and nobody wants it (invariant 7)"));
            }
            for uid in live.difference(&there) {
                self.failures.push(format!("{uid} is wanted, and not there"));
            }
            for object in world.objects().filter(|object| object.changed.is_some()) {
                self.failures.push(format!("{} is not as asked", object.target.id));
            }
        });
    }
}
