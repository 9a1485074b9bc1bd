//! How fast a log and its archive are checked: hashes, chains, gaps, and one against the other.

use std::sync::Arc;
use std::time::Instant;

use archive::{Folder, Settings, Signer, Subject, Target, backup, verify};
use journal::Journal;
use journal::sqlite::SqliteJournal;

use crate::commands::through;
use crate::fleet::to_f64;
use crate::report::{Report, thousands};

/// Lives of four commits and five events each.
const LIVES: u64 = 50_000;
/// Events a second.
const GOAL: f64 = 200_000.0;

/// Fills a log, archives it, and checks both.
pub(crate) async fn measure(report: &mut Report, scale: u64) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    let open = || anyhow::Ok(Arc::new(SqliteJournal::open(&log)?) as Arc<dyn Journal>);
    through(open()?, LIVES / scale).await?;
    let target: Arc<dyn Target> = Arc::new(Folder::new(folder.path().join("archive")));
    let signer = Signer::load_or_make(&folder.path().join("anchor.key"))?;
    let key = Some(signer.public());
    backup(open()?, Arc::clone(&target), Settings::new(Some(signer))).await?;
    for (what, logged, archived) in [
        ("the log", true, false),
        ("the archive", false, true),
        ("the log against the archive", true, true),
    ] {
        // Opened anew each time: nothing of it is in the process's memory.
        let journal = logged.then(open).transpose()?;
        let archive = archived.then(|| Arc::clone(&target));
        let start = Instant::now();
        let verified = verify(Subject { journal, archive, key: key.clone(), kept: None }).await?;
        let rate = to_f64(verified.events) / start.elapsed().as_secs_f64();
        let name = format!("verify {what}, {} events", thousands(to_f64(verified.events)));
        report.figure(&name, format!("{} /s", thousands(rate)), "≥ 200,000 /s", rate >= GOAL);
    }
    Ok(())
}
