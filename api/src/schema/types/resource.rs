//! A resource: what is wanted, what is, and why they differ.

use async_graphql::{ComplexObject, Context, Enum, ID, Json, SimpleObject};
use domain::lifecycle::{Body, Lifetime};
use domain::{OutputValue, Resource as Life};
use projections::{AsOf, Row, State};
use serde_json::Value;

use super::{Moment, Position, Timestamp};
use crate::fault::Fault;
use crate::schema::{plane, shown};

/// One managed thing.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(crate) struct Resource {
    /// `kind/name`, such as database/dev_shop_db.
    id: ID,
    /// Its kind.
    kind: String,
    /// Its name within the kind.
    name: String,
    /// Names this incarnation: a name that is taken again gets another.
    uid: Option<ID>,
    /// working, blocked, failing, paused, ready, deleting or gone.
    phase: String,
    /// It is as wanted.
    ready: bool,
    /// Since when it is ready, or not ready.
    since: Option<Timestamp>,
    /// Why it is not ready, in a sentence.
    reason: Option<String>,
    /// What it waits for.
    blocker: Option<Blocker>,
    /// Counts the revisions of what is wanted, from 1.
    generation: Option<u64>,
    /// The generation last seen ready; 0 for never.
    ready_generation: Option<u64>,
    /// The class it was made from, `<type>_<class>`.
    class: Option<String>,
    /// The version of that class.
    class_version: Option<u64>,
    /// The deployment it belongs to; none for what is shared.
    deployment: Option<String>,
    /// Why it exists, and so when it goes.
    lifetime: Option<LifetimeName>,
    /// The provider's name for it.
    external: Option<String>,
    /// The last action on it.
    action: Option<Action>,
    /// How the world differs though Cairn was done.
    drift: Option<Drift>,
    /// No action is taken on it.
    paused: bool,
    /// Its deletion is refused.
    protected: bool,
    /// When this incarnation was first wanted.
    declared_at: Option<Timestamp>,
    /// When what is wanted last changed.
    revised_at: Option<Timestamp>,
    /// The commit that led to this state.
    position: Position,
    /// The moment that nested fields are shown as of.
    #[graphql(skip)]
    as_of: Option<AsOf>,
    #[graphql(skip)]
    stream: domain::StreamId,
    /// What is costly to show is shown only to those who ask.
    #[graphql(skip)]
    life: Box<Life>,
}

/// Why a resource exists, and so when it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum LifetimeName {
    /// It goes with its deployment.
    Deployment,
    /// It goes a while after nothing needs it any more.
    WhileNeeded,
    /// It stays until somebody deletes it.
    Kept,
}

/// What a resource waits for.
#[derive(Clone, SimpleObject)]
pub(crate) struct Blocker {
    /// The resource it waits for, when it is one.
    pub(crate) on: Option<ID>,
    /// In words.
    pub(crate) reason: String,
    /// Since when.
    pub(crate) since: Timestamp,
}

/// A value that a resource published.
#[derive(SimpleObject)]
pub(crate) struct Output {
    /// Its name in placeholders.
    name: String,
    /// The value; none for a secret.
    value: Option<String>,
    /// Where the secret is kept, as a reference; none for what is no secret.
    secret: Option<String>,
}

/// Something done to the world.
#[derive(SimpleObject)]
pub(crate) struct Action {
    /// create, update or delete.
    name: String,
    /// For which generation.
    generation: u64,
    /// When it was first tried.
    since: Timestamp,
    /// The provider acknowledged it.
    done: bool,
    /// How it last failed.
    failure: Option<String>,
}

/// A difference between the world and what is wanted.
#[derive(SimpleObject)]
pub(crate) struct Drift {
    /// What differs.
    detail: String,
    /// Who did it, where the provider can say.
    by: Option<String>,
    /// When it was seen.
    since: Timestamp,
}

/// An edge of the graph.
#[derive(SimpleObject)]
pub(crate) struct Edge {
    /// The other resource.
    resource: ID,
    /// Which output; none when it is enough that it is ready.
    output: Option<String>,
}

#[ComplexObject]
impl Resource {
    /// What is wanted. References to secrets, never their values.
    async fn spec(&self) -> Option<Json<Value>> {
        let grave = if let Life::Gone(grave) = &*self.life { Some(grave) } else { None };
        let spec = self.life.body().map(|body| &body.spec).or(grave.map(|grave| &grave.spec));
        spec.map(|spec| Json(spec.to_value()))
    }

    /// What it published.
    async fn outputs(&self) -> Vec<Output> {
        self.life.body().map(outputs).unwrap_or_default()
    }

    /// What it needs.
    #[graphql(complexity = "5 + child_complexity")]
    async fn needs(&self, ctx: &Context<'_>) -> Option<async_graphql::Result<Vec<Edge>>> {
        shown(self.edges(ctx).await.map(|edges| {
            Some(edges.needs.into_iter().map(|edge| Edge::to(&edge.target, edge.output)).collect())
        }))
    }

    /// What needs it.
    #[graphql(complexity = "5 + child_complexity")]
    async fn needed_by(&self, ctx: &Context<'_>) -> Option<async_graphql::Result<Vec<Edge>>> {
        shown(self.edges(ctx).await.map(|edges| {
            Some(
                edges
                    .needed_by
                    .into_iter()
                    .map(|edge| Edge::to(&edge.source, edge.output))
                    .collect(),
            )
        }))
    }
}

impl Edge {
    fn to(stream: &domain::StreamId, output: Option<String>) -> Self {
        Self { resource: ID(format!("{}/{}", stream.kind(), stream.name())), output }
    }
}

impl Blocker {
    pub(crate) fn of(blocker: &domain::lifecycle::Blocker) -> Self {
        Self {
            on: blocker.on.as_ref().map(|on| ID(on.to_string())),
            reason: blocker.reason.clone(),
            since: Timestamp(blocker.since),
        }
    }
}

/// Why a resource is not ready, from the most telling fact on.
pub(crate) fn reason(body: &Body) -> Option<String> {
    if body.is_ready() {
        return None;
    }
    let failure = body.action.as_ref().and_then(|action| action.failure.as_ref());
    let failed = failure.map(|failure| failure.message.clone());
    let waits = body.blocker.as_ref().map(|blocker| blocker.reason.clone());
    let drifted = body.drift.as_ref().map(|drift| format!("drifted: {}", drift.detail));
    let paused = body.paused.then(|| "paused".to_owned());
    failed.or(paused).or(waits).or(drifted).or_else(|| body.readiness.reason.clone())
}

impl Resource {
    /// Shows a row of a resource.
    pub(crate) fn of(row: Row, as_of: Option<AsOf>) -> Result<Self, Fault> {
        let State::Resource(life) = row.state()? else {
            return Err(Fault::bad_input(format!("{} is not a resource", row.stream)));
        };
        let (kind, name) = (row.stream.kind().to_owned(), row.stream.name().to_string());
        let body = life.body();
        let grave = if let Life::Gone(grave) = &*life { Some(grave) } else { None };
        let since = body.map(|body| body.readiness.since).or(grave.map(|grave| grave.at));
        let lifetime = body.map(|body| &body.lifetime).or(grave.map(|grave| &grave.lifetime));
        let class = body.and_then(|body| body.class.as_ref());
        Ok(Self {
            id: ID(format!("{kind}/{name}")),
            kind,
            name,
            uid: row.uid.map(ID),
            phase: row.phase,
            ready: row.ready,
            since: since.map(Timestamp),
            reason: body.and_then(reason),
            blocker: body.and_then(|body| body.blocker.as_ref()).map(Blocker::of),
            generation: body.map(|body| body.generation),
            ready_generation: body.map(|body| body.readiness.generation),
            class: class.map(|class| class.name.to_string()),
            class_version: class.map(|class| class.version),
            deployment: row.deployment,
            lifetime: lifetime.map(LifetimeName::of),
            external: body.and_then(|body| body.external.clone()),
            action: body.and_then(|body| body.action.as_ref()).map(Action::of),
            drift: body.and_then(|body| body.drift.as_ref()).map(Drift::of),
            paused: body.is_some_and(|body| body.paused),
            protected: body.is_some_and(|body| body.protected),
            declared_at: body.map(|body| Timestamp(body.declared_at)),
            revised_at: body.map(|body| Timestamp(body.revised_at)),
            position: Position(row.position),
            as_of,
            stream: row.stream,
            life,
        })
    }

    /// Finds one by `kind/name`.
    pub(crate) async fn find(
        ctx: &Context<'_>,
        id: &str,
        as_of: Option<Moment>,
    ) -> Result<Option<Self>, Fault> {
        let plane = plane(ctx);
        let id: domain::ResourceId = id.parse().map_err(Fault::bad_input)?;
        let as_of = as_of.map(|moment| moment.0);
        let row = plane.views.get(&id.stream(&plane.tenant), as_of).await?;
        row.map(|row| Self::of(row, as_of)).transpose()
    }

    async fn edges(&self, ctx: &Context<'_>) -> Result<projections::queries::Edges, Fault> {
        Ok(plane(ctx).views.edges_of(&self.stream, self.as_of).await?)
    }
}

impl LifetimeName {
    const fn of(lifetime: &Lifetime) -> Self {
        match lifetime {
            Lifetime::Deployment(_) => Self::Deployment,
            Lifetime::WhileNeeded => Self::WhileNeeded,
            Lifetime::Kept => Self::Kept,
        }
    }
}

impl Action {
    fn of(action: &domain::lifecycle::Action) -> Self {
        let name = match action.name {
            domain::lifecycle::ActionName::Create => "create",
            domain::lifecycle::ActionName::Update => "update",
            domain::lifecycle::ActionName::Delete => "delete",
        };
        Self {
            name: name.to_owned(),
            generation: action.generation,
            since: Timestamp(action.since),
            done: action.done,
            failure: action.failure.as_ref().map(|failure| failure.message.clone()),
        }
    }
}

impl Drift {
    fn of(drift: &domain::lifecycle::Drift) -> Self {
        Self { detail: drift.detail.clone(), by: drift.by.clone(), since: Timestamp(drift.since) }
    }
}

fn outputs(body: &Body) -> Vec<Output> {
    let show = |(name, value): (&String, &OutputValue)| {
        let (value, secret) = match value {
            OutputValue::Plain(value) => (Some(value.clone()), None),
            OutputValue::Secret(reference) => (None, Some(reference.to_string())),
        };
        Output { name: name.clone(), value, secret }
    };
    body.outputs.iter().map(show).collect()
}
