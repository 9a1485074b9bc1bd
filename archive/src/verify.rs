//! Is the log what was written, and is the archive? Reads all of both and says.
//!
//! Segments are fetched, decompressed and checked seal by seal on other threads, two at once; the order, the chains,
//! the tree and the comparison with the log are one thread's. Memory: two or three segments of at most 64 MiB, and
//! some 100 bytes for each stream.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream;
use journal::{Journal, JournalError, Position, Recorded};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::anchor::Anchor;
use crate::chains::Chains;
use crate::key::PublicKey;
use crate::outline::{Outline, stream_of};
use crate::segment::End;
use crate::shelf::{self, Piece, Shelf};
use crate::target::Target;
use crate::{ArchiveError, Finding, Place};

/// The most commits of the log that are handed over at once.
const BATCH_MAX: usize = 1_024;
/// Batches of the log that wait, read ahead.
const BATCHES_MAX: usize = 4;
/// Batches of the log that are checked at once.
const THREADS: usize = 2;

/// What is verified: a log, an archive, or both against each other.
#[derive(Clone, Default)]
pub struct Subject {
    /// The log.
    pub journal: Option<Arc<dyn Journal>>,
    /// The archive.
    pub archive: Option<Arc<dyn Target>>,
    /// Whose signatures the anchors must have; without it signatures are not checked.
    pub key: Option<PublicKey>,
    /// An anchor that was kept elsewhere: the archive must still hold it.
    pub kept: Option<Anchor>,
}

/// What was read, all of it whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The last position of the log; that of the archive, where no log was given.
    pub head: Position,
    /// The last position of the archive.
    pub archived: Position,
    /// The last position under an anchor.
    pub anchored: Position,
    /// Streams.
    pub streams: u64,
    /// Commits.
    pub commits: u64,
    /// Events.
    pub events: u64,
    /// Bytes of the commits.
    pub bytes: u64,
    /// Segments.
    pub segments: u64,
    /// Anchors.
    pub anchors: u64,
}

/// Checks every seal, every stream's chain and versions, and that no position is missing; the digests, the chain of
/// manifests and the anchors of an archive; and that log and archive hold the same, byte for byte.
///
/// # Errors
/// The first difference, with its place.
pub async fn verify(subject: Subject) -> Result<Verified, ArchiveError> {
    let mut check = Check::default();
    let head = match &subject.journal {
        Some(journal) => Some(journal.head().await?),
        None => None,
    };
    let mut log = subject.journal.zip(head).map(|(journal, head)| Log::read(journal, head));
    if let Some(target) = &subject.archive {
        check.archive(target, log.as_mut(), head, subject.key.as_ref()).await?;
        if let Some(kept) = &subject.kept {
            holds(&**target, kept, subject.key.as_ref()).await?;
        }
    }
    if let Some(log) = log {
        check.log(log).await?;
    }
    check.verified.head = head.unwrap_or(check.verified.archived);
    check.verified.streams = check.chains.streams();
    Ok(check.verified)
}

#[derive(Default)]
struct Check {
    chains: Chains,
    last: Position,
    verified: Verified,
}

impl Check {
    async fn archive(
        &mut self,
        target: &Arc<dyn Target>,
        mut log: Option<&mut Log>,
        head: Option<Position>,
        key: Option<&PublicKey>,
    ) -> Result<(), ArchiveError> {
        let shelf = Shelf::of(&**target).await?;
        let archived = shelf.end(&**target).await?.position();
        if let Some(head) = head.filter(|head| *head < archived) {
            let finding = Finding::LogShort { head, archived };
            return Err(ArchiveError::damaged(Place::Log, finding));
        }
        let mut anchors = Anchors::of(Arc::clone(target), &shelf, key.cloned());
        let mut next_anchor = anchors.next().await?;
        let mut pieces = shelf::pieces(Arc::clone(target), shelf.firsts);
        let mut end = End::default();
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            end = piece.follow(&end)?;
            self.piece(&piece, log.as_deref_mut()).await?;
            while let Some(anchor) = next_anchor.take_if(|a| a.statement.position <= end.position())
            {
                agrees(&anchor, &end)?;
                self.verified.anchored = anchor.statement.position;
                self.verified.anchors += 1;
                next_anchor = anchors.next().await?;
            }
            self.verified.segments += 1;
            self.verified.archived = end.position();
        }
        next_anchor.map_or(Ok(()), |anchor| {
            let (number, size) = (anchor.statement.number, anchor.statement.position);
            let finding = Finding::CutOff { number, size, archived: end.position() };
            Err(ArchiveError::damaged(Place::Archive, finding))
        })
    }

    async fn piece(
        &mut self,
        piece: &Piece,
        mut log: Option<&mut Log>,
    ) -> Result<(), ArchiveError> {
        for (outline, bytes) in piece.content.commits() {
            let position = outline.position;
            self.commit(outline, bytes.len()).map_err(|finding| {
                ArchiveError::damaged(Place::InArchive(position, stream_of(bytes)), finding)
            })?;
            if let Some(log) = &mut log {
                let recorded = log.next().await?.ok_or(JournalError::Closed)?;
                if recorded.position != position || *recorded.sealed.bytes != *bytes {
                    let stream = Some(recorded.sealed.commit.stream.clone());
                    let place = Place::InLog(recorded.position, stream);
                    return Err(ArchiveError::damaged(place, Finding::Differs));
                }
            }
        }
        Ok(())
    }

    /// What the log holds after the archive's end.
    async fn log(&mut self, log: Log) -> Result<(), ArchiveError> {
        let batches = stream::unfold(log, |mut log| async {
            log.batch().await.transpose().map(|batch| (batch, log))
        });
        let outlined = batches.map(|batch| async {
            let batch = batch?;
            spawn_blocking(move || outline(batch)).await?
        });
        let mut outlined = std::pin::pin!(outlined.buffered(THREADS));
        while let Some(batch) = outlined.next().await {
            for (outline, recorded) in batch? {
                let sealed = &recorded.sealed;
                self.commit(&outline, sealed.bytes.len()).map_err(|finding| {
                    let stream = Some(sealed.commit.stream.clone());
                    ArchiveError::damaged(Place::InLog(outline.position, stream), finding)
                })?;
            }
        }
        Ok(())
    }

    fn commit(&mut self, outline: &Outline, bytes: usize) -> Result<(), Finding> {
        let expected = Position::new(self.last.get() + 1);
        if outline.position != expected {
            return Err(Finding::Order { expected, found: outline.position });
        }
        self.chains.extend(outline)?;
        self.last = expected;
        self.verified.commits += 1;
        self.verified.events += outline.events;
        self.verified.bytes += bytes as u64;
        Ok(())
    }
}

/// An adapter may answer from memory: seals are checked here, whatever it has checked.
fn outline(batch: Vec<Recorded>) -> Result<Vec<(Outline, Recorded)>, ArchiveError> {
    let mut outlined = Vec::with_capacity(batch.len());
    for recorded in batch {
        let outline = Outline::of(recorded.position, &recorded.sealed.bytes);
        let outline = outline.map_err(|broken| {
            let stream = Some(recorded.sealed.commit.stream.clone());
            ArchiveError::damaged(Place::InLog(recorded.position, stream), broken.into())
        })?;
        outlined.push((outline, recorded));
    }
    Ok(outlined)
}

/// Checks an anchor against the tree at the end of a segment.
fn agrees(anchor: &Anchor, end: &End) -> Result<(), ArchiveError> {
    let stated = &anchor.statement;
    let damaged = |finding| ArchiveError::damaged(Place::Anchor(stated.number), finding);
    if stated.position < end.position() {
        let within = format!("it covers {}, which is within a segment", stated.position);
        return Err(damaged(Finding::Unreadable(within)));
    }
    let actual = end.tree.root();
    if stated.root == actual {
        return Ok(());
    }
    Err(damaged(Finding::Root { size: stated.size, stated: stated.root, actual }))
}

/// Checks that the archive holds an anchor that was kept elsewhere.
async fn holds(
    target: &dyn Target,
    kept: &Anchor,
    key: Option<&PublicKey>,
) -> Result<(), ArchiveError> {
    let (number, size) = (kept.statement.number, kept.statement.size);
    let check = key.map_or(Ok(()), |key| kept.check(key));
    check.map_err(|finding| ArchiveError::damaged(Place::Anchor(number), finding))?;
    let bytes = target.get(&shelf::anchor_name(number)).await?;
    if bytes.as_ref() == Some(&kept.bytes) {
        return Ok(());
    }
    Err(ArchiveError::damaged(Place::Archive, Finding::Forgotten { number, size }))
}

/// The anchors in order, each checked against the one before.
struct Anchors {
    target: Arc<dyn Target>,
    numbers: VecDeque<u64>,
    last: Option<Anchor>,
    key: Option<PublicKey>,
}

impl Anchors {
    fn of(target: Arc<dyn Target>, shelf: &Shelf, key: Option<PublicKey>) -> Self {
        Self { target, numbers: shelf.anchors.iter().copied().collect(), last: None, key }
    }

    async fn next(&mut self) -> Result<Option<Anchor>, ArchiveError> {
        let Some(number) = self.numbers.pop_front() else { return Ok(None) };
        let anchor = shelf::anchor(&*self.target, number).await?;
        let check = || {
            anchor.continues(self.last.as_ref())?;
            self.key.as_ref().map_or(Ok(()), |key| anchor.check(key))
        };
        check().map_err(|finding| ArchiveError::damaged(Place::Anchor(number), finding))?;
        self.last = Some(anchor.clone());
        Ok(Some(anchor))
    }
}

/// The log from its first commit to where it ended, read ahead.
struct Log {
    batches: mpsc::Receiver<Result<Vec<Recorded>, JournalError>>,
    batch: VecDeque<Recorded>,
}

impl Log {
    fn read(journal: Arc<dyn Journal>, head: Position) -> Self {
        let (sender, batches) = mpsc::channel(BATCHES_MAX);
        tokio::spawn(async move {
            let mut commits = journal.follow(Position::START).ready_chunks(BATCH_MAX);
            let mut last = Position::START;
            while last < head {
                let Some(chunk) = commits.next().await else { return };
                let mut whole = Vec::with_capacity(chunk.len());
                let mut failed = None;
                for recorded in chunk {
                    match recorded {
                        Ok(recorded) if recorded.position <= head => whole.push(recorded),
                        Ok(_) => break,
                        Err(error) => failed = Some(error),
                    }
                }
                last = whole.last().map_or(last, |recorded| recorded.position);
                let gone = !whole.is_empty() && sender.send(Ok(whole)).await.is_err();
                if let Some(error) = failed {
                    // Whoever asked has found something worse.
                    let _ = sender.send(Err(error)).await;
                    return;
                }
                if gone {
                    return;
                }
            }
        });
        Self { batches, batch: VecDeque::new() }
    }

    async fn next(&mut self) -> Result<Option<Recorded>, JournalError> {
        if self.batch.is_empty() {
            self.batch = self.batches.recv().await.transpose()?.unwrap_or_default().into();
        }
        Ok(self.batch.pop_front())
    }

    async fn batch(&mut self) -> Result<Option<Vec<Recorded>>, JournalError> {
        if self.batch.is_empty() {
            return self.batches.recv().await.transpose();
        }
        Ok(Some(std::mem::take(&mut self.batch).into()))
    }
}
