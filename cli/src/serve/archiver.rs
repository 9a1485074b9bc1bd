//! The log's archive, kept while the server runs.

use std::path::Path;
use std::sync::Arc;

use archive::{ArchiveError, Folder};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use journal::Journal;
use tokio::sync::watch;

use crate::commands::signer;
use crate::failure::Outcome;

/// Archives until the server closes.
pub(super) type Archiver = BoxFuture<'static, Result<(), String>>;

/// Prepares the archiver; its key is made when there is none yet.
pub(super) fn prepare(
    folder: &Path,
    data: &Path,
    journal: &Arc<dyn Journal>,
    mut closing: watch::Receiver<bool>,
) -> Outcome<Archiver> {
    let settings = archive::Settings::new(Some(signer(data)?));
    let (journal, target) = (Arc::clone(journal), Arc::new(Folder::new(folder)));
    let closed = async move {
        // The sender is gone: everything ends.
        let _ = closing.wait_for(|closing| *closing).await;
    };
    let archiver = archive::run(journal, target, settings, closed);
    let failed = |error: ArchiveError| super::chain("the archiver stopped", &error);
    Ok(archiver.map(move |ended| ended.map_err(failed)).boxed())
}
