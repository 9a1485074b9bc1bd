//! An application, as of its last revision.

use std::collections::BTreeMap;

use async_graphql::{ComplexObject, Context, Json, SimpleObject};
use domain::application;
use domain::secrecy::{hide, may_be_in};
use projections::{AsOf, Row};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::{RawValue, to_raw_value};

use super::{Moment, Position, Timestamp};
use crate::fault::Fault;
use crate::schema::plane;

/// The developer's file, kept as numbered revisions.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct Application {
    /// Its name.
    name: String,
    /// The number of the last revision.
    revision: u64,
    /// What the last revision says; none once it is deleted.
    model: Option<Json<Box<RawValue>>>,
    /// The images that were built for it.
    builds: Vec<Build>,
    /// Its last change.
    changed_at: Timestamp,
    /// The commit that led to this state.
    position: Position,
}

/// An image that was built for a container.
#[derive(SimpleObject)]
pub(crate) struct Build {
    /// The workload.
    workload: String,
    /// The container.
    container: String,
    /// The image.
    image: String,
    /// What it was built from, such as a commit.
    origin: Option<String>,
    /// When it was reported.
    at: Timestamp,
}

/// The document of an application, of which the model stays text: taken apart and put together again it took most of
/// the time of a list.
#[derive(Deserialize)]
struct Document {
    number: u64,
    model: Option<Box<RawValue>>,
    #[serde(default)]
    builds: BTreeMap<String, BTreeMap<String, application::Build>>,
}

/// It is made a tree only where there may be something to hide.
fn shown(model: Box<RawValue>) -> Result<Box<RawValue>, serde_json::Error> {
    if may_be_in(model.get()) {
        return to_raw_value(&hide("", &serde_json::from_str(model.get())?));
    }
    Ok(model)
}

#[ComplexObject]
impl Application {
    /// Its workloads, by name.
    async fn workloads(&self) -> async_graphql::Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Named {
            workloads: BTreeMap<String, IgnoredAny>,
        }
        let Some(Json(model)) = &self.model else { return Ok(Vec::new()) };
        let Named { workloads } = serde_json::from_str(model.get()).map_err(Fault::from)?;
        Ok(workloads.into_keys().collect())
    }
}

impl Application {
    pub(crate) fn of(row: Row) -> Result<Self, Fault> {
        let Document { number, model, builds } = serde_json::from_str(&row.doc)?;
        let builds = builds.into_iter().flat_map(|(workload, containers)| {
            containers.into_iter().map(move |(container, build)| Build {
                workload: workload.clone(),
                container,
                image: build.image,
                origin: build.origin,
                at: Timestamp(build.at),
            })
        });
        Ok(Self {
            name: row.stream.name().to_string(),
            revision: number,
            builds: builds.collect(),
            model: model.map(shown).transpose()?.map(Json),
            changed_at: Timestamp(row.time),
            position: Position(row.position),
        })
    }

    pub(crate) async fn find(
        ctx: &Context<'_>,
        name: &str,
        as_of: Option<Moment>,
    ) -> Result<Option<Self>, Fault> {
        let plane = plane(ctx);
        let Some(stream) = plane.stream(domain::application::KIND, name) else { return Ok(None) };
        let as_of: Option<AsOf> = Moment::past(as_of, plane).await?;
        plane.views.get(&stream, as_of).await?.map(Self::of).transpose()
    }
}
