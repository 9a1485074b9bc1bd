//! Commands that change what is there: roll back, delete, approve, pause, protect, and faults in the simulated world.

use serde::Deserialize;
use serde_json::{Value, json};

use super::apply::{Started, finish};
use super::{Session, key};
use crate::args::{Approve, Delete, OneResource, Rollback, Sim};
use crate::failure::{Exit, Failure, Outcome, UserError};
use crate::progress::Goal;

const STARTED: &str = "{ deploymentName rollout planId unchanged plan { text counts { create change replace delete } } \
     userErrors { code path message hint } }";

/// Goes back to an earlier revision.
pub(super) async fn rollback(args: &Rollback, session: &Session) -> Outcome {
    let query = format!(
        "mutation($input: DeploymentRollbackInput!) {{ deploymentRollback(input: $input) {STARTED} }}"
    );
    let input = json!({
        "idempotencyKey": key(), "deployment": args.deployment, "revision": args.to,
        "allowReplace": args.allowed.allow_replace, "allowDelete": args.allowed.allow_delete,
        "allowMassDelete": args.allowed.allow_mass_delete,
    });
    let started = start(session, &query, "deploymentRollback", input).await?;
    let what = format!("rollback of {}", args.deployment);
    finish(session, started, &what, args.patience, args.detach, Goal::Ready).await
}

/// Takes a deployment down, or deletes a resource that belongs to none.
pub(super) async fn delete(args: &Delete, session: &Session) -> Outcome {
    if args.what.contains('/') {
        let input = json!({ "idempotencyKey": key(), "id": args.what });
        return change(session, "resourceDelete", "ResourceInput", input, "is being deleted").await;
    }
    let query = format!(
        "mutation($input: DeploymentDeleteInput!) {{ deploymentDelete(input: $input) {STARTED} }}"
    );
    let input = json!({ "idempotencyKey": key(), "deployment": args.what });
    let started = start(session, &query, "deploymentDelete", input).await?;
    let what = format!("deletion of {}", args.what);
    finish(session, started, &what, args.patience, !args.wait, Goal::Gone).await
}

/// Approves a plan, and runs it.
pub(super) async fn approve(args: &Approve, session: &Session) -> Outcome {
    let query = "query($id: String!) { plan(id: $id) { hash purpose deployment } }";
    let data: Value = session.client.ask(query, json!({ "id": args.plan })).await?;
    let text = |pointer| data.pointer(pointer).and_then(Value::as_str);
    let hash =
        text("/plan/hash").ok_or_else(|| Failure::not_found(format!("plan `{}`", args.plan)))?;
    let input = json!({ "idempotencyKey": key(), "plan": args.plan, "hash": hash });
    let query = "mutation($input: PlanApproveInput!) { planApprove(input: $input) { userErrors { code path message hint } } }";
    let approved: Value = session.client.ask(query, json!({ "input": input })).await?;
    refuse(&approved, "planApprove", "the plan was not approved")?;
    let query =
        format!("mutation($input: PlanExecuteInput!) {{ planExecute(input: $input) {STARTED} }}");
    let input = json!({ "idempotencyKey": key(), "plan": args.plan });
    let started = start(session, &query, "planExecute", input).await?;
    let goal = if text("/plan/purpose") == Some("delete") { Goal::Gone } else { Goal::Ready };
    let what = format!("plan {}", args.plan);
    finish(session, started, &what, args.patience, args.detach, goal).await
}

/// What is wanted of one resource, and how it is told that it is so.
pub(super) struct Intent {
    mutation: &'static str,
    done: &'static str,
}

pub(super) const PAUSE: Intent = Intent { mutation: "resourcePause", done: "is paused" };
pub(super) const RESUME: Intent = Intent { mutation: "resourceResume", done: "goes on" };
pub(super) const ACCEPT_DRIFT: Intent =
    Intent { mutation: "resourceAcceptDrift", done: "stays as it was found" };

impl Intent {
    /// Says so to the server.
    pub(super) async fn run(&self, args: &OneResource, session: &Session) -> Outcome {
        let input = json!({ "idempotencyKey": key(), "id": args.id });
        change(session, self.mutation, "ResourceInput", input, self.done).await
    }
}

/// Protects a resource, or no longer.
pub(super) async fn protect(args: &OneResource, on: bool, session: &Session) -> Outcome {
    let done = if on { "is protected" } else { "is no longer protected" };
    let input = json!({ "idempotencyKey": key(), "id": args.id, "on": on });
    change(session, "resourceProtect", "ResourceProtectInput", input, done).await
}

/// Does something to the simulated world.
pub(super) async fn simulate(args: &Sim, session: &Session) -> Outcome {
    let (id, fault, message, done) = match args {
        Sim::Break { id, message } => (id, "BREAK", message.as_deref(), "is broken"),
        Sim::Heal(one) => (&one.id, "HEAL", None, "is healed"),
        Sim::Drift(one) => (&one.id, "DRIFT", None, "was changed behind Cairn's back"),
        Sim::Remove(one) => (&one.id, "REMOVE", None, "was deleted behind Cairn's back"),
        Sim::Serve(_) => {
            return Err(Failure::new(Exit::Invalid, "a world is served without a server"));
        }
    };
    let input = json!({ "idempotencyKey": key(), "id": id, "fault": fault, "message": message });
    change(session, "simulatorFault", "SimulatorFaultInput", input, done).await
}

async fn start(session: &Session, query: &str, mutation: &str, input: Value) -> Outcome<Started> {
    let mut data: Value = session.client.ask(query, json!({ "input": input })).await?;
    let payload = data.get_mut(mutation).map(Value::take).unwrap_or_default();
    serde_json::from_value(payload).map_err(|error| {
        Failure::new(Exit::Unreachable, format!("the server's answer cannot be read: {error}"))
    })
}

async fn change(
    session: &Session,
    mutation: &str,
    input_type: &str,
    input: Value,
    done: &str,
) -> Outcome {
    let query = format!(
        "mutation($input: {input_type}!) {{ {mutation}(input: $input) {{ resourceId unchanged \
         userErrors {{ code path message hint }} }} }}"
    );
    let data: Value = session.client.ask(&query, json!({ "input": input })).await?;
    let payload = refuse(&data, mutation, "that was refused")?;
    let id = payload.get("resourceId").and_then(Value::as_str).unwrap_or_default();
    let unchanged = payload.get("unchanged").and_then(Value::as_bool).unwrap_or_default();
    session.terminal.print(&format!("{id} {done}{}", if unchanged { " already" } else { "" }));
    Ok(Exit::Done)
}

/// The payload of a change, or the reasons why it was refused.
pub(super) fn refuse<'a>(data: &'a Value, mutation: &str, what: &str) -> Outcome<&'a Value> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Errors {
        user_errors: Vec<UserError>,
    }
    let payload = data.get(mutation).unwrap_or(&Value::Null);
    let errors: Errors = Deserialize::deserialize(payload).map_err(|error| {
        Failure::new(Exit::Unreachable, format!("the server's answer cannot be read: {error}"))
    })?;
    if errors.user_errors.is_empty() {
        Ok(payload)
    } else {
        Err(Failure::refused(what, &errors.user_errors))
    }
}
