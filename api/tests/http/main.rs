//! The API as a client meets it: a real server on a real port, before a real log and real views.

mod changes;
mod guards;
mod server;
mod streams;
