//! The views: written by one process at a time, followed by all others that show them.

use std::sync::Arc;

use ::reconcilers::Leases;
use ::reconcilers::leases::Lease;
use api::closed;
use futures::FutureExt as _;
use futures::stream::{self, BoxStream, StreamExt as _};
use journal::Journal;
use projections::{ProjectionError, StoreError, Views, nats};
use tokio::sync::watch;

use super::stores::Beside;
use super::{Part, chain};

/// What moves the views on, here or elsewhere.
pub(super) struct Projector {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) views: Views,
    pub(super) leases: Leases,
    /// What there is beside a log that others use too.
    pub(super) beside: Option<Beside>,
    pub(super) closing: watch::Receiver<bool>,
}

impl Projector {
    /// Follows what another process writes; where it may write too, for as long as another has the right to.
    pub(super) fn part(self, writes: bool) -> Part {
        async move {
            loop {
                let watching = projections::watch(
                    self.views.clone(),
                    self.wakeups(),
                    closed(self.closing.clone()),
                );
                let held = tokio::select! {
                    // Who has the log alone writes at once.
                    biased;
                    held = self.leases.hold(Lease::Projector), if writes => held,
                    () = watching => return Ok(()),
                };
                match held.during(self.write()).await {
                    // Another process has taken over in the meantime.
                    None | Some(Err(ProjectionError::Store(StoreError::Fenced))) => {}
                    Some(Ok(())) => return Ok(()),
                    Some(Err(error)) => return Err(chain("the views stopped", &error)),
                }
            }
        }
        .boxed()
    }

    /// Writes, and tells the others of every change.
    async fn write(&self) -> Result<(), ProjectionError> {
        let (journal, views) = (Arc::clone(&self.journal), self.views.clone());
        let writing = projections::run(journal, views, closed(self.closing.clone()));
        match &self.beside {
            None => writing.await,
            Some(beside) => tokio::select! {
                written = writing => written,
                () = nats::announce(beside.client.clone(), &self.views) => Ok(()),
            },
        }
    }

    fn wakeups(&self) -> BoxStream<'static, ()> {
        match &self.beside {
            None => stream::pending().boxed(),
            Some(beside) => nats::announced(beside.client.clone()),
        }
    }
}
