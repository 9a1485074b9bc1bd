//! Who did what, when, and why: a row a commit.

use domain::{StreamId, Tenant, Time};
use journal::Position;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::sql::Sql;
use super::{PAGE_MAX, Page, QueryError, page, stream, unsigned};
use crate::store::{Cells, StoreError};
use crate::views::{Views, position};

/// One commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// Its place in the log.
    pub position: Position,
    /// Its id.
    pub commit_id: Uuid,
    /// When it was decided.
    pub time: Time,
    /// Whose life it is about.
    pub stream: StreamId,
    /// The version of its first event.
    pub version: u64,
    /// Who: `user:anna`, `reconciler:workload`.
    pub actor: String,
    /// Which command.
    pub command: String,
    /// Somebody wanted something; otherwise a reconciler saw or did something.
    pub intent: bool,
    /// The commit that caused it.
    pub causation_id: Option<Uuid>,
    /// The first commit of the whole consequence.
    pub correlation_id: Uuid,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// What happened, as JSON; see [`Activity::notes`].
    pub events: String,
}

/// An event as the activity view keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventNote {
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Its data where that is small; otherwise the log has it.
    #[serde(default)]
    pub data: Option<Box<RawValue>>,
}

/// One state that an aggregate was in, and the commit that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The commit.
    pub activity: Activity,
    /// The phase it led to.
    pub phase: String,
    /// As wanted.
    pub ready: bool,
}

/// A numbered definition. What it said is [`Views::get`] as of its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// From 1.
    pub number: u64,
    /// The commit that brought it.
    pub activity: Activity,
}

/// What a list of commits shows. Every field left out lets everything through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityFilter {
    /// Whose.
    pub tenant: Tenant,
    /// Of one aggregate.
    pub stream: Option<StreamId>,
    /// Of one deployment: of itself, its resources, plans and rollouts.
    pub deployment: Option<String>,
    /// By one actor, such as `user:anna`.
    pub actor: Option<String>,
    /// One command.
    pub command: Option<String>,
    /// All consequences of one commit.
    pub correlation_id: Option<Uuid>,
    /// Only what somebody wanted.
    pub intents_only: bool,
    /// Not before.
    pub since: Option<Time>,
    /// Not after.
    pub until: Option<Time>,
}

impl ActivityFilter {
    /// Everything of a tenant.
    #[must_use]
    pub const fn of(tenant: Tenant) -> Self {
        Self {
            tenant,
            stream: None,
            deployment: None,
            actor: None,
            command: None,
            correlation_id: None,
            intents_only: false,
            since: None,
            until: None,
        }
    }
}

pub(super) const COLUMNS: &str = "a.position, a.commit_id, a.time, a.stream, a.version, a.actor, a.command, \
     a.intent, a.causation_id, a.correlation_id, a.traceparent, a.events";

impl Activity {
    /// What happened, event by event.
    #[must_use]
    pub fn notes(&self) -> Vec<EventNote> {
        serde_json::from_str(&self.events).unwrap_or_default()
    }

    pub(super) fn read(cells: &mut Cells) -> Result<Self, StoreError> {
        Ok(Self {
            position: position(cells.int()?),
            commit_id: id(&cells.text()?)?,
            time: Time::from_micros(cells.int()?),
            stream: stream(cells)?,
            version: unsigned(cells.int()?),
            actor: cells.text()?,
            command: cells.text()?,
            intent: cells.int()? != 0,
            causation_id: cells.optional_text()?.as_deref().map(id).transpose()?,
            correlation_id: id(&cells.text()?)?,
            traceparent: cells.optional_text()?,
            events: cells.text()?,
        })
    }
}

impl Views {
    /// A page of commits, the last first.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn activity(
        &self,
        filter: &ActivityFilter,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<Activity>, QueryError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let mut sql = Sql::new();
        sql.push("SELECT ").push(COLUMNS).push(" FROM activity a WHERE a.tenant = ");
        sql.bind(filter.tenant.as_str());
        restrict(&mut sql, filter);
        if let Some(after) = after {
            sql.push(" AND a.position < ").bind(before(after)?);
        }
        sql.push(" ORDER BY a.position DESC").limit(limit);
        let rows = self.select(sql.done()).await?;
        let rows = rows.into_iter().map(|mut cells| Activity::read(&mut cells));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        Ok(page(rows, limit, |row| row.position.to_string()))
    }

    /// One commit.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn commit(&self, commit_id: Uuid) -> Result<Option<Activity>, QueryError> {
        let mut sql = Sql::new();
        sql.push("SELECT ").push(COLUMNS).push(" FROM activity a WHERE a.commit_id = ");
        sql.bind(commit_id.to_string());
        let rows = self.select(sql.done()).await?;
        Ok(rows.into_iter().next().map(|mut cells| Activity::read(&mut cells)).transpose()?)
    }

    /// The states that an aggregate was in, the last first, with the commits that led to them. The state itself
    /// is [`Views::get`] as of that position.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn history(
        &self,
        stream: &StreamId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<Version>, QueryError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let mut sql = Sql::new();
        sql.push("SELECT ").push(COLUMNS).push(", v.phase, v.ready FROM versions v ");
        sql.push("JOIN activity a ON a.position = v.from_position WHERE v.stream = ");
        sql.bind(stream.to_string());
        if let Some(after) = after {
            sql.push(" AND v.from_position < ").bind(before(after)?);
        }
        sql.push(" ORDER BY v.from_position DESC").limit(limit);
        let rows = self.select(sql.done()).await?;
        let read = |mut cells: Cells| {
            let activity = Activity::read(&mut cells)?;
            Ok(Version { activity, phase: cells.text()?, ready: cells.int()? != 0 })
        };
        let rows = rows.into_iter().map(read).collect::<Result<Vec<_>, StoreError>>()?;
        Ok(page(rows, limit, |row| row.activity.position.to_string()))
    }

    /// The revisions of an application, or the versions of a class or an environment, the last first.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub async fn revisions(
        &self,
        stream: &StreamId,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<Revision>, QueryError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let mut sql = Sql::new();
        sql.push("SELECT ").push(COLUMNS).push(", r.number FROM revisions r ");
        sql.push("JOIN activity a ON a.position = r.position WHERE r.stream = ");
        sql.bind(stream.to_string());
        if let Some(after) = after {
            sql.push(" AND r.number < ").bind(before(after)?);
        }
        sql.push(" ORDER BY r.number DESC").limit(limit);
        let rows = self.select(sql.done()).await?;
        let read = |mut cells: Cells| {
            let activity = Activity::read(&mut cells)?;
            Ok(Revision { number: unsigned(cells.int()?), activity })
        };
        let rows = rows.into_iter().map(read).collect::<Result<Vec<_>, StoreError>>()?;
        Ok(page(rows, limit, |row| row.number.to_string()))
    }
}

fn restrict(sql: &mut Sql, filter: &ActivityFilter) {
    if let Some(stream) = &filter.stream {
        // By the index that `versions` has anyway: a version's position is its commit's.
        sql.push(" AND a.position IN (SELECT v.from_position FROM versions v WHERE v.stream = ");
        sql.bind(stream.to_string()).push(")");
    }
    if let Some(deployment) = &filter.deployment {
        sql.push(" AND a.position IN (SELECT v.from_position FROM memberships m ");
        sql.push("JOIN versions v ON v.stream = m.stream WHERE m.tenant = ");
        sql.bind(filter.tenant.as_str()).push(" AND m.grouping = 'deployment' AND m.value = ");
        sql.bind(deployment.as_str()).push(")");
    }
    if let Some(actor) = &filter.actor {
        sql.push(" AND a.actor = ").bind(actor.as_str());
    }
    if let Some(command) = &filter.command {
        sql.push(" AND a.command = ").bind(command.as_str());
    }
    if let Some(id) = &filter.correlation_id {
        sql.push(" AND a.correlation_id = ").bind(id.to_string());
    }
    if filter.intents_only {
        sql.push(" AND a.intent = 1");
    }
    if let Some(since) = filter.since {
        sql.push(" AND a.time >= ").bind(since.as_micros());
    }
    if let Some(until) = filter.until {
        sql.push(" AND a.time <= ").bind(until.as_micros());
    }
}

fn before(cursor: &str) -> Result<i64, QueryError> {
    cursor.parse().map_err(|_| QueryError::Cursor(cursor.to_owned()))
}

fn id(text: &str) -> Result<Uuid, StoreError> {
    text.parse().map_err(|_| StoreError::Shape)
}
