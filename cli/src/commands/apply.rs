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
/// What people are shown of a plan.
const SHORT: &str = "text counts { create change replace delete }";
/// What programs are given: everything that people are shown, in parts.
pub(super) const WHOLE: &str = "id deployment application environment revision purpose hash proposedAt notes \
     placement { cluster scores { cluster total reasons } } \
     steps { resource action forcedBy class classVersion protected why after changes { path old new } spec } \
     text counts { create change replace delete }";

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
    /// Of the application: what runs afterwards.
    #[serde(default)]
    pub(super) revision: Option<u64>,
    pub(super) rollout: Option<String>,
    pub(super) plan_id: Option<String>,
    pub(super) unchanged: bool,
    pub(super) plan: Option<Planned>,
    pub(super) user_errors: Vec<UserError>,
}

impl Counts {
    const fn is_nothing(self) -> bool {
        self.create + self.change + self.replace + self.delete == 0
    }

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
    let (sources, name) = read(&args.target, terminal)?;
    let session = session()?;
    let what = format!("there is no plan for {name} in {}", args.target.env);
    // What is saved is shown as it is saved.
    let plan = if args.save { String::new() } else { format!("plan {{ {} }}", shown(args.output)) };
    let mut payload = preview(&sources, &args.target, &plan, &what, &session).await?;
    if args.save {
        let (application, revision) = record(&sources, &session).await?;
        let input = input(&args.target, &application, revision);
        payload = ask(&session, "deploymentPlan", "planId", args.output, input).await?;
        sources.check(&payload, &what, &args.target.env, terminal)?;
    }
    let text = |pointer| payload.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let counts = payload.pointer("/plan/counts").cloned().unwrap_or_default();
    let counts: Counts =
        serde_json::from_value(counts).map_err(|error| Failure::unreadable(&error))?;
    if args.output == Output::Json {
        terminal.print(&payload.to_string());
        return Ok(!counts.is_nothing());
    }
    terminal.print(text("/plan/text").trim_end());
    match payload.get("planId").and_then(Value::as_str) {
        _ if counts.is_nothing() => {}
        Some(id) => terminal.say(&format!("\nRun exactly this: cairn approve {id}")),
        None => terminal.say(
            "\nNothing is recorded yet. Run it with `cairn apply`; for somebody to approve it: `cairn plan --save`",
        ),
    }
    Ok(!counts.is_nothing())
}

/// What a deployment of the files would do, as much of it as `plan` asks for: refused, or not, before anything of it is
/// recorded.
async fn preview(
    sources: &Sources,
    target: &Target,
    plan: &str,
    what: &str,
    session: &Session,
) -> Outcome<Value> {
    let query = format!(
        "query($input: PlanPreviewInput!) {{ planPreview(input: $input) {{ {plan} \
         userErrors {{ code path message hint }} }} }}"
    );
    let input = sources.preview(target);
    let mut data: Value = session.client.ask(&query, json!({ "input": input })).await?;
    let payload = data.get_mut("planPreview").map(Value::take).unwrap_or_default();
    sources.check(&payload, what, &target.env, &session.terminal)?;
    Ok(payload)
}

/// Deploys, and waits until everything is ready.
pub(super) async fn apply(
    args: &Apply,
    terminal: &Terminal,
    session: impl Fn() -> Outcome<Session>,
) -> Outcome {
    let (sources, name) = read(&args.target, terminal)?;
    let session = session()?;
    let what = format!("{name} in {} was refused", args.target.env);
    preview(&sources, &args.target, "", &what, &session).await?;
    let (application, revision) = record(&sources, &session).await?;
    let mut payload = ask(
        &session,
        "deploymentDeploy",
        "deploymentName rollout planId unchanged commandId",
        args.output,
        input(&args.target, &application, revision),
    )
    .await?;
    let started = Started::deserialize(&payload).map_err(|error| Failure::unreadable(&error))?;
    let environment = &args.target.env;
    let what = format!("{application} revision {revision} in {environment}");
    if started.plan_id.is_none() && !started.user_errors.is_empty() {
        let what = format!("{what} was refused");
        return Err(sources.refused(what, &started.user_errors, environment, terminal));
    }
    if args.output == Output::Table {
        return finish(&session, started, &what, args.patience, args.detach, Goal::Ready).await;
    }
    let quiet = Session { terminal: terminal.without_data(), ..session };
    let outcome = finish(&quiet, started, &what, args.patience, args.detach, Goal::Ready).await;
    let ended = match &outcome {
        Ok(_) if args.detach => "started",
        Ok(_) => "ready",
        Err(failure) => failure.exit.name(),
    };
    if let Some(fields) = payload.as_object_mut() {
        fields.insert("outcome".into(), ended.into());
    }
    terminal.print(&payload.to_string());
    outcome
}

/// Asks for a plan, or for one that runs: as much of it as is shown.
async fn ask(
    session: &Session,
    mutation: &str,
    fields: &str,
    output: Output,
    input: Value,
) -> Outcome<Value> {
    let plan = shown(output);
    let query = format!(
        "mutation($input: DeploymentDeployInput!) {{ {mutation}(input: $input) {{ {fields} plan {{ {plan} }} \
         userErrors {{ code path message hint }} }} }}"
    );
    let mut data: Value = session.client.ask(&query, json!({ "input": input })).await?;
    Ok(data.get_mut(mutation).map(Value::take).unwrap_or_default())
}

/// As much of a plan as is shown.
const fn shown(output: Output) -> &'static str {
    match output {
        Output::Table => SHORT,
        Output::Json => WHOLE,
    }
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

/// The files, and the name of the application in them.
fn read(target: &Target, terminal: &Terminal) -> Outcome<(Sources, String)> {
    let files = &target.files;
    let sources = Sources::read(&files.files, files.app.clone(), &files.images)?;
    let name = sources.parse(terminal)?.name;
    Ok((sources, name))
}

/// Records the revision that the files say.
async fn record(sources: &Sources, session: &Session) -> Outcome<(String, u64)> {
    let data: Value = session.client.ask(APPLY, json!({ "input": sources.input(&key()) })).await?;
    let payload = data.get("applicationApply").cloned().unwrap_or_default();
    let recorded: Revision =
        serde_json::from_value(payload).map_err(|error| Failure::unreadable(&error))?;
    match (recorded.name, recorded.revision) {
        (Some(name), Some(revision)) if recorded.user_errors.is_empty() => Ok((name, revision)),
        _ => Err(Failure::refused("the application was refused", &recorded.user_errors)),
    }
}

fn input(target: &Target, application: &str, revision: u64) -> Value {
    let mut input = json!({
        "idempotencyKey": key(), "application": application, "environment": target.env, "revision": revision,
    });
    target.put(&mut input);
    input
}
