//! Whether what clients saw of one stream could have happened one thing after another: linearizability.
//!
//! A stream is a list of commits that only grows, each with an id of its own, and in the end the whole list can be
//! read. That makes the question easy: the list says in which order the appends took effect, and between which two
//! of them each read did. What is left is to look whether that order contradicts the clocks: whether something
//! ended before something began that comes earlier in the list. No search is needed, so long histories are cheap.
//!
//! Pure: it is given what was seen and says what is wrong with it.

use std::collections::HashMap;
use std::fmt;

/// A moment, on one clock for all clients. Only the order counts.
pub type Moment = u64;
/// A commit's id.
pub type Id = u128;

/// Something that a client did, and what it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// When the client began.
    pub began: Moment,
    /// When the client was told.
    pub ended: Moment,
    /// What it did.
    pub act: Act,
}

/// What a client did to a stream, and what it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// It appended a commit where the stream had `expected` commits.
    Append {
        /// The commit.
        id: Id,
        /// How many commits the client believed were there.
        expected: usize,
        /// What it was told.
        outcome: Outcome,
    },
    /// It read the whole stream.
    Read {
        /// The commits, first to last.
        ids: Vec<Id>,
    },
}

/// What the client of an append was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is the stream's commit of this number, counted from 1.
    Stored(usize),
    /// Nothing was stored, because the stream had this many commits.
    Conflict(usize),
    /// Nothing was stored.
    Failed,
    /// Nobody knows. It may take effect later, or never.
    Unknown,
}

/// How what was seen contradicts every order of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// An id is in the stream twice.
    Doubled(Id),
    /// What is in the stream was appended by nobody.
    Invented(Id),
    /// An append was acknowledged, and is not where that was said.
    Lost {
        /// The commit.
        id: Id,
        /// Which it was said to be.
        number: usize,
    },
    /// An append was said to have stored nothing, and is in the stream.
    Revived(Id),
    /// A commit is not the one after those that it expected.
    Misplaced(Id),
    /// A conflict was reported with the very state that was expected.
    Baseless(Id),
    /// A read is not a beginning of the stream.
    Foreign {
        /// The operation's place in the history.
        read: usize,
    },
    /// The second took effect before the first, and began after it ended.
    Backwards {
        /// The places in the history.
        first: usize,
        /// What came after it, and saw or did something earlier.
        second: usize,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Doubled(id) => write!(f, "{id:x} is in the stream twice"),
            Self::Invented(id) => write!(f, "{id:x} is in the stream and was appended by nobody"),
            Self::Lost { id, number } => {
                write!(f, "{id:x} was acknowledged as number {number} and is not there")
            }
            Self::Revived(id) => write!(f, "{id:x} was said not to be stored and is in the stream"),
            Self::Misplaced(id) => write!(f, "{id:x} is not behind the commits that it expected"),
            Self::Baseless(id) => {
                write!(f, "{id:x} met a conflict with the state that it expected")
            }
            Self::Foreign { read } => {
                write!(f, "operation {read} read what the stream never was")
            }
            Self::Backwards { first, second } => {
                write!(f, "operation {second} began after operation {first} ended and came before")
            }
        }
    }
}

/// Judges everything that clients did to one stream, and what was in it in the end.
///
/// # Errors
/// The first violation found.
pub fn check(history: &[Operation], stream: &[Id]) -> Result<(), Violation> {
    let numbers = numbers(stream)?;
    every_commit_has_an_author(history, stream)?;
    let mut placed = Vec::new();
    for (index, operation) in history.iter().enumerate() {
        if let Some(place) = place(index, &operation.act, stream, &numbers)? {
            placed.push((place, index, operation));
        }
    }
    in_the_order_of_the_clock(placed)
}

/// The number of each commit, from 1.
fn numbers(stream: &[Id]) -> Result<HashMap<Id, usize>, Violation> {
    let mut numbers = HashMap::new();
    for (index, id) in stream.iter().enumerate() {
        if numbers.insert(*id, index + 1).is_some() {
            return Err(Violation::Doubled(*id));
        }
    }
    Ok(numbers)
}

fn every_commit_has_an_author(history: &[Operation], stream: &[Id]) -> Result<(), Violation> {
    let mut authors = HashMap::new();
    for operation in history {
        if let Act::Append { id, expected, .. } = &operation.act {
            authors.insert(*id, *expected);
        }
    }
    for (before, id) in stream.iter().enumerate() {
        match authors.get(id) {
            None => return Err(Violation::Invented(*id)),
            Some(expected) if *expected != before => return Err(Violation::Misplaced(*id)),
            Some(_) => {}
        }
    }
    Ok(())
}

/// Where in the order of effects an operation has its place: appends at even numbers, reads between them. None
/// where it had no effect and saw nothing.
fn place(
    index: usize,
    act: &Act,
    stream: &[Id],
    numbers: &HashMap<Id, usize>,
) -> Result<Option<usize>, Violation> {
    match act {
        Act::Read { ids } if stream.starts_with(ids) => Ok(Some(2 * ids.len() + 1)),
        Act::Read { .. } => Err(Violation::Foreign { read: index }),
        Act::Append { id, expected, outcome } => {
            let number = numbers.get(id).copied();
            match (outcome, number) {
                (Outcome::Stored(said), Some(number)) if *said == number => Ok(Some(2 * number)),
                (Outcome::Stored(number), _) => Err(Violation::Lost { id: *id, number: *number }),
                (Outcome::Conflict(_) | Outcome::Failed, Some(_)) => Err(Violation::Revived(*id)),
                (Outcome::Conflict(seen), None) if seen == expected => {
                    Err(Violation::Baseless(*id))
                }
                // It saw how long the stream was, as a read does.
                (Outcome::Conflict(seen), None) => Ok(Some(2 * seen + 1)),
                (Outcome::Unknown, number) => Ok(number.map(|number| 2 * number)),
                (Outcome::Failed, None) => Ok(None),
            }
        }
    }
}

/// Whether nothing ended before something began that has an earlier place.
///
/// Looking at pairs is enough: places are numbers and operations are intervals, and a longer contradiction of the
/// two always contains one of two operations.
fn in_the_order_of_the_clock(mut placed: Vec<(usize, usize, &Operation)>) -> Result<(), Violation> {
    placed.sort_by_key(|(place, ..)| *place);
    // The operation of an earlier place that began last.
    let mut latest: Option<(Moment, usize)> = None;
    for group in placed.chunk_by(|one, other| one.0 == other.0) {
        for (_, index, operation) in group {
            if let Some((began, second)) = latest
                && ended(operation) < began
            {
                return Err(Violation::Backwards { first: *index, second });
            }
        }
        let last = group.iter().map(|(_, index, operation)| (operation.began, *index)).max();
        latest = latest.max(last);
    }
    Ok(())
}

/// When an operation can have taken effect at the latest: an unknown one, at any time after it began.
fn ended(operation: &Operation) -> Moment {
    match operation.act {
        Act::Append { outcome: Outcome::Unknown, .. } => Moment::MAX,
        Act::Append {
            outcome: Outcome::Stored(_) | Outcome::Conflict(_) | Outcome::Failed,
            ..
        }
        | Act::Read { .. } => operation.ended,
    }
}
