//! Lists, page by page until the end.

use domain::Time;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::What;
use crate::answers::{RESOURCE, Resource};
use crate::args::{Get, Output};
use crate::commands::Session;
use crate::failure::{Exit, Failure, Outcome};
use crate::table::table;
use crate::terminal::age;

/// The most items of a list: beyond it a filter is wanted.
const ITEMS_MAX: usize = 10_000;
/// The size of a page.
const PAGE: u32 = 100;

/// Shows a list.
pub(super) async fn show(what: What, args: &Get, session: &Session) -> Outcome {
    let (list, filter, fields) = match what {
        What::Resources(_) => ("resources", ", $filter: ResourceFilter", "...R"),
        What::Deployments => {
            ("deployments", "", "name application environment phase revision changedAt")
        }
        What::Applications => ("applications", "", "name revision workloads changedAt"),
        What::Environments => {
            ("environments", "", "name tier location domain clusters version changedAt")
        }
        What::Classes => ("classes", "", "name resourceType class target description version"),
        What::Plan => return Err(Failure::new(Exit::Invalid, "a plan has an id")),
    };
    let pass = if filter.is_empty() { "" } else { ", filter: $filter" };
    let fragment = if fields == "...R" { RESOURCE } else { "" };
    let query = format!(
        "query($after: String, $asOf: Moment{filter}) {{ time(asOf: $asOf) {list}(first: {PAGE}, after: $after, asOf: $asOf{pass}) {{ \
         nodes {{ {fields} }} pageInfo {{ hasNextPage endCursor }} }} }} {fragment}"
    );
    let kinds =
        if let What::Resources(Some(kind)) = what { Some(vec![kind.as_str()]) } else { None };
    let filter = json!({ "kinds": kinds, "deployment": args.deployment, "includeGone": args.gone });
    let (nodes, time) = pages(session, &query, list, &args.as_of, filter).await?;
    match args.output {
        Output::Json => session.terminal.print(&Value::Array(nodes).to_string()),
        Output::Table if nodes.is_empty() => session.terminal.say("nothing found"),
        Output::Table => session.terminal.print(&rows(what, nodes, time)?),
    }
    Ok(Exit::Done)
}

async fn pages(
    session: &Session,
    query: &str,
    list: &str,
    as_of: &Option<String>,
    filter: Value,
) -> Outcome<(Vec<Value>, Time)> {
    let (mut nodes, mut time) = (Vec::new(), None);
    let mut after = Value::Null;
    while nodes.len() < ITEMS_MAX {
        let variables = json!({ "after": after, "asOf": as_of, "filter": filter });
        let mut data: Value = session.client.ask(query, variables).await?;
        time = data.get("time").and_then(Value::as_str).and_then(|time| time.parse().ok()).or(time);
        let page = data.get_mut(list).map(Value::take).unwrap_or_default();
        nodes.extend(page.get("nodes").and_then(Value::as_array).cloned().unwrap_or_default());
        let next =
            page.pointer("/pageInfo/hasNextPage").and_then(Value::as_bool).unwrap_or_default();
        if !next {
            return Ok((nodes, time.unwrap_or_default()));
        }
        after = page.pointer("/pageInfo/endCursor").cloned().unwrap_or_default();
    }
    session.terminal.say(&format!("only the first {ITEMS_MAX} are shown"));
    Ok((nodes, time.unwrap_or_default()))
}

fn rows(what: What, nodes: Vec<Value>, time: Time) -> Outcome<String> {
    Ok(match what {
        What::Resources(_) => resources(&read(nodes)?, time),
        What::Deployments => deployments(&read(nodes)?, time),
        What::Applications => applications(&read(nodes)?, time),
        What::Environments => environments(&read(nodes)?),
        What::Classes => classes(&read(nodes)?),
        What::Plan => String::new(),
    })
}

fn read<T: DeserializeOwned>(nodes: Vec<Value>) -> Outcome<Vec<T>> {
    serde_json::from_value(Value::Array(nodes)).map_err(|error| Failure::unreadable(&error))
}

fn dash(value: Option<String>) -> String {
    value.unwrap_or_else(|| "-".to_owned())
}

fn resources(resources: &[Resource], time: Time) -> String {
    let row = |resource: &Resource| {
        [
            resource.id.clone(),
            if resource.ready { "yes" } else { "no" }.to_owned(),
            dash(resource.declared_at.or(resource.since).map(|since| age(since, time))),
            resource.state(),
            dash(resource.class.clone()),
            dash(resource.deployment.clone()),
            if resource.ready {
                String::new()
            } else {
                resource.reason.clone().unwrap_or_default()
            },
        ]
    };
    let rows: Vec<_> = resources.iter().map(row).collect();
    table(["RESOURCE", "READY", "AGE", "STATE", "CLASS", "DEPLOYMENT", "REASON"], &rows)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Deployment {
    name: String,
    application: Option<String>,
    environment: Option<String>,
    phase: String,
    revision: Option<u64>,
    changed_at: Time,
}

fn deployments(deployments: &[Deployment], time: Time) -> String {
    let row = |deployment: &Deployment| {
        [
            deployment.name.clone(),
            dash(deployment.application.clone()),
            dash(deployment.environment.clone()),
            dash(deployment.revision.map(|revision| revision.to_string())),
            deployment.phase.clone(),
            age(deployment.changed_at, time),
        ]
    };
    let rows: Vec<_> = deployments.iter().map(row).collect();
    table(["DEPLOYMENT", "APPLICATION", "ENVIRONMENT", "REVISION", "PHASE", "CHANGED"], &rows)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Application {
    name: String,
    revision: u64,
    workloads: Vec<String>,
    changed_at: Time,
}

fn applications(applications: &[Application], time: Time) -> String {
    let row = |application: &Application| {
        [
            application.name.clone(),
            application.revision.to_string(),
            age(application.changed_at, time),
            application.workloads.join(", "),
        ]
    };
    let rows: Vec<_> = applications.iter().map(row).collect();
    table(["APPLICATION", "REVISION", "CHANGED", "WORKLOADS"], &rows)
}

#[derive(Deserialize)]
struct Environment {
    name: String,
    tier: Option<String>,
    location: Option<String>,
    domain: Option<String>,
    clusters: Vec<String>,
    version: u64,
}

fn environments(environments: &[Environment]) -> String {
    let row = |environment: &Environment| {
        [
            environment.name.clone(),
            dash(environment.tier.clone()),
            dash(environment.location.clone()),
            dash(environment.domain.clone()),
            environment.version.to_string(),
            environment.clusters.join(", "),
        ]
    };
    let rows: Vec<_> = environments.iter().map(row).collect();
    table(["ENVIRONMENT", "TIER", "LOCATION", "DOMAIN", "VERSION", "CLUSTERS"], &rows)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Class {
    resource_type: Option<String>,
    class: Option<String>,
    target: Option<String>,
    description: Option<String>,
    version: u64,
}

fn classes(classes: &[Class]) -> String {
    let row = |class: &Class| {
        [
            dash(class.resource_type.clone()),
            dash(class.class.clone()),
            dash(class.target.clone()),
            class.version.to_string(),
            class.description.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = classes.iter().map(row).collect();
    table(["TYPE", "CLASS", "MAKES", "VERSION", "DESCRIPTION"], &rows)
}
