//! What can be *shown*: views of the log, kept up by [`run`], asked through [`Views`].
//!
//! A view row is the **fold of a stream**, as JSON, with the range of positions at which the stream was in that
//! state. So the present, the past (`as_of`) and the history are one table, and rebuilding the views from the log
//! gives the same rows again. Nothing here is the truth: the views may be deleted at any moment.
//!
//! The writes and reads are SQL that SQLite and PostgreSQL read alike; a store ([`ViewStore`]) applies batches and
//! answers statements, nothing more. There are two: [`SqliteViews`] in the process that writes, [`PostgresViews`]
//! for any number of processes, of which those that only answer [`watch()`] the one that writes.
//!
//! A stream whose events are not understood is in quarantine ([`Views::quarantine`]) until it is driven again
//! ([`redrive()`]); everything else goes on.

mod batch;
mod columns;
#[cfg(test)]
mod explain;
mod fold;
pub mod nats;
mod poison;
mod postgres;
pub mod queries;
mod rebuild;
mod redrive;
mod run;
mod sql;
mod sqlite;
mod state;
mod store;
mod views;
mod watch;

pub use batch::Batch;
pub use columns::{PHASES, PlanSummary};
pub use poison::{Poison, Quarantined};
pub use postgres::PostgresViews;
pub use queries::{AsOf, Filter, Page, QueryError, Row, Sort};
pub use rebuild::{RebuildError, Rebuilt};
pub use redrive::{RedriveError, Redriven, redrive};
pub use run::{ProjectionError, run};
pub use sql::ROWS;
pub use sqlite::SqliteViews;
pub use state::State;
pub use store::{Cells, Checkpoint, Current, Recalled, Statement, StoreError, Value, ViewStore};
pub use views::{Changes, Health, NotThere, Status, Views};
pub use watch::watch;
