//! The answers to changes.

use async_graphql::{ComplexObject, Context, ID, SimpleObject};

use crate::fault::UserError;
use crate::once::Answer;
use crate::schema::types::{
    Application, Class, Deployment, Environment, Plan, Position, Resource, subject,
};
use crate::schema::{plane, settle, shown};

macro_rules! payload {
    ($(#[$doc:meta])* $payload:ident($answer:ident) { $(#[$field_doc:meta] $field:ident: $type:ty = $value:expr,)* }) => {
        $(#[$doc])*
        #[derive(SimpleObject)]
        #[graphql(complex)]
        pub(crate) struct $payload {
            $(#[$field_doc] $field: $type,)*
            /// Nothing had to be done.
            unchanged: bool,
            /// Why it was not done; empty when it was.
            user_errors: Vec<UserError>,
            /// Views at this position show the change: the argument `atLeast`.
            position: Position,
            /// Names the request: the correlation id of everything that follows from it.
            command_id: ID,
        }

        impl From<Answer> for $payload {
            fn from($answer: Answer) -> Self {
                Self {
                    unchanged: $answer.unchanged,
                    position: Position::new($answer.position),
                    command_id: ID($answer.command_id.to_string()),
                    user_errors: $answer.user_errors,
                    $($field: $value,)*
                }
            }
        }
    };
}

payload! {
    /// A recorded revision.
    ApplicationPayload(answer) {
        /// The application's name.
        name: Option<String> = answer.application,
        /// The revision that says what the files say.
        revision: Option<u64> = answer.number,
        /// What is odd about the files but stops nothing.
        warnings: Vec<String> = answer.notes,
    }
}

payload! {
    /// A plan.
    PlanPayload(answer) {
        /// The plan's id.
        plan_id: Option<ID> = answer.plan.map(|id| ID(id.to_string())),
        /// The deployment it is for.
        deployment_name: Option<String> = answer.deployment,
    }
}

payload! {
    /// A plan that runs.
    RolloutPayload(answer) {
        /// The deployment.
        deployment_name: Option<String> = answer.deployment,
        /// The rollout; none when nothing runs.
        rollout: Option<String> = answer.rollout,
        /// The plan's id.
        plan_id: Option<ID> = answer.plan.map(|id| ID(id.to_string())),
        /// The application's revision.
        revision: Option<u64> = answer.number,
    }
}

payload! {
    /// A defined class.
    ClassPayload(answer) {
        /// The class's name, `<type>_<class>`.
        name: Option<String> = answer.class,
        /// Its version.
        version: Option<u64> = answer.number,
    }
}

payload! {
    /// A defined environment.
    EnvironmentPayload(answer) {
        /// The environment's name.
        name: Option<String> = answer.environment,
        /// Its version.
        version: Option<u64> = answer.number,
    }
}

payload! {
    /// A resource about which something was said.
    ResourcePayload(answer) {
        /// The resource, `kind/name`.
        resource_id: Option<ID> = answer.resource.map(ID),
    }
}

payload! {
    /// A stream that was in quarantine.
    QuarantinePayload(answer) {
        /// The stream.
        stream: Option<String> = answer.stream,
        /// How many commits of it are shown that were not.
        commits: Option<u64> = answer.number,
    }
}

#[ComplexObject]
impl ApplicationPayload {
    /// The application, with the change in it.
    #[graphql(complexity = "5 + child_complexity")]
    async fn application(&self, ctx: &Context<'_>) -> Option<async_graphql::Result<Application>> {
        let name = self.name.as_ref()?;
        shown(
            async {
                settle(plane(ctx), Some(self.position)).await?;
                Application::find(ctx, name, None).await
            }
            .await,
        )
    }
}

#[ComplexObject]
impl PlanPayload {
    /// The plan.
    #[graphql(complexity = "20 + child_complexity")]
    async fn plan(&self, ctx: &Context<'_>) -> Option<async_graphql::Result<Plan>> {
        let id = self.plan_id.as_ref()?;
        shown(
            async {
                settle(plane(ctx), Some(self.position)).await?;
                Plan::find(ctx, id).await
            }
            .await,
        )
    }
}

#[ComplexObject]
impl RolloutPayload {
    /// The deployment, with the change in it.
    #[graphql(complexity = "5 + child_complexity")]
    async fn deployment(&self, ctx: &Context<'_>) -> Option<async_graphql::Result<Deployment>> {
        let name = self.deployment_name.as_ref()?;
        shown(
            async {
                settle(plane(ctx), Some(self.position)).await?;
                Deployment::find(ctx, name, None).await
            }
            .await,
        )
    }

    /// The plan.
    #[graphql(complexity = "20 + child_complexity")]
    async fn plan(&self, ctx: &Context<'_>) -> Option<async_graphql::Result<Plan>> {
        let id = self.plan_id.as_ref()?;
        shown(
            async {
                settle(plane(ctx), Some(self.position)).await?;
                Plan::find(ctx, id).await
            }
            .await,
        )
    }
}

#[ComplexObject]
impl ClassPayload {
    /// The class, with the change in it.
    #[graphql(complexity = "5 + child_complexity")]
    async fn class(&self, ctx: &Context<'_>) -> Option<async_graphql::Result<Class>> {
        let name = self.name.as_ref()?;
        shown(
            async {
                settle(plane(ctx), Some(self.position)).await?;
                Class::find(ctx, name, None).await
            }
            .await,
        )
    }
}

#[ComplexObject]
impl EnvironmentPayload {
    /// The environment, with the change in it.
    #[graphql(complexity = "5 + child_complexity")]
    async fn environment(&self, ctx: &Context<'_>) -> Option<async_graphql::Result<Environment>> {
        let name = self.name.as_ref()?;
        shown(
            async {
                settle(plane(ctx), Some(self.position)).await?;
                Environment::find(ctx, name, None).await
            }
            .await,
        )
    }
}

#[ComplexObject]
impl ResourcePayload {
    /// The resource, with the change in it.
    #[graphql(complexity = "5 + child_complexity")]
    async fn resource(&self, ctx: &Context<'_>) -> Option<async_graphql::Result<Resource>> {
        let id = self.resource_id.as_ref()?;
        shown(
            async {
                settle(plane(ctx), Some(self.position)).await?;
                Resource::find(ctx, id, None).await
            }
            .await,
        )
    }
}

#[ComplexObject]
impl QuarantinePayload {
    /// What it is, as `kind/name`.
    async fn subject(&self) -> Option<String> {
        Some(subject(&self.stream.as_ref()?.parse().ok()?))
    }
}
