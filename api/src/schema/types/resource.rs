//! A resource: what is wanted, what is, and why they differ.

use std::sync::OnceLock;

use async_graphql::{Context, Enum, ID, Json, Object, SimpleObject};
use domain::lifecycle::{Body, Grave, Lifetime};
use domain::secrecy::hide;
use domain::{OutputValue, Resource as Life};
use futures::FutureExt as _;
use projections::{AsOf, Row, State};
use serde_json::Value;

use super::canary::Canary;
use super::notice::Notice;
use super::{Moment, Position, Timestamp};
use crate::fault::Fault;
use crate::schema::{plane, shown};

/// One managed thing: a row of the views. Its document is read when a field is asked for that only it has.
pub(crate) struct Resource {
    row: Row,
    /// The moment that nested fields are shown as of.
    as_of: Option<AsOf>,
    life: OnceLock<Box<Life>>,
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

/// One managed thing.
// One field after the other: nearly all are there already, and a place in a set of futures costs more than they do.
#[Object(serial)]
impl Resource {
    /// `kind/name`, such as database/dev_shop_db.
    async fn id(&self) -> ID {
        ID(subject(&self.row.stream))
    }

    /// Its kind.
    async fn kind(&self) -> &str {
        self.row.stream.kind()
    }

    /// Its name within the kind.
    async fn name(&self) -> &str {
        self.row.stream.name().as_str()
    }

    /// Names this incarnation: a name that is taken again gets another.
    async fn uid(&self) -> Option<ID> {
        self.row.uid.clone().map(ID)
    }

    /// working, blocked, failing, paused, ready, deleting or gone.
    async fn phase(&self) -> &str {
        &self.row.phase
    }

    /// It is as wanted.
    async fn ready(&self) -> bool {
        self.row.ready
    }

    /// Since when it is ready, or not ready.
    async fn since(&self) -> Option<Timestamp> {
        self.row.since.map(Timestamp)
    }

    /// Why it is not ready, in a sentence.
    async fn reason(&self) -> Result<Option<String>, Fault> {
        Ok(self.body()?.and_then(reason))
    }

    /// What it waits for.
    async fn blocker(&self) -> Result<Option<Blocker>, Fault> {
        Ok(self.body()?.and_then(|body| body.blocker.as_ref()).map(Blocker::of))
    }

    /// What its world has warned of since it was last ready or revised; each reason once.
    async fn notices(&self) -> Result<Vec<Notice>, Fault> {
        Ok(self.body()?.map(Notice::all).unwrap_or_default())
    }

    /// The new revision that is tried beside the old one, of a workload.
    async fn canary(&self) -> Result<Option<Canary>, Fault> {
        Ok(self.body()?.and_then(Canary::of))
    }

    /// Counts the revisions of what is wanted, from 1.
    async fn generation(&self) -> Option<u64> {
        self.row.generation
    }

    /// The generation last seen ready; 0 for never.
    async fn ready_generation(&self) -> Result<Option<u64>, Fault> {
        Ok(self.body()?.map(|body| body.readiness.generation))
    }

    /// The class it was made from, `<type>_<class>`.
    async fn class(&self) -> Option<&str> {
        self.row.class.as_deref()
    }

    /// The version of that class.
    async fn class_version(&self) -> Result<Option<u64>, Fault> {
        Ok(self.body()?.and_then(|body| body.class.as_ref()).map(|class| class.version))
    }

    /// The deployment it belongs to; none for what is shared.
    async fn deployment(&self) -> Option<&str> {
        self.row.deployment.as_deref()
    }

    /// Why it exists, and so when it goes.
    async fn lifetime(&self) -> Result<Option<LifetimeName>, Fault> {
        let life = self.life()?;
        let lifetime = life.body().map(|body| &body.lifetime);
        Ok(lifetime.or(grave(life).map(|grave| &grave.lifetime)).map(LifetimeName::of))
    }

    /// The provider's name for it.
    async fn external(&self) -> Result<Option<&str>, Fault> {
        Ok(self.body()?.and_then(|body| body.external.as_deref()))
    }

    /// The last action on it.
    async fn action(&self) -> Result<Option<Action>, Fault> {
        Ok(self.body()?.and_then(|body| body.action.as_ref()).map(Action::of))
    }

    /// How the world differs though Cairn was done.
    async fn drift(&self) -> Result<Option<Drift>, Fault> {
        Ok(self.body()?.and_then(|body| body.drift.as_ref()).map(Drift::of))
    }

    /// No action is taken on it.
    async fn paused(&self) -> Result<bool, Fault> {
        Ok(self.body()?.is_some_and(|body| body.paused))
    }

    /// Its deletion is refused.
    async fn protected(&self) -> Result<bool, Fault> {
        Ok(self.body()?.is_some_and(|body| body.protected))
    }

    /// When this incarnation was first wanted.
    async fn declared_at(&self) -> Result<Option<Timestamp>, Fault> {
        Ok(self.body()?.map(|body| Timestamp(body.declared_at)))
    }

    /// When what is wanted last changed.
    async fn revised_at(&self) -> Result<Option<Timestamp>, Fault> {
        Ok(self.body()?.map(|body| Timestamp(body.revised_at)))
    }

    /// The commit that led to this state.
    async fn position(&self) -> Position {
        Position(self.row.position)
    }

    /// What is wanted. References to secrets, never their values; what looks like a secret in clear is hidden.
    async fn spec(&self) -> Result<Option<Json<Value>>, Fault> {
        let life = self.life()?;
        let spec = life.body().map(|body| &body.spec).or(grave(life).map(|grave| &grave.spec));
        Ok(spec.map(|spec| Json(hide("", &spec.to_value()))))
    }

    /// What it published.
    async fn outputs(&self) -> Result<Vec<Output>, Fault> {
        Ok(self.body()?.map(outputs).unwrap_or_default())
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

/// Whose life a stream holds, as people call it: `kind/name`.
pub(crate) fn subject(stream: &domain::StreamId) -> String {
    format!("{}/{}", stream.kind(), stream.name())
}

impl Edge {
    fn to(stream: &domain::StreamId, output: Option<String>) -> Self {
        Self { resource: ID(subject(stream)), output }
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
        if row.stream.resource().is_none() {
            return Err(not_a_resource(&row));
        }
        Ok(Self { row, as_of, life: OnceLock::new() })
    }

    fn life(&self) -> Result<&Life, Fault> {
        if let Some(life) = self.life.get() {
            return Ok(life);
        }
        let State::Resource(life) = self.row.state()? else {
            return Err(not_a_resource(&self.row));
        };
        Ok(self.life.get_or_init(|| life))
    }

    fn body(&self) -> Result<Option<&Body>, Fault> {
        Ok(self.life()?.body())
    }

    /// Finds one by `kind/name`.
    pub(crate) async fn find(
        ctx: &Context<'_>,
        id: &str,
        as_of: Option<Moment>,
    ) -> Result<Option<Self>, Fault> {
        let plane = plane(ctx);
        let id: domain::ResourceId = id.parse().map_err(Fault::bad_input)?;
        let as_of = Moment::past(as_of, plane).await?;
        let row = plane.views.get(&id.stream(&plane.tenant), as_of).await?;
        row.map(|row| Self::of(row, as_of)).transpose()
    }

    async fn edges(&self, ctx: &Context<'_>) -> Result<projections::queries::Edges, Fault> {
        // On the heap: the place for it would be set aside for every field of every row.
        let edges = plane(ctx).views.edges_of(&self.row.stream, self.as_of).boxed();
        Ok(edges.await?)
    }
}

fn not_a_resource(row: &Row) -> Fault {
    Fault::bad_input(format!("{} is not a resource", row.stream))
}

const fn grave(life: &Life) -> Option<&Grave> {
    if let Life::Gone(grave) = life { Some(grave) } else { None }
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
