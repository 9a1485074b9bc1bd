//! A segment: consecutive commits, their exact bytes, compressed with zstd.
//!
//! The plain content is [`MAGIC`], then for each commit its position (8 bytes), its length (4 bytes, both big-endian)
//! and its bytes as they are in the log.

use std::io::{self, Read as _, Write as _};
use std::ops::Range;

use domain::commit::{COMMIT_BYTES_MAX, Hash};
use journal::{Position, Recorded};
use sha2::{Digest as _, Sha256};
use zstd::stream::{read, write};

use crate::manifest::{FORMAT, Manifest};
use crate::merkle::{self, Peaks};
use crate::outline::Outline;
use crate::{ArchiveError, Finding, Place};

/// The first bytes of a segment's content.
const MAGIC: &[u8] = b"cairn segment 1\n";
/// The most bytes of content: what a reader holds in memory.
pub const SEGMENT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What the last commit may add to a segment that was not quite full.
const CONTENT_BYTES_MAX: usize = SEGMENT_BYTES_MAX + FRAME + COMMIT_BYTES_MAX;
const FRAME: usize = 8 + 4;
/// zstd's own default: smaller takes far longer, faster saves little.
const LEVEL: i32 = 3;

/// Where the archive ends, and what the next segment continues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct End {
    /// The digest of the last manifest; zeros before the first.
    pub(crate) manifest: Hash,
    /// The tree over all commits so far.
    pub(crate) tree: Peaks,
    /// The last commit's hash.
    pub(crate) last_hash: Hash,
}

impl End {
    pub(crate) const fn position(&self) -> Position {
        Position::new(self.tree.size())
    }

    pub(crate) const fn next(&self) -> Position {
        Position::new(self.tree.size().saturating_add(1))
    }
}

/// A segment that is being filled. Only its compressed bytes are in memory.
pub(crate) struct Filling {
    encoder: write::Encoder<'static, Vec<u8>>,
    digest: Sha256,
    bytes: u64,
    commits: u64,
    events: u64,
    own: Peaks,
    end: End,
}

impl Filling {
    pub(crate) fn after(end: &End) -> io::Result<Self> {
        let mut filling = Self {
            encoder: write::Encoder::new(Vec::new(), LEVEL)?,
            digest: Sha256::new(),
            bytes: 0,
            commits: 0,
            events: 0,
            own: Peaks::default(),
            end: end.clone(),
        };
        filling.write(MAGIC)?;
        Ok(filling)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        self.encoder.write_all(bytes)
    }

    /// Adds the next commit of the log.
    pub(crate) fn push(&mut self, recorded: &Recorded) -> io::Result<()> {
        let sealed = &recorded.sealed;
        let length = u32::try_from(sealed.bytes.len()).map_err(io::Error::other)?;
        self.write(&recorded.position.get().to_be_bytes())?;
        self.write(&length.to_be_bytes())?;
        self.write(&sealed.bytes)?;
        let leaf = merkle::leaf(&sealed.hash);
        self.own.push(leaf);
        self.end.tree.push(leaf);
        self.end.last_hash = sealed.hash;
        self.commits += 1;
        self.events += sealed.commit.events.len() as u64;
        Ok(())
    }

    /// The position that belongs here next.
    pub(crate) const fn next(&self) -> Position {
        self.end.next()
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Ends the segment: its compressed bytes, and what is written about it.
    pub(crate) fn finish(self) -> io::Result<(Vec<u8>, Manifest)> {
        let manifest = Manifest {
            format: FORMAT,
            first: Position::new(self.end.tree.size() - self.commits + 1),
            last: self.end.position(),
            commits: self.commits,
            events: self.events,
            bytes: self.bytes,
            sha256: Hash::from_bytes(self.digest.finalize().into()),
            root: self.own.root(),
            peaks: self.end.tree.nodes().to_vec(),
            last_hash: self.end.last_hash,
            previous: self.end.manifest,
        };
        Ok((self.encoder.finish()?, manifest))
    }
}

/// A segment's content, read whole: every seal is checked.
pub(crate) struct Content {
    bytes: Vec<u8>,
    commits: Vec<(Outline, Range<usize>)>,
    events: u64,
    sha256: Hash,
    root: Hash,
}

impl Content {
    /// Decompresses and reads a segment, which takes a thread a while.
    pub(crate) fn read(name: &str, compressed: &[u8]) -> Result<Self, ArchiveError> {
        let unreadable = |why: &dyn std::fmt::Display| {
            let place = Place::Object(name.to_owned());
            ArchiveError::damaged(place, Finding::Unreadable(why.to_string()))
        };
        let mut bytes = Vec::new();
        let limit = CONTENT_BYTES_MAX as u64 + 1;
        let decoder = read::Decoder::new(compressed).map_err(|error| unreadable(&error))?;
        decoder.take(limit).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
        if bytes.len() as u64 == limit {
            return Err(unreadable(&"it is larger than a segment can be"));
        }
        let (mut commits, mut own, mut events) = (Vec::new(), Peaks::default(), 0);
        let mut rest = bytes.strip_prefix(MAGIC).ok_or_else(|| unreadable(&"it is no segment"))?;
        while !rest.is_empty() {
            let (position, commit, after) =
                frame(rest).ok_or_else(|| unreadable(&"it ends within a commit"))?;
            let end = bytes.len() - after.len();
            let outline = Outline::of(position, commit).map_err(|broken| {
                let stream = crate::outline::stream_of(commit);
                ArchiveError::damaged(Place::InArchive(position, stream), broken.into())
            })?;
            commits.push((outline, end - commit.len()..end));
            own.push(merkle::leaf(&outline.hash));
            events += outline.events;
            rest = after;
        }
        let sha256 = Hash::of(&bytes);
        Ok(Self { bytes, commits, events, sha256, root: own.root() })
    }

    /// The commits in order, each with its exact bytes.
    pub(crate) fn commits(&self) -> impl Iterator<Item = (&Outline, &[u8])> {
        let bytes = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
        self.commits.iter().map(move |(outline, range)| (outline, bytes(range)))
    }

    /// What must be written about this segment, as it continues `end`.
    ///
    /// # Errors
    /// [`Finding::Order`] when it does not.
    pub(crate) fn described(&self, end: &End) -> Result<Manifest, Finding> {
        let mut end = end.clone();
        let first = end.next();
        for (outline, _) in &self.commits {
            if outline.position != end.next() {
                return Err(Finding::Order { expected: end.next(), found: outline.position });
            }
            end.tree.push(merkle::leaf(&outline.hash));
            end.last_hash = outline.hash;
        }
        Ok(Manifest {
            format: FORMAT,
            first,
            last: end.position(),
            commits: self.commits.len() as u64,
            events: self.events,
            bytes: self.bytes.len() as u64,
            sha256: self.sha256,
            root: self.root,
            peaks: end.tree.nodes().to_vec(),
            last_hash: end.last_hash,
            previous: end.manifest,
        })
    }
}

/// The next commit, and what is after it.
fn frame(bytes: &[u8]) -> Option<(Position, &[u8], &[u8])> {
    let (position, rest) = bytes.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (commit, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    Some((Position::new(u64::from_be_bytes(*position)), commit, rest))
}
