//! The command line.

mod admin;
mod change;
mod context;
mod logs;
mod look;
mod serve;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use admin::{
    Admin, Audit, Backup, Export, Key, LogOf, Migrate, Mirror, Prove, Quarantine, Rebuild, Redrive,
    Restore, Token, Verify, ViewsOf,
};
pub(crate) use change::{
    Apply, Approve, Delete, Files, OneResource, Patience, Plan, Promote, Rollback, Rule, Sim,
    Target,
};
pub(crate) use context::ContextOf;
pub(crate) use logs::Logs;
pub(crate) use look::{Events, Get, History, Trace, Version, Wait, Why};
pub(crate) use serve::{Charts, KEEP_SECONDS, Nature, Role, Serve, SimServe, Stores, Up};

use crate::failure::EXIT_CODES;
use crate::terminal::Colour;

/// Where `cairn up` listens when nothing else is said.
pub(crate) const LISTEN: &str = "127.0.0.1:7117";

/// Delivers applications and everything they depend on.
#[derive(Debug, Parser)]
#[command(
    name = "cairn",
    version,
    propagate_version = true,
    after_help = "Exit codes: cairn help exit-codes"
)]
pub(crate) struct Cli {
    /// The server, such as http://127.0.0.1:7117
    #[arg(long, global = true, env = "CAIRN_SERVER", hide_env_values = true, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// The context of the configuration to use
    #[arg(long, global = true, env = "CAIRN_CONTEXT", hide_env_values = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    pub(crate) color: Colour,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do. Help lists it in this order: what most people do first.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a whole Cairn in one process, with a simulated world
    Up(Up),
    /// Show all of it in a minute: deploy a sample shop, change it, look back
    Demo(Demo),
    /// Check an application's files, without a server
    Validate(Files),
    /// Show what would be done
    Plan(Plan),
    /// Deploy an application, and wait until it is ready
    Apply(Apply),
    /// List things, or show one
    Get(Get),
    /// Show a deployment's graph: what is ready, and what the rest waits for
    Trace(Trace),
    /// Show what the workloads of a deployment write
    Logs(Logs),
    /// Wait until a deployment is ready, or gone
    Wait(Wait),
    /// Approve a plan, and run it
    Approve(Approve),
    /// Go back to an earlier revision
    Rollback(Rollback),
    /// Take a deployment down, or delete a resource that belongs to none
    Delete(Delete),
    /// Explain where a thing comes from: by kind/name, uid, or the provider's name for it
    Why(Why),
    /// Show the states that a thing was in
    History(History),
    /// Show what happened, and what happens
    Events(Events),
    /// Take no action on a resource until it is resumed
    Pause(OneResource),
    /// Take actions on a resource again
    Resume(OneResource),
    /// Take the new revision that is tried for good enough: past its step, or past all
    Promote(Promote),
    /// Leave a resource the way that somebody changed it, until its spec changes
    AcceptDrift(OneResource),
    /// Refuse a resource's deletion
    Protect(OneResource),
    /// Allow a resource's deletion again
    Unprotect(OneResource),
    /// Where applications run, and by which rules
    #[command(subcommand)]
    Env(Rule),
    /// The platform team's definitions of resource types
    #[command(subcommand)]
    Class(Rule),
    /// Do something to the simulated world, behind Cairn's back
    #[command(subcommand)]
    Sim(Sim),
    /// The servers that are known, and which one commands go to
    #[command(subcommand)]
    Context(ContextOf),
    /// Run one of many: the log on JetStream, the views in PostgreSQL, any number of processes of each role
    Serve(Serve),
    /// Look after a data folder whose server is stopped
    #[command(subcommand)]
    Admin(Admin),
    /// Prove to others what happened
    #[command(subcommand)]
    Audit(Audit),
    /// Show the versions of the client and the server
    Version(Version),
    /// The meaning of exit codes
    #[command(name = "exit-codes", hide = true, about = EXIT_CODES)]
    ExitCodes,
}

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// End after the last step instead of leaving the server running
    #[arg(long)]
    pub(crate) once: bool,
    /// Run on the cluster that this kubeconfig leads to; what is no part of a cluster is simulated still
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<std::path::PathBuf>,
    /// How much faster than ours the simulated world's clock runs
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=SPEED_MAX), value_name = "FACTOR")]
    pub(crate) speed: u32,
}

/// The fastest that a simulated clock may run: above it, timers are too coarse.
const SPEED_MAX: i64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
