//! `cairn admin backup`, `restore` and `migrate`: the log once more, somewhere else.

use std::path::Path;
use std::sync::Arc;

use archive::copy::{self, Copied};
use archive::{Settings, Signer, Subject};
use journal::Journal;

use super::explain;
use crate::args::{Backup, Migrate, Restore};
use crate::failure::{Exit, Failure, Outcome};
use crate::logs;
use crate::serve;
use crate::terminal::Terminal;

pub(super) async fn backup(args: Backup, terminal: &Terminal) -> Outcome {
    let (data, journal) = super::open(&args.log).await?;
    let settings = Settings::new(Some(signer(&data)?));
    let target = args.to.open()?;
    let progress =
        archive::backup(journal, target, settings).await.map_err(|error| explain(&error))?;
    terminal.print(&format!(
        "the archive {} holds the log up to position {}, and is signed up to position {}",
        args.to, progress.archived, progress.anchored
    ));
    terminal.say(&format!(
        "keep the public key {} where the archive is not",
        logs::key_files(&data).1.display()
    ));
    Ok(Exit::Done)
}

pub(super) async fn restore(args: Restore, terminal: &Terminal) -> Outcome {
    let target = args.from.open()?;
    let segments = target.list("segments").await.map_err(|error| explain(&error.into()))?;
    if segments.is_empty() {
        return Err(Failure::not_found(format!("archive in {}", args.from))
            .hint("name the place that `cairn admin backup --to` or `cairn up --archive` filled"));
    }
    let tail: Option<Arc<dyn Journal>> = match args.tail {
        Some(folder) => Some(serve::open_log(&logs::existing(Some(folder))?)?),
        None => None,
    };
    let data = serve::data_folder(args.log.data.data_dir.clone())?;
    let journal = super::at(&args.log).open_or_make(Some(data.clone())).await?;
    let source = copy::from_archive(Arc::clone(&target), tail).await;
    let copied = copy::copy(source.map_err(|error| explain(&error))?, &*journal).await;
    let copied = copied.map_err(|error| explain(&error))?;
    let subject = Subject {
        journal: Some(Arc::clone(&journal)),
        archive: Some(target),
        ..Subject::default()
    };
    archive::verify(subject).await.map_err(|error| explain(&error))?;
    tell(&copied, terminal);
    super::rebuild_views(args.views.views.as_deref(), &data, &journal, terminal).await
}

pub(super) async fn migrate(args: Migrate, terminal: &Terminal) -> Outcome {
    if args.from == args.to {
        return Err(Failure::new(Exit::Invalid, "the old log and the new one are the same")
            .hint("name a folder, such as --to sqlite:FOLDER"));
    }
    let data = args.data.data_dir;
    let from = args.from.open(data.clone()).await?;
    let to = args.to.open_or_make(data).await?;
    let copied = pass(&from, &*to).await?;
    // Once more: now everything is there, and every commit is compared.
    let compared = pass(&from, &*to).await?;
    if compared.added != 0 {
        return Err(Failure::new(Exit::Refused, "the old log grew while it was copied")
            .hint("stop its server, and migrate again; it goes on where it was"));
    }
    tell(&copied, terminal);
    terminal.print("both logs hold the same commits at the same positions, byte for byte");
    Ok(Exit::Done)
}

async fn pass(from: &Arc<dyn Journal>, to: &dyn Journal) -> Outcome<Copied> {
    let source = copy::from_log(Arc::clone(from)).await;
    let source = source.map_err(|error| explain(&error))?;
    copy::copy(source, to).await.map_err(|error| explain(&error))
}

fn tell(copied: &Copied, terminal: &Terminal) {
    let there = match copied.present {
        0 => String::new(),
        present => format!("; {present} were there already"),
    };
    terminal.print(&format!(
        "{} commits are added, up to position {}{there}",
        copied.added, copied.last
    ));
}

/// The key that signs the anchors of a data folder's log, made when it is first needed.
pub(crate) fn signer(data: &Path) -> Outcome<Signer> {
    let (secret, public) = logs::key_files(data);
    let signer = Signer::load_or_make(&secret).map_err(|error| explain(&error.into()))?;
    std::fs::write(&public, signer.public().to_pem()).map_err(|error| {
        Failure::new(Exit::Invalid, format!("cannot write {}: {error}", public.display()))
    })?;
    Ok(signer)
}
