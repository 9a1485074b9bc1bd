//! `cairn`: everything a person does with Cairn. Client commands speak GraphQL only; `up` runs the server.

mod answers;
mod archives;
mod args;
mod client;
mod commands;
mod config;
mod failure;
mod logs;
mod look;
mod moment;
mod names;
mod progress;
mod serve;
mod sources;
mod table;
mod terminal;
mod tree;

use std::process::ExitCode;

use clap::Parser as _;

use crate::failure::{Exit, Failure};
use crate::terminal::Terminal;

/// Commits and rows are many small allocations on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    let terminal = Terminal::new(cli.color);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(commands::run(cli, &terminal)),
        Err(error) => Err(Failure::new(Exit::Unreachable, format!("cannot start: {error}"))),
    };
    let exit = outcome.unwrap_or_else(|failure| {
        failure.print(&terminal);
        failure.exit
    });
    if let Some(reason) = terminal.lost() {
        let lost =
            Failure::new(Exit::Unreachable, format!("the output could not be written: {reason}"));
        lost.hint("what was printed is not whole").print(&terminal);
        return ExitCode::from(Exit::Unreachable.code());
    }
    ExitCode::from(exit.code())
}
