//! A cloud in a box: deterministic, quick, and as unreliable as you like.
//!
//! [`World`] is the cloud itself: pure state on a clock of its own choosing, where things take their time.
//! [`Sim`] is the provider of every kind on top of it, with scripted [`fault`]s. It stays in the product: as the
//! demo, for rehearsals, and as the world that the tests run in. [`serve`] shares one with other processes, where
//! each has a [`Remote`] of it.

mod capacity;
pub mod duration;
pub mod fault;
mod lines;
mod object;
mod outputs;
mod provider;
mod reach;
mod remote;
mod serve;
mod store;
mod wire;
mod world;

pub use fault::{Fault, Operation, Script};
pub use object::{Entry, Happening, Object};
pub use provider::{Options, Sim};
pub use remote::{Remote, RemoteError};
pub use serve::{ServeError, listen, serve};
pub use store::StoreError;
pub use world::{Nature, NotThere, World};
