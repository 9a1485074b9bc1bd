//! The archiver: follows the log, puts its commits into segments, and signs anchors.
//!
//! It keeps nothing of its own: where it was is what the archive holds. It may crash anywhere, and two of them on one
//! archive only do each other's work: what is put first stays.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::Time;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use journal::{Journal, JournalError, Position, Recorded};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{info, warn};

use crate::anchor::Anchor;
use crate::key::Signer;
use crate::manifest::Manifest;
use crate::segment::{Content, End, Filling, SEGMENT_BYTES_MAX};
use crate::shelf::{self, Shelf};
use crate::target::{Put, Target};
use crate::{ArchiveError, Finding, Place};

/// How long a commit may be in the log alone. Each segment costs two objects, so a quiet log should make few.
const SEGMENT_AGE_MAX: Duration = Duration::from_secs(60);
/// How old the last anchor may be when there is something to sign.
const ANCHOR_INTERVAL: Duration = Duration::from_secs(300);
/// The first pause after a failure; each next is twice as long.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// The longest pause.
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// How long an orderly stop may take: a server that is asked to stop is not waited for much longer.
const FINISH_MAX: Duration = Duration::from_secs(10);

/// How a log is archived.
#[derive(Debug)]
pub struct Settings {
    /// A segment with so many bytes is closed; at most [`SEGMENT_BYTES_MAX`].
    pub segment_bytes_max: usize,
    /// A segment so old is closed.
    pub segment_age_max: Duration,
    /// How often an anchor is signed, if anything has come since.
    pub anchor_interval: Duration,
    /// Who signs anchors; nobody, and there are none.
    pub signer: Option<Signer>,
    /// Is told how far the archive is.
    pub progress: watch::Sender<Progress>,
}

impl Settings {
    /// The usual settings.
    #[must_use]
    pub fn new(signer: Option<Signer>) -> Self {
        Self {
            segment_bytes_max: SEGMENT_BYTES_MAX,
            segment_age_max: SEGMENT_AGE_MAX,
            anchor_interval: ANCHOR_INTERVAL,
            signer,
            progress: watch::Sender::new(Progress::default()),
        }
    }
}

/// How far an archive is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The last position in a segment.
    pub archived: Position,
    /// The last position under an anchor.
    pub anchored: Position,
}

/// Archives a log until `shutdown`, then what it holds by then, and signs it; what takes longer is left for the next
/// start.
///
/// A place that cannot be reached is tried again for ever, and said in the log of the process; the log is not held up.
///
/// # Errors
/// When the log or the archive is damaged, or they are not of one another.
pub async fn run(
    journal: Arc<dyn Journal>,
    target: Arc<dyn Target>,
    settings: Settings,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ArchiveError> {
    let mut archiver = Archiver::new(journal, target, settings);
    tokio::select! {
        ended = archiver.archive_for_ever() => return ended,
        () = shutdown => {}
    }
    // Whatever was under way was left where a crash would have left it.
    timeout(FINISH_MAX, archiver.catch_up()).await.unwrap_or(Ok(()))
}

/// Archives what the log holds now, and signs it.
///
/// # Errors
/// As [`run`], and when the place cannot be reached.
pub async fn backup(
    journal: Arc<dyn Journal>,
    target: Arc<dyn Target>,
    settings: Settings,
) -> Result<Progress, ArchiveError> {
    let mut archiver = Archiver::new(journal, target, settings);
    archiver.catch_up().await?;
    Ok(*archiver.settings.progress.borrow())
}

struct Archiver {
    journal: Arc<dyn Journal>,
    target: Arc<dyn Target>,
    settings: Settings,
    end: End,
    filling: Option<Filling>,
    /// When the first commit of the segment came.
    opened: Instant,
    last_anchor: Option<Anchor>,
    /// When the last anchor was signed, by this process.
    anchored: Option<Instant>,
}

impl Archiver {
    fn new(journal: Arc<dyn Journal>, target: Arc<dyn Target>, mut settings: Settings) -> Self {
        settings.segment_bytes_max = settings.segment_bytes_max.min(SEGMENT_BYTES_MAX);
        Self {
            journal,
            target,
            settings,
            end: End::default(),
            filling: None,
            opened: Instant::now(),
            last_anchor: None,
            anchored: None,
        }
    }

    /// Archives what the log holds now.
    async fn catch_up(&mut self) -> Result<(), ArchiveError> {
        let head = self.journal.head().await?;
        let mut commits = self.attach().await?;
        while self.next() <= head {
            let recorded = commits.next().await.ok_or(JournalError::Closed)??;
            self.take(&recorded).await?;
            let full = self.is_full() || recorded.position == head;
            if full && self.close().await? {
                commits = self.attach().await?;
            }
        }
        self.anchor().await
    }

    async fn archive_for_ever(&mut self) -> Result<(), ArchiveError> {
        let mut pause = BACKOFF_MIN;
        loop {
            let before = self.end.position();
            match self.archive().await {
                Err(error) if error.is_passing() => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    let place = self.target.describe();
                    warn!(%error, cause, place, "archiving failed, and is tried again");
                }
                ended => return ended,
            }
            pause = if self.end.position() > before { BACKOFF_MIN } else { pause };
            sleep(pause).await;
            pause = (2 * pause).min(BACKOFF_MAX);
        }
    }

    /// Archives until something goes wrong.
    async fn archive(&mut self) -> Result<(), ArchiveError> {
        let mut commits = self.attach().await?;
        loop {
            let due = self.due();
            tokio::select! {
                biased;
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    if self.filling.is_some() && self.close().await? {
                        commits = self.attach().await?;
                    }
                    self.anchor().await?;
                }
                next = commits.next() => {
                    let recorded = next.ok_or(JournalError::Closed)??;
                    self.take(&recorded).await?;
                    if self.is_full() && self.close().await? {
                        commits = self.attach().await?;
                    }
                }
            }
        }
    }

    /// When there is something to do even if no commit comes.
    fn due(&self) -> Option<Instant> {
        let close = self.filling.is_some().then(|| self.opened + self.settings.segment_age_max);
        let anchor = self.has_news().then(|| match self.anchored {
            None => Instant::now(),
            Some(last) => last + self.settings.anchor_interval,
        });
        // An anchor is of whole segments: one that is due closes the segment, should there be one.
        close.into_iter().chain(anchor).min()
    }

    /// Whether there is anything to sign that no anchor covers.
    fn has_news(&self) -> bool {
        let covered = self.last_anchor.as_ref().map_or(0, |anchor| anchor.statement.size);
        self.settings.signer.is_some() && self.end.position().get() > covered
    }

    /// Reads where the archive ends, and follows the log from there.
    async fn attach(
        &mut self,
    ) -> Result<BoxStream<'static, Result<Recorded, JournalError>>, ArchiveError> {
        self.filling = None;
        let shelf = Shelf::of(&*self.target).await?;
        self.end = shelf.end(&*self.target).await?;
        self.last_anchor = shelf.last_anchor(&*self.target).await?;
        self.adopt().await?;
        self.tell();
        let (head, end) = (self.journal.head().await?, self.end.position());
        if head < end {
            return Err(JournalError::Behind { head, after: end }.into());
        }
        let Some(before) = end.get().checked_sub(1) else {
            return Ok(self.journal.follow(Position::START));
        };
        let mut commits = self.journal.follow(Position::new(before));
        let last = commits.next().await.ok_or(JournalError::Closed)??;
        if last.sealed.hash != self.end.last_hash {
            return Err(ArchiveError::Foreign { position: end });
        }
        Ok(commits)
    }

    /// Takes a segment that somebody put without its manifest.
    async fn adopt(&mut self) -> Result<(), ArchiveError> {
        let name = shelf::segment_name(self.end.next());
        let Some(compressed) = self.target.get(&name).await? else { return Ok(()) };
        let segment = name.clone();
        let content = spawn_blocking(move || Content::read(&segment, &compressed)).await??;
        let damaged = |finding| ArchiveError::damaged(Place::Object(name.clone()), finding);
        let manifest = content.described(&self.end).map_err(damaged)?;
        info!(first = %manifest.first, last = %manifest.last, "a segment was there already");
        self.put_manifest(&manifest).await
    }

    fn next(&self) -> Position {
        self.filling.as_ref().map_or_else(|| self.end.next(), Filling::next)
    }

    async fn take(&mut self, recorded: &Recorded) -> Result<(), ArchiveError> {
        let failed = |error: std::io::Error| ArchiveError::Ended { reason: error.to_string() };
        if self.filling.is_none() {
            self.opened = Instant::now();
        }
        let filling = match &mut self.filling {
            Some(filling) => filling,
            none => none.insert(Filling::after(&self.end).map_err(failed)?),
        };
        filling.push(recorded).map_err(failed)
    }

    fn is_full(&self) -> bool {
        let bytes = self.filling.as_ref().map_or(0, Filling::bytes);
        bytes >= self.settings.segment_bytes_max as u64
    }

    /// Puts the segment, then its manifest. Whether another archiver was faster: then the log is to be followed anew.
    async fn close(&mut self) -> Result<bool, ArchiveError> {
        let Some(filling) = self.filling.take() else { return Ok(false) };
        let finished = spawn_blocking(move || filling.finish()).await?;
        let (bytes, manifest) =
            finished.map_err(|error| ArchiveError::Ended { reason: error.to_string() })?;
        let put = self.target.put(&shelf::segment_name(manifest.first), bytes).await?;
        if put == Put::Present {
            return Ok(true);
        }
        self.put_manifest(&manifest).await?;
        self.tell();
        Ok(false)
    }

    async fn put_manifest(&mut self, manifest: &Manifest) -> Result<(), ArchiveError> {
        let (name, bytes) = (shelf::manifest_name(manifest.first), manifest.to_bytes());
        let put = self.target.put(&name, bytes.clone()).await?;
        // Who came first wrote the same: it is made of the segment and of the manifest before.
        if put == Put::Present && self.target.get(&name).await?.as_ref() != Some(&bytes) {
            let finding = Finding::Unreadable("it is not that of its segment".into());
            return Err(ArchiveError::damaged(Place::Object(name), finding));
        }
        self.end = manifest.end(&bytes).unwrap_or_default();
        Ok(())
    }

    /// Signs the archive as it is, if there is anything new.
    async fn anchor(&mut self) -> Result<(), ArchiveError> {
        let Some(signer) = self.settings.signer.as_ref().filter(|_| self.has_news()) else {
            return Ok(());
        };
        let (tree, before) = (&self.end.tree, self.last_anchor.as_ref());
        let anchor = Anchor::sign(signer, before, tree.size(), tree.root(), now());
        let name = shelf::anchor_name(anchor.statement.number);
        let put = self.target.put(&name, anchor.bytes.clone()).await?;
        let anchor = match put {
            Put::Done => anchor,
            Put::Present => shelf::anchor(&*self.target, anchor.statement.number).await?,
        };
        self.last_anchor = Some(anchor);
        self.anchored = Some(Instant::now());
        self.tell();
        Ok(())
    }

    fn tell(&self) {
        let anchored = self.last_anchor.as_ref().map(|anchor| anchor.statement.position);
        self.settings.progress.send_replace(Progress {
            archived: self.end.position(),
            anchored: anchored.unwrap_or_default(),
        });
    }
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
