//! What can be changed. Every change has a key: asking twice is asking once.

mod inputs;
mod payloads;
mod quarantine;

use async_graphql::{Context, InputType, Object};

pub(crate) use inputs::{
    ApplicationApplyInput, ClassDefineInput, CompanionInput, DeploymentDeleteInput,
    DeploymentDeployInput, DeploymentRollbackInput, EnvironmentDefineInput, FileInput, ImageInput,
    PlanApproveInput, PlanExecuteInput, PlanPreviewInput, ResourceAbandonInput, ResourceInput,
    ResourcePromoteInput, ResourceProtectInput, SimulatorFaultInput, SimulatorFaultName,
};
use payloads::{
    ApplicationPayload, ClassPayload, EnvironmentPayload, PlanPayload, QuarantinePayload,
    ResourcePayload, RolloutPayload,
};
use quarantine::QuarantineRedriveInput;

use super::changes::{self, Intent};
use super::{actor, plane};
use crate::fault::Fault;
use crate::once::{Answer, Begun, Work};
use crate::plane::WorldFault;

/// What can be changed.
pub(crate) struct Mutation;

type Paid<T> = Option<async_graphql::Result<T>>;

/// Carries out a change once. `$work` and `$input` are bound in `$change`.
macro_rules! once {
    ($ctx:ident, $mutation:literal, $input:ident, |$work:ident| $change:expr) => {
        paid(
            async {
                let begun = begin($ctx, $mutation, &$input.idempotency_key, &$input).await?;
                match begun {
                    Begun::Answered(answer) => Ok(answer),
                    Begun::Work(mut $work) => {
                        let outcome = $change.await;
                        $work.end(outcome).await
                    }
                }
            }
            .await,
        )
    };
}

/// What can be changed. Every change has a key: asking twice is asking once.
#[Object]
impl Mutation {
    /// Records a revision of an application from its files, unless the last revision says the same.
    async fn application_apply(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The files.")] input: ApplicationApplyInput,
    ) -> Paid<ApplicationPayload> {
        once!(ctx, "applicationApply", input, |work| changes::apply(&mut work, input))
    }

    /// Makes a plan: what would be created, changed, replaced and deleted, and why. Changes nothing else.
    async fn deployment_plan(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What, and where.")] input: DeploymentDeployInput,
    ) -> Paid<PlanPayload> {
        once!(ctx, "deploymentPlan", input, |work| changes::plan(&mut work, input))
    }

    /// Agrees to exactly one plan, by its hash.
    async fn plan_approve(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which plan.")] input: PlanApproveInput,
    ) -> Paid<PlanPayload> {
        once!(ctx, "planApprove", input, |work| changes::approve(&mut work, input))
    }

    /// Runs a plan as a rollout. Refused when something it was computed from has moved since.
    async fn plan_execute(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which plan.")] input: PlanExecuteInput,
    ) -> Paid<RolloutPayload> {
        once!(ctx, "planExecute", input, |work| changes::execute(&mut work, input))
    }

    /// Makes a plan and runs it. Refused where a permission is missing: read the plan first, then give it.
    async fn deployment_deploy(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What, and where.")] input: DeploymentDeployInput,
    ) -> Paid<RolloutPayload> {
        once!(ctx, "deploymentDeploy", input, |work| changes::deploy(&mut work, input))
    }

    /// Goes back to an earlier revision.
    async fn deployment_rollback(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which deployment, and how far.")] input: DeploymentRollbackInput,
    ) -> Paid<RolloutPayload> {
        once!(ctx, "deploymentRollback", input, |work| changes::roll_back(&mut work, input))
    }

    /// Takes a deployment down, what needs something before what it needs.
    async fn deployment_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which deployment.")] input: DeploymentDeleteInput,
    ) -> Paid<RolloutPayload> {
        once!(ctx, "deploymentDelete", input, |work| changes::delete(&mut work, input))
    }

    /// Says what a class is: a new version, unless the last one says the same.
    async fn class_define(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The definition.")] input: ClassDefineInput,
    ) -> Paid<ClassPayload> {
        once!(ctx, "classDefine", input, |work| changes::define_class(
            &mut work,
            input.definition.0
        ))
    }

    /// Says what an environment is: a new version, unless the last one says the same.
    async fn environment_define(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The definition.")] input: EnvironmentDefineInput,
    ) -> Paid<EnvironmentPayload> {
        once!(ctx, "environmentDefine", input, |work| {
            changes::define_environment(&mut work, input)
        })
    }

    /// Takes no action on a resource until it is resumed.
    async fn resource_pause(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which resource.")] input: ResourceInput,
    ) -> Paid<ResourcePayload> {
        once!(ctx, "resourcePause", input, |work| changes::intend(
            &mut work,
            &input.id,
            Intent::Pause
        ))
    }

    /// Takes actions on a resource again.
    async fn resource_resume(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which resource.")] input: ResourceInput,
    ) -> Paid<ResourcePayload> {
        once!(ctx, "resourceResume", input, |work| changes::intend(
            &mut work,
            &input.id,
            Intent::Resume
        ))
    }

    /// Takes the new revision of a workload that is tried for good enough: past its step, or past all.
    async fn resource_promote(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which resource, and how far.")] input: ResourcePromoteInput,
    ) -> Paid<ResourcePayload> {
        once!(ctx, "resourcePromote", input, |work| {
            changes::intend(&mut work, &input.id, Intent::Promote(input.full))
        })
    }

    /// Takes the way a resource differs from its spec as wanted, until the spec changes.
    async fn resource_accept_drift(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which resource.")] input: ResourceInput,
    ) -> Paid<ResourcePayload> {
        once!(ctx, "resourceAcceptDrift", input, |work| changes::intend(
            &mut work,
            &input.id,
            Intent::AcceptDrift
        ))
    }

    /// Refuses a resource's deletion, or allows it again.
    async fn resource_protect(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which resource.")] input: ResourceProtectInput,
    ) -> Paid<ResourcePayload> {
        once!(ctx, "resourceProtect", input, |work| {
            changes::intend(&mut work, &input.id, Intent::Protect(input.on))
        })
    }

    /// Deletes a resource that belongs to no deployment, such as a cluster.
    async fn resource_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which resource.")] input: ResourceInput,
    ) -> Paid<ResourcePayload> {
        once!(ctx, "resourceDelete", input, |work| changes::intend(
            &mut work,
            &input.id,
            Intent::Delete
        ))
    }

    /// Waits no longer for the removal of what is being deleted. What is left of it is removed if it is ever found.
    async fn resource_abandon(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which resource, and why.")] input: ResourceAbandonInput,
    ) -> Paid<ResourcePayload> {
        once!(ctx, "resourceAbandon", input, |work| {
            changes::abandon(&mut work, &input.id, input.reason.clone())
        })
    }

    /// Folds a stream anew that is in quarantine and, if it is understood now, shows it to its end.
    async fn quarantine_redrive(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which stream.")] input: QuarantineRedriveInput,
    ) -> Paid<QuarantinePayload> {
        once!(ctx, "quarantineRedrive", input, |work| changes::redrive(&mut work, &input.stream))
    }

    /// Does something to an object of the simulated world, behind Cairn's back.
    async fn simulator_fault(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What, and to which object.")] input: SimulatorFaultInput,
    ) -> Paid<ResourcePayload> {
        once!(ctx, "simulatorFault", input, |work| {
            let fault = match input.fault {
                SimulatorFaultName::Break => {
                    let message =
                        input.message.clone().unwrap_or_else(|| "broken on purpose".into());
                    WorldFault::Break(message)
                }
                SimulatorFaultName::Heal => WorldFault::Heal,
                SimulatorFaultName::Drift => WorldFault::Drift,
                SimulatorFaultName::Remove => WorldFault::Remove,
            };
            changes::fault(&mut work, &input.id, fault)
        })
    }
}

async fn begin<'a, I: InputType>(
    ctx: &Context<'a>,
    mutation: &str,
    key: &str,
    input: &I,
) -> Result<Begun<'a>, Fault> {
    metrics::counter!("cairn_commands_total", "mutation" => mutation.to_owned()).increment(1);
    Work::begin(plane(ctx), actor(ctx)?, mutation, key, input).await
}

fn paid<T: From<Answer>>(answer: Result<Answer, Fault>) -> Paid<T> {
    Some(answer.map(T::from).map_err(async_graphql::Error::from))
}
