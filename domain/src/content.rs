//! What is too large for one event, such as a Kubernetes object of a megabyte: kept in the log in parts, in a stream
//! that its digest names. What has the same digest is the same, so it is kept once, however often it is used.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::commit::Hash;
use crate::decider::{Decider, Rejection};
use crate::name::{InvalidName, Name};
use crate::time::Time;

/// The aggregate's kind in streams. The name is the digest.
pub const KIND: &str = "content";
/// The longest part in bytes of text: a commit holds at most 256 KiB.
pub const PART_BYTES_MAX: usize = 224 * 1024;
/// The most parts: what etcd takes of one object (1.5 MiB), even where it cannot be compressed.
pub const PARTS_MAX: u32 = 16;

/// The name of the stream of what has this digest: a label holds at most 63 characters, and it has 64 digits.
///
/// # Errors
/// Never: digits are a name.
pub fn name_of(digest: Hash) -> Result<Name, InvalidName> {
    let digits = digest.to_hex();
    let (first, second) = digits.split_at(digits.len() / 2);
    Name::join(&[first, second])
}

/// How much of it is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// How many parts are there.
    pub stored: u32,
    /// How many there will be; 0 before the first.
    pub of: u32,
}

/// What is wanted of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the fields are those of the events they lead to")]
pub enum Command {
    /// Keeps the next part.
    Store { part: u32, of: u32, data: String, at: Time },
}

/// What happened to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the fields are those of the state they lead to")]
pub enum Event {
    /// A part was kept: base64 of Zstandard. Parts are numbered from 0, and each can be read alone.
    Stored { part: u32, of: u32, data: String, at: Time },
}

/// Why a part is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Store them from the first on, as many as were said first.
    #[error("part {part} of {of} does not follow {stored} of {expected}")]
    OutOfOrder {
        /// As given.
        part: u32,
        /// As given.
        of: u32,
        /// What is there.
        stored: u32,
        /// As was said first.
        expected: u32,
    },
    /// Make more and smaller ones.
    #[error("a part has {0} bytes; at most {PART_BYTES_MAX} can be kept")]
    TooLong(usize),
    /// Keep it elsewhere.
    #[error("there are {0} parts; 1 to {PARTS_MAX} can be kept")]
    TooMany(u32),
}

impl Rejection for Refused {
    fn code(&self) -> &'static str {
        match self {
            Self::OutOfOrder { .. } => "CONTENT_OUT_OF_ORDER",
            Self::TooLong(_) | Self::TooMany(_) => "CONTENT_TOO_LARGE",
        }
    }
}

impl Decider for Content {
    type State = Self;
    type Command = Command;
    type Event = Event;
    type Rejection = Refused;

    fn decide(state: &Self, command: Command) -> Result<Vec<Event>, Refused> {
        let Command::Store { part, of, data, at } = command;
        if of == 0 || of > PARTS_MAX {
            return Err(Refused::TooMany(of));
        }
        if data.len() > PART_BYTES_MAX {
            return Err(Refused::TooLong(data.len()));
        }
        let known = if state.of == 0 { of } else { state.of };
        if part > state.stored || part >= of || of != known {
            let Self { stored, .. } = *state;
            return Err(Refused::OutOfOrder { part, of, stored, expected: known });
        }
        Ok(if part < state.stored {
            Vec::new()
        } else {
            vec![Event::Stored { part, of, data, at }]
        })
    }

    fn evolve(_: Self, event: Event) -> Self {
        let Event::Stored { part, of, .. } = event;
        Self { stored: part + 1, of }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decider::testing::given;

    const NOW: Time = Time::from_micros(1);

    fn stored(part: u32, of: u32) -> Event {
        Event::Stored { part, of, data: "x".into(), at: NOW }
    }

    fn store(part: u32, of: u32) -> Command {
        Command::Store { part, of, data: "x".into(), at: NOW }
    }

    #[test]
    fn parts_are_kept_in_order_and_once() {
        given::<Content>([]).when(store(0, 2)).then([stored(0, 2)]);
        given::<Content>([stored(0, 2)]).when(store(1, 2)).then([stored(1, 2)]);
        given::<Content>([stored(0, 2), stored(1, 2)]).when(store(0, 2)).then_nothing();
    }

    #[test]
    fn what_does_not_follow_or_fit_is_refused() {
        given::<Content>([]).when(store(1, 2)).then_refused("CONTENT_OUT_OF_ORDER");
        given::<Content>([stored(0, 2)]).when(store(1, 3)).then_refused("CONTENT_OUT_OF_ORDER");
        given::<Content>([]).when(store(0, 17)).then_refused("CONTENT_TOO_LARGE");
        let data = "x".repeat(PART_BYTES_MAX + 1);
        let long = Command::Store { part: 0, of: 1, data, at: NOW };
        given::<Content>([]).when(long).then_refused("CONTENT_TOO_LARGE");
    }
}
