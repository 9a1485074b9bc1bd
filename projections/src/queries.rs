//! What can be asked of the views. Every query is shared SQL; its answers are as of one position.
//!
//! The views that people speak of share tables where that is simpler: *resources, applications, environments,
//! classes, accounts, deployments, plans, rollouts* are the open rows of `versions` of that kind ([`Views::list`],
//! [`Views::get`]), *versions* all its rows ([`Views::history`]), *revisions* are positions in
//! it ([`Views::revisions`]), *activity* and *commands* are one table with a
//! row a commit ([`Views::activity`], [`Views::commit`]), *edges* is its own ([`Views::edges_of`], [`Views::tree`]).

mod activity;
mod graph;
mod list;
mod occupied;
mod offered;
mod quarantine;
mod sql;
mod why;

use domain::{StreamId, Time};
use journal::Position;

pub use activity::{Activity, ActivityFilter, EventNote, Revision, Version};
pub use graph::{Edge, Edges, NODES_MAX, Tree};
pub use list::{Filter, Sort};
pub(crate) use quarantine::is_held;
pub use why::{CHAIN_MAX, RECENT_MAX, Why};

use crate::fold::signed;
use crate::state::State;
use crate::store::{Cells, Statement, StoreError};
use crate::views::{Views, position};
use sql::{Sql, When};

/// The most items on a page.
pub const PAGE_MAX: u32 = 500;

/// A moment of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsOf {
    /// When the log was this long.
    Position(Position),
    /// When this was the time: after the commit with the latest time that is not later.
    Time(Time),
}

/// The state of one aggregate, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which aggregate.
    pub stream: StreamId,
    /// The commit that led to this state.
    pub position: Position,
    /// The version of its last event.
    pub version: u64,
    /// When.
    pub time: Time,
    /// See [`crate::PHASES`].
    pub phase: String,
    /// As wanted.
    pub ready: bool,
    /// The deployment it belongs to.
    pub deployment: Option<String>,
    /// The environment it is in.
    pub environment: Option<String>,
    /// The application it belongs to.
    pub application: Option<String>,
    /// The class it was made from.
    pub class: Option<String>,
    /// The incarnation.
    pub uid: Option<String>,
    /// Since when a resource is ready, or not ready.
    pub since: Option<Time>,
    /// Counts the revisions of what is wanted of a resource, from 1.
    pub generation: Option<u64>,
    /// The state as JSON; in lists, of a plan only a [`crate::PlanSummary`].
    pub doc: String,
}

/// Some of a list, and where to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// In order.
    pub items: Vec<T>,
    /// Where the next page begins; none after the last.
    pub next: Option<String>,
}

/// The question cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// Wait for the position, then ask again.
    #[error("the views are at position {at}, before {wanted}")]
    Future {
        /// What was asked for.
        wanted: Position,
        /// Where the views are.
        at: Position,
    },
    /// Start again from the first page.
    #[error("`{0}` is not a cursor of this list")]
    Cursor(String),
    /// See there.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const COLUMNS: &str = "v.stream, v.from_position, v.version, v.time, v.phase, v.ready, v.deployment, \
     v.environment, v.application, v.class, v.uid, v.since, v.generation";

impl Row {
    /// The state itself.
    ///
    /// # Errors
    /// When the document is only a summary, or another version of this program wrote it.
    pub fn state(&self) -> Result<State, serde_json::Error> {
        State::from_doc(self.stream.kind(), &self.doc)
    }

    fn read(cells: &mut Cells) -> Result<Self, StoreError> {
        Ok(Self {
            stream: stream(cells)?,
            position: position(cells.int()?),
            version: unsigned(cells.int()?),
            time: Time::from_micros(cells.int()?),
            phase: cells.text()?,
            ready: cells.int()? != 0,
            deployment: cells.optional_text()?,
            environment: cells.optional_text()?,
            application: cells.optional_text()?,
            class: cells.optional_text()?,
            uid: cells.optional_text()?,
            since: Some(cells.int()?).filter(|since| *since != 0).map(Time::from_micros),
            generation: Some(unsigned(cells.int()?)).filter(|generation| *generation != 0),
            doc: cells.text()?,
        })
    }
}

impl Views {
    /// The state of one aggregate, now or then; none when nothing had happened to it.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn get(
        &self,
        stream: &StreamId,
        as_of: Option<AsOf>,
    ) -> Result<Option<Row>, QueryError> {
        let when = self.when(as_of).await?;
        let mut sql = Sql::new();
        sql.push("SELECT ").push(COLUMNS).push(", v.doc FROM versions v WHERE v.stream = ");
        sql.bind(stream.to_string());
        if let When::At(at) = when {
            sql.push(" AND v.from_position <= ").bind(at);
        }
        sql.push(" ORDER BY v.from_position DESC LIMIT 1");
        let rows = self.select(sql.done()).await?;
        Ok(rows.into_iter().next().map(|mut cells| Row::read(&mut cells)).transpose()?)
    }

    /// The position that a moment of the past means.
    ///
    /// # Errors
    /// [`QueryError::Future`] when the views are not there yet.
    pub async fn position_as_of(&self, as_of: AsOf) -> Result<Position, QueryError> {
        match as_of {
            AsOf::Position(wanted) => {
                let at = self.position();
                if wanted > at { Err(QueryError::Future { wanted, at }) } else { Ok(wanted) }
            }
            AsOf::Time(time) => {
                let mut sql = Sql::new();
                sql.push("SELECT a.position FROM activity a WHERE a.time <= ")
                    .bind(time.as_micros())
                    .push(" ORDER BY a.time DESC, a.position DESC LIMIT 1");
                let rows = self.select(sql.done()).await?;
                let at = rows.into_iter().next().map(|mut cells| cells.int()).transpose()?;
                Ok(position(at.unwrap_or_default()))
            }
        }
    }

    /// When a moment of the past was: of a position, the time of its commit; none before the first.
    ///
    /// # Errors
    /// [`QueryError::Future`] when the views are not there yet.
    pub async fn time_as_of(&self, as_of: AsOf) -> Result<Option<Time>, QueryError> {
        if let AsOf::Time(time) = as_of {
            return Ok(Some(time));
        }
        let mut sql = Sql::new();
        sql.push("SELECT a.time FROM activity a WHERE a.position <= ");
        sql.bind(signed(self.position_as_of(as_of).await?.get()));
        sql.push(" ORDER BY a.position DESC LIMIT 1");
        let rows = self.select(sql.done()).await?;
        let time = rows.into_iter().next().map(|mut cells| cells.int()).transpose()?;
        Ok(time.map(Time::from_micros))
    }

    /// The first commit that the views know of: its position and its time; none while there is none.
    ///
    /// # Errors
    /// [`QueryError::Store`] when the views cannot be read.
    pub async fn beginning(&self) -> Result<Option<(Position, Time)>, QueryError> {
        let mut sql = Sql::new();
        sql.push("SELECT a.position, a.time FROM activity a ORDER BY a.position LIMIT 1");
        let Some(mut cells) = self.select(sql.done()).await?.into_iter().next() else {
            return Ok(None);
        };
        Ok(Some((position(cells.int()?), Time::from_micros(cells.int()?))))
    }

    /// The streams that commits after `from` and up to `to` are about, each once.
    pub(crate) async fn streams_between(
        &self,
        from: i64,
        to: i64,
    ) -> Result<Vec<StreamId>, QueryError> {
        let mut sql = Sql::new();
        sql.push("SELECT DISTINCT a.stream FROM activity a WHERE a.position > ").bind(from);
        sql.push(" AND a.position <= ").bind(to);
        let rows = self.select(sql.done()).await?;
        Ok(rows.into_iter().map(|mut cells| stream(&mut cells)).collect::<Result<_, _>>()?)
    }

    async fn when(&self, as_of: Option<AsOf>) -> Result<When, QueryError> {
        Ok(match as_of {
            None => When::Now,
            Some(as_of) => When::at(self.position_as_of(as_of).await?),
        })
    }
}

/// The open row of a stream, as the runner reads it back.
pub(crate) fn current_doc(stream: &StreamId) -> Statement {
    let text = "SELECT from_position, version, doc FROM versions WHERE stream = $1 \
         ORDER BY from_position DESC LIMIT 1";
    Statement { text: text.into(), values: vec![stream.to_string().into()] }
}

fn stream(cells: &mut Cells) -> Result<StreamId, StoreError> {
    cells.text()?.parse().map_err(|_| StoreError::Shape)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// Cuts what was read one too many for a page, and says where the next begins.
fn page<T>(mut items: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Page<T> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(cursor);
    Page { items, next }
}
