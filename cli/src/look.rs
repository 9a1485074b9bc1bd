//! A look at a deployment: what it is, its graph, and the time by which ages are told.

use domain::Time;
use serde::Deserialize;
use serde_json::json;

use crate::answers::{Deployment, RESOURCE};
use crate::client::Client;
use crate::failure::{Exit, Failure, Outcome};
use crate::names::missing;

/// Which deployment, and when.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Question<'a> {
    /// Its name.
    pub(crate) deployment: &'a str,
    /// A moment of the past.
    pub(crate) as_of: Option<&'a str>,
    /// The number of a rollout that is looked at beside the last one.
    pub(crate) rollout: Option<u64>,
}

/// A deployment as it was at a moment.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) deployment: Deployment,
    /// The moment, by the server's clock.
    pub(crate) time: Time,
}

/// Asks for a deployment and its tree.
///
/// # Errors
/// There is no such deployment, or no answer.
pub(crate) async fn look(client: &Client, question: Question<'_>) -> Outcome<Look> {
    #[derive(Deserialize)]
    struct Answer {
        time: Option<Time>,
        deployment: Option<Deployment>,
    }
    const ROLLOUT: &str = "name number revision purpose outcome reason stepsTotal";
    let ours = match question.rollout {
        Some(number) => format!("ours: rollout(number: {number}) {{ {ROLLOUT} }}"),
        None => String::new(),
    };
    let query = format!(
        "query($name: String!, $asOf: Moment) {{ time(asOf: $asOf) deployment(name: $name, asOf: $asOf) {{ \
         name phase revision goodRevision rollbackPending leftBehind {{ resource cluster since }} stranded {{ cluster since reason }} rollout {{ {ROLLOUT} }} {ours} \
         tree {{ member needs blockers {{ on reason since }} resource {{ ...R }} }} }} }} {RESOURCE}"
    );
    let variables = json!({ "name": question.deployment, "asOf": question.as_of });
    let answer: Answer = client.ask(&query, variables).await?;
    match (answer.deployment, answer.time) {
        (Some(deployment), Some(time)) => Ok(Look { deployment, time }),
        (Some(_), None) => {
            Err(Failure::new(Exit::Unreachable, "the server's answer has no time in it"))
        }
        (None, _) => Err(unknown(client, question.deployment).await),
    }
}

/// A deployment that is not there.
pub(crate) async fn unknown(client: &Client, name: &str) -> Failure {
    missing(client, "deployment", name).await
}
