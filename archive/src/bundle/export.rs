//! Making a bundle from an archive.

use std::sync::Arc;

use domain::StreamId;
use futures::TryStreamExt as _;
use journal::Position;

use super::{BUNDLE_BYTES_MAX, Header, MAGIC, Proof};
use crate::anchor::Anchor;
use crate::merkle::{Grove, leaf};
use crate::outline::stream_key;
use crate::shelf::{self, Shelf};
use crate::target::Target;
use crate::{ArchiveError, Finding, Place};

/// The most commits that are read for a bundle: 32 bytes each are held.
const RANGE_MAX: u64 = 8_000_000;

/// What a bundle is to hold.
#[derive(Clone, Debug)]
pub struct Request {
    /// The first position.
    pub from: Position,
    /// The last position; none: as far as the anchors reach.
    pub to: Option<Position>,
    /// Only commits of this stream.
    pub stream: Option<StreamId>,
}

/// Makes a bundle.
///
/// # Errors
/// [`ArchiveError::NotCovered`] when no anchor covers the range yet, [`ArchiveError::TooLarge`] when it is too much.
pub async fn export(target: Arc<dyn Target>, request: &Request) -> Result<Vec<u8>, ArchiveError> {
    let shelf = Shelf::of(&*target).await?;
    let last = shelf.last_anchor(&*target).await?;
    let anchored = last.as_ref().map_or(Position::START, |last| last.statement.position);
    let (from, to) = (request.from.max(Position::new(1)), request.to.unwrap_or(anchored));
    if to > anchored || from > to {
        return Err(ArchiveError::NotCovered { asked: from.max(to), anchored });
    }
    let (earlier, anchor) = around(&*target, &shelf.anchors, from, to).await?;
    let start = earlier.as_ref().map_or(0, |earlier| earlier.statement.size);
    let size = anchor.statement.size;
    if size - start > RANGE_MAX {
        return Err(ArchiveError::TooLarge { max: BUNDLE_BYTES_MAX });
    }
    let range = Range { start, from, to, size, stream: request.stream.as_ref() };
    let (grove, commits) = range.read(&target, &shelf).await?;
    if let (true, Some(stream)) = (commits.is_empty(), request.stream.clone()) {
        return Err(ArchiveError::Nothing { stream, from, to });
    }

    let broken = || ArchiveError::damaged(Place::Archive, Finding::Missing);
    let selected: Vec<u64> = commits.iter().map(|(position, _)| position.get() - 1).collect();
    let growth = if start == 0 { Some(Vec::new()) } else { grove.prove_growth(start, size) };
    let proof = Proof {
        leaves: grove.prove_leaves(size, &selected).ok_or_else(broken)?,
        growth: growth.ok_or_else(broken)?,
    };
    let header = Header {
        from,
        to,
        stream: request.stream.clone(),
        commits: commits.len(),
        earlier: earlier.is_some(),
    };
    Ok(write(&header, earlier.as_ref(), &anchor, &proof, &commits))
}

/// The last anchor before `from`, if any, and the first that covers `to`.
async fn around(
    target: &dyn Target,
    numbers: &[u64],
    from: Position,
    to: Position,
) -> Result<(Option<Anchor>, Anchor), ArchiveError> {
    let before = first_that(target, numbers, |position| position >= from).await?;
    let earlier = match before.checked_sub(1).and_then(|index| numbers.get(index)) {
        None => None,
        Some(&number) => Some(shelf::anchor(target, number).await?),
    };
    let covering = first_that(target, numbers, |position| position >= to).await?;
    let missing = || ArchiveError::damaged(Place::Archive, Finding::Missing);
    let number = numbers.get(covering).ok_or_else(missing)?;
    Ok((earlier, shelf::anchor(target, *number).await?))
}

/// Where in the ascending numbers the first anchor is whose position fits.
async fn first_that(
    target: &dyn Target,
    numbers: &[u64],
    fits: impl Fn(Position) -> bool,
) -> Result<usize, ArchiveError> {
    let (mut low, mut high) = (0, numbers.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        let Some(&number) = numbers.get(middle) else { break };
        if fits(shelf::anchor(target, number).await?.statement.position) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(low)
}

type Commits = Vec<(Position, Vec<u8>)>;

/// The part of the log that is read.
struct Range<'a> {
    /// So many leaves are before it.
    start: u64,
    from: Position,
    to: Position,
    /// So many leaves the tree has.
    size: u64,
    stream: Option<&'a StreamId>,
}

impl Range<'_> {
    /// Reads the tree's leaves after `start`, and the commits that are asked for.
    async fn read(
        &self,
        target: &Arc<dyn Target>,
        shelf: &Shelf,
    ) -> Result<(Grove, Commits), ArchiveError> {
        let (mut end, firsts) = shelf.from(&**target, Position::new(self.start + 1)).await?;
        if end.position().get() != self.start {
            return Err(ArchiveError::damaged(Place::Archive, Finding::Missing));
        }
        let wanted = self.stream.map(|stream| stream_key(&stream.to_string()));
        let (mut grove, mut commits, mut bytes_held) = (Grove::new(end.tree.clone()), vec![], 0);
        let mut pieces = shelf::pieces(Arc::clone(target), firsts.to_vec());
        while grove.size() < self.size {
            let Some(piece) = pieces.try_next().await? else { break };
            end = piece.follow(&end)?;
            for (outline, bytes) in piece.content.commits() {
                grove.push(leaf(&outline.hash));
                let asked = (self.from..=self.to).contains(&outline.position)
                    && wanted.is_none_or(|stream| stream == outline.stream);
                if asked {
                    bytes_held += bytes.len();
                    commits.push((outline.position, bytes.to_vec()));
                }
            }
            if bytes_held > BUNDLE_BYTES_MAX {
                return Err(ArchiveError::TooLarge { max: BUNDLE_BYTES_MAX });
            }
        }
        Ok((grove, commits))
    }
}

fn write(
    header: &Header,
    earlier: Option<&Anchor>,
    anchor: &Anchor,
    proof: &Proof,
    commits: &Commits,
) -> Vec<u8> {
    let mut bundle = format!("{MAGIC}\n").into_bytes();
    let mut line = |bytes: &[u8]| {
        bundle.extend_from_slice(bytes);
        bundle.push(b'\n');
    };
    // Numbers, names and hashes: this cannot fail.
    line(&serde_json::to_vec(header).unwrap_or_default());
    for anchor in earlier.into_iter().chain([anchor]) {
        line(&anchor.bytes);
    }
    line(&serde_json::to_vec(proof).unwrap_or_default());
    for (position, bytes) in commits {
        line(&[format!("{position} ").as_bytes(), bytes].concat());
    }
    bundle
}
