//! The log's archive, kept while the server runs; by one process at a time.

use std::path::Path;
use std::sync::Arc;

use ::reconcilers::Leases;
use ::reconcilers::leases::Lease;
use api::closed;
use futures::FutureExt as _;
use journal::Journal;
use tokio::sync::watch;

use super::{Part, chain};
use crate::archives::ArchiveAt;
use crate::commands::signer;
use crate::failure::Outcome;

/// Archives until the server closes. Its key is made when there is none yet.
pub(super) fn part(
    place: &ArchiveAt,
    data: &Path,
    journal: &Arc<dyn Journal>,
    leases: Leases,
    closing: watch::Receiver<bool>,
) -> Outcome<Part> {
    signer(data)?;
    let data = data.to_owned();
    let (journal, target) = (Arc::clone(journal), place.open()?);
    Ok(async move {
        loop {
            let held = tokio::select! {
                held = leases.hold(Lease::Archiver) => held,
                () = closed(closing.clone()) => return Ok(()),
            };
            let unusable = |_| format!("the archive's key in {} cannot be used", data.display());
            let signer = signer(&data).map_err(unusable)?;
            let settings = archive::Settings::new(Some(signer));
            let (journal, target) = (Arc::clone(&journal), Arc::clone(&target));
            let archiving = archive::run(journal, target, settings, closed(closing.clone()));
            // What was put is never put again: whoever takes over goes on behind it.
            if let Some(ended) = held.during(archiving).await {
                return ended.map_err(|error| chain("the archiver stopped", &error));
            }
        }
    }
    .boxed())
}
