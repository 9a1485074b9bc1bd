//! The client's side of GraphQL over HTTP.

mod stream;

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::config::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::terminal::{Terminal, clean};

pub(crate) use stream::Events;

/// How long a connection may take: the server is near, or not there.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long an answer may take: longer than the server waits for its views.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// How long a server that was there may be away before it is given up.
const AWAY_MAX: Duration = Duration::from_secs(30);
/// The pause before it is asked again.
const AGAIN: Duration = Duration::from_millis(200);

/// A connection to a server.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    context: Context,
    terminal: Terminal,
    /// The server was there: it is waited for while it is away.
    patient: bool,
}

impl Client {
    /// Speaks to one server.
    pub(crate) fn to(context: Context, terminal: &Terminal) -> Outcome<Self> {
        if context.server.starts_with("https://") {
            let what = format!("{} cannot be asked: the client does not speak TLS", context.server);
            return Err(Failure::new(Exit::Invalid, what).hint(
                "lead a port to the server's machine, such as with `ssh -L 7117:127.0.0.1:7117 HOST`, \
                 and write http://127.0.0.1:7117",
            ));
        }
        if !context.server.starts_with("http://") {
            let what = format!("`{}` is not a server", context.server);
            return Err(Failure::new(Exit::Invalid, what).hint("write http://host:port"));
        }
        let http = reqwest::Client::builder().connect_timeout(CONNECT_MAX).no_proxy().build();
        let http = http.map_err(|error| Failure::new(Exit::Unreachable, error.to_string()))?;
        Ok(Self { http, context, terminal: terminal.clone(), patient: false })
    }

    /// The same, for whoever waits for something that the server was told already: it may be away for a while.
    pub(crate) fn patient(&self) -> Self {
        Self { patient: true, ..self.clone() }
    }

    /// The server's URL.
    pub(crate) fn server(&self) -> &str {
        &self.context.server
    }

    /// Asks, and reads the answer's data. Of a server that is away and waited for, it is said so once.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        query: &str,
        variables: Value,
    ) -> Outcome<T> {
        let mut away: Option<Instant> = None;
        loop {
            let (failure, again) = match self.exchange(query, &variables).await {
                Ok((status, answer)) => {
                    let answer = read(status, &answer)?;
                    debug(query, &variables, &answer);
                    match data(answer) {
                        Ok(data) => return Ok(data),
                        Err(failure) => {
                            let again = self.patient && failure.exit == Exit::Unreachable;
                            (self.explain(failure), again)
                        }
                    }
                }
                // An answer that was lost on its way is asked for again: a change is the same by its key.
                Err(error) => {
                    let lost = !error.is_connect() && !error.is_timeout();
                    (self.unreachable(&error), self.patient || lost || away.is_some())
                }
            };
            if !again || away.is_some_and(|since| since.elapsed() > AWAY_MAX) {
                return Err(failure);
            }
            if away.is_none() {
                away = Some(Instant::now());
                self.terminal.say("the server is away; trying again");
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn exchange(
        &self,
        query: &str,
        variables: &Value,
    ) -> Result<(StatusCode, Vec<u8>), reqwest::Error> {
        let response = self.request(query, variables).timeout(ANSWER_MAX).send().await?;
        Ok((response.status(), response.bytes().await?.into()))
    }

    /// Whoever has no token is told so, once the server has asked for one.
    fn explain(&self, failure: Failure) -> Failure {
        if failure.exit != Exit::NotAllowed || !self.context.token.is_empty() {
            return failure;
        }
        Failure::new(Exit::NotAllowed, format!("there is no token for {}", self.context.server))
            .hint("set CAIRN_TOKEN, or run `cairn up` on the server's machine")
    }

    /// Asks, and follows the answers.
    pub(crate) async fn follow(&self, query: &str, variables: Value) -> Outcome<Events> {
        let request = self.request(query, &variables).header(ACCEPT, "text/event-stream");
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if !status.is_success() {
            let answer = response.bytes().await.map_err(|error| self.unreachable(&error))?;
            return Err(read(status, &answer)
                .and_then(data::<Value>)
                .err()
                .map_or_else(garbled, |failure| self.explain(failure)));
        }
        Ok(Events::new(response))
    }

    fn request(&self, query: &str, variables: &Value) -> reqwest::RequestBuilder {
        let url = format!("{}/graphql", self.context.server.trim_end_matches('/'));
        let body = json!({ "query": query, "variables": variables }).to_string();
        let request = self.http.post(url);
        let request = match self.context.token.as_str() {
            "" => request,
            token => request.bearer_auth(token),
        };
        request.header(CONTENT_TYPE, "application/json").body(body)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        let what = if error.is_timeout() { "does not answer in time" } else { "cannot be reached" };
        Failure::new(Exit::Unreachable, format!("{} {what}", self.context.server))
            .detail(cause.to_string())
            .hint("is it running? start it with `cairn up`")
    }
}

/// Shows what was asked and answered when CAIRN_DEBUG=api.
fn debug(query: &str, variables: &Value, answer: &Value) {
    if std::env::var_os("CAIRN_DEBUG").is_some_and(|value| value == "api") {
        let terminal = crate::terminal::Terminal::new(crate::terminal::Colour::Never);
        terminal.say(&format!("> {query} {variables}\n< {answer}"));
    }
}

fn read(status: StatusCode, body: &[u8]) -> Outcome<Value> {
    let answer: Option<Value> = serde_json::from_slice(body).ok();
    match answer {
        Some(answer) => Ok(cleaned(answer)),
        None if status == StatusCode::UNAUTHORIZED => {
            Err(Failure::new(Exit::NotAllowed, "the token is not known"))
        }
        None => Err(garbled()),
    }
}

fn garbled() -> Failure {
    Failure::new(Exit::Unreachable, "the server's answer is not GraphQL")
        .hint("is it a Cairn server?")
}

/// Takes control characters out of every text of the server's.
pub(crate) fn cleaned(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(clean(&text)),
        Value::Array(items) => Value::Array(items.into_iter().map(cleaned).collect()),
        Value::Object(fields) => Value::Object(
            fields.into_iter().map(|(name, value)| (clean(&name), cleaned(value))).collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

/// The data of an answer, or the first of its errors.
pub(crate) fn data<T: DeserializeOwned>(mut answer: Value) -> Outcome<T> {
    let errors = answer.get("errors").and_then(Value::as_array).filter(|errors| !errors.is_empty());
    if let Some(error) = errors.and_then(|errors| errors.first()) {
        let text = |pointer| error.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let exit = match text("/extensions/code") {
            "UNAUTHENTICATED" => Exit::NotAllowed,
            "BAD_INPUT" | "INVALID_DOCUMENT" | "BAD_REQUEST" | "BODY" | "TOO_LARGE" => {
                Exit::Invalid
            }
            "NO_LOG" => Exit::NotFound,
            "NOT_YET_VISIBLE" => Exit::TimedOut,
            _ => Exit::Unreachable,
        };
        let failure = Failure::new(exit, text("/message"));
        let lacks_token = exit == Exit::NotAllowed;
        let hint = "set CAIRN_TOKEN, or use the context of the right server";
        return Err(if lacks_token { failure.hint(hint) } else { failure });
    }
    let data = answer.get_mut("data").map(Value::take).unwrap_or_default();
    serde_json::from_value(data).map_err(|error| {
        Failure::new(Exit::Unreachable, "the server's answer is not what was asked for")
            .detail(error.to_string())
            .hint("are the client and the server of the same version?")
    })
}
