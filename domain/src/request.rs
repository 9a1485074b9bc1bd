//! A request: one change asked for by a client, remembered by its idempotency key.
//!
//! Asking twice is asking once: the first answer is the answer for ever, and a key that belongs to another
//! question is refused before anything happens. The commit that records the question is also the root of
//! everything that follows from it: its id is the correlation id of the whole consequence.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decider::{Decider, Rejection};
use crate::time::Time;

/// The aggregate's kind in streams. The name is a UUID derived from the idempotency key.
pub const KIND: &str = "request";
/// The largest answer in bytes of JSON: it names things, it does not contain them.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What is known of a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// The key is free.
    #[default]
    Absent,
    /// Asked, not yet answered: it is being worked on, or a crash came between. Asking again finishes it.
    Received(Question),
    /// Answered for ever.
    Answered(Question, Value),
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The name of the change, such as `deploymentDeploy`.
    pub mutation: String,
    /// SHA-256 of its input in hex, without the key.
    pub digest: String,
    /// When it was first asked.
    pub at: Time,
}

/// What is wanted of a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the fields are those of the events they lead to")]
pub enum Command {
    /// Asks.
    Receive { mutation: String, digest: String, at: Time },
    /// Answers. Only the first answer counts.
    Answer { answer: Value, at: Time },
}

/// What happened to a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the fields are those of the state they lead to")]
pub enum Event {
    /// It was asked.
    Received { mutation: String, digest: String, at: Time },
    /// It was answered.
    Answered { answer: Value, at: Time },
}

/// Why a command is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Choose a new key.
    #[error("the idempotency key was used for another request ({mutation})")]
    KeyReused {
        /// The change it was used for.
        mutation: String,
    },
    /// Ask first.
    #[error("nothing was asked")]
    NotFound,
    /// A mistake in the program: an answer names things, it does not contain them.
    #[error("an answer holds at most {ANSWER_BYTES_MAX} bytes, not {0}")]
    TooLong(usize),
}

impl Rejection for Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::KeyReused { .. } => "IDEMPOTENCY_KEY_REUSED",
            Self::NotFound => "NOT_FOUND",
            Self::TooLong(_) => "ANSWER_TOO_LONG",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::KeyReused { .. } => Some(
                "choose a new key for every new request; repeat a key only to repeat the request"
                    .into(),
            ),
            Self::NotFound | Self::TooLong(_) => None,
        }
    }
}

impl Decider for Request {
    type State = Self;
    type Command = Command;
    type Event = Event;
    type Rejection = Refused;

    fn decide(state: &Self, command: Command) -> Result<Vec<Event>, Refused> {
        match (state, command) {
            (Self::Absent, Command::Receive { mutation, digest, at }) => {
                Ok(vec![Event::Received { mutation, digest, at }])
            }
            (
                Self::Received(question) | Self::Answered(question, _),
                Command::Receive { mutation, digest, .. },
            ) => {
                if question.mutation == mutation && question.digest == digest {
                    Ok(Vec::new())
                } else {
                    Err(Refused::KeyReused { mutation: question.mutation.clone() })
                }
            }
            (Self::Absent, Command::Answer { .. }) => Err(Refused::NotFound),
            (Self::Received(_), Command::Answer { answer, at }) => {
                let length = answer.to_string().len();
                if length > ANSWER_BYTES_MAX {
                    return Err(Refused::TooLong(length));
                }
                Ok(vec![Event::Answered { answer, at }])
            }
            (Self::Answered(..), Command::Answer { .. }) => Ok(Vec::new()),
        }
    }

    fn evolve(state: Self, event: Event) -> Self {
        match (state, event) {
            (_, Event::Received { mutation, digest, at }) => {
                Self::Received(Question { mutation, digest, at })
            }
            (
                Self::Received(question) | Self::Answered(question, _),
                Event::Answered { answer, .. },
            ) => Self::Answered(question, answer),
            (Self::Absent, Event::Answered { .. }) => Self::Absent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decider::testing::given;

    const NOW: Time = Time::from_micros(1);

    fn receive(digest: &str) -> Command {
        Command::Receive { mutation: "deploymentDeploy".into(), digest: digest.into(), at: NOW }
    }

    fn received() -> Event {
        Event::Received { mutation: "deploymentDeploy".into(), digest: "a".into(), at: NOW }
    }

    #[test]
    fn asking_twice_is_asking_once() {
        given::<Request>([]).when(receive("a")).then([received()]);
        given::<Request>([received()]).when(receive("a")).then_nothing();
    }

    #[test]
    fn a_key_belongs_to_one_question() {
        given::<Request>([received()]).when(receive("b")).then_refused("IDEMPOTENCY_KEY_REUSED");
    }

    #[test]
    fn the_first_answer_is_the_answer() {
        let answered = Event::Answered { answer: 1.into(), at: NOW };
        let answer = |n: i32| Command::Answer { answer: n.into(), at: NOW };
        given::<Request>([received()]).when(answer(1)).then([answered.clone()]);
        given::<Request>([received(), answered]).when(answer(2)).then_nothing();
    }

    #[test]
    fn an_answer_without_a_question_is_refused() {
        given::<Request>([])
            .when(Command::Answer { answer: 1.into(), at: NOW })
            .then_refused("NOT_FOUND");
    }

    #[test]
    fn an_answer_has_a_largest_size() {
        let long = Value::String("x".repeat(ANSWER_BYTES_MAX));
        given::<Request>([received()])
            .when(Command::Answer { answer: long, at: NOW })
            .then_refused("ANSWER_TOO_LONG");
    }
}
