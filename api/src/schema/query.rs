//! What can be asked. Every answer is as of one moment; `atLeast` waits for one's own writes.

mod filters;

use async_graphql::{Context, Enum, Object, SimpleObject};
use domain::{application, class, deployment, environment};
use projections::{Filter, Page, Row};
use reconcilers::{Clock as _, WallClock};

use filters::{ActivityFilter, ResourceFilter};

use super::mutation::PlanPreviewInput;
use super::preview::{self, PlanPreview};
use super::types::{
    Activity, Application, Class, Connection, Deployment, Environment, Moment, Paging, Plan,
    Position, Quarantined, Resource, Timestamp, Version, Why,
};
use super::{plane, settle, shown};
use crate::fault::Fault;

/// What can be asked.
pub(crate) struct Query;

type Shown<T> = Option<async_graphql::Result<T>>;

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
pub(crate) enum Sort {
    /// By kind, then name.
    #[default]
    Name,
    /// What changed last comes first.
    Updated,
}

/// The server.
#[derive(SimpleObject)]
pub(crate) struct ServerInfo {
    /// Its version.
    version: &'static str,
    /// The position that the views show.
    position: Position,
    /// The position of the last commit of the log.
    head: Position,
    /// What an acknowledged change survives: process-crash, power-loss or quorum.
    durability: String,
    /// Whose it is.
    tenant: String,
    /// The world is simulated.
    simulated: bool,
    /// Every kind of resource.
    kinds: Vec<&'static str>,
}

/// What can be asked.
#[Object]
impl Query {
    /// The server.
    async fn server_info(&self, ctx: &Context<'_>) -> Shown<ServerInfo> {
        shown(server_info(ctx).await.map(Some))
    }

    /// When a moment was: of a position, the time of its commit; now, by the server's clock, for none.
    async fn time(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The moment.")] as_of: Option<Moment>,
    ) -> Shown<Timestamp> {
        shown(time(ctx, as_of).await)
    }

    /// One resource, by `kind/name`.
    async fn resource(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "`kind/name`, such as database/dev_shop_db.")] id: String,
        #[graphql(desc = "As it was then.")] as_of: Option<Moment>,
        #[graphql(desc = "Waits until the views show this position.")] at_least: Option<Position>,
    ) -> Shown<Resource> {
        shown(settled(ctx, at_least, Resource::find(ctx, &id, as_of)).await)
    }

    /// Resources, in pages.
    #[graphql(complexity = "10 + usize::try_from(first).unwrap_or_default() * child_complexity")]
    #[allow(clippy::too_many_arguments, reason = "they are the arguments of the GraphQL field")]
    async fn resources(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
        #[graphql(desc = "Which.")] filter: Option<ResourceFilter>,
        #[graphql(desc = "In which order.", default)] sort: Sort,
        #[graphql(desc = "As it was then.")] as_of: Option<Moment>,
        #[graphql(desc = "Waits until the views show this position.")] at_least: Option<Position>,
    ) -> Shown<Connection<Resource>> {
        let filter = filter.unwrap_or_default();
        shown(
            settled(ctx, at_least, async {
                let as_of = Moment::past(as_of, plane(ctx)).await?;
                let filter = filter.into_filter(Filter::of(plane(ctx).tenant.clone(), &[]))?;
                let page = list(ctx, filter, sort, Paging::of(first, after)?, as_of).await?;
                Connection::of(page, |row| Resource::of(row, as_of)).map(Some)
            })
            .await,
        )
    }

    /// One application.
    async fn application(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its name.")] name: String,
        #[graphql(desc = "As it was then.")] as_of: Option<Moment>,
        #[graphql(desc = "Waits until the views show this position.")] at_least: Option<Position>,
    ) -> Shown<Application> {
        shown(settled(ctx, at_least, Application::find(ctx, &name, as_of)).await)
    }

    /// Applications, in pages.
    #[graphql(complexity = "10 + usize::try_from(first).unwrap_or_default() * child_complexity")]
    async fn applications(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
        #[graphql(desc = "As it was then.")] as_of: Option<Moment>,
        #[graphql(desc = "Waits until the views show this position.")] at_least: Option<Position>,
    ) -> Shown<Connection<Application>> {
        shown(
            settled(ctx, at_least, async {
                let page =
                    of_kind(ctx, application::KIND, Paging::of(first, after)?, as_of).await?;
                Connection::of(page, Application::of).map(Some)
            })
            .await,
        )
    }

    /// One deployment.
    async fn deployment(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "`<environment>_<application>`.")] name: String,
        #[graphql(desc = "As it was then.")] as_of: Option<Moment>,
        #[graphql(desc = "Waits until the views show this position.")] at_least: Option<Position>,
    ) -> Shown<Deployment> {
        shown(settled(ctx, at_least, Deployment::find(ctx, &name, as_of)).await)
    }

    /// Deployments, in pages.
    #[graphql(complexity = "10 + usize::try_from(first).unwrap_or_default() * child_complexity")]
    async fn deployments(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
        #[graphql(desc = "As it was then.")] as_of: Option<Moment>,
        #[graphql(desc = "Waits until the views show this position.")] at_least: Option<Position>,
    ) -> Shown<Connection<Deployment>> {
        shown(
            settled(ctx, at_least, async {
                let past = Moment::past(as_of, plane(ctx)).await?;
                let page = of_kind(ctx, deployment::KIND, Paging::of(first, after)?, as_of).await?;
                Connection::of(page, |row| Deployment::of(row, past)).map(Some)
            })
            .await,
        )
    }

    /// One environment.
    async fn environment(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its name.")] name: String,
        #[graphql(desc = "As it was then.")] as_of: Option<Moment>,
    ) -> Shown<Environment> {
        shown(Environment::find(ctx, &name, as_of).await)
    }

    /// Environments, in pages.
    #[graphql(complexity = "10 + usize::try_from(first).unwrap_or_default() * child_complexity")]
    async fn environments(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
        #[graphql(desc = "As it was then.")] as_of: Option<Moment>,
        #[graphql(desc = "Waits until the views show this position.")] at_least: Option<Position>,
    ) -> Shown<Connection<Environment>> {
        shown(
            settled(ctx, at_least, async {
                let page =
                    of_kind(ctx, environment::KIND, Paging::of(first, after)?, as_of).await?;
                Connection::of(page, Environment::of).map(Some)
            })
            .await,
        )
    }

    /// One class.
    async fn class(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "`<type>_<class>`.")] name: String,
        #[graphql(desc = "As it was then.")] as_of: Option<Moment>,
    ) -> Shown<Class> {
        shown(Class::find(ctx, &name, as_of).await)
    }

    /// Classes, in pages.
    #[graphql(complexity = "10 + usize::try_from(first).unwrap_or_default() * child_complexity")]
    async fn classes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
        #[graphql(desc = "As it was then.")] as_of: Option<Moment>,
        #[graphql(desc = "Waits until the views show this position.")] at_least: Option<Position>,
    ) -> Shown<Connection<Class>> {
        shown(
            settled(ctx, at_least, async {
                let page = of_kind(ctx, class::KIND, Paging::of(first, after)?, as_of).await?;
                Connection::of(page, Class::of).map(Some)
            })
            .await,
        )
    }

    /// One plan.
    async fn plan(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: String,
        #[graphql(desc = "Waits until the views show this position.")] at_least: Option<Position>,
    ) -> Shown<Plan> {
        shown(settled(ctx, at_least, Plan::find(ctx, &id)).await)
    }

    /// What a deployment of these files would do. Nothing is recorded: neither a revision, nor a plan to approve.
    #[graphql(complexity = "50 + child_complexity")]
    async fn plan_preview(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The files, and where.")] input: PlanPreviewInput,
    ) -> Shown<PlanPreview> {
        shown(preview::preview(plane(ctx), input).await.map(Some))
    }

    /// Who did what, when, and why: the last first.
    #[graphql(complexity = "10 + usize::try_from(first).unwrap_or_default() * child_complexity")]
    async fn activity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
        #[graphql(desc = "Which.")] filter: Option<ActivityFilter>,
        #[graphql(desc = "Waits until the views show this position.")] at_least: Option<Position>,
    ) -> Shown<Connection<Activity>> {
        shown(
            settled(ctx, at_least, async {
                let Some(filter) = filter.unwrap_or_default().into_filter(ctx).await? else {
                    return Ok(None);
                };
                let paging = Paging::of(first, after)?;
                let page = plane(ctx)
                    .views
                    .activity(&filter, paging.after.as_deref(), paging.limit)
                    .await?;
                Connection::of(page, |row| Ok(Activity::of(row))).map(Some)
            })
            .await,
        )
    }

    /// Where a thing comes from: by `kind/name`, by uid, or by the provider's name for it.
    #[graphql(complexity = "50 + 20 * child_complexity")]
    async fn why(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Any name of it.")] id: String,
        #[graphql(desc = "Waits until the views show this position.")] at_least: Option<Position>,
    ) -> Shown<Why> {
        let plane = plane(ctx);
        shown(
            settled(ctx, at_least, async {
                Ok(plane.views.why(&plane.tenant, &id).await?.map(Why::of))
            })
            .await,
        )
    }

    /// The states that a thing was in, the last first.
    #[graphql(complexity = "10 + usize::try_from(first).unwrap_or_default() * child_complexity")]
    async fn history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Any name of it.")] id: String,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
        #[graphql(desc = "Waits until the views show this position.")] at_least: Option<Position>,
    ) -> Shown<Connection<Version>> {
        let plane = plane(ctx);
        shown(
            settled(ctx, at_least, async {
                let paging = Paging::of(first, after)?;
                let Some(stream) = plane.views.find(&plane.tenant, &id).await? else {
                    return Ok(None);
                };
                let page =
                    plane.views.history(&stream, paging.after.as_deref(), paging.limit).await?;
                Connection::of(page, |row| Ok(Version::of(row))).map(Some)
            })
            .await,
        )
    }

    /// What is not shown to its end, because the log says of it what this version does not understand.
    #[graphql(complexity = "10 + usize::try_from(first).unwrap_or_default() * child_complexity")]
    async fn quarantine(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100.")] first: i32,
        #[graphql(desc = "After this cursor.")] after: Option<String>,
    ) -> Shown<Connection<Quarantined>> {
        let plane = plane(ctx);
        shown(
            settled(ctx, None, async {
                let paging = Paging::of(first, after)?;
                let views = &plane.views;
                let page =
                    views.quarantine(&plane.tenant, paging.after.as_deref(), paging.limit).await?;
                Connection::of(page, |row| Ok(Quarantined::of(row))).map(Some)
            })
            .await,
        )
    }
}

async fn settled<T>(
    ctx: &Context<'_>,
    at_least: Option<Position>,
    answer: impl Future<Output = Result<Option<T>, Fault>> + Send,
) -> Result<Option<T>, Fault> {
    settle(plane(ctx), at_least).await?;
    answer.await
}

async fn time(ctx: &Context<'_>, as_of: Option<Moment>) -> Result<Option<Timestamp>, Fault> {
    let plane = plane(ctx);
    match Moment::past(as_of, plane).await? {
        Some(moment) => Ok(plane.views.time_as_of(moment).await?.map(Timestamp)),
        None => Ok(Some(Timestamp(WallClock.now()))),
    }
}

async fn server_info(ctx: &Context<'_>) -> Result<ServerInfo, Fault> {
    let plane = plane(ctx);
    Ok(ServerInfo {
        version: env!("CARGO_PKG_VERSION"),
        position: Position(plane.views.position()),
        head: Position(plane.probed.executor.journal().head().await?),
        durability: plane.probed.durability.to_string(),
        tenant: plane.tenant.to_string(),
        simulated: plane.simulator.is_some(),
        kinds: domain::KindName::ALL.iter().map(|kind| kind.as_str()).collect(),
    })
}

async fn of_kind(
    ctx: &Context<'_>,
    kind: &str,
    paging: Paging,
    as_of: Option<Moment>,
) -> Result<Page<Row>, Fault> {
    let filter = Filter::of(plane(ctx).tenant.clone(), &[kind]);
    list(ctx, filter, Sort::Name, paging, Moment::past(as_of, plane(ctx)).await?).await
}

async fn list(
    ctx: &Context<'_>,
    filter: Filter,
    sort: Sort,
    paging: Paging,
    as_of: Option<projections::AsOf>,
) -> Result<Page<Row>, Fault> {
    let sort = match sort {
        Sort::Name => projections::Sort::Name,
        Sort::Updated => projections::Sort::Updated,
    };
    let views = &plane(ctx).views;
    Ok(views.list(&filter, sort, paging.after.as_deref(), paging.limit, as_of).await?)
}
