//! Why there is no plan, in the developer's words.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::application::{Part, Places};
use crate::diagnostic::Diagnostic;

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
    DeletionNotAllowed,
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

    /// What to do about any of the kind, where nothing better is known.
    const fn remedy(self) -> &'static str {
        match self {
            Self::ClassNotAllowed | Self::ClassNotFound => "see `cairn get classes`",
            Self::ChangeRefused => "undo the change, or give it another name: that makes a new one",
            Self::Cycle => "take one of the references out",
            Self::DeletionNotAllowed => "keep it in the application, or plan with --allow-delete",
            Self::DeletionProtected => "lift the protection first: `cairn unprotect KIND/NAME`",
            Self::EnvironmentGone => "see `cairn get environments`",
            Self::GuardrailViolated => {
                "stay within the environment's rules: `cairn get environments`"
            }
            Self::ImageMissing => "deploy with --image WORKLOAD=registry/name@sha256:…",
            Self::InvalidName => "choose a shorter or simpler name",
            Self::InvalidParam | Self::InvalidSpec => "correct the value",
            Self::InvalidPlaceholder => "write ${resources.NAME.OUTPUT} or ${metadata.KEY}",
            Self::MassDeletion => "plan with --allow-mass-delete",
            Self::NameCollision | Self::NameTaken => "rename it in the application",
            Self::NoClusterFits => "offer a cluster in the environment: `cairn env apply`",
            Self::NoPort => "add the port to the workload",
            Self::ReplacementNotAllowed => "undo the change, or plan with --allow-replace",
            Self::TooLarge => "split it into several applications",
            Self::UnknownOutput => "see the outputs of its class: `cairn get classes`",
            Self::UnknownParam => "see the params of its class: `cairn get classes`",
            Self::UnknownResource | Self::UnknownWorkload => "add it to the application",
        }
    }
}

impl Refusal {
    /// A reason, with the remedy that is good for all of its kind.
    pub fn new(code: RefusalCode, path: impl Into<String>, message: impl Into<String>) -> Self {
        let hint = Some(code.remedy().to_owned());
        Self { code, path: path.into(), message: message.into(), hint }
    }

    /// Says what to do about this one.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl Refusal {
    /// The same, where it is written. None when the application's files say nothing of it.
    #[must_use]
    pub fn diagnose(&self, places: &Places<'_>, environment: &str) -> Option<Diagnostic> {
        // What an unknown one is set to does not matter.
        let is_key = self.code == RefusalCode::UnknownParam;
        let part = if is_key { Part::Key } else { Part::Value };
        let found = places.diagnose(environment, &self.path, part, &self.message)?;
        Some(Diagnostic { hint: self.hint.clone(), ..found })
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

/// The nearest of the known words, if one is near: a letter in three may be wrong, or it begins with the word, or the
/// word is in it.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let letters = word.chars().count();
    let distance = |known: &str| {
        let known = known.to_lowercase();
        let edits = strsim::osa_distance(&word, &known);
        match letters >= 3 {
            true if known.starts_with(&word) => edits.min(1),
            true if known.contains(&word) => edits.min(letters / 3),
            true | false => edits,
        }
    };
    let (distance, near) = known.into_iter().map(|known| (distance(known), known)).min()?;
    (distance <= (letters / 3).max(1) && distance < letters).then_some(near)
}

/// The most words listed in a hint.
const LISTED_MAX: usize = 12;

/// `did you mean …?` where one is near, else what there is.
pub(crate) fn suggest<'a>(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_that_was_meant_is_found() {
        let known = ["web", "postgres", "memory_mib", "storage_gib"];
        for (word, meant) in [
            ("wbe", Some("web")),
            ("Postgers", Some("postgres")),
            ("memory", Some("memory_mib")),
            ("storage", Some("storage_gib")),
            ("gib", Some("storage_gib")),
            ("x", None),
            ("frobnicator", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }
}
