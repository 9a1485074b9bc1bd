//! Puts statements together: text from constants, values only as parameters, numbered as they come.

use journal::Position;

use crate::fold::signed;
use crate::store::{Statement, Value};

/// A statement in the making.
#[derive(Default)]
pub(super) struct Sql {
    text: String,
    values: Vec<Value>,
}

impl Sql {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Adds a value, in its place in the text.
    pub(super) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        let number = self.values.len().to_string();
        self.push("$").push(&number)
    }

    /// Adds values in brackets.
    pub(super) fn bind_list(&mut self, values: &[String]) -> &mut Self {
        self.push("(");
        for (index, value) in values.iter().enumerate() {
            self.push(if index == 0 { "" } else { ", " }).bind(value.as_str());
        }
        self.push(")")
    }

    /// Adds the condition that a range of the table `alias` covers a moment.
    pub(super) fn covers(&mut self, alias: &str, when: When) -> &mut Self {
        match when {
            When::Now => self.push(alias).push(".to_position = 9223372036854775807"),
            When::At(at) => {
                self.push(alias).push(".from_position <= ").bind(at);
                self.push(" AND ").push(alias).push(".to_position > ").bind(at)
            }
        }
    }

    pub(super) fn done(self) -> Statement {
        Statement { text: self.text.into(), values: self.values }
    }
}

/// Now, or when the log was this long.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    Now,
    At(i64),
}

impl When {
    pub(super) fn at(position: Position) -> Self {
        Self::At(signed(position.get()))
    }
}
