//! The end of the log while this process alone writes to it, and much: what it sent itself need not come back. Its
//! commits are taken as the leader acknowledges them, each at the position that the leader named.
//!
//! ```text
//!  a consumer ──▶ so many in a row were our own, so fast ──▶ our own acknowledgements
//!      ▲                                                       │
//!      └──────── somebody else wrote, or we pause ─────────────┘
//! ```
//! A position that is missing between ours is read from the log: it is another's, or its answer was lost.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::reach::SILENT_MAX;
use super::tail::Seen;
use super::wire::unavailable;
use super::{Shared, WINDOW_MAX};
use crate::{JournalError, Position, Recorded};

/// So many of our own commits in a row ...
const ROW: u32 = 256;
/// ... within this, and the consumer is left: some thousands a second.
const ROW_WITHIN: Duration = Duration::from_millis(100);
/// Nothing came for this long: a missing commit is read, or a consumer is asked again.
const QUIET: Duration = Duration::from_millis(5);
/// The most acknowledged commits that wait to be taken; those beyond are read from the log.
const WAITING_MAX: usize = 2 * WINDOW_MAX;

/// Counts our own commits as they come back.
#[derive(Default)]
pub(super) struct Row {
    length: u32,
    since: Option<Instant>,
}

impl Row {
    /// Whether so much comes back so fast that it is better not asked for.
    pub(super) fn is_long_after(&mut self, own: bool) -> bool {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        if !own || now > since + ROW_WITHIN {
            *self = Self { length: u32::from(own), since: Some(now) };
        } else {
            self.length += 1;
        }
        self.length >= ROW
    }
}

/// What the leader acknowledged and the tail did not take yet.
#[derive(Default)]
pub(super) struct Acknowledged {
    wanted: AtomicBool,
    waiting: Mutex<BTreeMap<Position, Recorded>>,
    came: Notify,
}

impl Acknowledged {
    /// Tells of a commit of ours that is stored.
    pub(super) fn tell(&self, recorded: &Recorded) {
        if self.wanted.load(Ordering::Relaxed) {
            let mut waiting = self.lock();
            if waiting.len() < WAITING_MAX {
                waiting.insert(recorded.position, recorded.clone());
                drop(waiting);
                self.came.notify_one();
            }
        }
    }

    /// Takes the commits that follow a position without a gap; those up to it are dropped.
    fn take(&self, mut after: Position) -> Vec<Recorded> {
        let mut waiting = self.lock();
        let mut taken = Vec::new();
        while let Some(first) = waiting.first_entry() {
            match (*first.key()).cmp(&after.next()) {
                std::cmp::Ordering::Less => drop(first.remove()),
                std::cmp::Ordering::Equal => {
                    after = after.next();
                    taken.push(first.remove());
                }
                std::cmp::Ordering::Greater => break,
            }
        }
        taken
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Position, Recorded>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As long as it lives, acknowledged commits are kept for the tail.
struct Wanted<'a>(&'a Acknowledged);

impl<'a> Wanted<'a> {
    fn new(acknowledged: &'a Acknowledged) -> Self {
        acknowledged.wanted.store(true, Ordering::Relaxed);
        Self(acknowledged)
    }
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.0.wanted.store(false, Ordering::Relaxed);
        self.0.lock().clear();
    }
}

/// Takes our own commits until there are no more, or somebody else wrote.
pub(super) async fn lead(shared: &Shared, seen: &mut Seen) -> Result<(), JournalError> {
    let mut lost = shared.wire.lost();
    lost.mark_unchanged();
    let wanted = Wanted::new(&shared.acknowledged);
    // What was acknowledged before it was wanted.
    fill(shared, seen).await?;
    let mut quiet = interval(QUIET);
    quiet.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = None;
    loop {
        tokio::select! {
            () = wanted.0.came.notified() => {}
            _ = quiet.tick() => {
                if before == Some(seen.position) && !fill(shared, seen).await? {
                    return Ok(());
                }
                before = Some(seen.position);
            }
            _ = lost.changed() => {
                return Err(JournalError::Unavailable { reason: "the connection was lost".into() });
            }
        }
        shared.saw_own(wanted.0.take(seen.position), seen);
    }
}

/// Reads what follows in the log: what others wrote, or what we wrote and know no answer to. Whether there is
/// something, and all of it is our own.
async fn fill(shared: &Shared, seen: &mut Seen) -> Result<bool, JournalError> {
    let read = timeout(SILENT_MAX, shared.read_once(seen.position.next())).await;
    let read = read.map_err(|elapsed| unavailable(&elapsed))??;
    let is_own = |recorded: &Recorded| shared.sent.get(&recorded.sealed.commit.commit_id).is_some();
    let own = !read.is_empty() && read.iter().all(is_own);
    shared.saw_own(read, seen);
    Ok(own)
}

impl Shared {
    /// Tells followers of commits that are known to be whole.
    fn saw_own(&self, commits: Vec<Recorded>, seen: &mut Seen) {
        for recorded in commits {
            *seen = Seen { position: recorded.position, hash: Some(recorded.sealed.hash) };
            self.sent.remove(&recorded.sealed.commit.commit_id);
            self.streams.add(&recorded);
            self.ring.push(recorded);
        }
        self.raise(seen.position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{commit, stream};

    fn recorded(position: u64) -> Recorded {
        let sealed = commit(&stream("a"), u128::from(position), None, &[1]);
        Recorded { position: Position::new(position), sealed }
    }

    #[test]
    fn what_is_acknowledged_out_of_order_is_taken_in_order_and_without_a_gap() {
        let acknowledged = Acknowledged::default();
        acknowledged.tell(&recorded(1));
        assert!(acknowledged.lock().is_empty(), "nobody wanted it");
        let wanted = Wanted::new(&acknowledged);
        for position in [7, 3, 4, 6] {
            acknowledged.tell(&recorded(position));
        }
        let taken = |after| {
            let taken = acknowledged.take(Position::new(after));
            taken.iter().map(|recorded| recorded.position.get()).collect::<Vec<_>>()
        };
        assert_eq!(taken(1), Vec::<u64>::new());
        assert_eq!(taken(3), [4]);
        acknowledged.tell(&recorded(5));
        assert_eq!(taken(4), [5, 6, 7]);
        acknowledged.tell(&recorded(9));
        drop(wanted);
        assert!(acknowledged.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn only_many_of_our_own_in_a_short_time_are_a_row() {
        let mut row = Row::default();
        assert!((1..ROW).all(|_| !row.is_long_after(true)));
        assert!(row.is_long_after(true));
        assert!(!row.is_long_after(false));
        assert!((1..ROW).all(|_| !row.is_long_after(true)));
        tokio::time::advance(ROW_WITHIN * 2).await;
        assert!(!row.is_long_after(true));
    }
}
