//! The one thread that tells: what a COMMIT has made durable goes to followers and to whoever waits for an answer,
//! while the writer is at the next group.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use tokio::sync::{oneshot, watch};
use tracing::error;

use super::recent::Recent;
use super::writer::Answer;
use crate::Recorded;
use crate::follow::Live;

/// The most groups that wait to be told of: then the writer waits.
const WAITING_MAX: usize = 2;
/// The most groups that are durable and not yet told of: those that wait, one being told, and one on its way.
pub(super) const UNTOLD_MAX: usize = WAITING_MAX + 2;

/// What became of a group.
pub(super) struct Told {
    /// What is durable now.
    pub(super) written: Vec<Recorded>,
    /// Who waits for what answer.
    pub(super) answers: Vec<(oneshot::Sender<Answer>, Answer)>,
}

/// The telling thread, from outside.
pub(super) struct Publisher {
    queue: Option<SyncSender<Told>>,
    thread: Option<JoinHandle<()>>,
}

impl Publisher {
    pub(super) fn start(
        recent: Arc<Recent>,
        live: Arc<watch::Sender<Live>>,
    ) -> std::io::Result<Self> {
        let (queue, groups) = sync_channel(WAITING_MAX);
        let work = move || publish(&groups, &recent, &live);
        let thread = std::thread::Builder::new().name("journal-publisher".into()).spawn(work)?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Has a group told of, after those before it.
    pub(super) fn tell(&self, told: Told) {
        // Without the thread the senders are dropped, which whoever waits is told as an unknown outcome.
        let _ = self.queue.as_ref().map(|queue| queue.send(told));
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            error!(?panic, "the log's publisher panicked");
        }
    }
}

/// Tells followers, then answers: whoever has an answer can read what it says.
fn publish(groups: &Receiver<Told>, recent: &Recent, live: &watch::Sender<Live>) {
    while let Ok(Told { written, answers }) = groups.recv() {
        if let Some(last) = written.last() {
            recent.extend(&written);
            live.send_modify(|live| live.head = last.position);
        }
        for (sender, answer) in answers {
            // Whoever asked may be gone: a lost reply, as if the network had lost it.
            let _ = sender.send(answer);
        }
    }
}
