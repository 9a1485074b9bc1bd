//! The mistakes found so far, all of them: reading goes on after each.

use std::ops::Range;

use crate::diagnostic::{Diagnostic, Severity};

/// The most mistakes named at once; nobody reads more.
const FINDINGS_MAX: usize = 200;

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    file: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Place {
    pub(super) const fn new(file: usize, span: Range<usize>) -> Self {
        Self { file, start: span.start, end: span.end }
    }

    pub(super) const fn range(self) -> Range<usize> {
        self.start..self.end
    }

    pub(super) const fn file(self) -> usize {
        self.file
    }
}

/// Files and what is wrong with them.
pub(super) struct Findings<'a> {
    files: Vec<(String, &'a str)>,
    found: Vec<Diagnostic>,
    /// Takes what is found after the limit is reached.
    surplus: Diagnostic,
}

/// A mistake just found, to be said more of.
pub(super) struct Found<'a>(&'a mut Diagnostic);

impl Found<'_> {
    /// What to do about it.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }
}

impl<'a> Findings<'a> {
    pub(super) fn new(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let files = files.into_iter().map(|(path, text)| (path.to_owned(), text)).collect();
        let surplus = Diagnostic::new(Severity::Warning, "", "", 0..0, String::new());
        Self { files, found: Vec::new(), surplus }
    }

    /// Adds a file that another one names; the same path twice is the same file.
    pub(super) fn add_file(&mut self, path: String, text: &'a str) -> usize {
        if let Some(known) = self.files.iter().position(|(other, _)| *other == path) {
            return known;
        }
        self.files.push((path, text));
        self.files.len() - 1
    }

    pub(super) fn text(&self, file: usize) -> &'a str {
        self.files.get(file).map_or("", |(_, text)| text)
    }

    pub(super) fn path(&self, file: usize) -> &str {
        self.files.get(file).map_or("", |(path, _)| path)
    }

    /// `file:line:column`.
    pub(super) fn position(&self, place: Place) -> String {
        let at = self.diagnostic(Severity::Error, place, String::new());
        format!("{}:{}:{}", at.file, at.line, at.column)
    }

    pub(super) fn error(&mut self, place: Place, message: impl Into<String>) -> Found<'_> {
        self.push(Severity::Error, place, message.into())
    }

    pub(super) fn warning(&mut self, place: Place, message: impl Into<String>) -> Found<'_> {
        self.push(Severity::Warning, place, message.into())
    }

    pub(super) fn diagnostic(
        &self,
        severity: Severity,
        place: Place,
        message: String,
    ) -> Diagnostic {
        let (path, text) = (self.path(place.file), self.text(place.file));
        Diagnostic::new(severity, path, text, place.range(), message)
    }

    fn push(&mut self, severity: Severity, place: Place, message: String) -> Found<'_> {
        let room = match severity {
            Severity::Error => 2 * FINDINGS_MAX,
            Severity::Warning => FINDINGS_MAX,
        };
        if self.found.len() >= room {
            return Found(&mut self.surplus);
        }
        let known = self.found.iter().position(|other| {
            let file = self.files.get(place.file).map(|(path, _)| path);
            other.span == place.range() && Some(&other.file) == file && other.message == message
        });
        let diagnostic = self.diagnostic(severity, place, message);
        if known.is_none() {
            self.found.push(diagnostic);
        }
        let index = known.unwrap_or(self.found.len() - 1);
        Found(self.found.get_mut(index).unwrap_or(&mut self.surplus))
    }

    pub(super) fn has_errors(&self) -> bool {
        self.found.iter().any(|found| found.severity == Severity::Error)
    }

    /// All that was found, in the order of files and lines: warnings when there is no error, else everything.
    pub(super) fn finish(mut self) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
        let order = |diagnostic: &Diagnostic| {
            let file = self.files.iter().position(|(path, _)| *path == diagnostic.file);
            (file, diagnostic.span.start, diagnostic.severity)
        };
        self.found.sort_by_key(order);
        if self.has_errors() { Err(self.found) } else { Ok(self.found) }
    }
}
