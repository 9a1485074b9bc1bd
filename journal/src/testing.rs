//! Parts for tests, here and in other crates: a journal with faults, and the smallest aggregate.
#![allow(clippy::unwrap_used, reason = "only tests use it")]

mod faulty;
mod tally;

pub use faulty::{Call, Crashed, Fault, Faulty};
pub use tally::{Tally, TallyCommand, TallyEvent, TallyFull, add, commit, context, stream};
