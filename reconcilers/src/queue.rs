//! What is to be looked at, and when: fair, with patience, and never the same thing twice at once.
//!
//! Tenants take turns, and within a tenant its deployments do. A thing that is being looked at is leased: who
//! wakes it meanwhile has it looked at again afterwards. A signal does not cut a pause short; an intent does.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::commit::Hash;
use domain::lifecycle::FailureClass;
use domain::{Name, StreamId, Tenant, Time};
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::decision::Next;
use crate::graph::Why;

const SECOND: i64 = 1_000_000;
/// The first pause after a failure; each is twice the one before.
const RETRY_MICROS_FIRST: i64 = SECOND / 5;
/// The longest: what is cured is noticed within this time, even if nobody says so.
const RETRY_MICROS_MAX: i64 = 120 * SECOND;
/// How much slower a provider that asks for it is asked (EC2: back off from seconds to minutes).
const THROTTLED_FACTOR: i64 = 8;
/// How often everything is looked at again though nothing happened: any event may have been missed.
pub const RESYNC_MICROS: i64 = 600 * SECOND;
/// The number of doublings that reach the longest pause.
const DOUBLINGS_MAX: u32 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Ready,
    Leased { again: Option<Why> },
}

struct Entry {
    state: State,
    group: Option<Name>,
    due: Option<Time>,
    paused_until: Time,
    attempts: u32,
}

#[derive(Default)]
struct Inner {
    entries: HashMap<StreamId, Entry>,
    ready: Fair,
    due: BTreeSet<(Time, StreamId)>,
}

/// The queue.
pub struct Queue {
    inner: Mutex<Inner>,
    changed: Notify,
    seed: u64,
}

impl Queue {
    /// An empty queue. The seed decides the jitter.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { inner: Mutex::default(), changed: Notify::new(), seed }
    }

    /// Has something looked at.
    pub fn wake(&self, stream: &StreamId, why: Why, group: Option<Name>, now: Time) {
        let mut inner = self.inner();
        let inner = &mut *inner;
        let entry = inner.entries.entry(stream.clone()).or_insert_with(|| Entry {
            state: State::Idle,
            group: None,
            due: None,
            paused_until: now,
            attempts: 0,
        });
        entry.group = group;
        match entry.state {
            State::Ready => {}
            State::Leased { again } => {
                entry.state = State::Leased { again: again.max(Some(why)) };
            }
            State::Idle if why == Why::Signal && entry.paused_until > now => {}
            State::Idle => {
                if why == Why::Intent {
                    entry.attempts = 0;
                }
                entry.state = State::Ready;
                if let Some(due) = entry.due.take() {
                    inner.due.remove(&(due, stream.clone()));
                }
                inner.ready.push(stream.clone(), entry.group.clone());
                self.changed.notify_one();
            }
        }
    }

    /// Leases the next thing to look at, waiting for one.
    pub async fn next(&self, clock: &dyn Clock) -> StreamId {
        loop {
            let changed = self.changed.notified();
            let now = clock.now();
            if let Some(stream) = self.take(now) {
                return stream;
            }
            match self.next_due() {
                None => changed.await,
                Some(due) => {
                    let micros = due.micros_since(now).max(1_000).unsigned_abs();
                    let pause = tokio::time::sleep(Duration::from_micros(micros));
                    tokio::select! { () = changed => {}, () = pause => {} }
                }
            }
        }
    }

    /// Leases the next thing to look at, if there is one now.
    pub fn take(&self, now: Time) -> Option<StreamId> {
        let mut inner = self.inner();
        let inner = &mut *inner;
        while let Some((due, stream)) = inner.due.first().cloned()
            && due <= now
        {
            inner.due.pop_first();
            if let Some(entry) = inner.entries.get_mut(&stream) {
                entry.due = None;
                entry.state = State::Ready;
                inner.ready.push(stream, entry.group.clone());
            }
        }
        let stream = inner.ready.pop()?;
        if let Some(entry) = inner.entries.get_mut(&stream) {
            entry.state = State::Leased { again: None };
        }
        Some(stream)
    }

    /// Gives a lease back. `again_at` is when to look again if nothing happens before.
    pub fn done(&self, stream: &StreamId, next: Next, again_at: Option<Time>, now: Time) {
        let mut inner = self.inner();
        let inner = &mut *inner;
        let Some(entry) = inner.entries.get_mut(stream) else { return };
        let again = if let State::Leased { again } = entry.state { again } else { None };
        let due = match next {
            Next::Again => now,
            Next::Called => {
                entry.attempts += 1;
                // The first look after a call is free.
                let pause =
                    if entry.attempts == 1 { 0 } else { self.pause(stream, entry.attempts) };
                now.plus_micros(pause)
            }
            Next::Rest => {
                entry.attempts = 0;
                let resync = now.plus_micros(self.jittered(stream, 0, RESYNC_MICROS));
                again_at.map_or(resync, |at| at.min(resync))
            }
            Next::Later(class) => {
                entry.attempts += 1;
                let pause = match class {
                    FailureClass::Retry => self.pause(stream, entry.attempts),
                    FailureClass::Throttled => {
                        self.pause(stream, entry.attempts) * THROTTLED_FACTOR
                    }
                    FailureClass::Terminal => self.jittered(stream, 0, RESYNC_MICROS),
                };
                now.plus_micros(pause)
            }
        };
        entry.paused_until = if next == Next::Rest { now } else { due };
        let woken = match again {
            Some(Why::Intent) => true,
            Some(Why::Signal) => entry.paused_until <= now,
            None => false,
        };
        if woken || due <= now {
            entry.state = State::Ready;
            inner.ready.push(stream.clone(), entry.group.clone());
            self.changed.notify_one();
        } else {
            entry.state = State::Idle;
            entry.due = Some(due);
            inner.due.insert((due, stream.clone()));
            self.changed.notify_one();
        }
    }

    /// Gives a lease back and forgets the thing, unless it was woken meanwhile.
    pub fn forget(&self, stream: &StreamId, now: Time) {
        let leased = {
            let mut inner = self.inner();
            match inner.entries.get(stream).map(|entry| entry.state) {
                Some(State::Leased { again: None }) => inner.entries.remove(stream).is_some(),
                Some(State::Leased { again: Some(_) } | State::Idle | State::Ready) | None => false,
            }
        };
        if !leased {
            self.done(stream, Next::Again, None, now);
        }
    }

    /// How many things wait to be looked at now.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.inner().ready.length
    }

    /// When the next pause ends.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        self.inner().due.first().map(|(due, _)| *due)
    }

    fn pause(&self, stream: &StreamId, attempts: u32) -> i64 {
        let doublings = attempts.saturating_sub(1).min(DOUBLINGS_MAX);
        let pause = (RETRY_MICROS_FIRST << doublings).min(RETRY_MICROS_MAX);
        self.jittered(stream, attempts, pause)
    }

    /// Three quarters to five quarters, different for each thing and attempt: nobody moves in step.
    fn jittered(&self, stream: &StreamId, attempts: u32, micros: i64) -> i64 {
        let hash = Hash::of(format!("{}/{stream}/{attempts}", self.seed).as_bytes());
        let share = i64::from(hash.as_bytes().first().copied().unwrap_or_default());
        micros / 4 * 3 + micros / 2 * share / 255
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Round robin over tenants, and within each over groups.
#[derive(Default)]
struct Fair {
    tenants: VecDeque<Tenant>,
    lanes: HashMap<Tenant, Lanes>,
    length: usize,
}

#[derive(Default)]
struct Lanes {
    groups: VecDeque<Option<Name>>,
    items: HashMap<Option<Name>, VecDeque<StreamId>>,
}

impl Fair {
    fn push(&mut self, stream: StreamId, group: Option<Name>) {
        let tenant = stream.tenant().clone();
        let lanes = self.lanes.entry(tenant.clone()).or_default();
        if lanes.groups.is_empty() {
            self.tenants.push_back(tenant);
        }
        let items = lanes.items.entry(group.clone()).or_default();
        if items.is_empty() {
            lanes.groups.push_back(group);
        }
        items.push_back(stream);
        self.length += 1;
    }

    fn pop(&mut self) -> Option<StreamId> {
        let tenant = self.tenants.pop_front()?;
        let lanes = self.lanes.get_mut(&tenant)?;
        let group = lanes.groups.pop_front()?;
        let items = lanes.items.get_mut(&group)?;
        let stream = items.pop_front();
        if items.is_empty() {
            lanes.items.remove(&group);
        } else {
            lanes.groups.push_back(group);
        }
        if lanes.groups.is_empty() {
            self.lanes.remove(&tenant);
        } else {
            self.tenants.push_back(tenant);
        }
        self.length -= usize::from(stream.is_some());
        stream
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_micros(0);

    fn stream(text: &str) -> StreamId {
        format!("ev.{text}").parse().unwrap()
    }

    fn taken(queue: &Queue, now: Time) -> Vec<String> {
        std::iter::from_fn(|| queue.take(now)).map(|stream| stream.to_string()).collect()
    }

    #[test]
    fn tenants_and_deployments_take_turns() {
        let queue = Queue::new(0);
        let busy = Some("busy".parse().unwrap());
        for name in ["a.bucket.x1", "a.bucket.x2", "a.bucket.x3"] {
            queue.wake(&stream(name), Why::Intent, busy.clone(), NOW);
        }
        queue.wake(&stream("a.bucket.y"), Why::Intent, None, NOW);
        queue.wake(&stream("b.bucket.z"), Why::Intent, None, NOW);
        let order = taken(&queue, NOW).join(" ");
        assert_eq!(
            order,
            "ev.a.bucket.x1 ev.b.bucket.z ev.a.bucket.y ev.a.bucket.x2 ev.a.bucket.x3"
        );
        assert_eq!(queue.depth(), 0);
    }

    #[test]
    fn what_is_woken_while_it_is_leased_is_looked_at_once_more() {
        let queue = Queue::new(0);
        let thing = stream("a.bucket.x");
        queue.wake(&thing, Why::Signal, None, NOW);
        assert_eq!(queue.take(NOW), Some(thing.clone()));
        queue.wake(&thing, Why::Signal, None, NOW);
        queue.wake(&thing, Why::Signal, None, NOW);
        assert_eq!(queue.take(NOW), None);
        queue.done(&thing, Next::Rest, None, NOW);
        assert_eq!(taken(&queue, NOW).len(), 1);
    }

    #[test]
    fn a_pause_grows_and_only_an_intent_cuts_it_short() {
        let queue = Queue::new(0);
        let thing = stream("a.bucket.x");
        queue.wake(&thing, Why::Signal, None, NOW);
        let mut pauses = Vec::new();
        let mut now = NOW;
        for _ in 0..5 {
            assert_eq!(queue.take(now), Some(thing.clone()));
            queue.done(&thing, Next::Later(FailureClass::Retry), None, now);
            queue.wake(&thing, Why::Signal, None, now);
            assert_eq!(queue.take(now), None, "a signal waits for the pause to end");
            let due = queue.next_due().unwrap();
            pauses.push(due.micros_since(now));
            now = due;
        }
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert_eq!(queue.take(now), Some(thing.clone()));
        queue.done(&thing, Next::Later(FailureClass::Throttled), None, now);
        queue.wake(&thing, Why::Intent, None, now);
        assert_eq!(queue.take(now), Some(thing));
    }

    #[test]
    fn everything_is_looked_at_again_in_the_end() {
        let queue = Queue::new(0);
        let thing = stream("a.bucket.x");
        queue.wake(&thing, Why::Signal, None, NOW);
        queue.take(NOW);
        queue.done(&thing, Next::Rest, None, NOW);
        let due = queue.next_due().unwrap();
        assert!(due <= NOW.plus_micros(RESYNC_MICROS / 4 * 5));
        assert_eq!(queue.take(due), Some(thing));
    }

    #[test]
    fn a_call_that_changes_nothing_is_made_slower_and_slower() {
        let queue = Queue::new(0);
        let thing = stream("a.bucket.x");
        queue.wake(&thing, Why::Signal, None, NOW);
        queue.take(NOW);
        queue.done(&thing, Next::Called, None, NOW);
        assert_eq!(queue.take(NOW), Some(thing.clone()), "the first look after a call is free");
        queue.done(&thing, Next::Called, None, NOW);
        assert_eq!(queue.take(NOW), None);
    }
}
