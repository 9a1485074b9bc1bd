//! Fills a new log from an old one, or from an archive: the same commits, byte for byte, at the same positions.
//!
//! An append names the token that its stream will have, before the appends before it are answered: the new log has no
//! other writer, so its positions are known. That keeps many appends in flight, and in order. Should it crash, the
//! next try compares what is there and goes on.

use std::collections::HashMap;
use std::sync::Arc;
use std::task::Poll;

use domain::StreamId;
use domain::commit::Sealed;
use futures::future::{BoxFuture, ready};
use futures::stream::{self, BoxStream, FuturesOrdered, StreamExt as _};
use futures::{FutureExt as _, TryStreamExt as _};
use journal::{AppendError, Appended, Journal, JournalError, Position, Recorded, Token};
use tokio::task::unconstrained;

use crate::segment::End;
use crate::shelf::{self, Shelf};
use crate::target::Target;
use crate::{ArchiveError, Finding, Place};

/// Appends that are under way at once: as many as the embedded log takes into one group. A log that may change their
/// order takes them one by one.
const IN_FLIGHT_MAX: usize = 256;

/// Commits in order, from the first.
pub type Source = BoxStream<'static, Result<Recorded, ArchiveError>>;

/// What the copying came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Commits that were there already, and are the same.
    pub present: u64,
    /// Commits that were added.
    pub added: u64,
    /// The last position.
    pub last: Position,
}

/// The commits that a log holds now.
///
/// # Errors
/// When the log cannot be read.
pub async fn from_log(journal: Arc<dyn Journal>) -> Result<Source, ArchiveError> {
    let head = journal.head().await?;
    Ok(until(&*journal, Position::START, head))
}

/// The commits after a position, up to another.
fn until(journal: &dyn Journal, after: Position, head: Position) -> Source {
    let count = usize::try_from(head.get().saturating_sub(after.get())).unwrap_or(usize::MAX);
    journal.follow(after).take(count).map_err(ArchiveError::from).boxed()
}

/// The commits of an archive, and then those that a log holds after the archive's end.
///
/// # Errors
/// [`ArchiveError::Foreign`] when the log does not hold the archive's last commit where the archive does.
pub async fn from_archive(
    target: Arc<dyn Target>,
    tail: Option<Arc<dyn Journal>>,
) -> Result<Source, ArchiveError> {
    let shelf = Shelf::of(&*target).await?;
    let end = shelf.end(&*target).await?;
    let pieces = shelf::pieces(Arc::clone(&target), shelf.firsts);
    let archived = pieces.scan(End::default(), |end, piece| {
        let checked = piece.and_then(|piece| {
            *end = piece.follow(end)?;
            Ok(piece)
        });
        ready(Some(checked))
    });
    let archived = archived.map_ok(|piece| stream::iter(commits(&piece))).try_flatten().boxed();
    let Some(tail) = tail else { return Ok(archived) };
    let head = tail.head().await?;
    let Some(before) = end.position().get().checked_sub(1) else {
        return Ok(until(&*tail, Position::START, head));
    };
    if head <= end.position() {
        return Ok(archived);
    }
    let mut rest = until(&*tail, Position::new(before), head);
    let last = rest.next().await.ok_or(JournalError::Closed)??;
    if last.sealed.hash != end.last_hash {
        return Err(ArchiveError::Foreign { position: end.position() });
    }
    Ok(archived.chain(rest).boxed())
}

/// The commits of a segment, each read from its bytes.
fn commits(piece: &shelf::Piece) -> Vec<Result<Recorded, ArchiveError>> {
    let open = |(outline, bytes): (&crate::outline::Outline, &[u8])| {
        let position = outline.position;
        let sealed = Sealed::open(bytes.into()).map_err(|broken| {
            ArchiveError::damaged(Place::InArchive(position, None), broken.into())
        })?;
        Ok(Recorded { position, sealed: Arc::new(sealed) })
    };
    piece.content.commits().map(open).collect()
}

/// Copies commits into a log that is empty, or that an earlier try has begun to fill.
///
/// Done again it adds nothing, and compares every commit: that is how a copy is verified.
///
/// # Errors
/// [`ArchiveError::Occupied`] when the log holds anything else.
pub async fn copy(mut source: Source, to: &dyn Journal) -> Result<Copied, ArchiveError> {
    let head = to.head().await?;
    let mut there = until(to, Position::START, head);
    let mut filling = Filling { to, ends: HashMap::new(), under_way: FuturesOrdered::new() };
    let mut copied = Copied::default();
    while let Some(recorded) = source.try_next().await? {
        let expected = Position::new(copied.last.get() + 1);
        if recorded.position != expected {
            let finding = Finding::Order { expected, found: recorded.position };
            return Err(ArchiveError::damaged(Place::Log, finding));
        }
        copied.last = expected;
        if let Some(present) = there.try_next().await? {
            let same =
                present.position == expected && present.sealed.bytes == recorded.sealed.bytes;
            if !same {
                return Err(ArchiveError::Occupied { position: expected });
            }
            copied.present += 1;
            filling.ends.insert(recorded.sealed.commit.stream.clone(), expected);
        } else {
            filling.append(recorded).await?;
            copied.added += 1;
        }
    }
    filling.finish().await?;
    if let Some(more) = there.try_next().await? {
        return Err(ArchiveError::Occupied { position: more.position });
    }
    Ok(copied)
}

type UnderWay<'a> = BoxFuture<'a, (Position, Result<Appended, AppendError>)>;

struct Filling<'a> {
    to: &'a dyn Journal,
    /// Where each stream ends, or will end.
    ends: HashMap<StreamId, Position>,
    under_way: FuturesOrdered<UnderWay<'a>>,
}

impl Filling<'_> {
    async fn append(&mut self, recorded: Recorded) -> Result<(), ArchiveError> {
        let most = if self.to.keeps_the_order_of_appends() { IN_FLIGHT_MAX } else { 1 };
        if self.under_way.len() >= most {
            self.answered().await?;
        }
        let Recorded { position, sealed } = recorded;
        let end = self.ends.insert(sealed.commit.stream.clone(), position);
        let appended = self.to.append(end.map_or(Token::EMPTY, Token::at), sealed);
        let mut appended = unconstrained(appended).map(move |answer| (position, answer)).boxed();
        // Begun here, one after the other: a runtime that shares its time out would change the order.
        match futures::poll!(&mut appended) {
            Poll::Ready(answer) => self.under_way.push_back(ready(answer).boxed()),
            Poll::Pending => self.under_way.push_back(appended),
        }
        Ok(())
    }

    /// Waits for the first that is under way.
    async fn answered(&mut self) -> Result<(), ArchiveError> {
        let Some((position, answer)) = self.under_way.next().await else { return Ok(()) };
        let appended = answer.map_err(|source| {
            let source = Box::new(source);
            ArchiveError::Append { position, source }
        })?;
        if appended.position == position {
            Ok(())
        } else {
            Err(ArchiveError::Occupied { position })
        }
    }

    async fn finish(mut self) -> Result<(), ArchiveError> {
        while !self.under_way.is_empty() {
            self.answered().await?;
        }
        Ok(())
    }
}
