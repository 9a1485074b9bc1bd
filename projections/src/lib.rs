//! What can be *shown*: views of the log, kept up by [`run`], asked through [`Views`].
//!
//! A view row is the **fold of a stream**, as JSON, with the range of positions at which the stream was in that
//! state. So the present, the past (`as_of`) and the history are one table, and rebuilding the views from the log
//! gives the same rows again. Nothing here is the truth: the views may be deleted at any moment.
//!
//! The writes and reads are SQL that SQLite and PostgreSQL read alike; a store ([`ViewStore`]) applies batches and
//! answers statements, nothing more.

mod batch;
mod columns;
mod fold;
pub mod queries;
mod rebuild;
mod run;
mod sql;
mod sqlite;
mod state;
mod store;
mod views;

pub use batch::Batch;
pub use columns::{PHASES, PlanSummary};
pub use queries::{AsOf, Filter, Page, QueryError, Row, Sort};
pub use rebuild::{RebuildError, Rebuilt};
pub use run::{ProjectionError, run};
pub use sqlite::SqliteViews;
pub use state::State;
pub use store::{Cells, Checkpoint, Statement, StoreError, Value, ViewStore};
pub use views::{Changes, Health, NotThere, Status, Views};
