//! What is written about a segment. Each names the one before: a chain over the whole log.

use domain::commit::Hash;
use journal::Position;
use serde::{Deserialize, Serialize};

use crate::Finding;
use crate::merkle::Peaks;
use crate::segment::End;

/// The only format so far.
pub(crate) const FORMAT: u32 = 1;

/// What a segment holds, and what it continues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The format of the segment and of this.
    #[serde(rename = "v")]
    pub format: u32,
    /// The position of the first commit.
    pub first: Position,
    /// The position of the last commit.
    pub last: Position,
    /// How many commits.
    pub commits: u64,
    /// How many events.
    pub events: u64,
    /// How many bytes the plain content has.
    pub bytes: u64,
    /// SHA-256 of the plain content.
    pub sha256: Hash,
    /// The root of the Merkle tree over this segment's commits alone.
    pub root: Hash,
    /// The peaks of the Merkle tree over all commits up to the last of this segment.
    pub peaks: Vec<Hash>,
    /// The hash of the last commit.
    pub last_hash: Hash,
    /// SHA-256 of the previous manifest's bytes; zeros in the first.
    pub previous: Hash,
}

impl Manifest {
    /// The bytes that are kept.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Numbers and hashes only: this cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the bytes that are kept.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Finding> {
        let manifest: Self = serde_json::from_slice(bytes)
            .map_err(|error| Finding::Unreadable(error.to_string()))?;
        if manifest.format == FORMAT {
            Ok(manifest)
        } else {
            Err(Finding::Unreadable(format!("it has format {}", manifest.format)))
        }
    }

    /// Checks that it continues the archive from `end`.
    pub(crate) fn continues(&self, end: &End) -> Result<(), Finding> {
        if self.first != end.next() {
            return Err(Finding::Order { expected: end.next(), found: self.first });
        }
        if self.previous != end.manifest {
            return Err(Finding::Previous { stated: self.previous, actual: end.manifest });
        }
        Ok(())
    }

    /// Checks it against what its segment says of itself.
    pub(crate) fn agrees(&self, actual: &Self) -> Result<(), Finding> {
        let stated = |what, stated: &dyn ToString, actual: &dyn ToString| {
            Err(Finding::Stated { what, stated: stated.to_string(), actual: actual.to_string() })
        };
        match () {
            () if self.sha256 != actual.sha256 => {
                stated("the digest", &self.sha256, &actual.sha256)
            }
            () if self.last != actual.last => stated("the end", &self.last, &actual.last),
            () if self.commits != actual.commits => {
                stated("a number of commits of", &self.commits, &actual.commits)
            }
            () if self.events != actual.events => {
                stated("a number of events of", &self.events, &actual.events)
            }
            () if self.bytes != actual.bytes => stated("a length of", &self.bytes, &actual.bytes),
            () if self.root != actual.root => stated("the root", &self.root, &actual.root),
            () if self.last_hash != actual.last_hash => {
                stated("the last hash", &self.last_hash, &actual.last_hash)
            }
            () if self.peaks != actual.peaks => stated("the tree", &"so far", &"another"),
            () => Ok(()),
        }
    }

    /// Where the archive ends with this segment; none when the peaks are not those of such a tree.
    pub(crate) fn end(&self, bytes: &[u8]) -> Option<End> {
        let tree = Peaks::new(self.last.get(), self.peaks.clone())?;
        Some(End { manifest: Hash::of(bytes), tree, last_hash: self.last_hash })
    }
}
