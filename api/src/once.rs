//! A change is carried out once, however often it is asked for.
//!
//! # Flow
//! `Receive` records the question under the key · the work runs, with every id and time derived from that record ·
//! `Answer` records the answer, unless it says no more than the one commit of the work does. A crash in between is
//! finished by the repetition: its commands have the same ids, so what was done is found and not done again, and told
//! as of then.

use async_graphql::InputType;
use domain::commit::{Context, Hash};
use domain::planning::nearest;
use domain::request::{Command, KIND, Request};
use domain::{Actor, Decider, KindName, StreamId, Time};
use journal::{ExecuteError, Position};
use projections::queries::PAGE_MAX;
use projections::{Filter, Sort};
use reconcilers::{Clock as _, WallClock};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::fault::{Fault, Missing, UserError, judge};
use crate::plane::Plane;

/// The longest idempotency key in bytes: room for a UUID with a prefix of the client's.
const KEY_BYTES_MAX: usize = 200;
/// Root of the ids of requests (`cairn.requests`, made up once).
const NAMESPACE: Uuid = Uuid::from_u128(0x6361_6972_6e2e_4000_8000_7265_7175_6573);

/// The answer to a change: it names things, it does not contain them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Answer {
    pub(crate) application: Option<String>,
    pub(crate) environment: Option<String>,
    pub(crate) class: Option<String>,
    pub(crate) deployment: Option<String>,
    pub(crate) resource: Option<String>,
    pub(crate) plan: Option<Uuid>,
    pub(crate) rollout: Option<String>,
    /// In the log.
    pub(crate) stream: Option<String>,
    /// Of the application's revision, the class or the environment; how many commits are shown again.
    pub(crate) number: Option<u64>,
    /// Nothing had to be done.
    pub(crate) unchanged: bool,
    pub(crate) notes: Vec<String>,
    pub(crate) user_errors: Vec<UserError>,
    /// Views at this position show the change.
    pub(crate) position: u64,
    /// The question and the one commit that followed from it give this answer again, whenever they are asked: it is
    /// not recorded a second time.
    #[serde(skip)]
    pub(crate) is_in_log: bool,
    /// The commit that recorded the question.
    #[serde(skip)]
    pub(crate) command_id: Uuid,
}

/// A change that is being carried out.
pub(crate) struct Work<'a> {
    pub(crate) plane: &'a Plane,
    /// When it was first asked.
    pub(crate) at: Time,
    actor: Actor,
    request: Uuid,
    command_id: Uuid,
    digest: Hash,
    position: Position,
    /// It was asked before, and not answered then as far as the log tells.
    is_repeated: bool,
}

/// How the work on a change ends early.
pub(crate) enum Stop {
    /// With expected failures: they are the answer.
    Refused(Vec<UserError>),
    /// Without an answer: the request may be repeated.
    Fault(Fault),
}

impl<F: Into<Fault>> From<F> for Stop {
    fn from(fault: F) -> Self {
        Self::Fault(fault.into())
    }
}

impl From<UserError> for Stop {
    fn from(error: UserError) -> Self {
        Self::Refused(vec![error])
    }
}

impl Work<'_> {
    /// The context of one of the change's commands. `what` tells it from the others.
    pub(crate) fn context(&self, what: &str) -> Context {
        Context {
            commit_id: self.id(what),
            time: self.at,
            actor: self.actor.clone(),
            causation_id: Some(self.command_id),
            correlation_id: self.command_id,
            traceparent: None,
        }
    }

    /// An id that is the same in every repetition.
    pub(crate) fn id(&self, what: &str) -> Uuid {
        Uuid::new_v5(&self.request, what.as_bytes())
    }

    /// Who asks.
    pub(crate) const fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The log holds everything up to here that was acknowledged before this was asked.
    pub(crate) const fn position(&self) -> Position {
        self.position
    }

    /// Carries out one command.
    pub(crate) async fn execute<D: Decider>(
        &mut self,
        stream: &StreamId,
        command: D::Command,
    ) -> Result<journal::Executed<D>, Stop>
    where
        D::Command: Clone,
    {
        self.execute_as::<D>(&stream.to_string(), stream, command).await
    }

    /// Carries out one of several commands about one stream. `what` tells it from the others.
    pub(crate) async fn execute_as<D: Decider>(
        &mut self,
        what: &str,
        stream: &StreamId,
        command: D::Command,
    ) -> Result<journal::Executed<D>, Stop>
    where
        D::Command: Clone,
    {
        let context = self.context(what);
        let executor = &self.plane.probed.executor;
        match executor.execute_keyed::<D>(stream, command, context, self.digest).await {
            Ok(executed) => {
                self.reached(executed.position);
                self.as_of_then(stream, executed).await
            }
            Err(error) => {
                let refused = judge(error, "").map_err(Stop::Fault)?;
                // The domain does not know what it is called.
                Err(match refused.code.as_str() {
                    "NOT_FOUND" => {
                        UserError::missing("", stream.kind(), stream.name().as_str()).into()
                    }
                    _ => refused.into(),
                })
            }
        }
    }

    /// What was carried out before is told with the state that it led to, whatever came after it.
    async fn as_of_then<D: Decider>(
        &self,
        stream: &StreamId,
        mut executed: journal::Executed<D>,
    ) -> Result<journal::Executed<D>, Stop> {
        if executed.repeated {
            let executor = &self.plane.probed.executor;
            let then = executor.load_state_at_version::<D>(stream, executed.version).await?;
            executed.state = then.map_or(executed.state, |then| then.state);
        }
        Ok(executed)
    }

    /// Whether the command about this stream was carried out when this was asked before: what was judged then is not
    /// judged again.
    pub(crate) async fn is_done(&self, stream: &StreamId) -> Result<bool, Stop> {
        if !self.is_repeated {
            return Ok(false);
        }
        let journal = self.plane.probed.executor.journal();
        let found = journal.find(stream, self.id(&stream.to_string())).await;
        Ok(found.map_err(Fault::from)?.is_some())
    }

    /// Views must come this far to show the change.
    pub(crate) fn reached(&mut self, position: Position) {
        self.position = self.position.max(position);
    }
}

/// What is to be done for a change that is asked for.
pub(crate) enum Begun<'a> {
    /// Nothing: it was answered before, or the key is not its own.
    Answered(Answer),
    /// The work.
    Work(Work<'a>),
}

impl<'a> Work<'a> {
    /// Records the question, unless it was asked before.
    pub(crate) async fn begin<I: InputType>(
        plane: &'a Plane,
        actor: &Actor,
        mutation: &str,
        key: &str,
        input: &I,
    ) -> Result<Begun<'a>, Fault> {
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            let message = format!("must be 1 to {KEY_BYTES_MAX} bytes, not {}", key.len());
            let error = UserError::new("INVALID_KEY", "input.idempotencyKey", message);
            return Ok(Begun::Answered(Answer::refused(error.with_hint("a fresh UUID does"))));
        }
        let request = Uuid::new_v5(&NAMESPACE, format!("{} {key}", plane.tenant).as_bytes());
        let digest = digest(mutation, input)?;
        let stream = stream(plane, request)?;
        let command_id = Uuid::new_v5(&request, b"receive");
        let root = Context {
            commit_id: command_id,
            time: WallClock.now(),
            actor: actor.clone(),
            causation_id: None,
            correlation_id: command_id,
            traceparent: None,
        };
        let at = root.time;
        let receive =
            Command::Receive { mutation: mutation.to_owned(), digest: digest.to_hex(), at };
        let executed =
            plane.probed.executor.execute_keyed::<Request>(&stream, receive, root, digest).await;
        let received = match executed {
            Ok(received) => received,
            Err(error) => return reused(error).map(Begun::Answered),
        };
        let at = match &*received.state {
            Request::Answered(_, answer) => {
                return stored(answer, command_id).map(Begun::Answered);
            }
            Request::Received(question) => question.at,
            Request::Absent => at,
        };
        let (actor, position) = (actor.clone(), received.position);
        let is_repeated = received.repeated || received.events.is_empty();
        Ok(Begun::Work(Work {
            plane,
            at,
            actor,
            request,
            command_id,
            digest,
            position,
            is_repeated,
        }))
    }

    /// Records the answer, unless another repetition was faster: then that one's is the answer.
    pub(crate) async fn end(self, outcome: Result<Answer, Stop>) -> Result<Answer, Fault> {
        let answer = match outcome {
            Ok(answer) => answer,
            Err(Stop::Refused(user_errors)) => Answer { user_errors, ..Answer::default() },
            Err(Stop::Fault(fault)) => return Err(fault),
        };
        let (position, command_id) = (self.position.get(), self.command_id);
        let mut answer = Answer { position, command_id, ..answer };
        if answer.is_in_log {
            return Ok(answer);
        }
        for error in &mut answer.user_errors {
            suggest(self.plane, error).await;
        }
        let record = Command::Answer { answer: serde_json::to_value(&answer)?, at: self.at };
        let stream = stream(self.plane, self.request)?;
        let (executor, context) = (&self.plane.probed.executor, self.context("answer"));
        match executor.execute_keyed::<Request>(&stream, record, context, self.digest).await {
            Ok(executed) => match &*executed.state {
                Request::Answered(_, first) => stored(first, command_id),
                Request::Absent | Request::Received(_) => Ok(answer),
            },
            Err(error) => match judge(error, "") {
                Ok(error) => Err(Fault::unavailable(error.message)),
                Err(fault) => Err(fault),
            },
        }
    }
}

/// Suggests what was probably meant in the place of something that is not there. A view may lag behind, or be away:
/// nothing is suggested then.
pub(crate) async fn suggest(plane: &Plane, error: &mut UserError) {
    let Some(Missing { kind, name }) = &error.missing else { return };
    let filter = Filter::of(plane.tenant.clone(), &[kind.as_str()]);
    let Ok(page) = plane.views.list(&filter, Sort::Name, None, PAGE_MAX, None).await else {
        return;
    };
    let known = page.items.iter().map(|row| row.stream.name().as_str());
    if let Some(near) = nearest(name, known) {
        let meant = match KindName::parse(kind) {
            Some(kind) => format!("{kind}/{near}"),
            None => near.to_owned(),
        };
        error.hint = Some(format!("did you mean `{meant}`?"));
    }
}

impl Answer {
    fn refused(error: UserError) -> Self {
        Self { user_errors: vec![error], ..Self::default() }
    }
}

fn stream(plane: &Plane, request: Uuid) -> Result<StreamId, Fault> {
    let stream = plane.stream(KIND, &request.to_string());
    stream.ok_or_else(|| Fault::bad_input("the request cannot be named"))
}

fn stored(answer: &Value, command_id: Uuid) -> Result<Answer, Fault> {
    let answer: Answer = serde_json::from_value(answer.clone())?;
    Ok(Answer { command_id, ..answer })
}

fn reused(error: ExecuteError<domain::request::Refused>) -> Result<Answer, Fault> {
    let error = if matches!(error, ExecuteError::KeyReused { .. }) {
        let message = "the idempotency key was used for another request";
        UserError::new("IDEMPOTENCY_KEY_REUSED", "", message).with_hint(
            "choose a new key for every new request; repeat a key only to repeat the request",
        )
    } else {
        judge(error, "")?
    };
    Ok(Answer::refused(UserError { path: Some("input.idempotencyKey".into()), ..error }))
}

/// The digest of a mutation and its input without the key: what tells a repeated request from another with the same
/// key. Mutations that mean opposite things have inputs of the same type.
fn digest<I: InputType>(mutation: &str, input: &I) -> Result<Hash, Fault> {
    let mut json = input.to_value().into_json()?;
    if let Some(fields) = json.as_object_mut() {
        fields.remove("idempotencyKey");
    }
    Ok(Hash::of(format!("{mutation} {json}").as_bytes()))
}
