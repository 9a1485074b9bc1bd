//! What is where in an archive, and how it is read back.
//!
//! ```text
//! segments/00000000000000000001.zst    commits from position 1 on
//! segments/00000000000000000001.json   its manifest, put after it: a segment without one is not there yet
//! anchors/00000000000000000001.json    the first anchor
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt as _};
use journal::Position;
use tokio::task::spawn_blocking;

use crate::anchor::Anchor;
use crate::manifest::Manifest;
use crate::segment::{Content, End};
use crate::target::Target;
use crate::{ArchiveError, Finding, Place};

const SEGMENTS: &str = "segments";
const ANCHORS: &str = "anchors";
/// Segments that are read at once: one is looked at while the next is fetched and decompressed, on two cores.
const AHEAD: usize = 2;

pub(crate) fn segment_name(first: Position) -> String {
    format!("{SEGMENTS}/{:020}.zst", first.get())
}

pub(crate) fn manifest_name(first: Position) -> String {
    format!("{SEGMENTS}/{:020}.json", first.get())
}

pub(crate) fn anchor_name(number: u64) -> String {
    format!("{ANCHORS}/{number:020}.json")
}

/// The first positions of an archive's segments, by their names. Nothing has been read yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf {
    pub(crate) firsts: Vec<Position>,
    pub(crate) anchors: Vec<u64>,
}

impl Shelf {
    pub(crate) async fn of(target: &dyn Target) -> Result<Self, ArchiveError> {
        let names = target.list(SEGMENTS).await?;
        let number = |name: &str, end: &str| name.strip_suffix(end)?.parse::<u64>().ok();
        let manifests: BTreeSet<u64> = names.iter().filter_map(|n| number(n, ".json")).collect();
        let segments = names.iter().filter_map(|name| number(name, ".zst"));
        for first in segments {
            // The last may be one whose writer crashed before the manifest. Another without one has lost it.
            let lost = !manifests.contains(&first) && manifests.iter().any(|other| *other > first);
            if lost {
                let place = Place::Object(manifest_name(Position::new(first)));
                return Err(ArchiveError::damaged(place, Finding::Missing));
            }
        }
        let names = target.list(ANCHORS).await?;
        let anchors = names.iter().filter_map(|name| number(name, ".json")).collect();
        Ok(Self { firsts: manifests.into_iter().map(Position::new).collect(), anchors })
    }

    /// Where the archive ends, by its last manifest.
    pub(crate) async fn end(&self, target: &dyn Target) -> Result<End, ArchiveError> {
        match self.firsts.last() {
            None => Ok(End::default()),
            Some(&first) => end_after(target, first).await,
        }
    }

    /// Where the archive was before the segment that holds a position, and that segment and all after it.
    pub(crate) async fn from(
        &self,
        target: &dyn Target,
        position: Position,
    ) -> Result<(End, &[Position]), ArchiveError> {
        let after = self.firsts.partition_point(|first| *first <= position);
        let (before, rest) = self.firsts.split_at(after.saturating_sub(1));
        let end = match before.last() {
            None => End::default(),
            Some(&first) => end_after(target, first).await?,
        };
        Ok((end, rest))
    }

    /// The last anchor.
    pub(crate) async fn last_anchor(
        &self,
        target: &dyn Target,
    ) -> Result<Option<Anchor>, ArchiveError> {
        match self.anchors.last() {
            None => Ok(None),
            Some(&number) => anchor(target, number).await.map(Some),
        }
    }
}

async fn end_after(target: &dyn Target, first: Position) -> Result<End, ArchiveError> {
    let (manifest, bytes) = manifest(target, first).await?;
    manifest.end(&bytes).ok_or_else(|| {
        let finding = Finding::Unreadable("its peaks are not those of its size".into());
        ArchiveError::damaged(Place::Object(manifest_name(first)), finding)
    })
}

async fn object(target: &dyn Target, name: &str) -> Result<Vec<u8>, ArchiveError> {
    let missing = || ArchiveError::damaged(Place::Object(name.to_owned()), Finding::Missing);
    target.get(name).await?.ok_or_else(missing)
}

/// A manifest, and its bytes.
pub(crate) async fn manifest(
    target: &dyn Target,
    first: Position,
) -> Result<(Manifest, Vec<u8>), ArchiveError> {
    let name = manifest_name(first);
    let bytes = object(target, &name).await?;
    let manifest = Manifest::read(&bytes);
    let manifest =
        manifest.map_err(|finding| ArchiveError::damaged(Place::Object(name), finding))?;
    Ok((manifest, bytes))
}

/// An anchor, its signature not checked.
pub(crate) async fn anchor(target: &dyn Target, number: u64) -> Result<Anchor, ArchiveError> {
    let bytes = object(target, &anchor_name(number)).await?;
    Anchor::read(&bytes).map_err(|finding| ArchiveError::damaged(Place::Anchor(number), finding))
}

/// A segment's content, every seal in it checked.
pub(crate) async fn content(target: &dyn Target, first: Position) -> Result<Content, ArchiveError> {
    let name = segment_name(first);
    let compressed = object(target, &name).await?;
    spawn_blocking(move || Content::read(&name, &compressed)).await?
}

/// A segment with its manifest, each as it was read: [`Piece::follow`] checks them.
pub(crate) struct Piece {
    pub(crate) manifest: Manifest,
    manifest_bytes: Vec<u8>,
    pub(crate) content: Content,
}

impl Piece {
    async fn read(target: Arc<dyn Target>, first: Position) -> Result<Self, ArchiveError> {
        let (manifest, manifest_bytes) = manifest(&*target, first).await?;
        let content = content(&*target, first).await?;
        Ok(Self { manifest, manifest_bytes, content })
    }

    /// Checks that it continues the archive from `end`, and gives the new end.
    pub(crate) fn follow(&self, end: &End) -> Result<End, ArchiveError> {
        let first = self.manifest.first;
        let damaged = |name: String, finding| ArchiveError::damaged(Place::Object(name), finding);
        let check = || {
            self.manifest.continues(end)?;
            self.manifest.agrees(&self.content.described(end)?)
        };
        check().map_err(|finding| damaged(manifest_name(first), finding))?;
        self.manifest.end(&self.manifest_bytes).ok_or_else(|| {
            let finding = Finding::Unreadable("its peaks are not those of its size".into());
            damaged(manifest_name(first), finding)
        })
    }
}

/// Reads segments, some ahead.
pub(crate) fn pieces(
    target: Arc<dyn Target>,
    firsts: Vec<Position>,
) -> BoxStream<'static, Result<Piece, ArchiveError>> {
    let pieces = stream::iter(firsts).map(move |first| Piece::read(Arc::clone(&target), first));
    pieces.buffered(AHEAD).boxed()
}
