//! What lists show.

use async_graphql::{Context, InputObject};
use projections::Filter;
use projections::queries::ActivityFilter as CommitFilter;

use crate::fault::Fault;
use crate::schema::plane;
use crate::schema::types::Timestamp;

/// What a list of resources shows. Every field left out lets everything through.
#[derive(Default, InputObject)]
pub(crate) struct ResourceFilter {
    /// Of these kinds.
    kinds: Option<Vec<String>>,
    /// Of one deployment.
    deployment: Option<String>,
    /// In one environment.
    environment: Option<String>,
    /// Of one application.
    application: Option<String>,
    /// Made from one class.
    class: Option<String>,
    /// In one phase.
    phase: Option<String>,
    /// As wanted, or not.
    ready: Option<bool>,
    /// With names that begin so.
    name_prefix: Option<String>,
    /// Also what is gone.
    include_gone: Option<bool>,
}

/// What a list of commits shows. Every field left out lets everything through.
#[derive(Default, InputObject)]
pub(crate) struct ActivityFilter {
    /// About one thing, by any of its names.
    subject: Option<String>,
    /// Of one deployment: of itself and of its resources.
    deployment: Option<String>,
    /// By one actor, such as user:anna.
    actor: Option<String>,
    /// One command.
    command: Option<String>,
    /// All consequences of one commit.
    correlation_id: Option<String>,
    /// Only what somebody wanted.
    intents_only: Option<bool>,
    /// Not before.
    since: Option<Timestamp>,
    /// Not after.
    until: Option<Timestamp>,
}

impl ResourceFilter {
    pub(super) fn into_filter(self, all: Filter) -> Result<Filter, Fault> {
        let kinds = self.kinds.unwrap_or_default();
        if let Some(unknown) = kinds.iter().find(|kind| domain::KindName::parse(kind).is_none()) {
            let known: Vec<_> = domain::KindName::ALL.iter().map(|kind| kind.as_str()).collect();
            return Err(Fault::bad_input(format!(
                "there is no kind `{unknown}`; there are {}",
                known.join(", ")
            )));
        }
        Ok(Filter {
            kinds,
            deployment: self.deployment,
            environment: self.environment,
            application: self.application,
            class: self.class,
            phase: self.phase,
            ready: self.ready,
            name_prefix: self.name_prefix,
            include_gone: self.include_gone.unwrap_or_default(),
            ..all
        })
    }
}

impl ActivityFilter {
    /// None when it is about a thing that is not known.
    pub(super) async fn into_filter(
        self,
        ctx: &Context<'_>,
    ) -> Result<Option<CommitFilter>, Fault> {
        let plane = plane(ctx);
        let stream = match self.subject {
            Some(subject) => match plane.views.find(&plane.tenant, &subject).await? {
                Some(stream) => Some(stream),
                None => return Ok(None),
            },
            None => None,
        };
        let correlation_id =
            self.correlation_id.map(|id| id.parse()).transpose().map_err(Fault::bad_input)?;
        Ok(Some(CommitFilter {
            stream,
            deployment: self.deployment,
            actor: self.actor,
            command: self.command,
            correlation_id,
            intents_only: self.intents_only.unwrap_or_default(),
            since: self.since.map(|time| time.0),
            until: self.until.map(|time| time.0),
            ..CommitFilter::of(plane.tenant.clone())
        }))
    }
}
