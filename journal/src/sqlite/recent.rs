//! What was written last, in memory: followers and hot streams need not read it from the disk again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use domain::StreamId;

use super::streams::Streams;
use crate::cache::Cache;
use crate::chain::Tip;
use crate::{Position, Recorded};

/// The most commits kept for followers: seconds of a busy log.
const COMMITS_MAX: usize = 4_096;
/// The most bytes kept for followers.
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// The most ends of streams kept: as many as states are kept at hand, some 200 bytes each.
const TIPS_MAX: usize = crate::execute::STATES_MAX;

/// The last commits of the log, the ends of its busy streams and the names of all. Only the writer adds, after its COMMIT: what
/// is here is in the log, and no end is behind it.
pub(super) struct Recent {
    commits: Mutex<Ring>,
    tips: Cache<StreamId, Tip>,
    streams: Arc<Streams>,
}

#[derive(Default)]
struct Ring {
    commits: VecDeque<Recorded>,
    bytes: usize,
}

impl Default for Recent {
    fn default() -> Self {
        Self { commits: Mutex::default(), tips: Cache::new(TIPS_MAX), streams: Arc::default() }
    }
}

impl Recent {
    /// The streams that there may be.
    pub(super) const fn streams(&self) -> &Arc<Streams> {
        &self.streams
    }

    /// The end of a stream, if it is kept.
    pub(super) fn tip(&self, stream: &StreamId) -> Option<Tip> {
        self.tips.get(stream)
    }

    /// The next commits after a position, if the first of them is kept.
    pub(super) fn after(&self, after: Position, count_max: usize) -> Option<Vec<Recorded>> {
        let ring = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        let first = ring.commits.front()?.position;
        let skip = after.next().get().checked_sub(first.get())?;
        let skip = usize::try_from(skip).ok().filter(|&skip| skip < ring.commits.len())?;
        Some(ring.commits.iter().skip(skip).take(count_max).cloned().collect())
    }

    /// Adds what a COMMIT has made durable.
    pub(super) fn extend(&self, commits: &[Recorded]) {
        for recorded in commits {
            let stream = recorded.sealed.commit.stream.clone();
            if recorded.sealed.commit.first_version == 1 {
                self.streams.add(&stream);
            }
            self.tips.put_unless(stream, Tip::of(recorded), |_| false);
        }
        let mut ring = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        for recorded in commits {
            ring.bytes += recorded.sealed.bytes.len();
            ring.commits.push_back(recorded.clone());
            while ring.commits.len() > COMMITS_MAX || ring.bytes > BYTES_MAX {
                let Some(oldest) = ring.commits.pop_front() else { break };
                ring.bytes -= oldest.sealed.bytes.len();
            }
        }
    }
}
