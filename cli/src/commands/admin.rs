//! `cairn admin`: what is done to a data folder whose server is stopped.

use std::sync::Arc;
use std::time::Instant;

use journal::Journal;
use projections::Views;

use crate::args::{Admin, DataDir};
use crate::failure::{Exit, Failure, Outcome};
use crate::serve;
use crate::terminal::Terminal;

/// Looks after a data folder.
pub(super) async fn run(args: Admin, terminal: &Terminal) -> Outcome {
    match args {
        Admin::Rebuild(args) => rebuild(args, terminal).await,
        Admin::Verify(args) => verify(args, terminal).await,
    }
}

async fn rebuild(args: DataDir, terminal: &Terminal) -> Outcome {
    let data = existing(args)?;
    let journal: Arc<dyn Journal> = serve::open_log(&data)?;
    let started = Instant::now();
    let folder = serve::views_folder(&data);
    let failed = |error: &dyn std::error::Error| {
        Failure::new(Exit::Negative, "the views cannot be rebuilt").detail(error.to_string())
    };
    let views = Views::open_sqlite(&folder).await.map_err(|error| failed(&error))?;
    views.rebuild(&journal).await.map_err(|error| failed(&error))?;
    terminal.print(&format!(
        "the views are rebuilt from the log, up to position {}, in {:.1}s",
        views.position(),
        started.elapsed().as_secs_f32()
    ));
    Ok(Exit::Done)
}

async fn verify(args: DataDir, terminal: &Terminal) -> Outcome {
    let data = existing(args)?;
    let journal = serve::open_log(&data)?;
    let verified = journal::verify(&*journal).await.map_err(|error| {
        let mut failure = Failure::new(Exit::Negative, error.to_string());
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            failure = failure.detail(error.to_string());
            cause = error.source();
        }
        failure.hint("stop using this log, and restore it from a copy")
    })?;
    terminal.print(&format!(
        "the log is whole: {} commits with {} events of {} streams, up to position {}",
        verified.commits, verified.events, verified.streams, verified.head
    ));
    Ok(Exit::Done)
}

/// A data folder that holds a log: nothing is made by looking.
fn existing(args: DataDir) -> Outcome<std::path::PathBuf> {
    let data = serve::data_folder(args.data_dir)?;
    if serve::log_folder(&data).is_dir() {
        Ok(data)
    } else {
        Err(Failure::not_found(format!("log in {}", data.display()))
            .hint("name the folder with --data-dir"))
    }
}
