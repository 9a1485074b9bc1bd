//! An application, as of its last revision.

use async_graphql::{Context, Json, SimpleObject};
use domain::application::Model;
use domain::secrecy::{hide, may_be_in};
use projections::{AsOf, Row, State};
use serde_json::value::{RawValue, to_raw_value};

use super::{Moment, Position, Timestamp};
use crate::fault::Fault;
use crate::schema::plane;

/// The developer's file, kept as numbered revisions.
#[derive(SimpleObject)]
pub(crate) struct Application {
    /// Its name.
    name: String,
    /// The number of the last revision.
    revision: u64,
    /// Its workloads, by name.
    workloads: Vec<String>,
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

/// Text that is passed on: as a tree of values it took half of the time of a list. It is made a tree only where there
/// may be something to hide.
fn shown(model: &Model) -> Result<Box<RawValue>, serde_json::Error> {
    let text = to_raw_value(model)?;
    if may_be_in(text.get()) {
        return to_raw_value(&hide("", &serde_json::to_value(model)?));
    }
    Ok(text)
}

impl Application {
    pub(crate) fn of(row: Row) -> Result<Self, Fault> {
        let State::Application(state) = row.state()? else {
            return Err(Fault::bad_input(format!("{} is not an application", row.stream)));
        };
        let builds = state.builds.iter().flat_map(|(workload, containers)| {
            containers.iter().map(|(container, build)| Build {
                workload: workload.clone(),
                container: container.clone(),
                image: build.image.clone(),
                origin: build.origin.clone(),
                at: Timestamp(build.at),
            })
        });
        let model = state.model.as_deref();
        Ok(Self {
            name: row.stream.name().to_string(),
            revision: state.number,
            workloads: model.iter().flat_map(|model| model.workloads.keys().cloned()).collect(),
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
