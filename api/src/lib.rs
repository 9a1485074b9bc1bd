//! What others can *ask*: GraphQL over HTTP, and nothing that decides.
//!
//! A resolver turns an input into a command, or rows into an answer. Reading follows the views; writing goes through
//! the executor and the planner; the subscription follows the log itself. Read [`Plane`] (what is served), then
//! `schema` (the contract, also as text in `schema/graphql/schema.graphql`), then `http` (the guards before it).

mod auth;
mod fault;
mod http;
mod limits;
mod once;
mod plane;
mod schema;

pub use auth::{Token, Tokens, TokensError};
pub use http::{BODY_BYTES_MAX, ServeError, closed, probes, router, serve};
pub use plane::{Durability, Plane, Probed, Simulate, SimulateError, Stopped, WorldFault};

pub use axum::Router;
pub use axum::body::Body;
pub use schema::sdl;
