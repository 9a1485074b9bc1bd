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

    /// Ends with one row more than `limit`, which tells whether there are more. The number is written out: a
    /// planner that does not know it prepares for too many rows.
    pub(super) fn limit(&mut self, limit: u32) -> &mut Self {
        let number = (u64::from(limit) + 1).to_string();
        self.push(" LIMIT ").push(&number)
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

    /// Adds the position of the row that the stream of `alias` had at a moment. It is found by its index, and
    /// the other rows of a long history are not touched.
    pub(super) fn last_of(&mut self, alias: &str, when: When) -> &mut Self {
        self.push("(SELECT MAX(w.from_position) FROM versions w WHERE w.stream = ");
        self.push(alias).push(".stream");
        if let When::At(at) = when {
            self.push(" AND w.from_position <= ").bind(at);
        }
        self.push(")")
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
