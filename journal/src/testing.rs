//! Parts for tests, here and in other crates: a journal with faults, one of the future, one that was forged, and the smallest aggregate.
#![allow(clippy::unwrap_used, reason = "only tests use it")]

mod faulty;
mod forged;
mod older;
mod tally;

pub use faulty::{Call, Crashed, Fault, Faulty};
pub use forged::forge;
pub use older::Older;
pub use tally::{Tally, TallyCommand, TallyEvent, TallyFull, add, commit, context, stream};
