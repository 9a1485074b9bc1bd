//! How a command ends: stable exit codes, and failures that say what, why, and what to do.

use std::fmt;

use domain::planning::{Refusal, RefusalCode};
use serde::Deserialize;

use crate::terminal::Terminal;

/// The exit codes, as `cairn help exit-codes` shows them.
pub(crate) const EXIT_CODES: &str = "\
Exit codes, the same in every version:

    0  done, or yes
    1  no: the rollout failed, or the answer is negative
    2  the command line or a file is not valid
    3  the server refused: a policy, a conflict, a missing permission
    4  there is no such thing
    5  not allowed: the token is missing or not known
    6  the time ran out while waiting
    7  the server cannot be reached, cannot start, or is not able to answer
    8  the log, an archive of it or a proof is damaged
  130  interrupted by Ctrl-C

With `cairn plan --detailed-exitcode`: 0 no changes, 1 error, 2 changes.";

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    Negative = 1,
    Invalid = 2,
    Refused = 3,
    NotFound = 4,
    NotAllowed = 5,
    TimedOut = 6,
    Unreachable = 7,
    Damaged = 8,
    Interrupted = 130,
}

impl Exit {
    /// The process's exit code.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// In a word, for programs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Negative => "failed",
            Self::Invalid => "invalid",
            Self::Refused => "refused",
            Self::NotFound => "not found",
            Self::NotAllowed => "not allowed",
            Self::TimedOut => "timed out",
            Self::Unreachable => "unreachable",
            Self::Damaged => "damaged",
            Self::Interrupted => "interrupted",
        }
    }

    /// What a refusal with these reasons comes to.
    pub(crate) fn of(errors: &[UserError]) -> Self {
        match errors.first().map(|error| error.code.as_str()) {
            Some("NOT_FOUND") => Self::NotFound,
            Some(code) if code.starts_with("INVALID_") => Self::Invalid,
            _ => Self::Refused,
        }
    }
}

/// An expected failure, as the server says it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct UserError {
    pub(crate) code: String,
    pub(crate) path: Option<String>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl UserError {
    /// Where in what the person wrote. A place in the request is one that they have never seen.
    fn place(&self) -> Option<&str> {
        let path = self.path.as_deref()?;
        let of_request = path.split('.').next() == Some("input");
        (!of_request).then_some(path)
    }

    /// The same as the domain says it, if it is about what an application becomes.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        let code: RefusalCode = serde_json::from_value(self.code.as_str().into()).ok()?;
        let refusal = Refusal::new(code, self.path.as_deref()?, &self.message);
        Some(Refusal { hint: self.hint.clone(), ..refusal })
    }
}

/// Why a command did not do what was asked.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// Said already: nothing is left to print.
    silent: bool,
    what: String,
    details: Vec<String>,
    hint: Option<String>,
}

impl Failure {
    /// Says what went wrong.
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, silent: false, what: what.into(), details: Vec::new(), hint: None }
    }

    /// Something that is not there.
    pub(crate) fn not_found(what: impl fmt::Display) -> Self {
        Self::new(Exit::NotFound, format!("there is no {what}"))
    }

    /// An answer of the server's that is not what was asked for.
    pub(crate) fn unreadable(error: &serde_json::Error) -> Self {
        Self::new(Exit::Unreachable, "the server's answer cannot be read")
            .detail(error.to_string())
            .hint("are the client and the server of the same version? see `cairn version`")
    }

    /// Everything was said already.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self { silent: true, ..Self::new(exit, "") }
    }

    /// Says what to do about it.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Adds a line of explanation.
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.details.push(detail.into());
        self
    }

    /// What the server refused, and why.
    pub(crate) fn refused(what: impl Into<String>, errors: &[UserError]) -> Self {
        let exit = Exit::of(errors);
        errors.iter().fold(Self::new(exit, what), Self::reason)
    }

    /// Adds one of the server's reasons.
    pub(crate) fn reason(mut self, error: &UserError) -> Self {
        let place = error.place().map(|path| format!("{path}: ")).unwrap_or_default();
        self.details.push(format!("{place}{}", error.message));
        self.details.extend(error.hint.iter().map(|hint| format!("  hint: {hint}")));
        self
    }

    /// Prints it, to the talk and not to the data.
    pub(crate) fn print(&self, terminal: &Terminal) {
        if self.silent {
            return;
        }
        terminal.say(&format!("{} {}", terminal.red("error:"), self.what));
        for detail in &self.details {
            terminal.say(&format!("  {}", detail.replace('\n', "\n  ")));
        }
        if let Some(hint) = &self.hint {
            terminal.say(&format!("  {} {hint}", terminal.bold("hint:")));
        }
    }
}

/// What a command comes to.
pub(crate) type Outcome<T = Exit> = Result<T, Failure>;
