//! Following what a runner in another process writes: for a replica that only answers.

use std::future::Future;
use std::time::Duration;

use futures::future::{Either, select};
use futures::stream::{self, BoxStream, StreamExt as _};
use futures::{FutureExt as _, pin_mut};
use journal::Position;
use tracing::warn;

use crate::fold::signed;
use crate::poison::chain;
use crate::queries::QueryError;
use crate::store::{Checkpoint, StoreError};
use crate::views::{Health, Views, position};

/// How long a wake-up may be missed before the store is asked anyway.
const POLL_MS: u64 = 500;
/// The most wake-ups that are answered with one look: more come only when somebody sends them for nothing.
const WAKEUPS_MAX: usize = 1_000;
/// Commits whose streams are told to listeners at once.
const CHUNK: i64 = 1_000;
/// The widest gap that is told stream by stream: beyond it the views are being filled, and nobody listens yet.
const GAP_MAX: i64 = 100_000;

/// Keeps a process that runs no projector up with the views: their position, their health, what changes, and the
/// store itself when a rebuild puts another in its place.
///
/// It looks when the store says so ([`crate::ViewStore::wakeups`]), when `wakeups` gives an item, such as a message
/// of another channel, and when half a second has passed without either. A wake-up carries no data.
pub async fn watch(
    views: Views,
    wakeups: BoxStream<'static, ()>,
    shutdown: impl Future<Output = ()> + Send,
) {
    pin_mut!(shutdown);
    let mut wakeups = stream::select(views.store().wakeups(), wakeups.chain(stream::pending()));
    loop {
        if let Err(error) = look(&views).await {
            warn!(%error, "the views cannot be read now; trying again");
            views.retrying(chain(&error));
        }
        let waiting =
            Box::pin(tokio::time::timeout(Duration::from_millis(POLL_MS), wakeups.next()));
        if let Either::Right(((), _)) = select(waiting, shutdown.as_mut()).await {
            return;
        }
        for _ in 0..WAKEUPS_MAX {
            if wakeups.next().now_or_never().is_none() {
                break;
            }
        }
    }
}

/// Learns where the views are, and tells those who listen.
async fn look(views: &Views) -> Result<(), QueryError> {
    let store = views.store();
    let Checkpoint { position: at, epoch, stopped } = match store.checkpoint().await {
        Err(StoreError::Replaced) if views.succeed(&store).await? => {
            views.store().checkpoint().await?
        }
        checkpoint => checkpoint?,
    };
    let before = signed(views.position().get());
    let health = match stopped {
        Some(reason) => Health::Stopped { reason },
        None if epoch == 0 => Health::Idle,
        None => Health::Following,
    };
    views.observe(position(at), health);
    if at - before > GAP_MAX {
        return Ok(());
    }
    let mut from = before;
    while from < at {
        let to = at.min(from + CHUNK);
        let streams = views.streams_between(from, to).await?;
        views.tell(Position::new(to.unsigned_abs()), streams);
        from = to;
    }
    Ok(())
}
