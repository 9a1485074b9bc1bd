//! Checking a bundle, anywhere, with the public key alone.

use domain::commit::Hash;
use domain::{StreamId, Time};
use journal::Position;

use super::{Header, MAGIC, Proof};
use crate::anchor::Anchor;
use crate::chains::Chains;
use crate::key::PublicKey;
use crate::merkle::{leaf, root_of_leaves, roots_of_growth};
use crate::outline::{Outline, stream_key};
use crate::{ArchiveError, Finding, Place};

/// What a bundle proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The first position that was asked for.
    pub from: Position,
    /// The last position that was asked for.
    pub to: Position,
    /// The stream, if only one was asked for: then commits of others are left out.
    pub stream: Option<StreamId>,
    /// Commits.
    pub commits: u64,
    /// Events.
    pub events: u64,
    /// Streams.
    pub streams: u64,
    /// The anchor's number.
    pub anchor: u64,
    /// How many commits the anchor covers.
    pub size: u64,
    /// When the anchor was signed.
    pub time: Time,
    /// The id of the key.
    pub key: String,
    /// The earlier anchor whose log this one continues: its number and how many commits it covers.
    pub earlier: Option<(u64, u64)>,
}

/// Checks a bundle.
///
/// # Errors
/// The first thing that is not as it was signed.
pub fn check(bundle: &[u8], key: &PublicKey) -> Result<Proven, ArchiveError> {
    let in_bundle = |finding| ArchiveError::damaged(Place::Bundle, finding);
    let mut lines = Lines(bundle);
    if lines.next().map_err(in_bundle)? != MAGIC.as_bytes() {
        return Err(in_bundle(unreadable("it is no bundle, or of a newer cairn")));
    }
    let header: Header = lines.json().map_err(in_bundle)?;
    let earlier = match header.earlier {
        true => Some(signed(lines.next().map_err(in_bundle)?, key)?),
        false => None,
    };
    let anchor = signed(lines.next().map_err(in_bundle)?, key)?;
    let proof: Proof = lines.json().map_err(in_bundle)?;
    grown(earlier.as_ref(), &anchor, &proof.growth)?;
    let commits = Commits::read(&header, lines)?;

    let covered = anchor.statement.position;
    if header.to > covered {
        return Err(ArchiveError::NotCovered { asked: header.to, anchored: covered });
    }
    let root = root_of_leaves(anchor.statement.size, &commits.leaves, &proof.leaves);
    if root != Some(anchor.statement.root) {
        let number = anchor.statement.number;
        return Err(in_bundle(Finding::Proof { number }));
    }
    Ok(Proven {
        from: header.from,
        to: header.to,
        stream: header.stream,
        commits: commits.leaves.len() as u64,
        events: commits.events,
        streams: commits.chains.streams(),
        anchor: anchor.statement.number,
        size: anchor.statement.size,
        time: anchor.statement.time,
        key: key.id(),
        earlier: earlier.map(|earlier| (earlier.statement.number, earlier.statement.size)),
    })
}

fn unreadable(why: impl ToString) -> Finding {
    Finding::Unreadable(why.to_string())
}

fn signed(bytes: &[u8], key: &PublicKey) -> Result<Anchor, ArchiveError> {
    let anchor =
        Anchor::read(bytes).map_err(|finding| ArchiveError::damaged(Place::Bundle, finding))?;
    let place = Place::Anchor(anchor.statement.number);
    anchor.check(key).map_err(|finding| ArchiveError::damaged(place, finding))?;
    Ok(anchor)
}

/// Checks that the tree of one anchor grew into that of the other.
fn grown(earlier: Option<&Anchor>, anchor: &Anchor, proof: &[Hash]) -> Result<(), ArchiveError> {
    let number = anchor.statement.number;
    let failed = Err(ArchiveError::damaged(Place::Bundle, Finding::Proof { number }));
    let Some(earlier) = earlier.map(|earlier| &earlier.statement) else {
        return if proof.is_empty() { Ok(()) } else { failed };
    };
    let later = &anchor.statement;
    let roots = roots_of_growth(earlier.size, later.size, proof);
    let in_order = earlier.number < later.number && earlier.time <= later.time;
    if in_order && roots == Some((earlier.root, later.root)) { Ok(()) } else { failed }
}

/// The commits, each sealed, continuing its stream, and where the header says.
struct Commits {
    leaves: Vec<(u64, Hash)>,
    events: u64,
    chains: Chains,
}

impl Commits {
    fn read(header: &Header, mut lines: Lines<'_>) -> Result<Self, ArchiveError> {
        let wanted = header.stream.as_ref().map(|stream| (stream, stream_key(&stream.to_string())));
        let mut commits = Self { leaves: Vec::new(), events: 0, chains: Chains::default() };
        let mut next = header.from;
        while !lines.0.is_empty() {
            let in_bundle = |finding| ArchiveError::damaged(Place::Bundle, finding);
            let (position, bytes) = lines.commit().map_err(in_bundle)?;
            let here = |finding| ArchiveError::damaged(Place::InBundle(position), finding);
            let outline = Outline::of(position, bytes).map_err(|broken| here(broken.into()))?;
            let in_place = match &wanted {
                None => position == next,
                Some(_) => position >= next && position <= header.to,
            };
            if !in_place {
                return Err(here(Finding::Order { expected: next, found: position }));
            }
            if let Some((stream, key)) = &wanted
                && outline.stream != *key
            {
                return Err(here(Finding::Stream((*stream).clone())));
            }
            commits.chains.extend_from_anywhere(&outline).map_err(|broken| here(broken.into()))?;
            commits.leaves.push((position.get() - 1, leaf(&outline.hash)));
            commits.events += outline.events;
            next = Position::new(position.get() + 1);
        }
        commits.complete(header, next)?;
        Ok(commits)
    }

    fn complete(&self, header: &Header, next: Position) -> Result<(), ArchiveError> {
        let short = header.stream.is_none() && next.get() != header.to.get() + 1;
        if short || self.leaves.len() != header.commits {
            let finding = Finding::Stated {
                what: "a number of commits of",
                stated: header.commits.to_string(),
                actual: self.leaves.len().to_string(),
            };
            return Err(ArchiveError::damaged(Place::Bundle, finding));
        }
        Ok(())
    }
}

/// What is left of the bundle.
struct Lines<'a>(&'a [u8]);

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<&'a [u8], Finding> {
        let end = self.0.iter().position(|byte| *byte == b'\n');
        let end = end.ok_or_else(|| unreadable("it ends within a line"))?;
        let (line, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        Ok(line)
    }

    fn json<T: serde::Deserialize<'a>>(&mut self) -> Result<T, Finding> {
        serde_json::from_slice(self.next()?).map_err(unreadable)
    }

    fn commit(&mut self) -> Result<(Position, &'a [u8]), Finding> {
        let line = self.next()?;
        let split = || {
            let space = line.iter().position(|byte| *byte == b' ')?;
            let (number, rest) = line.split_at_checked(space)?;
            let number: u64 = std::str::from_utf8(number).ok()?.parse().ok()?;
            Some((Position::new(number), rest.get(1..)?)).filter(|_| number > 0)
        };
        split().ok_or_else(|| unreadable("a line is no commit"))
    }
}
