//! The order of all the log's events, counted as it grows: one subscription for the process.
//!
//! The subscription is a fresh one whenever anything is amiss: it begins after the last event counted, so nothing is
//! missed or counted twice. It decides no append: the servers' expected revisions do.

use std::sync::Arc;
use std::time::Duration;

use eventstore::Position as Offset;
use tokio::time::sleep;
use tracing::{debug, error, info};
use uuid::Uuid;

use super::log::Shared;
use super::wire::Seen;
use crate::{JournalError, Position};

/// The pause before a new subscription.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest pause before a new subscription.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How far the counting is.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// Everything up to here was looked at.
    pub(super) offset: Option<Offset>,
    /// The last mark that was passed.
    pub(super) mark: Option<Uuid>,
    /// Why nothing comes, if that is so.
    pub(super) trouble: Option<String>,
}

/// Counts until the journal is dropped, or until the log lacks what was counted.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut pause = PAUSE;
    loop {
        let before = shared.progress.borrow().offset;
        match still_there(&shared).await {
            Ok(true) => {
                let reason = follow(&shared).await;
                info!(%reason, position = %shared.places.head(), "the log is followed anew");
                shared.progress.send_modify(|progress| progress.trouble = Some(reason));
            }
            Ok(false) => return shared.lost(),
            Err(error) => debug!(%error, "the log cannot be followed"),
        }
        let moved = shared.progress.borrow().offset != before;
        pause = if moved { PAUSE } else { (pause * 2).min(PAUSE_MAX) };
        sleep(pause).await;
    }
}

/// Whether the log still holds the last commit counted. One that was restored from an older copy would otherwise be
/// followed on as if nothing had happened.
async fn still_there(shared: &Shared) -> Result<bool, JournalError> {
    let Some(place) = shared.places.at(shared.places.head()) else { return Ok(true) };
    let found = shared.wire.at(place.offset).await?;
    Ok(found.is_some_and(|found| {
        let hash = domain::commit::check_seal(&found.data).ok();
        found.id == place.id && (place.hash.is_none() || hash == place.hash)
    }))
}

/// Takes events from a new subscription until it fails; says why.
async fn follow(shared: &Shared) -> String {
    let after = shared.progress.borrow().offset;
    let mut following = shared.wire.follow(after).await;
    loop {
        match following.next(&shared.wire).await {
            Ok(seen) => shared.saw(seen),
            Err(reason) => return reason,
        }
    }
}

impl Shared {
    /// Counts an event, and tells whoever waits for it. One that is damaged they find themselves, when they read it.
    fn saw(&self, seen: Seen) {
        let (offset, mark) = match seen {
            Seen::Nothing(offset) => (offset, None),
            Seen::Mark(id, offset) => (offset, Some(id)),
            Seen::Commit(stream, event) => {
                if let Err(error) = self.places.count(&stream, &event) {
                    error!(%error, "a commit of the log is damaged");
                }
                (event.position, None)
            }
        };
        let head = self.places.head();
        self.progress.send_modify(|progress| {
            progress.offset = Some(offset);
            progress.mark = mark.or(progress.mark);
            progress.trouble = None;
        });
        self.live.send_if_modified(|live| std::mem::replace(&mut live.head, head) != head);
    }

    /// The log lacks what was counted: whoever follows it is told that it ends before.
    fn lost(&self) {
        error!(position = %self.places.head(), "the log no longer holds what was read from it: it lost commits, or is another log");
        self.live.send_modify(|live| {
            live.head = Position::START;
            live.closed = true;
        });
    }
}
