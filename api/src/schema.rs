//! The contract: `schema/graphql/schema.graphql` is this, as text.

mod changes;
mod events;
mod logs;
mod mutation;
mod preview;
mod query;
mod types;

use async_graphql::{SDLExportOptions, SchemaBuilder, ValidationMode};
use domain::Actor;
use std::time::Duration;

use crate::fault::Fault;
use crate::limits;
use crate::plane::Plane;

pub(crate) use events::Subscription;
pub(crate) use mutation::Mutation;
pub(crate) use query::Query;

/// The whole contract, with the plane behind it.
pub(crate) type Schema = async_graphql::Schema<Query, Mutation, Subscription>;

/// How long a query waits for the views to show a position.
const AT_LEAST_MAX: Duration = Duration::from_secs(5);

/// Builds the schema before a plane.
pub(crate) fn schema(plane: Plane, mode: ValidationMode) -> Schema {
    builder()
        .validation_mode(mode)
        .data(plane)
        .limit_depth(limits::DEPTH_MAX)
        .limit_complexity(limits::COMPLEXITY_MAX)
        .disable_suggestions()
        .disable_introspection()
        .finish()
}

fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query, Mutation, Subscription)
}

/// The schema as sorted text.
#[must_use]
pub fn sdl() -> String {
    let options = SDLExportOptions::new()
        .sorted_fields()
        .sorted_arguments()
        .sorted_enum_items()
        .prefer_single_line_descriptions();
    builder().finish().sdl_with_options(options)
}

/// The plane that a resolver speaks for.
pub(crate) fn plane<'a>(ctx: &async_graphql::Context<'a>) -> &'a Plane {
    ctx.data_unchecked::<Plane>()
}

/// Who asks.
pub(crate) fn actor<'a>(ctx: &async_graphql::Context<'a>) -> Result<&'a Actor, Fault> {
    ctx.data::<Actor>().map_err(|_| Fault::bad_input("nobody is known to ask this"))
}

/// Waits until the views show a position, if one is wanted.
pub(crate) async fn settle(plane: &Plane, at_least: Option<types::Position>) -> Result<(), Fault> {
    match at_least {
        Some(types::Position(wanted)) => Ok(plane.views.at_least(wanted, AT_LEAST_MAX).await?),
        None => Ok(()),
    }
}

/// A nullable field's answer: an error nulls the field alone.
pub(crate) fn shown<T>(answer: Result<Option<T>, Fault>) -> Option<async_graphql::Result<T>> {
    answer.map_err(async_graphql::Error::from).transpose()
}

#[cfg(test)]
mod tests;
