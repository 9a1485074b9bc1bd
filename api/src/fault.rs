//! What stops an answer: bugs and outages. Expected failures are not here, they are data ([`UserError`]).

use std::fmt;

use async_graphql::{ErrorExtensions as _, SimpleObject};
use domain::planning::Refusal;
use domain::{KindName, Rejection};
use journal::{ExecuteError, JournalError, LoadError};
use projections::{NotThere, QueryError, StoreError};
use serde::{Deserialize, Serialize};

/// An expected failure: what is wrong, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, SimpleObject)]
pub(crate) struct UserError {
    /// A stable, upper-case code for programs, such as PROTECTED.
    pub(crate) code: String,
    /// Where, as a dotted path into the input or the application; none when it is no single place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    /// What is wrong, in a sentence.
    pub(crate) message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    /// What is not there: one with nearly the same name is suggested.
    #[serde(skip)]
    #[graphql(skip)]
    pub(crate) missing: Option<Missing>,
}

/// Something that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) kind: String,
    pub(crate) name: String,
}

impl UserError {
    pub(crate) fn new(code: &str, path: &str, message: impl fmt::Display) -> Self {
        let path = Some(path.to_owned()).filter(|path| !path.is_empty());
        Self {
            code: code.to_owned(),
            path,
            message: message.to_string(),
            hint: None,
            missing: None,
        }
    }

    /// Something that is not there, by its kind and its name as they were written.
    pub(crate) fn missing(path: &str, kind: &str, name: &str) -> Self {
        let what = match KindName::parse(kind) {
            Some(kind) => format!("{kind}/{name}"),
            None => name.to_owned(),
        };
        let word = if KindName::parse(kind).is_some() { "resource" } else { kind };
        let hint = match word {
            "plan" => "a plan is made by `cairn plan`, which says its id".to_owned(),
            "application" => format!("apply its file first, or see `{}`", listing(word)),
            word => format!("see `{}`", listing(word)),
        };
        let missing = Some(Missing { kind: kind.to_owned(), name: name.to_owned() });
        let error = Self::new("NOT_FOUND", path, format!("there is no {word} `{what}`"));
        Self { missing, ..error.with_hint(hint) }
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(crate) fn rejected(path: &str, rejection: &impl Rejection) -> Self {
        Self { hint: rejection.hint(), ..Self::new(rejection.code(), path, rejection) }
    }
}

impl From<Refusal> for UserError {
    fn from(refusal: Refusal) -> Self {
        Self {
            hint: refusal.hint,
            ..Self::new(&refusal.code.as_str(), &refusal.path, refusal.message)
        }
    }
}

/// The command that lists what there is of a sort.
fn listing(word: &str) -> String {
    let many = if word == "class" { "classes".to_owned() } else { format!("{word}s") };
    format!("cairn get {many}")
}

/// Why there is no answer. The message is safe to show; what lies behind it goes to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    code: &'static str,
    message: String,
}

impl Fault {
    /// The question makes no sense.
    pub(crate) fn bad_input(message: impl fmt::Display) -> Self {
        Self { code: "BAD_INPUT", message: message.to_string() }
    }

    /// There is no such log.
    pub(crate) fn no_log(message: impl fmt::Display) -> Self {
        Self { code: "NO_LOG", message: message.to_string() }
    }

    /// The views are not there yet: ask again.
    pub(crate) fn not_yet(message: impl fmt::Display) -> Self {
        Self { code: "NOT_YET_VISIBLE", message: message.to_string() }
    }

    /// Ask again later; for a change, with the same key.
    pub(crate) fn unavailable(message: impl fmt::Display) -> Self {
        Self { code: "UNAVAILABLE", message: message.to_string() }
    }

    /// A bug, or a damaged log. What happened is logged, not shown.
    pub(crate) fn internal(error: &dyn std::error::Error) -> Self {
        let mut causes = vec![error.to_string()];
        let mut cause = error.source();
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        tracing::error!(error = causes.join(": "), "an internal error");
        Self {
            code: "INTERNAL",
            message: "an internal error; the server's log has the details".into(),
        }
    }
}

impl From<Fault> for async_graphql::Error {
    fn from(fault: Fault) -> Self {
        Self::new(fault.message).extend_with(|_, extensions| extensions.set("code", fault.code))
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Unavailable { .. } | StoreError::Replaced => {
                // Whose words these are is nobody's business outside.
                tracing::warn!(%error, "the views cannot be read");
                Self::unavailable("the views cannot be read now; try again")
            }
            StoreError::Fenced | StoreError::Shape | StoreError::Schema { .. } => {
                Self::internal(&error)
            }
        }
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::internal(&error)
    }
}

impl From<QueryError> for Fault {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Future { .. } => Self::not_yet(error),
            QueryError::Cursor(_) => Self::bad_input(error),
            QueryError::Store(error) => error.into(),
        }
    }
}

impl From<NotThere> for Fault {
    fn from(error: NotThere) -> Self {
        match error {
            NotThere::Behind { .. } => Self::not_yet(error),
            NotThere::Stopped { .. } => Self::unavailable(error),
        }
    }
}

impl From<JournalError> for Fault {
    fn from(error: JournalError) -> Self {
        match &error {
            JournalError::Unavailable { .. } | JournalError::Closed => Self::unavailable(error),
            JournalError::Behind { .. } => Self::bad_input(error),
            JournalError::Damaged { .. } => Self::internal(&error),
        }
    }
}

impl From<LoadError> for Fault {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Journal(error) => error.into(),
            LoadError::Unreadable { .. } => Self::internal(&error),
        }
    }
}

/// A command that was not carried out: refused in the user's words, or a fault.
pub(crate) fn judge<R: Rejection>(error: ExecuteError<R>, path: &str) -> Result<UserError, Fault> {
    match error {
        ExecuteError::Rejected(rejection) => Ok(UserError::rejected(path, &rejection)),
        ExecuteError::Unavailable { .. }
        | ExecuteError::Full { .. }
        | ExecuteError::Contended { .. }
        | ExecuteError::OutcomeUnknown { .. } => Err(Fault::unavailable(format!(
            "{error}; repeat the request with the same idempotency key"
        ))),
        ExecuteError::KeyReused { .. }
        | ExecuteError::Seal(_)
        | ExecuteError::Log(_)
        | ExecuteError::Discontinuous(_) => Err(Fault::internal(&error)),
    }
}
