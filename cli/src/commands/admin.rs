//! `cairn admin`: what is done to a data folder whose server is stopped.

mod archived;
mod checks;
mod mirror;
mod quarantine;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use archive::{ArchiveError, Finding, Place};
use journal::{Journal, JournalError};

use crate::args::{Admin, LogOf, Rebuild, Token};
use crate::failure::{Exit, Failure, Outcome};
use crate::logs::LogAt;
use crate::serve;
use crate::terminal::Terminal;

pub(crate) use archived::signer;

/// Looks after a data folder.
pub(super) async fn run(args: Admin, terminal: &Terminal) -> Outcome {
    match args {
        Admin::Rebuild(args) => rebuild(args, terminal).await,
        Admin::Quarantine(args) => quarantine::list(&args, terminal).await,
        Admin::Redrive(args) => quarantine::redrive(args, terminal).await,
        Admin::Token(args) => token(&args, terminal),
        Admin::Verify(args) => checks::verify(args, terminal).await,
        Admin::Backup(args) => archived::backup(args, terminal).await,
        Admin::Restore(args) => archived::restore(args, terminal).await,
        Admin::Migrate(args) => archived::migrate(args, terminal).await,
        Admin::Mirror(args) => mirror::mirror(args, terminal).await,
    }
}

/// The log that a command is about, and the folder with its keys.
async fn open(log: &LogOf) -> Outcome<(PathBuf, Arc<dyn Journal>)> {
    let data = serve::data_folder(log.data.data_dir.clone())?;
    let journal = at(log).open(Some(data.clone())).await?;
    Ok((data, journal))
}

/// Where that log is.
fn at(log: &LogOf) -> LogAt {
    log.journal.clone().unwrap_or(LogAt::Sqlite(None))
}

async fn rebuild(args: Rebuild, terminal: &Terminal) -> Outcome {
    let (data, journal) = open(&args.log).await?;
    rebuild_views(args.views.views.as_deref(), &data, &journal, terminal).await
}

async fn rebuild_views(
    at: Option<&str>,
    data: &std::path::Path,
    journal: &Arc<dyn Journal>,
    terminal: &Terminal,
) -> Outcome {
    let started = Instant::now();
    let views = serve::views(at, data).await?;
    views.rebuild(journal).await.map_err(|error| {
        let error: &(dyn std::error::Error + 'static) = &error;
        let broken = std::iter::successors(Some(error), |error| error.source())
            .any(|cause| matches!(cause.downcast_ref(), Some(JournalError::Damaged { .. })));
        let exit = if broken { Exit::Damaged } else { Exit::Unreachable };
        let hint = if broken { serve::DAMAGED } else { "mend the cause, then try again" };
        serve::caused(Failure::new(exit, "the views cannot be rebuilt"), error).hint(hint)
    })?;
    terminal.print(&format!(
        "the views are rebuilt from the log, up to position {}, in {:.1}s",
        views.position(),
        started.elapsed().as_secs_f32()
    ));
    Ok(Exit::Done)
}

/// The token goes to standard output alone, and nowhere else.
fn token(args: &Token, terminal: &Terminal) -> Outcome {
    let data = serve::data_folder(args.data.data_dir.clone())?;
    serve::make_folder(&data)?;
    let mut tokens = serve::tokens(&data)?;
    let token = serve::accept(&data, &mut tokens, &args.name)?;
    terminal.say("servers of this data folder know the token from their next start on");
    terminal.print(token.reveal());
    Ok(Exit::Done)
}

/// What is wrong with a log or an archive, and what to do about it.
pub(super) fn explain(error: &ArchiveError) -> Failure {
    let mut failure = Failure::new(exit(error), error.to_string());
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        failure = failure.detail(error.to_string());
        cause = error.source();
    }
    failure.hint(hint(error))
}

fn exit(error: &ArchiveError) -> Exit {
    match error {
        ArchiveError::Damaged { .. } | ArchiveError::Journal(JournalError::Damaged { .. }) => {
            Exit::Damaged
        }
        ArchiveError::Journal(_) | ArchiveError::Unavailable(_) | ArchiveError::Ended { .. } => {
            Exit::Unreachable
        }
        ArchiveError::Foreign { .. }
        | ArchiveError::Append { .. }
        | ArchiveError::Occupied { .. } => Exit::Refused,
        ArchiveError::NotCovered { .. } | ArchiveError::Nothing { .. } => Exit::NotFound,
        ArchiveError::TooLarge { .. } | ArchiveError::Key(_) => Exit::Invalid,
    }
}

fn hint(error: &ArchiveError) -> &'static str {
    match error {
        ArchiveError::Damaged { finding, .. } if matches!(**finding, Finding::Differs) => {
            "stop using both, and find out which was changed: the anchors are the archive's witness"
        }
        ArchiveError::Damaged { place: Place::InLog(..) | Place::Log, .. }
        | ArchiveError::Journal(JournalError::Damaged { .. }) => serve::DAMAGED,
        ArchiveError::Journal(_) => "check the log's disk or servers, then try again",
        ArchiveError::Damaged { place: Place::Bundle | Place::InBundle(_), .. } => {
            "do not trust the bundle; ask for another"
        }
        ArchiveError::Damaged { .. } => {
            "find out who changed the archive; a log that is whole can fill a new one: `cairn admin backup`"
        }
        ArchiveError::Unavailable(_) => "check the place and its permissions, then try again",
        ArchiveError::Ended { .. } => "try again; it goes on where it was",
        ArchiveError::Foreign { .. } => "name the archive of this log, or an empty place",
        ArchiveError::Append { .. } => "mend the cause and try again; it goes on where it was",
        ArchiveError::Occupied { .. } => "name an empty place for the new log",
        ArchiveError::NotCovered { .. } => "wait for the next anchor, or run `cairn admin backup`",
        ArchiveError::Nothing { .. } => "widen the range, or check the stream's name",
        ArchiveError::TooLarge { .. } => "ask for a part of the range",
        ArchiveError::Key(_) => "check the key's file",
    }
}
