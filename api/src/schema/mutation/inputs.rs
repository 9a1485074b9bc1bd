//! The inputs of changes.

use async_graphql::{Enum, InputObject, Json};
use serde_json::Value;

/// The files of an application.
#[derive(Clone, InputObject)]
pub(crate) struct ApplicationApplyInput {
    /// A fresh UUID for every new request; the same again to repeat a request.
    pub(crate) idempotency_key: String,
    /// Score files, or one app.yaml.
    pub(crate) files: Vec<FileInput>,
    /// The files that the application's files name: containers as `source`, `manifests` as `files`.
    pub(crate) companions: Option<Vec<CompanionInput>>,
    /// The application's name, where several Score files make one application.
    pub(crate) application: Option<String>,
    /// Images to use instead of the files'.
    pub(crate) images: Option<Vec<ImageInput>>,
}

/// A file of text.
#[derive(Clone, InputObject)]
pub(crate) struct FileInput {
    /// Its path, for messages.
    pub(crate) path: String,
    /// What is in it; at most 128 KiB.
    pub(crate) text: String,
}

/// A file of bytes.
#[derive(Clone, InputObject)]
pub(crate) struct CompanionInput {
    /// Its path, as the application's file names it.
    pub(crate) path: String,
    /// What is in it, in base64.
    pub(crate) base64: String,
    /// It was compressed by Zstandard before; at most 16 MiB are taken of what that becomes.
    pub(crate) zstd: Option<bool>,
}

/// An image to use.
#[derive(Clone, InputObject)]
pub(crate) struct ImageInput {
    /// `workload/container`, a workload or a container.
    pub(crate) name: String,
    /// The image, such as registry/name@sha256:….
    pub(crate) image: String,
}

/// An application, and where it is to run.
#[derive(Clone, InputObject)]
pub(crate) struct DeploymentDeployInput {
    /// A fresh UUID for every new request; the same again to repeat a request.
    pub(crate) idempotency_key: String,
    /// The application.
    pub(crate) application: String,
    /// The environment.
    pub(crate) environment: String,
    /// The revision; the last one when none is given.
    pub(crate) revision: Option<u64>,
    /// Images to use instead of the revision's.
    pub(crate) images: Option<Vec<ImageInput>>,
    /// The cluster to run on, of those that the environment offers; where it runs, or the best one, when none is given.
    pub(crate) cluster: Option<String>,
    /// Something that holds data may be replaced.
    pub(crate) allow_replace: Option<bool>,
    /// Something that holds data, and that the revision does not declare, may be deleted.
    pub(crate) allow_delete: Option<bool>,
    /// More may be deleted than the environment's guardrails say.
    pub(crate) allow_mass_delete: Option<bool>,
}

/// The files of an application, and where it would run.
#[derive(Clone, InputObject)]
pub(crate) struct PlanPreviewInput {
    /// Score files, or one app.yaml.
    pub(crate) files: Vec<FileInput>,
    /// The files that containers name as `source`.
    pub(crate) companions: Option<Vec<CompanionInput>>,
    /// The application's name, where several Score files make one application.
    pub(crate) application: Option<String>,
    /// Images to use instead of the files'.
    pub(crate) images: Option<Vec<ImageInput>>,
    /// The environment.
    pub(crate) environment: String,
    /// The cluster to run on, of those that the environment offers; where it runs, or the best one, when none is given.
    pub(crate) cluster: Option<String>,
    /// Something that holds data may be replaced.
    pub(crate) allow_replace: Option<bool>,
    /// Something that holds data, and that the files do not declare, may be deleted.
    pub(crate) allow_delete: Option<bool>,
    /// More may be deleted than the environment's guardrails say.
    pub(crate) allow_mass_delete: Option<bool>,
}

/// Agreement to a plan.
#[derive(Clone, InputObject)]
pub(crate) struct PlanApproveInput {
    /// A fresh UUID for every new request; the same again to repeat a request.
    pub(crate) idempotency_key: String,
    /// The plan's id.
    pub(crate) plan: String,
    /// The plan's hash: what was read is what is approved.
    pub(crate) hash: String,
}

/// A plan to run.
#[derive(Clone, InputObject)]
pub(crate) struct PlanExecuteInput {
    /// A fresh UUID for every new request; the same again to repeat a request.
    pub(crate) idempotency_key: String,
    /// The plan's id.
    pub(crate) plan: String,
}

/// How far to go back.
#[derive(Clone, InputObject)]
pub(crate) struct DeploymentRollbackInput {
    /// A fresh UUID for every new request; the same again to repeat a request.
    pub(crate) idempotency_key: String,
    /// The deployment, `<environment>_<application>`.
    pub(crate) deployment: String,
    /// The revision; the last good one before the current when none is given.
    pub(crate) revision: Option<u64>,
    /// Something that holds data may be replaced.
    pub(crate) allow_replace: Option<bool>,
    /// Something that holds data, and that the revision does not declare, may be deleted.
    pub(crate) allow_delete: Option<bool>,
    /// More may be deleted than the environment's guardrails say.
    pub(crate) allow_mass_delete: Option<bool>,
}

/// A deployment to take down.
#[derive(Clone, InputObject)]
pub(crate) struct DeploymentDeleteInput {
    /// A fresh UUID for every new request; the same again to repeat a request.
    pub(crate) idempotency_key: String,
    /// The deployment, `<environment>_<application>`.
    pub(crate) deployment: String,
}

/// A class's definition.
#[derive(Clone, InputObject)]
pub(crate) struct ClassDefineInput {
    /// A fresh UUID for every new request; the same again to repeat a request.
    pub(crate) idempotency_key: String,
    /// The definition, as the file of a class has it.
    pub(crate) definition: Json<Value>,
}

/// An environment's definition.
#[derive(Clone, InputObject)]
pub(crate) struct EnvironmentDefineInput {
    /// A fresh UUID for every new request; the same again to repeat a request.
    pub(crate) idempotency_key: String,
    /// The definition, as the file of an environment has it.
    pub(crate) definition: Json<Value>,
    /// The environments that are defined together with it: of these it counts what is said here.
    pub(crate) alongside: Option<Vec<Json<Value>>>,
}

/// One resource.
#[derive(Clone, InputObject)]
pub(crate) struct ResourceInput {
    /// A fresh UUID for every new request; the same again to repeat a request.
    pub(crate) idempotency_key: String,
    /// `kind/name`, such as database/dev_shop_db.
    pub(crate) id: String,
}

/// Protection of one resource.
#[derive(Clone, InputObject)]
pub(crate) struct ResourceProtectInput {
    /// A fresh UUID for every new request; the same again to repeat a request.
    pub(crate) idempotency_key: String,
    /// `kind/name`, such as database/dev_shop_db.
    pub(crate) id: String,
    /// Its deletion is refused; otherwise it is allowed again.
    pub(crate) on: bool,
}

/// Promotion of a new revision that is tried.
#[derive(Clone, InputObject)]
pub(crate) struct ResourcePromoteInput {
    /// A fresh UUID for every new request; the same again to repeat a request.
    pub(crate) idempotency_key: String,
    /// `kind/name`, such as workload/dev_shop_web.
    pub(crate) id: String,
    /// Past every step, not only the one that it is at.
    #[graphql(default)]
    pub(crate) full: bool,
}

/// A decision not to wait for the removal of a resource any longer.
#[derive(Clone, InputObject)]
pub(crate) struct ResourceAbandonInput {
    /// A fresh UUID for every new request; the same again to repeat a request.
    pub(crate) idempotency_key: String,
    /// `kind/name`, such as workload/dev_shop_web.
    pub(crate) id: String,
    /// Why, for whoever reads the log later: up to 500 characters.
    pub(crate) reason: String,
}

/// A fault in the simulated world.
#[derive(Clone, InputObject)]
pub(crate) struct SimulatorFaultInput {
    /// A fresh UUID for every new request; the same again to repeat a request.
    pub(crate) idempotency_key: String,
    /// The resource whose object it is, `kind/name`.
    pub(crate) id: String,
    /// What happens to it.
    pub(crate) fault: SimulatorFaultName,
    /// Why it is broken, as the simulated provider says it.
    pub(crate) message: Option<String>,
}

/// What happens to an object of the simulated world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum SimulatorFaultName {
    /// It stays unready until healed.
    Break,
    /// It works again.
    Heal,
    /// Somebody changes it.
    Drift,
    /// Somebody deletes it.
    Remove,
}
