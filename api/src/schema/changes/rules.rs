//! What a platform team says: classes and environments.

use std::iter;
use std::time::Duration;

use async_graphql::Json;
use domain::class::{self, Class};
use domain::environment::{self, Disagreement, Environment};
use domain::{Name, ResourceId};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::name;
use crate::fault::UserError;
use crate::once::{Answer, Stop, Work};
use crate::schema::mutation::EnvironmentDefineInput;

/// How long the views may take to know every environment that was defined before.
const SEEN_MAX: Duration = Duration::from_secs(5);

/// Says what a class is: a new version, unless the last one says the same.
pub(crate) async fn define_class(work: &mut Work<'_>, definition: Value) -> Result<Answer, Stop> {
    let definition: class::Definition = read(definition)?;
    let name = definition
        .name()
        .map_err(|error| UserError::new("INVALID_NAME", "input.definition", error))?;
    let stream =
        work.plane.stream(class::KIND, name.as_str()).ok_or_else(|| Stop::Refused(Vec::new()))?;
    let command = class::Command::Define { definition, at: work.at };
    let executed = work.execute::<Class>(&stream, command).await?;
    Ok(Answer {
        class: Some(name.to_string()),
        number: Some(executed.state.version),
        unchanged: executed.events.is_empty(),
        is_in_log: !executed.events.is_empty(),
        ..Answer::default()
    })
}

/// Says what an environment is: a new version, unless the last one says the same.
pub(crate) async fn define_environment(
    work: &mut Work<'_>,
    input: EnvironmentDefineInput,
) -> Result<Answer, Stop> {
    let definition: environment::Definition = read(input.definition.0)?;
    let alongside = input.alongside.into_iter().flatten().map(|Json(other)| read(other));
    let alongside: Vec<environment::Definition> = alongside.collect::<Result<_, _>>()?;
    let name = name("input.definition.name", &definition.name)?;
    let stream = work
        .plane
        .stream(environment::KIND, name.as_str())
        .ok_or_else(|| Stop::Refused(Vec::new()))?;
    if !work.is_done(&stream).await? {
        agree(work, &definition, alongside).await?;
    }
    let command = environment::Command::Define { definition, at: work.at };
    let executed = work.execute::<Environment>(&stream, command).await?;
    Ok(Answer {
        environment: Some(name.to_string()),
        number: Some(executed.state.version),
        unchanged: executed.events.is_empty(),
        is_in_log: !executed.events.is_empty(),
        ..Answer::default()
    })
}

/// Refuses a cluster that another environment defines otherwise.
async fn agree(
    work: &Work<'_>,
    definition: &environment::Definition,
    alongside: Vec<environment::Definition>,
) -> Result<(), Stop> {
    let but: Result<Vec<Name>, Stop> = iter::once(definition)
        .chain(&alongside)
        .map(|stated| name("input.definition.name", &stated.name))
        .collect();
    let mut others = offering(work, definition, &but?).await?;
    others.extend(alongside.into_iter().filter(|other| other.name != definition.name));
    for other in &others {
        let Some(Disagreement { cluster, fields }) = definition.disagreement(other) else {
            continue;
        };
        let words = fields
            .iter()
            .map(|(field, there, here)| format!("{field} is {there} there and {here} here"));
        let message = format!(
            "cluster `{cluster}` is defined otherwise by environment `{}`: {}",
            other.name,
            words.collect::<Vec<_>>().join(", ")
        );
        return Err(UserError::new("CLUSTER_DEFINED_OTHERWISE", "input.definition.clusters", message)
            .with_hint("define it alike, or give it another name; to change it, apply both environments in one file")
            .into());
    }
    Ok(())
}

/// What other environments say now that offer the same clusters. The views know who they are, the log what they say.
async fn offering(
    work: &Work<'_>,
    definition: &environment::Definition,
    but: &[Name],
) -> Result<Vec<environment::Definition>, Stop> {
    let (plane, executor) = (work.plane, &work.plane.probed.executor);
    let clusters: Vec<ResourceId> = definition.offered().collect();
    plane.views.at_least(work.position(), SEEN_MAX).await?;
    let mut found = Vec::new();
    for stream in plane.views.offering(&plane.tenant, &clusters, but).await? {
        let state = executor.load_state::<Environment>(&stream).await?.state;
        found.extend(state.definition.clone());
    }
    Ok(found)
}

fn read<D: DeserializeOwned>(definition: Value) -> Result<D, Stop> {
    serde_json::from_value(definition)
        .map_err(|error| UserError::new("INVALID_DEFINITION", "input.definition", error).into())
}
