//! What is wrong with a text, where, and what to do: said so that a person can act on it.

mod plain;

use std::fmt;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use plain::plain;

/// The width that rendered diagnostics are cut to, in columns.
const WIDTH: usize = 120;

/// How bad it is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It cannot be accepted.
    Error,
    /// It is accepted, and may not mean what was meant.
    Warning,
}

/// One thing wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// From which to which byte of the file.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// A word about the marked place itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Diagnostic {
    /// Says what is wrong with a part of a file's text. The span is fitted to the text.
    #[must_use]
    pub fn new(
        severity: Severity,
        file: &str,
        text: &str,
        span: Range<usize>,
        message: String,
    ) -> Self {
        let span = fit(text, span);
        let before = text.get(..span.start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count();
        let number = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
        Self {
            severity,
            file: file.to_owned(),
            line: number(before.matches('\n').count()),
            column: number(column),
            span,
            message,
            label: None,
            hint: None,
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, " ({hint})"))
    }
}

/// Moves both ends of a span inside the text and onto boundaries of characters.
fn fit(text: &str, span: Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let end = text.ceil_char_boundary(span.end.min(text.len()));
    start..end.max(start)
}

/// Shows a diagnostic with the lines it is about, in plain text.
#[must_use]
pub fn render(diagnostic: &Diagnostic, source_text: &str) -> String {
    rendered(diagnostic, source_text, &Renderer::plain())
}

/// Shows a diagnostic with the lines it is about, in colours for a terminal.
#[must_use]
pub fn render_in_colour(diagnostic: &Diagnostic, source_text: &str) -> String {
    rendered(diagnostic, source_text, &Renderer::styled())
}

fn rendered(diagnostic: &Diagnostic, text: &str, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    // Without a mark nothing would be shown of an empty span.
    let mut span = fit(text, diagnostic.span.clone());
    if span.is_empty() {
        span = fit(text, span.start..span.start + 1);
    }
    let mut mark = AnnotationKind::Primary.span(span);
    if let Some(label) = &diagnostic.label {
        mark = mark.label(label.as_str());
    }
    let snippet = Snippet::source(text).path(diagnostic.file.as_str()).annotation(mark);
    let message = annotate_snippets::normalize_untrusted_str(&diagnostic.message);
    let mut group = level.primary_title(message.as_str()).element(snippet);
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.message(hint.as_str()));
    }
    renderer.clone().term_width(WIDTH).render(&[group])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name: shop\nimgae: é\n";

    fn diagnostic() -> Diagnostic {
        let message = "unknown key `imgae`".to_owned();
        let mut diagnostic = Diagnostic::new(Severity::Error, "app.yaml", TEXT, 11..16, message);
        diagnostic.hint = Some("did you mean `image`?".into());
        diagnostic
    }

    #[test]
    fn one_line_says_where_what_and_what_to_do() {
        let line = "app.yaml:2:1: unknown key `imgae` (did you mean `image`?)";
        assert_eq!(diagnostic().to_string(), line);
    }

    #[test]
    fn a_rendered_diagnostic_shows_the_place() {
        let expected = "\
error: unknown key `imgae`
 --> app.yaml:2:1
  |
2 | imgae: é
  | ^^^^^
  |
  = help: did you mean `image`?";
        assert_eq!(render(&diagnostic(), TEXT), expected);
        assert!(render_in_colour(&diagnostic(), TEXT).contains('\u{1b}'));
    }

    #[test]
    fn a_span_outside_the_text_is_fitted_to_it() {
        for (start, end) in [(19, 19), (19, 20), (500, 900), (8, 3), (0, 0)] {
            let diagnostic = Diagnostic::new(Severity::Warning, "a", TEXT, start..end, "x".into());
            assert!(render(&diagnostic, TEXT).starts_with("warning: x"));
            assert!(render(&diagnostic, "").starts_with("warning: x"));
        }
    }
}
