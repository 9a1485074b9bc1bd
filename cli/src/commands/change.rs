//! Commands that change what is there: roll back, delete, approve, pause, protect, and faults in the simulated world.

use serde::Deserialize;
use serde_json::{Value, json};

use super::apply::{Started, finish};
use super::{Session, key};
use crate::args::{Approve, Delete, OneResource, Promote, Rollback, Sim};
use crate::failure::{Exit, Failure, Outcome, UserError};
use crate::look::{Question, look};
use crate::progress::Goal;

const STARTED: &str = "{ deploymentName revision rollout planId unchanged plan { text counts { create change replace delete } } \
     userErrors { code path message hint } }";

/// Goes back to an earlier revision.
pub(super) async fn rollback(args: &Rollback, session: &Session) -> Outcome {
    let query = format!(
        "mutation($input: DeploymentRollbackInput!) {{ deploymentRollback(input: $input) {STARTED} }}"
    );
    let mut input =
        json!({ "idempotencyKey": key(), "deployment": args.deployment, "revision": args.to });
    args.allowed.put(&mut input);
    let started = start(session, &query, "deploymentRollback", input).await?;
    let to = started.revision.map(|revision| format!(" to revision {revision}"));
    let what = format!("rollback of {}{}", args.deployment, to.unwrap_or_default());
    finish(session, started, &what, args.patience, args.detach, Goal::Ready).await
}

/// Takes a deployment down, or deletes a resource that belongs to none.
pub(super) async fn delete(args: &Delete, session: &Session) -> Outcome {
    if let Some(because) = args.because.as_deref().filter(|_| args.abandon) {
        return abandon(&args.what, because, session).await;
    }
    if args.what.contains('/') {
        let input = json!({ "idempotencyKey": key(), "id": args.what });
        let done = Done { now: "is being deleted", already: "is being deleted already, or gone" };
        return change(session, "resourceDelete", "ResourceInput", input, done).await;
    }
    let query = format!(
        "mutation($input: DeploymentDeleteInput!) {{ deploymentDelete(input: $input) {STARTED} }}"
    );
    let input = json!({ "idempotencyKey": key(), "deployment": args.what });
    let started = start(session, &query, "deploymentDelete", input).await?;
    let what = format!("deletion of {}", args.what);
    finish(session, started, &what, args.patience, !args.wait, Goal::Gone).await
}

/// Waits no longer for what is being deleted: a resource, or all of a deployment's that cannot end.
async fn abandon(what: &str, because: &str, session: &Session) -> Outcome {
    let ids = if what.contains('/') {
        vec![what.to_owned()]
    } else {
        let question = Question { deployment: what, ..Question::default() };
        let last = look(&session.client, question).await?;
        let nodes = last.deployment.tree.unwrap_or_default();
        let stuck = nodes.into_iter().filter(|node| node.member && node.resource.is_going());
        stuck.map(|node| node.resource.id).collect()
    };
    if ids.is_empty() {
        let failure = Failure::new(Exit::Refused, format!("nothing of {what} is being deleted"));
        return Err(failure.hint(format!("delete it first: cairn delete {what}")));
    }
    let done = Done { now: "is abandoned: nobody waits for its removal", already: "is gone" };
    for id in ids {
        let input = json!({ "idempotencyKey": key(), "id": id, "reason": because });
        change(session, "resourceAbandon", "ResourceAbandonInput", input, done).await?;
    }
    Ok(Exit::Done)
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

/// How it is told of a resource that something is so: now, or as before.
#[derive(Clone, Copy)]
struct Done {
    now: &'static str,
    already: &'static str,
}

/// What is wanted of one resource, and how it is told that it is so.
pub(super) struct Intent {
    mutation: &'static str,
    done: Done,
}

pub(super) const PAUSE: Intent = Intent {
    mutation: "resourcePause",
    done: Done { now: "is paused", already: "is paused already" },
};
pub(super) const RESUME: Intent =
    Intent { mutation: "resourceResume", done: Done { now: "goes on", already: "is not paused" } };
pub(super) const ACCEPT_DRIFT: Intent = Intent {
    mutation: "resourceAcceptDrift",
    done: Done { now: "stays as it was found", already: "is as it is wanted" },
};

impl Intent {
    /// Says so to the server.
    pub(super) async fn run(&self, args: &OneResource, session: &Session) -> Outcome {
        let input = json!({ "idempotencyKey": key(), "id": args.id });
        change(session, self.mutation, "ResourceInput", input, self.done).await
    }
}

/// Protects a resource, or no longer.
pub(super) async fn protect(args: &OneResource, on: bool, session: &Session) -> Outcome {
    let done = match on {
        true => Done { now: "is protected", already: "is protected already" },
        false => Done { now: "is no longer protected", already: "is not protected" },
    };
    let input = json!({ "idempotencyKey": key(), "id": args.id, "on": on });
    change(session, "resourceProtect", "ResourceProtectInput", input, done).await
}

/// Takes what is tried for good enough.
pub(super) async fn promote(args: &Promote, session: &Session) -> Outcome {
    let done = Done { now: "goes on to the next step", already: "is promoted already" };
    let input = json!({ "idempotencyKey": key(), "id": args.id, "full": args.full });
    change(session, "resourcePromote", "ResourcePromoteInput", input, done).await
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
    let done = Done { now: done, already: done };
    change(session, "simulatorFault", "SimulatorFaultInput", input, done).await
}

async fn start(session: &Session, query: &str, mutation: &str, input: Value) -> Outcome<Started> {
    let mut data: Value = session.client.ask(query, json!({ "input": input })).await?;
    let payload = data.get_mut(mutation).map(Value::take).unwrap_or_default();
    serde_json::from_value(payload).map_err(|error| Failure::unreadable(&error))
}

async fn change(
    session: &Session,
    mutation: &str,
    input_type: &str,
    input: Value,
    done: Done,
) -> Outcome {
    let query = format!(
        "mutation($input: {input_type}!) {{ {mutation}(input: $input) {{ resourceId unchanged \
         userErrors {{ code path message hint }} }} }}"
    );
    let data: Value = session.client.ask(&query, json!({ "input": input })).await?;
    let payload = refuse(&data, mutation, "that was refused")?;
    let id = payload.get("resourceId").and_then(Value::as_str).unwrap_or_default();
    let unchanged = payload.get("unchanged").and_then(Value::as_bool).unwrap_or_default();
    session.terminal.print(&format!("{id} {}", if unchanged { done.already } else { done.now }));
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
    let errors: Errors =
        Deserialize::deserialize(payload).map_err(|error| Failure::unreadable(&error))?;
    if errors.user_errors.is_empty() {
        Ok(payload)
    } else {
        Err(Failure::refused(what, &errors.user_errors))
    }
}
