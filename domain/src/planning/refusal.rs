//! Why there is no plan, in the developer's words.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One reason why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// For programs.
    pub code: RefusalCode,
    /// Where in the application, such as `workloads.web.resources.db.params.size`; empty when it is no single place.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The kinds of reasons.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "each is explained by the message it comes with")]
pub enum RefusalCode {
    ClassNotAllowed,
    ClassNotFound,
    ChangeRefused,
    Cycle,
    DeletionProtected,
    EnvironmentGone,
    GuardrailViolated,
    ImageMissing,
    InvalidName,
    InvalidParam,
    InvalidPlaceholder,
    InvalidSpec,
    MassDeletion,
    NameCollision,
    NameTaken,
    NoClusterFits,
    NoPort,
    ReplacementNotAllowed,
    TooLarge,
    UnknownOutput,
    UnknownParam,
    UnknownResource,
    UnknownWorkload,
}

impl RefusalCode {
    /// The stable text for programs, such as `CLASS_NOT_FOUND`.
    #[must_use]
    pub fn as_str(self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        value.as_str().unwrap_or_default().to_owned()
    }
}

impl Refusal {
    /// A reason without a remedy.
    pub fn new(code: RefusalCode, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, path: path.into(), message: message.into(), hint: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, " ({hint})"))
    }
}

/// How alike two words must be for one to be meant by the other: a letter or two of a short word.
const LIKENESS_MIN: f64 = 0.75;

/// The nearest of the known words, if one is near.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |known: &&str| strsim::jaro_winkler(&word.to_lowercase(), &known.to_lowercase());
    let near = known.into_iter().map(|known| (likeness(&known), known));
    let best = near.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= LIKENESS_MIN).then_some(best.1)
}

/// The most words listed in a hint.
const LISTED_MAX: usize = 12;

/// `did you mean …?` where one is near, else what there is.
pub(super) fn suggest<'a>(
    what: &str,
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("there are no {what}"),
        None => {
            let more = if known.len() > LISTED_MAX { ", …" } else { "" };
            let list: Vec<&str> = known.into_iter().take(LISTED_MAX).collect();
            format!("{what}: {}{more}", list.join(", "))
        }
    }
}
