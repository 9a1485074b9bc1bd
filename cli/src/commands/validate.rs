//! `cairn validate`: everything that can be said of an application without a server.

use crate::args::Files;
use crate::failure::{Exit, Outcome};
use crate::sources::Sources;
use crate::terminal::Terminal;

/// Checks an application's files.
pub(super) fn run(args: Files, terminal: &Terminal) -> Outcome {
    let model = Sources::read(&args.files, args.app, &args.images)?.parse(terminal)?;
    let shared = model.resources.len();
    let own: usize = model.workloads.values().map(|workload| workload.resources.len()).sum();
    let count = |number: usize, what: &str| {
        format!("{number} {what}{}", if number == 1 { "" } else { "s" })
    };
    terminal.print(&format!(
        "{} is valid: {}, {}",
        model.name,
        count(model.workloads.len(), "workload"),
        count(shared + own, "resource")
    ));
    Ok(Exit::Done)
}
