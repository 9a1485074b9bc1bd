//! A world that knows which replica has its hands on what.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use domain::StreamId;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use reconcilers::{CallError, Performed, Provider, Reconcile, Scene, Target};
use sim::Sim;

/// What every replica is doing, and has done.
#[derive(Clone, Default)]
pub struct Hands(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    busy: HashMap<StreamId, u32>,
    calls: HashMap<u32, usize>,
    twice: Vec<String>,
}

impl Hands {
    fn take(&self, stream: &StreamId, replica: u32) -> Hand {
        let mut inner = self.0.lock().unwrap();
        if let Some(other) = inner.busy.insert(stream.clone(), replica) {
            inner.twice.push(format!("{stream} by {other} and {replica}"));
        }
        Hand { hands: self.clone(), stream: stream.clone() }
    }

    /// How many calls a replica has made that change something.
    pub fn calls_of(&self, replica: u32) -> usize {
        self.0.lock().unwrap().calls.get(&replica).copied().unwrap_or_default()
    }

    /// How many calls all have made.
    pub fn calls(&self) -> usize {
        self.0.lock().unwrap().calls.values().sum()
    }

    #[track_caller]
    pub fn assert_never_two(&self) {
        assert_eq!(self.0.lock().unwrap().twice, Vec::<String>::new());
    }
}

struct Hand {
    hands: Hands,
    stream: StreamId,
}

impl Drop for Hand {
    fn drop(&mut self) {
        self.hands.0.lock().unwrap().busy.remove(&self.stream);
    }
}

/// The world as one replica reaches it.
pub struct Reached {
    pub world: Arc<Sim>,
    pub replica: u32,
    pub hands: Hands,
}

impl<K: Reconcile> Provider<K> for Reached
where
    Sim: Provider<K>,
{
    fn observe<'a>(&'a self, scene: Scene<'a, K>) -> BoxFuture<'a, Result<K::Observed, CallError>> {
        Provider::<K>::observe(&*self.world, scene)
    }

    fn perform<'a>(
        &'a self,
        scene: Scene<'a, K>,
        call: K::Call,
    ) -> BoxFuture<'a, Result<Performed, CallError>> {
        async move {
            let _hand = self.hands.take(&scene.target.stream(), self.replica);
            *self.hands.0.lock().unwrap().calls.entry(self.replica).or_default() += 1;
            // A call takes its time: others have theirs meanwhile.
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            Provider::<K>::perform(&*self.world, scene, call).await
        }
        .boxed()
    }

    fn sweep(&self) -> BoxFuture<'_, Result<Vec<Target>, CallError>> {
        Provider::<K>::sweep(&*self.world)
    }

    fn remove<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Performed, CallError>> {
        Provider::<K>::remove(&*self.world, target)
    }

    fn changes(&self) -> BoxStream<'static, StreamId> {
        Provider::<K>::changes(&*self.world)
    }
}
