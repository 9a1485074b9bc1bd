//! What goes wrong, drawn from a seed.

use std::sync::{Arc, Mutex};

use journal::testing;
use reconcilers::Target;
use sim::{Fault, Operation};

use tests::rng::Rng;

/// A source of faults that can be stopped. Clones share it.
#[derive(Clone)]
pub struct Chaos(Arc<Mutex<(Rng, bool)>>);

impl Chaos {
    pub fn new(rng: Rng) -> Self {
        Self(Arc::new(Mutex::new((rng, true))))
    }

    pub fn stop(&self) {
        self.0.lock().unwrap().1 = false;
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> Option<T>) -> Option<T> {
        let mut chaos = self.0.lock().unwrap();
        if chaos.1 { draw(&mut chaos.0) } else { None }
    }

    pub fn journal_fault(&self, call: &testing::Call) -> Option<testing::Fault> {
        use testing::Fault;
        self.draw(|rng| match call {
            testing::Call::Append(_) => match rng.number() % 1_000 {
                0..15 => Some(Fault::CrashBefore),
                15..40 => Some(Fault::CrashAfter),
                40..55 => Some(Fault::Unavailable),
                55..80 => Some(Fault::LoseReply),
                80..95 => Some(Fault::LoseRequest),
                _ => None,
            },
            testing::Call::Load(_) => match rng.number() % 1_000 {
                0..30 => Some(Fault::Stale(1 + rng.below(3))),
                30..35 => Some(Fault::Unavailable),
                35..38 => Some(Fault::CrashBefore),
                _ => None,
            },
            testing::Call::Find | testing::Call::CheckToken(_) => {
                rng.per_mille(10).then_some(Fault::Unavailable)
            }
        })
    }

    pub fn world_fault(&self, operation: Operation, _: Option<&Target>) -> Option<Fault> {
        self.draw(|rng| match (operation, rng.number() % 1_000) {
            (Operation::Observe, 0..120) => Some(Fault::Stale(1 + rng.below(4))),
            (Operation::Observe | Operation::Sweep, 120..140) => Some(Fault::Error),
            (Operation::Observe | Operation::Sweep, 140..145) => Some(Fault::CrashBefore),
            (Operation::Observe | Operation::Sweep, _) => None,
            (_, 0..40) => Some(Fault::Error),
            (_, 40..100) => Some(Fault::LostReply),
            (_, 100..120) => Some(Fault::Throttled),
            (_, 120..150) => Some(Fault::CrashBefore),
            (_, 150..200) => Some(Fault::CrashAfter),
            (Operation::Create | Operation::Update, 200..210) => {
                Some(Fault::FailsForGood("out of capacity".into()))
            }
            _ => None,
        })
    }
}
