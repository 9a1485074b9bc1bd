//! What a platform team says: classes and environments.

use async_graphql::{Context, Json, SimpleObject};
use projections::{Row, State};
use serde_json::Value;

use super::{Moment, Position, Timestamp};
use crate::fault::Fault;
use crate::schema::plane;

/// The definition of a resource type.
#[derive(SimpleObject)]
pub(crate) struct Class {
    /// `<type>_<class>`.
    name: String,
    /// The type that developers write.
    resource_type: Option<String>,
    /// The class within the type.
    class: Option<String>,
    /// The kind that is made.
    target: Option<String>,
    /// One line about it.
    description: Option<String>,
    /// The number of the last version.
    version: u64,
    /// What it says; none once it is withdrawn.
    definition: Option<Json<Value>>,
    /// Its last change.
    changed_at: Timestamp,
    /// The commit that led to this state.
    position: Position,
}

/// Where applications run, and by which rules.
#[derive(SimpleObject)]
pub(crate) struct Environment {
    /// Its name.
    name: String,
    /// dev, staging or prod.
    tier: Option<String>,
    /// Where its workloads should be.
    location: Option<String>,
    /// The DNS zone under which its host names lie.
    domain: Option<String>,
    /// The clusters it may use.
    clusters: Vec<String>,
    /// A plan needs a person's approval.
    approval: Option<bool>,
    /// The number of the last version.
    version: u64,
    /// What it says; none once it is removed.
    definition: Option<Json<Value>>,
    /// Its last change.
    changed_at: Timestamp,
    /// The commit that led to this state.
    position: Position,
}

impl Class {
    pub(crate) fn of(row: Row) -> Result<Self, Fault> {
        let State::Class(state) = row.state()? else {
            return Err(Fault::bad_input(format!("{} is not a class", row.stream)));
        };
        let definition = state.definition.as_ref();
        Ok(Self {
            name: row.stream.name().to_string(),
            resource_type: definition.map(|definition| definition.resource_type.clone()),
            class: definition.map(|definition| definition.class.clone()),
            target: definition.map(|definition| definition.target.to_string()),
            description: definition.map(|definition| definition.description.clone()),
            version: state.version,
            definition: definition.map(serde_json::to_value).transpose()?.map(Json),
            changed_at: Timestamp(row.time),
            position: Position(row.position),
        })
    }

    pub(crate) async fn find(
        ctx: &Context<'_>,
        name: &str,
        as_of: Option<Moment>,
    ) -> Result<Option<Self>, Fault> {
        found(ctx, domain::class::KIND, name, as_of).await?.map(Self::of).transpose()
    }
}

impl Environment {
    pub(crate) fn of(row: Row) -> Result<Self, Fault> {
        let State::Environment(state) = row.state()? else {
            return Err(Fault::bad_input(format!("{} is not an environment", row.stream)));
        };
        let definition = state.definition.as_ref();
        let json = definition.map(serde_json::to_value).transpose()?;
        let tier = json.as_ref().and_then(|json| json.get("tier")).and_then(Value::as_str);
        let clusters = definition.iter().flat_map(|definition| definition.clusters.keys().cloned());
        Ok(Self {
            name: row.stream.name().to_string(),
            tier: tier.map(str::to_owned),
            location: definition.and_then(|definition| definition.location.clone()),
            domain: definition.map(|definition| definition.domain.clone()),
            clusters: clusters.collect(),
            approval: definition.map(|definition| definition.approval),
            version: state.version,
            definition: json.map(Json),
            changed_at: Timestamp(row.time),
            position: Position(row.position),
        })
    }

    pub(crate) async fn find(
        ctx: &Context<'_>,
        name: &str,
        as_of: Option<Moment>,
    ) -> Result<Option<Self>, Fault> {
        found(ctx, domain::environment::KIND, name, as_of).await?.map(Self::of).transpose()
    }
}

async fn found(
    ctx: &Context<'_>,
    kind: &str,
    name: &str,
    as_of: Option<Moment>,
) -> Result<Option<Row>, Fault> {
    let plane = plane(ctx);
    match plane.stream(kind, name) {
        Some(stream) => Ok(plane.views.get(&stream, Moment::past(as_of, plane).await?).await?),
        None => Ok(None),
    }
}
