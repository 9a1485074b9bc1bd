//! What a platform team says: classes and environments.

use domain::class::{self, Class};
use domain::environment::{self, Environment};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::name;
use crate::fault::UserError;
use crate::once::{Answer, Stop, Work};

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
        ..Answer::default()
    })
}

/// Says what an environment is: a new version, unless the last one says the same.
pub(crate) async fn define_environment(
    work: &mut Work<'_>,
    definition: Value,
) -> Result<Answer, Stop> {
    let definition: environment::Definition = read(definition)?;
    let name = name("input.definition.name", &definition.name)?;
    let stream = work
        .plane
        .stream(environment::KIND, name.as_str())
        .ok_or_else(|| Stop::Refused(Vec::new()))?;
    let command = environment::Command::Define { definition, at: work.at };
    let executed = work.execute::<Environment>(&stream, command).await?;
    Ok(Answer {
        environment: Some(name.to_string()),
        number: Some(executed.state.version),
        unchanged: executed.events.is_empty(),
        ..Answer::default()
    })
}

fn read<D: DeserializeOwned>(definition: Value) -> Result<D, Stop> {
    serde_json::from_value(definition)
        .map_err(|error| UserError::new("INVALID_DEFINITION", "input.definition", error).into())
}
