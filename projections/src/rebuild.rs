//! Building the views anew from the log, beside the ones in use, while those go on answering.

use std::sync::Arc;

use journal::{Journal, Position};
use tracing::info;

use crate::run::{ProjectionError, catch_up};
use crate::store::StoreError;
use crate::views::{Views, position};

/// How often a rebuild runs after a log that grows meanwhile, before it stops the runner for the rest.
const ROUNDS_MAX: u32 = 8;

/// What a rebuild did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// The new views show the log up to here.
    pub position: Position,
}

/// The views were not rebuilt; the ones before are in use as they were.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// Wait for it.
    #[error("the views are being rebuilt already")]
    UnderWay,
    /// The same that stops the runner.
    #[error("the log cannot be projected")]
    Projection(#[from] ProjectionError),
    /// Make room, or see what ails the disk.
    #[error("the new views cannot be kept")]
    Store(#[from] StoreError),
}

impl Views {
    /// Builds the views anew from the log and switches to them. Queries are answered all the time.
    ///
    /// # Guarantees
    /// The new views are at least where the old ones were; a crash leaves either the old or the new ones.
    ///
    /// # Errors
    /// See [`RebuildError`].
    pub async fn rebuild(&self, journal: &Arc<dyn Journal>) -> Result<Rebuilt, RebuildError> {
        let _only = self.try_rebuild().ok_or(RebuildError::UnderWay)?;
        let next = self.store().beside().await?;
        let mut at = 0;
        for _ in 0..ROUNDS_MAX {
            let before = std::mem::replace(&mut at, catch_up(journal, &next).await?);
            if before == at {
                break;
            }
        }
        next.ripen().await?;
        let _turn = self.turn().await;
        let at = catch_up(journal, &next).await?;
        next.promote().await?;
        self.exchange(next, at);
        let position = position(at);
        info!(%position, "the views are rebuilt");
        Ok(Rebuilt { position })
    }
}
