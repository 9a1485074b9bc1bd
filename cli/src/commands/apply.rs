//! `cairn plan` and `cairn apply`: from files to a plan, and from a plan to something that runs.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Session, key};
use crate::args::{Apply, Output, Patience, Plan, Target};
use crate::failure::{Exit, Failure, Outcome, UserError};
use crate::progress::{Goal, Progress};
use crate::sources::Sources;
use crate::terminal::Terminal;

const APPLY: &str = "mutation($input: ApplicationApplyInput!) { applicationApply(input: $input) { \
     name revision unchanged userErrors { code path message hint } } }";
const PLAN: &str = "mutation($input: DeploymentDeployInput!) { deploymentPlan(input: $input) { \
     planId unchanged plan { text counts { create change replace delete } } \
     userErrors { code path message hint } } }";
const DEPLOY: &str = "mutation($input: DeploymentDeployInput!) { deploymentDeploy(input: $input) { \
     deploymentName rollout planId unchanged commandId plan { text counts { create change replace delete } } \
     userErrors { code path message hint } } }";

/// A recorded revision.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Revision {
    name: Option<String>,
    revision: Option<u64>,
    user_errors: Vec<UserError>,
}

/// A plan, as it is shown.
#[derive(Debug, Deserialize)]
pub(super) struct Planned {
    text: String,
    counts: Counts,
}

/// How many steps of each sort a plan has.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Counts {
    create: u32,
    change: u32,
    replace: u32,
    delete: u32,
}

/// A rollout that was started, or why it was not.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Started {
    pub(super) deployment_name: Option<String>,
    pub(super) rollout: Option<String>,
    pub(super) plan_id: Option<String>,
    pub(super) unchanged: bool,
    pub(super) plan: Option<Planned>,
    pub(super) user_errors: Vec<UserError>,
}

impl Counts {
    fn text(self) -> String {
        let Self { create, change, replace, delete } = self;
        format!("{create} to create, {change} to change, {replace} to replace, {delete} to delete")
    }
}

/// Shows what would be done.
pub(super) async fn plan(
    args: &Plan,
    terminal: &Terminal,
    session: impl Fn() -> Outcome<Session>,
) -> Outcome {
    let planned = plan_inner(args, terminal, session).await;
    match planned {
        // terraform's convention: 2 means changes, so that errors are 1.
        Err(failure) if args.detailed_exitcode => {
            failure.print(terminal);
            Err(Failure::silent(Exit::Negative))
        }
        Ok(true) if args.detailed_exitcode => Err(Failure::silent(Exit::Invalid)),
        planned => planned.map(|_| Exit::Done),
    }
}

async fn plan_inner(
    args: &Plan,
    terminal: &Terminal,
    session: impl Fn() -> Outcome<Session>,
) -> Outcome<bool> {
    let sources = read(&args.target, terminal)?;
    let session = session()?;
    let (application, revision) = record(&sources, &session).await?;
    let data: Value = session
        .client
        .ask(PLAN, json!({ "input": input(&args.target, &application, revision) }))
        .await?;
    let payload = data.get("deploymentPlan").cloned().unwrap_or_default();
    let started = payload.get("userErrors").cloned().unwrap_or_default();
    let errors: Vec<UserError> = serde_json::from_value(started).unwrap_or_default();
    if !errors.is_empty() {
        return Err(Failure::refused(
            format!("there is no plan for {application} in {}", args.target.env),
            &errors,
        ));
    }
    let unchanged = payload.get("unchanged").and_then(Value::as_bool).unwrap_or_default();
    let text = |pointer| payload.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    match args.output {
        Output::Json => terminal.print(&payload.to_string()),
        Output::Table => terminal.print(text("/plan/text").trim_end()),
    }
    if !unchanged && args.output == Output::Table {
        terminal.say(&format!("\nRun exactly this: cairn approve {}", text("/planId")));
    }
    Ok(!unchanged)
}

/// Deploys, and waits until everything is ready.
pub(super) async fn apply(
    args: &Apply,
    terminal: &Terminal,
    session: impl Fn() -> Outcome<Session>,
) -> Outcome {
    let sources = read(&args.target, terminal)?;
    let session = session()?;
    let (application, revision) = record(&sources, &session).await?;
    let data: Answer = session
        .client
        .ask(DEPLOY, json!({ "input": input(&args.target, &application, revision) }))
        .await?;
    let what = format!("{application} revision {revision} in {}", args.target.env);
    finish(&session, data.deployment_deploy, &what, args.patience, args.detach, Goal::Ready).await
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    deployment_deploy: Started,
}

/// Says what was started, and waits for it unless told otherwise.
pub(super) async fn finish(
    session: &Session,
    started: Started,
    what: &str,
    patience: Patience,
    detach: bool,
    goal: Goal,
) -> Outcome {
    let terminal = &session.terminal;
    if let Some(first) = started.user_errors.first() {
        if let Some(plan) = &started.plan {
            terminal.say(plan.text.trim_end());
        }
        let failure = Failure::refused(format!("{what} was refused"), &started.user_errors);
        return Err(match &started.plan_id {
            Some(id) if first.code == "NOT_APPROVED" => failure.hint(format!("cairn approve {id}")),
            _ => failure,
        });
    }
    let deployment = started.deployment_name.unwrap_or_default();
    match (&started.rollout, &started.plan) {
        (Some(rollout), Some(plan)) => {
            terminal.say(&format!("{what}: {} (rollout {rollout})", plan.counts.text()))
        }
        (Some(rollout), None) => terminal.say(&format!("{what}: rollout {rollout}")),
        (None, _) => terminal.say(&format!("{what}: no changes")),
    }
    if detach {
        let done = if started.unchanged { "unchanged" } else { "started" };
        terminal.print(&format!("{deployment} {done}"));
        terminal.say(&format!("see how it goes: cairn wait {deployment}"));
        return Ok(Exit::Done);
    }
    Progress::new(session, &deployment, started.rollout.as_deref(), goal, patience.timeout)
        .run()
        .await
}

fn read(target: &Target, terminal: &Terminal) -> Outcome<Sources> {
    let files = &target.files;
    let sources = Sources::read(&files.files, files.app.clone(), &files.images)?;
    sources.parse(terminal)?;
    Ok(sources)
}

/// Records the revision that the files say.
async fn record(sources: &Sources, session: &Session) -> Outcome<(String, u64)> {
    let data: Value = session.client.ask(APPLY, json!({ "input": sources.input(&key()) })).await?;
    let payload = data.get("applicationApply").cloned().unwrap_or_default();
    let recorded: Revision = serde_json::from_value(payload).map_err(|error| {
        Failure::new(Exit::Unreachable, format!("the server's answer cannot be read: {error}"))
    })?;
    match (recorded.name, recorded.revision) {
        (Some(name), Some(revision)) if recorded.user_errors.is_empty() => Ok((name, revision)),
        _ => Err(Failure::refused("the application was refused", &recorded.user_errors)),
    }
}

fn input(target: &Target, application: &str, revision: u64) -> Value {
    json!({
        "idempotencyKey": key(), "application": application, "environment": target.env, "revision": revision,
        "allowReplace": target.allowed.allow_replace, "allowDelete": target.allowed.allow_delete,
        "allowMassDelete": target.allowed.allow_mass_delete,
    })
}
